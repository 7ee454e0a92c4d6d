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
        used: The names of the custom objects that the file asked for.
        layers: How many layers were made so far.
        called: (layer, training) of calls that fix whether they train.
        renamed: Old name -> new name of layers whose names Keras 3 does not allow.
    """

    layout: Layout
    backend: str
    custom_objects: dict
    imports: dict[str, list[str]] = dataclasses.field(default_factory=dict)
    lost: list[str] = dataclasses.field(default_factory=list)
    largest: int = 0
    differences: list[str] = dataclasses.field(default_factory=list)
    changes: list[str] = dataclasses.field(default_factory=list)
    used: list[str] = dataclasses.field(default_factory=list)
    renamed: dict[str, str] = dataclasses.field(default_factory=dict)
    layers: int = 0
    called: list[tuple[object, bool]] = dataclasses.field(default_factory=list)

    def own(self, name):
        """The reader's own class or function of that name, or None.

        A class that was registered as `package>name` is also found under `name`.
        """
        for key in (name, str(name).rsplit(">", 1)[-1]):
            if isinstance(key, str) and key in self.custom_objects:
                own = self.custom_objects[key]
                name = getattr(own, "__name__", key)
                if name not in self.used:
                    self.used.append(name)
                return own
        return None

    @property
    def scope(self) -> dict:
        """The reader's own objects under the names that they were given, and their own."""
        named = {getattr(own, "__name__", key): own for key, own in self.custom_objects.items()}
        return {**named, **self.custom_objects}

    def new_name(self, name):
        """The name of a layer in Keras 3, which allows no `/` in it."""
        if isinstance(name, str) and "/" in name and name not in self.renamed:
            self.renamed[name] = name.replace("/", "_")
            self.changes.append(
                f"layer {name} is called {self.renamed[name]}: Keras 3 allows no / in a name"
            )
        return self.renamed.get(name, name) if isinstance(name, str) else name

    def needs_import(self, name: str, where: str) -> None:
        """Note that the target needs `name` from `old_checkpoint`, because of `where`."""
        places = self.imports.setdefault(name, [])
        if where not in places:
            places.append(where)
