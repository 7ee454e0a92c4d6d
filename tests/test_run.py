"""The runner: quiet, one line a script, and a run.json only for a run that is complete."""

import hashlib
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import time
from importlib.metadata import version

import pytest
from conftest import REPOSITORY

pytestmark = pytest.mark.one_backend  # the runner imports none
SCRIPT = '''# %% [markdown]
"""
# 01 · First of two

- Run:    `python 01_first.py`
- Reads:  `data/numbers.csv`
- Writes: `out/01_first/`: `result.json`
"""

# %%
import json
import os
import pathlib
import subprocess
import sys
import time

OUT = pathlib.Path("out/01_first")
OUT.mkdir(parents=True, exist_ok=True)


def finish(backend=os.environ["KERAS_BACKEND"]):
    (OUT / "result.json").write_text(json.dumps({"script": OUT.name, "backend": backend}))


'''
BEATS = """
for _ in range(12000):
    with open("beats", "a") as file:
        file.write(".")
    time.sleep(0.02)
"""


@pytest.fixture
def place(tmp_path):
    """A repository with two scripts that do nothing, and two files of data."""
    shutil.copytree(REPOSITORY / "tools", tmp_path / "tools")
    (tmp_path / "data").mkdir()
    sums = ""
    for name in ("numbers.csv", "other.csv"):
        (tmp_path / "data" / name).write_bytes(b"1,2,3\n")
        sums += f"{hashlib.sha256(b'1,2,3' + bytes([10])).hexdigest()}  {name}\n"
    (tmp_path / "data" / "SHA256SUMS").write_text(sums)
    (tmp_path / "01_first.py").write_text(SCRIPT + "finish()\n")
    (tmp_path / "02_second.py").write_text("")
    return tmp_path


def begin(
    place, code: str | None = None, ignored: tuple = (), **settings: str | None
) -> subprocess.Popen:
    """The runner at work; a setting of None is taken out of the environment."""

    def signals():
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN if number in ignored else signal.SIG_DFL)

    if code is not None:
        (place / "01_first.py").write_text(SCRIPT + code)
    settings = os.environ | {"KERAS_BACKEND": "tensorflow"} | settings
    return subprocess.Popen(
        [sys.executable, "tools/run.py", "01_first.py"],
        cwd=place,
        env={name: value for name, value in settings.items() if value is not None},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=signals,  # noqa: PLW1509
    )


def run(place, code: str | None = None, **settings: str | None) -> tuple[int, str, str]:
    """Exit status and what the runner prints, for the script with this code at its end."""
    process = begin(place, code, **settings)
    printed, errors = process.communicate(timeout=120)
    return process.returncode, printed, errors


def note(place):
    return place / "out" / "01_first" / "run.json"


def log(place) -> str:
    return (place / "out" / "logs" / "01_first.txt").read_text()


def until(true, seconds=120):
    give_up = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < give_up
        time.sleep(0.01)


def still_beats(place) -> bool:
    size = (place / "beats").stat().st_size
    time.sleep(0.3)
    return (place / "beats").stat().st_size > size


def test_one_line_a_log_and_a_note_after_a_complete_run(place):
    status, printed, errors = run(
        place, 'print("said")\nprint("warned", file=sys.stderr)\ntime.sleep(1.1)\nfinish()\n'
    )
    assert (status, errors) == (0, "")
    assert re.fullmatch(r"\[1/2\] 01 First of two … [1-9]\d* s\n", printed)
    assert log(place) == "said\nwarned\n"
    written = json.loads(note(place).read_text())
    assert 1.1 <= written.pop("seconds") < 60
    assert written == {
        "script": "01_first",
        "backend": "tensorflow",
        "backend_version": version("tensorflow"),
        "keras": version("keras"),
        "python": platform.python_version(),
        "commit": None,
    }
    names = {path.name for path in (place / "out").rglob("*") if path.is_file()}
    assert names == {"01_first.txt", "result.json", "run.json"}


def test_the_frameworks_are_quiet_unless_the_reader_wants_to_hear_them(place):
    code = 'print(os.environ["TF_CPP_MIN_LOG_LEVEL"], os.environ["MPLBACKEND"])\nfinish()\n'
    assert run(place, code, TF_CPP_MIN_LOG_LEVEL="0", MPLBACKEND="svg")[0] == 0
    assert log(place) == "0 svg\n"
    assert run(place, TF_CPP_MIN_LOG_LEVEL=None, MPLBACKEND=None)[0] == 0
    assert log(place) == "2 agg\n"


