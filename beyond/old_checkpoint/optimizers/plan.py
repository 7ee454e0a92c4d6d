"""What is known about one optimizer before its arrays are read."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Plan:
    """How Keras 3 continues an optimizer.

    Attributes:
        kind: The optimizer's class.
        config: Its old configuration, without what means nothing in Keras 3.
        arguments: The keys of `config` that `kind` takes.
        slots: (kind in Keras 3, kinds in old names), one entry for each array that a weight has,
            in the order in which they are stored.
        interleaved: How many of these kinds follow each other weight by weight; the others are
            stored one kind after the other.
        unread: Kinds that are stored and that no later step reads.
        scalar: Kind of a single number that is stored after the step count.
        state: Called with the optimizer, its step count and that number, sets what is computed.
        new: Whether an optimizer of tf.keras 2.11 or later wrote the file.
    """

    kind: type
    config: dict
    arguments: tuple[str, ...]
    slots: tuple[tuple[str, tuple[str, ...]], ...]
    interleaved: int = 0
    unread: tuple[str, ...] = ()
    scalar: str | None = None
    state: object = None
    new: bool = False
