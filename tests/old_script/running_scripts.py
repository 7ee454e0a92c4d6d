"""The old scripts of `old_scripts.txt`, and how the tests run what is made of them."""

import pathlib
import re
import sys
import warnings

import old_script

HERE = pathlib.Path(__file__).parent


def _folders() -> dict[str, dict[str, str]]:
    """Name -> (file name -> text), in the order of the file."""
    _, *parts = re.split(
        r"^##### (.*)$", (HERE / "old_scripts.txt").read_text(), flags=re.MULTILINE
    )
    found: dict[str, dict[str, str]] = {}
    for name, text in zip(parts[::2], parts[1::2], strict=True):
        folder, _, file = name.rpartition("/")
        found.setdefault(folder or file.removesuffix(".py"), {})[file] = text.strip() + "\n"
    return found


FOLDERS = _folders()


def train_eagerly(monkeypatch) -> None:
    """Let Keras train without compiling, which takes longer than to train on so few rows."""
    import keras  # the tests that only read scripts start no backend

    stock = keras.Model.compile

    def compile(model, *arguments, **options):
        stock(model, *arguments, **{"run_eagerly": True, **options})

    monkeypatch.setattr(keras.Model, "compile", compile)


def run_in(folder: pathlib.Path, files: dict[str, str]) -> list[old_script.Result]:
    """Write the files of one script into a folder, rewrite them there, and run them in order."""
    for name, text in files.items():
        (folder / name).write_text(text)
    results = old_script.rewrite(folder)
    own = {pathlib.Path(name).stem + "_keras3" for name in files} | {
        pathlib.Path(name).stem for name in files
    }
    sys.path.insert(0, str(folder))
    try:
        for name in files:
            (result,) = [one for one in results if one.source.name == name]
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                code = compile(result.text, result.target.name, "exec")
                exec(code, {"__name__": "__main__"})  # noqa: S102
    finally:
        sys.path.remove(str(folder))
        for name in own:
            sys.modules.pop(name, None)
    return results