def test_the_note_is_as_old_as_the_start_of_the_run(place):
    """An edit of the script during the run makes it newer than the note."""
    edit = 'time.sleep(0.2)\npathlib.Path("01_first.py").touch()\ntime.sleep(0.2)\nfinish()\n'
    assert run(place, edit)[0] == 0
    edited = (place / "01_first.py").stat().st_mtime_ns
    assert note(place).stat().st_mtime_ns < edited
    assert note(place).with_name("result.json").stat().st_mtime_ns > edited


def test_a_script_that_fails_shows_the_end_of_its_log(place):
    assert run(place)[0] == 0 and note(place).exists()
    code = 'for line in range(40):\n    print(f"line {line}")\nfinish()\nsys.exit(7)\n'
    status, printed, errors = run(place, code)
    assert (status, printed) == (1, "")
    shown = re.findall(r"^line (\d+)$", errors, flags=re.MULTILINE)
    assert [int(line) for line in shown] == list(range(20, 40))
    assert "01 First of two" in errors and "exit status 7" in errors
    assert errors.endswith("out/logs/01_first.txt\n")
    assert not note(place).exists()


@pytest.mark.parametrize("code", ["def (\n", "'\0'\n"])
def test_of_a_script_that_is_no_python_the_error_is_shown_and_nothing_else(place, code):
    assert run(place)[0] == 0
    status, printed, errors = run(place, code)
    assert (status, printed) == (1, "") and "exit status 1" in errors
    assert "SyntaxError" in errors and "tools/run.py" not in errors
    assert "SyntaxError" in log(place) and not note(place).exists()


def test_what_a_framework_says_when_it_starts_stays_in_the_log(place):
    noise = [
        "WARNING: All log messages before absl::InitializeLog() is called are written to STDERR",
        "I0000 00:00:1795744226.457303   26793 cudart_stub.cc:31] Could not find cuda drivers.",
        "E0000 00:00:1795744242.293448   26793 cuda_platform.cc:52] failed call to cuInit",
        "To enable the following instructions: AVX2 FMA, rebuild TensorFlow.",
        "2026-01-02 03:04:05.678901: I tensorflow/core/util/port.cc:153] oneDNN is on.",
    ]
    said = ["E0000 00:00:1795744242.293448   26793 bfc_allocator.cc:1] out of memory", "own"]
    code = f"for line in {[*noise, *said]}:\n    print(line)\nsys.exit(1)\n"
    _, _, errors = run(place, code)
    assert all(line in errors for line in said) and not any(line in errors for line in noise)
    assert log(place).splitlines() == [*noise, *said]


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("", "without writing out/01_first/result.json"),
        ('finish("jax")\n', "ran on jax, not on tensorflow"),
        ('(OUT / "result.json").write_text("{")\n', "cannot be read"),
        ('(OUT / "result.json").unlink()\n', "without writing out/01_first/result.json"),
    ],
)
def test_a_result_that_is_not_of_this_run_does_not_pass(place, code, reason):
    assert run(place)[0] == 0
    status, printed, errors = run(place, code)
    assert (status, printed) == (1, "") and reason in errors
    assert not note(place).exists()


def test_a_script_that_sets_its_backend_itself_may_do_so(place):
    code = 'os.environ["KERAS_BACKEND"] = "jax"\nfinish("jax")\n'
    assert run(place, code)[0] == 0
    assert json.loads(note(place).read_text())["backend"] == "jax"


def test_without_a_choice_the_backend_is_tensorflow_whatever_keras_json_says(place):
    assert run(place, KERAS_BACKEND=None)[0] == 0
    assert json.loads(note(place).read_text())["backend"] == "tensorflow"


def test_the_data_that_the_script_reads_are_checked_and_no_others(place):
    (place / "data" / "other.csv").write_text("damaged")
    assert run(place)[0] == 0
    code = '(OUT / "started").touch()\nfinish()\n'
    for damage in (lambda path: path.write_text("1,2,4\n"), lambda path: path.unlink()):
        damage(place / "data" / "numbers.csv")
        status, printed, errors = run(place, code)
        assert (status, printed) == (1, "")
        assert len(errors.splitlines()) == 1
        assert "git checkout -- data/numbers.csv" in errors
        assert not note(place).exists() and not note(place).with_name("started").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interruption_ends_the_script_and_what_it_has_started(place, number):
    assert run(place)[0] == 0
    code = f"""
subprocess.Popen([sys.executable, "-c", {"import time" + BEATS!r}])
finish()
time.sleep(60)
"""
    process = begin(place, code)
    until((place / "beats").exists)
    process.send_signal(number)
    printed, errors = process.communicate(timeout=120)
    assert (process.returncode, printed, errors) == (128 + number, "", "")
    assert not still_beats(place) and not note(place).exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_a_signal_that_make_was_told_to_ignore_ends_nothing(place, number):
    """nohup ignores that the terminal is closed, a shell's `make all &` that Ctrl-C is pressed."""
    code = "pathlib.Path('beats').touch()\ntime.sleep(0.5)\nfinish()\n"
    process = begin(place, code, ignored=(number,))
    until((place / "beats").exists)
    process.send_signal(number)
    _, errors = process.communicate(timeout=120)
    assert (process.returncode, errors) == (0, "") and note(place).exists()


