"""Names of checkpoints: no two files become one, and what loads follows what saves."""

import old_script
import pytest
from lines_that_change import becomes, notes, only, rewritten

pytestmark = pytest.mark.one_backend  # nothing is trained

# Two names that would be one -> the lines that change.
COLLISIONS = {
    "two endings of weights": (
        """
        import keras
        model.save_weights('w.hdf5')
        other.save_weights('w.h5')
        model.load_weights('w.hdf5')
        other.load_weights('w.h5')
        """,
        {
            "model.save_weights('w.hdf5')": "model.save_weights('w.weights.h5')",
            "other.save_weights('w.h5')": "other.save_weights('w_h5.weights.h5')",
            "model.load_weights('w.hdf5')": "model.load_weights('w.weights.h5')",
            "other.load_weights('w.h5')": "other.load_weights('w_h5.weights.h5')",
        },
    ),
    "a name that is there already": (
        """
        import keras
        model.save_weights('w.h5')
        other.save_weights('w.weights.h5')
        model.load_weights('w.h5')
        """,
        {
            "model.save_weights('w.h5')": "model.save_weights('w_h5.weights.h5')",
            "model.load_weights('w.h5')": "model.load_weights('w_h5.weights.h5')",
        },
    ),
    "whole models": (
        """
        import keras
        from keras.callbacks import ModelCheckpoint
        saver = ModelCheckpoint('net.keras')
        other = ModelCheckpoint('net.hdf5')
        model = keras.models.load_model('net.hdf5')
        """,
        {
            "other = ModelCheckpoint('net.hdf5')": "other = ModelCheckpoint('net_hdf5.keras')",
            "model = keras.models.load_model('net.hdf5')": "model = keras.models."
            "load_model('net_hdf5.keras')",
        },
    ),
    "patterns": (
        """
        import keras
        from keras.callbacks import ModelCheckpoint
        saver = ModelCheckpoint('w-{epoch:02d}.hdf5', save_weights_only=True)
        other = ModelCheckpoint('w-{epoch:03d}.ckpt', save_weights_only=True)
        """,
        {
            "saver = ModelCheckpoint('w-{epoch:02d}.hdf5', save_weights_only=True)": "saver = "
            "ModelCheckpoint('w-{epoch:02d}.weights.h5', save_weights_only=True)",
            "other = ModelCheckpoint('w-{epoch:03d}.ckpt', save_weights_only=True)": "other = "
            "ModelCheckpoint('w-{epoch:03d}_ckpt.weights.h5', save_weights_only=True)",
        },
    ),
    "one name for weights and a whole model": (
        """
        import keras
        model.save_weights('net.hdf5')
        model.save('net.hdf5')
        model.load_weights('net.hdf5')
        model = keras.models.load_model('net.hdf5')
        """,
        {
            "model.save_weights('net.hdf5')": "model.save_weights('net.weights.h5')",
            "model.save('net.hdf5')": "model.save('net.keras')",
            "model.load_weights('net.hdf5')": "model.load_weights('net.weights.h5')",
            "model = keras.models.load_model('net.hdf5')": "model = keras.models."
            "load_model('net.keras')",
        },
    ),
}


@pytest.mark.parametrize("case", COLLISIONS)
def test_no_two_files_become_one(case):
    only(*COLLISIONS[case])


def test_two_scripts_of_a_folder_keep_two_files(tmp_path):
    (tmp_path / "a.py").write_text("import keras\nmodel.save_weights('w.hdf5')\n")
    (tmp_path / "b.py").write_text("import keras\nmodel.save_weights('w.h5')\n")
    (tmp_path / "c.py").write_text(
        "import keras\nmodel.load_weights('w.h5')\nmodel.load_weights('w.hdf5')\n"
    )
    texts = {one.source.name: one.text for one in old_script.rewrite(tmp_path)}
    assert "'w.weights.h5'" in texts["a.py"] and "'w_h5.weights.h5'" in texts["b.py"]
    assert texts["c.py"].count("'w_h5.weights.h5'") == texts["c.py"].count("'w.weights.h5'") == 1


