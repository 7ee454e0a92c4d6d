"""The one error of this package, and the remedies that many of its texts end with."""

import contextlib

IN_CODE = "rebuild the model in code and use old_checkpoint.load_weights"
COMPILE_ANEW = "load the weights with old_checkpoint.load_weights and compile anew"
NEW_COPY = "get a complete copy of the file"


class OldCheckpointError(ValueError):
    """A file cannot be converted completely. The text is one line: the reason, then what to do."""

    def __init__(self, reason: str):
        super().__init__(" ".join(str(reason).split()))


@contextlib.contextmanager
def one_line(source: str):
    """Turn what a strange configuration makes Python say into one line that names the source."""
    try:
        yield
    except (OldCheckpointError, OSError):
        raise
    except Exception as e:
        said = " ".join(str(e).split())[:200]
        raise OldCheckpointError(
            f"{source}: its configuration is not understood ({type(e).__name__}: {said}); {IN_CODE}"
        ) from e