def test_a_script_that_runs_in_the_background_is_interrupted_at_once_by_sigterm(place):
    code = "pathlib.Path('beats').touch()\ntime.sleep(120)\n"
    process = begin(place, code, ignored=(signal.SIGINT,))
    until((place / "beats").exists)
    process.terminate()
    assert process.wait(timeout=120) == 128 + signal.SIGTERM
    process.communicate()
    assert "KeyboardInterrupt" in log(place)


def test_the_script_can_clean_up_when_it_is_interrupted(place):
    code = """
try:
    pathlib.Path("beats").touch()
    time.sleep(120)
except KeyboardInterrupt:
    time.sleep(0.5)
    pathlib.Path("cleaned").touch()
"""
    process = begin(place, code)
    until((place / "beats").exists)
    process.terminate()
    process.communicate(timeout=120)
    assert (place / "cleaned").exists() and not note(place).exists()


def test_a_second_interruption_kills_a_script_that_ignores_the_first(place):
    code = "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n" + BEATS
    process = begin(place, code)
    until((place / "beats").exists)
    process.terminate()
    assert still_beats(place)
    process.terminate()
    start = time.monotonic()
    process.communicate(timeout=120)
    assert time.monotonic() - start < 9  # it would have ten seconds
    assert not still_beats(place) and not note(place).exists()


def test_a_process_that_the_script_has_left_behind_is_ended_and_not_waited_for(place):
    left = f"subprocess.Popen([sys.executable, '-c', {'import time' + BEATS!r}])\n"
    code = left + "while not pathlib.Path('beats').exists():\n    time.sleep(0.01)\nfinish()\n"
    start = time.monotonic()
    assert run(place, code)[0] == 0
    assert time.monotonic() - start < 120  # it would write for four minutes
    assert not still_beats(place)


def test_a_script_that_another_make_is_running_is_left_alone(place):
    code = """
pathlib.Path("beats").touch()
give_up = time.monotonic() + 100
while not pathlib.Path("go").exists() and time.monotonic() < give_up:
    time.sleep(0.01)
finish()
"""
    first = begin(place, code)
    until((place / "beats").exists)
    status, printed, errors = run(place)
    assert (status, printed) == (1, "") and len(errors.splitlines()) == 1
    assert "01_first.py is being run by another make" in errors
    (place / "go").touch()
    assert first.communicate(timeout=120)[1] == "" and note(place).exists()
    assert run(place)[0] == 0


def test_a_run_counts_though_nobody_reads_the_line_any_more(place):
    process = begin(place)
    process.stdout.close()
    assert (process.stderr.read(), process.wait(timeout=120)) == ("", 0)
    process.stderr.close()
    assert note(place).exists()


def test_it_runs_without_a_standard_input(place):
    command = f"exec {sys.executable} tools/run.py 01_first.py <&-"
    (place / "01_first.py").write_text(SCRIPT + "assert not sys.stdin.read()\nfinish()\n")
    subprocess.run(["sh", "-c", command], cwd=place, check=True, capture_output=True)
    assert note(place).exists()


def test_the_note_names_the_commit_and_marks_files_that_differ_from_it(
    place, tmp_path_factory, monkeypatch
):
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)  # under a hook they name the repository of these tests
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)  # may ask for signatures or hooks
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    git = ["git", "-c", "user.name=A", "-c", "user.email=a@example.org"]
    (place / ".gitignore").write_text("out/\n__pycache__/\n")
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "First"]):
        subprocess.run([*git, *command], cwd=place, check=True, capture_output=True)
    head = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=place, check=True, capture_output=True, text=True
    ).stdout.strip()
    assert run(place)[0] == 0
    assert json.loads(note(place).read_text())["commit"] == head[:7]
    another = tmp_path_factory.mktemp("another") / ".git"
    subprocess.run(["git", "init", "-q", another.parent], check=True, capture_output=True)
    assert run(place, GIT_DIR=str(another))[0] == 0
    assert json.loads(note(place).read_text())["commit"] == head[:7]
    assert run(place, "finish()  # changed\n")[0] == 0
    assert json.loads(note(place).read_text())["commit"] == f"{head[:7]}-dirty"


def test_a_folder_that_cannot_be_made_is_named_in_one_line(place):
    (place / "out").write_text("a file, not a folder")
    status, _, errors = run(place)
    assert status == 1 and len(errors.splitlines()) == 1 and "out/" in errors