def test_a_name_that_is_saved_as_both_is_left_and_said():
    text = """
        import keras
        path = 'net.hdf5'
        model.save_weights(path)
        model.save(path)
        model.fit(x, y, nb_epoch=1)
        """
    only(text, {"model.fit(x, y, nb_epoch=1)": "model.fit(x, y, epochs=1)"})
    assert "saved as weights and as a whole model" in notes(rewritten(text))


# A ModelCheckpoint and what its file holds.
KINDS = {
    "ModelCheckpoint('n.hdf5')": "n.keras",
    "ModelCheckpoint('n.hdf5', 'val_loss', 0, True, True)": "n.weights.h5",
    "ModelCheckpoint('n.hdf5', 'val_loss', 0, True, False)": "n.keras",
    "ModelCheckpoint(filepath='n.hdf5', save_weights_only=True)": "n.weights.h5",
    "ModelCheckpoint('n.hdf5', save_weights_only=flag)": "n.hdf5",
}


@pytest.mark.parametrize("call", KINDS)
def test_what_the_file_holds(call):
    text = f"from keras.callbacks import ModelCheckpoint\nsaver = {call}\nx.fit(x, nb_epoch=1)\n"
    result = rewritten(text)
    assert f"'{KINDS[call]}'" in result.text
    assert ("save_weights_only is not a plain" in notes(result)) == ("flag" in call)


def test_the_same_name_elsewhere_follows():
    only(
        """
        import glob, h5py, keras, os
        model.save_weights('saved/w-%03d.hdf5' % step)
        if os.path.exists('saved/w-001.hdf5'):
            model.load_weights('saved/w-001.hdf5')
        names = glob.glob('saved/w-*.hdf5')
        rows = h5py.File('saved/w-001.hdf5')
        other = glob.glob('saved/rows-*.hdf5')
        """,
        {
            "model.save_weights('saved/w-%03d.hdf5' % step)": "model."
            "save_weights('saved/w-%03d.weights.h5' % step)",
            "if os.path.exists('saved/w-001.hdf5'):": "if os.path."
            "exists('saved/w-001.weights.h5'):",
            "model.load_weights('saved/w-001.hdf5')": "model."
            "load_weights('saved/w-001.weights.h5')",
            "names = glob.glob('saved/w-*.hdf5')": "names = glob.glob('saved/w-*.weights.h5')",
        },
    )


CHECKPOINT = """
import glob, h5py, keras, os, re, shutil
from keras.callbacks import ModelCheckpoint
saver = ModelCheckpoint('ck/w-{epoch:02d}.hdf5', save_best_only=True)
"""
SAVED = {
    "saver = ModelCheckpoint('ck/w-{epoch:02d}.hdf5', save_best_only=True)": "saver = "
    "ModelCheckpoint('ck/w-{epoch:02d}.keras', save_best_only=True)"
}
# A line that looks for the files of the checkpoint above -> the same line with today's ending.
FOLLOWS = {
    "names = [n for n in os.listdir('ck') if n.endswith(('.h5', '.hdf5'))]": ".keras",
    "names = [n for n in os.listdir('ck') if n.endswith('.hdf5')]": ".keras",
    "same = os.path.splitext(name)[1] == '.hdf5'": ".keras",
    "other = name.replace('.hdf5', '.json')": ".keras",
    "stem = name[:-len('.hdf5')]": ".keras",
    "found = re.match(r'w-(\\d+)\\.hdf5$', name)": r"\.keras",
    "found = re.search(r'(\\d+)\\.hdf5', name)": r"\.keras",
    "names = glob.glob('ck/*.hdf5')": ".keras",
    "names = glob.glob(os.path.join(folder, '*.hdf5'))": ".keras",
    "names = glob.glob('%s/w-*.hdf5' % folder)": ".keras",
    "names = glob.glob(f'{folder}/w-*.hdf5')": ".keras",
    "shutil.copy('ck/w-03.hdf5', 'last.hdf5')": ".keras",
}


@pytest.mark.parametrize("line", FOLLOWS)
def test_what_looks_for_the_files_follows_them(line):
    old = r"\.hdf5" if "\\.hdf5" in line else ".hdf5"
    becomes(CHECKPOINT, line, line.replace(old, FOLLOWS[line]), "")


