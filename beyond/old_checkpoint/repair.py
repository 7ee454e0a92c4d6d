"""What one conversion knows and collects while it repairs the configuration."""

import dataclasses

from .layouts import Layout


@dataclasses.dataclass
class Repair:
    """The state of one conversion.

    Attributes:
        layout: Which Keras wrote the file.
        backend: Its backend, or `""`.
        custom_objects: The reader's own classes and functions by name.
        imports: What the converted file needs from `old_checkpoint`, with the places.
        lost: What the source does not hold, or what the target cannot.
        largest: How many numbers the largest array of the file has; no size may be above it.
        differences: Known differences, each with its layer.
        changes: What was changed on the way and is said in the report.
    """

    layout: Layout
    backend: str
    custom_objects: dict
    imports: dict[str, list[str]] = dataclasses.field(default_factory=dict)
    lost: list[str] = dataclasses.field(default_factory=list)
    largest: int = 0
    differences: list[str] = dataclasses.field(default_factory=list)
    changes: list[str] = dataclasses.field(default_factory=list)

    def needs_import(self, name: str, where: str) -> None:
        """Note that the target needs `name` from `old_checkpoint`, because of `where`."""
        places = self.imports.setdefault(name, [])
        if where not in places:
            places.append(where)
