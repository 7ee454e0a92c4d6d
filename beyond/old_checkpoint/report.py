"""What a conversion did, as an object and as text."""

import dataclasses


@dataclasses.dataclass
class Report:
    """The result of `convert`. `print(report)` shows it.

    Attributes:
        source: The old file.
        target: The new file.
        keras_version: The Keras that wrote the source.
        source_backend: Its backend, or `""`.
        layers: How many layers the model has.
        equal: Weights whose bytes are the source's.
        transformed: Weights that were changed, each with the name of the change and how it was
            compared: its inverse gives the source's bytes, or it has no inverse.
        optimizer: The optimizer's class, or None.
        optimizer_equal: Its arrays whose bytes are the source's, after the same changes.
        steps: Its step count, or None.
        imports: What has to be imported before the target loads, with the places that need it.
        custom_objects: Names of your own objects, which loading the target needs, too.
        changes: Changes of arguments that compute the same.
        lost: What the source does not hold.
        differences: Known differences from Keras 2, by layer.
        reference: What the comparison with tf_keras found, or None without one.
    """

    source: str
    target: str
    keras_version: str
    source_backend: str
    layers: int
    equal: int
    transformed: list[str]
    optimizer: str | None
    optimizer_equal: int
    steps: int | None
    imports: dict[str, list[str]]
    changes: list[str]
    lost: list[str]
    differences: list[str]
    reference: list[str] | None = None
    custom_objects: list[str] = dataclasses.field(default_factory=list)

    def __str__(self) -> str:
        backend = f", {self.source_backend}" if self.source_backend else ""
        lines = [
            f"{self.source} (Keras {self.keras_version}{backend}) -> {self.target}",
            f"weights: {self.equal + len(self.transformed)} arrays in {self.layers} layers, read "
            f"back from the target: {self.equal} equal to the source byte for byte"
            + (f", {len(self.transformed)} after a change" if self.transformed else ""),
        ]
        lines += [f"  changed: {c}" for c in self.transformed]
        if self.optimizer:
            steps = "unknown" if self.steps is None else self.steps
            lines.append(
                f"optimizer: {self.optimizer}, step {steps}, {self.optimizer_equal} arrays equal "
                "byte for byte"
            )
        else:
            lines.append("optimizer: none in the source; compile the model before you train it")
        for name, places in self.imports.items():
            lines.append(
                f"needs: import old_checkpoint before you load the target, for {name} "
                f"({', '.join(places)})"
            )
        if self.custom_objects:
            lines.append(
                f"needs: custom_objects to load the target, with {', '.join(self.custom_objects)}"
            )
        if not self.imports and not self.custom_objects:
            lines.append("needs: nothing but Keras 3 to load the target")
        lines += [f"changed: {text}" for text in self.changes]
        lines += [f"lost: {text}" for text in self.lost]
        lines += [f"known difference: {text}" for text in self.differences]
        if self.reference is None:
            lines.append(
                "not compared with Keras 2 (--reference does, where tf_keras is installed)"
            )
        else:
            lines += [f"compared with Keras 2: {text}" for text in self.reference]
        return "\n".join(lines)
