"""Names of checkpoints: no two files become one, and what loads follows what saves."""

import old_script
import pytest
from lines_that_change import notes, only, rewritten

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