# What is not certain: the line stays, and the reader is told.
LEFT = [
    "kind = name.split('.')[-1] == 'hdf5'",
    "found = re.match(r'(.*)\\.(hdf5|json)', name)",
    "old = name + '.hdf5'",
    "options = dict(ending='hdf5')",
]


@pytest.mark.parametrize("line", LEFT)
def test_what_may_look_for_the_old_name_is_listed(line):
    becomes(CHECKPOINT, line, line, "old name")


@pytest.mark.parametrize("line", FOLLOWS)
def test_with_files_of_both_kinds_it_is_listed(line):
    head = f"{CHECKPOINT}model.save_weights('ck/last.hdf5')\n"
    if "w-*" in line or "w-03" in line:
        becomes(head, line, line.replace(".hdf5", FOLLOWS[line]))
    else:
        becomes(head, line, line, ".keras or .weights.h5")


def test_what_cuts_off_the_ending_is_listed():
    line = "stems = [n[:-5] for n in os.listdir('ck')]"
    becomes(CHECKPOINT, line, line, "[:-6]")


@pytest.mark.parametrize(
    "line",
    [
        "rows = h5py.File('rows.hdf5')",
        "names = glob.glob('data/*.hdf5')",
        "print('saved as w-01-best.hdf5')",
        "parser.add_argument('--to', help='a name in .hdf5')",
    ],
)
def test_other_files_keep_their_names(line):
    becomes(CHECKPOINT, line, line)
    lines = f"{line}\nlong = name.endswith('.txt')"
    becomes(CHECKPOINT, lines, lines)


def test_an_ending_that_other_files_have_too_is_listed():
    line = "names = [n for n in os.listdir('ck') if n.endswith('.hdf5')]"
    becomes(f"{CHECKPOINT}rows = h5py.File('rows.hdf5')\n", line, line, "old name")


def test_what_reads_the_file_with_h5py_is_told_what_it_is_now():
    line = "rows = h5py.File('ck/w-01.hdf5')"
    becomes(CHECKPOINT, line, line, "zip")


def test_a_moved_file_is_what_it_was():
    only(
        CHECKPOINT
        + "os.rename('ck/w-03.hdf5', 'final.hdf5')\nmodel = keras.models.load_model('final.hdf5')",
        {
            **SAVED,
            "os.rename('ck/w-03.hdf5', 'final.hdf5')": "os.rename('ck/w-03.keras', 'final.keras')",
            "model = keras.models.load_model('final.hdf5')": "model = keras.models."
            "load_model('final.keras')",
        },
    )


def test_a_name_in_a_class_a_dictionary_or_after_or():
    text = """
        from keras.callbacks import ModelCheckpoint
        class Settings:
            best = 'a.hdf5'
        names = {'last': 'b.hdf5', 'best': 3}
        first = ModelCheckpoint(Settings.best)
        second = ModelCheckpoint(names['last'], save_weights_only=True)
        def callbacks(path=None):
            return [ModelCheckpoint(path or 'c.hdf5')]
        """
    only(
        text,
        {
            "best = 'a.hdf5'": "best = 'a.keras'",
            "names = {'last': 'b.hdf5', 'best': 3}": "names = {'last': 'b.weights.h5', 'best': 3}",
            "return [ModelCheckpoint(path or 'c.hdf5')]": "return [ModelCheckpoint(path or "
            "'c.keras')]",
        },
    )


def test_a_name_that_is_not_seen_is_said_of_a_script_that_does_not_change():
    text = "from keras.callbacks import ModelCheckpoint\nkinds = ['a.hdf5', 'b.hdf5']\n"
    text += "savers = [ModelCheckpoint(kind) for kind in kinds]\n"
    result = rewritten(text)
    assert not result.changed and [one.line for one in result.findings.undecided] == [3]


def test_by_name_from_a_file_of_today_is_said():
    text = "import keras\nmodel.save_weights('w.hdf5')\nmodel.load_weights('{}', by_name=True)\n"
    assert [one.line for one in rewritten(text.format("w.hdf5")).findings.undecided] == [3]
    assert rewritten(text.format("vgg.h5")).findings.undecided == []
