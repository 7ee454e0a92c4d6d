"""Which Keras wrote a file, and what follows from it.

Three families wrote HDF5 files: Keras 1, Keras 2 for several backends (2.0.0 to 2.3.1), and
`tf.keras` (versions that end in `-tf`, and 2.4 or later). The facts here were measured on files of
each.
"""

import dataclasses
import re


@dataclasses.dataclass(frozen=True)
class Layout:
    """The version of a file, and the questions that it answers.

    Attributes:
        version: The version's numbers, for example `(2, 0, 5)`.
        tf: Whether tf.keras wrote it.
    """

    version: tuple[int, ...]
    tf: bool

    @property
    def keras_1(self) -> bool:
        """Keras 1: other names of arguments (`nb_filter`, `border_mode`)."""
        return self.version < (2,)

    @property
    def sorted_optimizer(self) -> bool:
        """Whether the optimizer's arrays follow the weights sorted by name (up to Keras 2.0.5),
        instead of the order of the layers."""
        return not self.tf and self.version <= (2, 0, 5)

    @property
    def old_hard_sigmoid(self) -> bool:
        """Whether `hard_sigmoid` is `clip(0.2 x + 0.5)`: all of Keras 1 and 2."""
        return True

    @property
    def recurrent_hard_sigmoid(self) -> bool:
        """Whether LSTM and GRU use `hard_sigmoid` unless told otherwise."""
        return not self.tf and self.version < (2, 3)


def layout(version: str) -> Layout:
    """Read a version such as `2.2.4-tf`.

    Arguments:
        version: The text in the file.

    Returns:
        The layout.
    """
    numbers = tuple(int(part) for part in re.findall(r"\d+", version.split("-")[0])[:3])
    return Layout(numbers or (1,), "-tf" in version or numbers >= (2, 4))
