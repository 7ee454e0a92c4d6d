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
        """Whether the optimizer's arrays follow the weights sorted by name (up to Keras 2.0.5 and
        the tf.keras of that time), instead of the order of the layers."""
        return self.version <= (2, 0, 5)

    @property
    def up_to_tensorflow_2_1(self) -> bool:
        """Keras for several backends, and tf.keras up to `2.2.4-tf`, which TensorFlow 1.13 to 2.1
        had."""
        return not self.tf or self.version <= (2, 2, 4)

    @property
    def frozen_batch_statistics(self) -> bool:
        """Whether a frozen BatchNormalization may use the batch in training."""
        return self.up_to_tensorflow_2_1

    @property
    def hinge_of_plain_labels(self) -> bool:
        """Whether hinge losses may take labels 0 and 1 as they are, instead of as -1 and 1."""
        return self.up_to_tensorflow_2_1

    @property
    def accuracy_of_loss(self) -> bool:
        """Whether the loss decides what the metric `accuracy` means."""
        return self.up_to_tensorflow_2_1

    @property
    def loss_counts_masked_steps(self) -> bool:
        """Whether the loss of a masked output may be divided by all steps."""
        return self.tf and (2, 2, 4) <= self.version < (2, 12)

    @property
    def recurrent_hard_sigmoid(self) -> bool:
        """Whether LSTM and GRU use `hard_sigmoid` unless told otherwise."""
        return not self.tf and self.version < (2, 3)

    @property
    def maybe_recurrent_hard_sigmoid(self) -> bool:
        """The same of files that do not say it: tf.keras of TensorFlow 1 did so as well."""
        return self.recurrent_hard_sigmoid or (self.tf and self.version <= (2, 2, 4))


def layout(version: str) -> Layout:
    """Read a version such as `2.2.4-tf`.

    Arguments:
        version: The text in the file.

    Returns:
        The layout.
    """
    numbers = tuple(int(part) for part in re.findall(r"\d+", version.split("-")[0])[:3])
    return Layout(numbers or (1,), "-tf" in version or numbers >= (2, 4))
