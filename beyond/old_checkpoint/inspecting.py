"""Say what is in an old file, without building a model."""

import dataclasses
import os

from . import cudnn
from .errors import one_line
from .layouts import layout
from .reading import read


@dataclasses.dataclass
class Inspection:
    """What an old file holds. `print(inspection)` shows it.

    Attributes:
        source: The file.
        keras_version: The Keras that wrote it; `"1"` where it does not say.
        backend: Its backend, or `""`.
        whole_model: Whether it holds a model, or weights only.
        layers: (layer's name, its class or `""`, the shapes of its arrays).
        optimizer: The optimizer's class, or None.
        optimizer_arrays: How many arrays it has.
        steps: Its step count, or None.
        loss: The loss as the file has it, or None.
        notes: What will be lost, or has to be known.
    """

    source: str
    keras_version: str
    backend: str
    whole_model: bool
    layers: list[tuple[str, str, list[tuple[int, ...]]]]
    optimizer: str | None
    optimizer_arrays: int
    steps: int | None
    loss: object
    notes: list[str]

    def __str__(self) -> str:
        kind = "a whole model" if self.whole_model else "weights only"
        backend = f", {self.backend}" if self.backend else ""
        lines = [f"{self.source}: {kind} (Keras {self.keras_version}{backend})"]
        for name, class_name, shapes in self.layers:
            shown = " ".join("x".join(map(str, shape)) or "scalar" for shape in shapes)
            lines.append(f"  {name:30} {class_name or '?':20} {shown or '-'}")
        if self.optimizer:
            steps = "unknown" if self.steps is None else self.steps
            lines.append(
                f"optimizer: {self.optimizer}, step {steps}, {self.optimizer_arrays} arrays; loss: "
                f"{self.loss}"
            )
        return "\n".join(lines + [f"note: {note}" for note in self.notes])


def inspect(source: str | os.PathLike) -> Inspection:
    """Read what a file of Keras 1 or 2 holds. The file stays as it is.

    Arguments:
        source: The old file, a whole model or weights only.

    Returns:
        An `Inspection`; print it.

    Raises:
        OldCheckpointError: It is no such file, it is damaged, or it is made to do harm.

    Example:
        >>> import old_checkpoint
        >>> found = old_checkpoint.inspect("weights.best.hdf5")
        >>> found.optimizer, found.steps, found.loss
        ('Adam', 12, 'binary_crossentropy')
    """
    file = read(source)
    with one_line(file.path):
        return _inspection(file)


def _inspection(file):
    training = file.training or {}
    optimizer = training.get("optimizer_config") or {}
    arrays = list(file.optimizer or [])
    steps = None
    if arrays and arrays[0].value.shape == ():
        steps = int(arrays.pop(0).value)
    classes = dict(_classes(file.config))
    notes = notes_of(file, classes)
    if file.optimizer and steps is None:
        notes.append("no step count: a converted optimizer starts at step 0")
    return Inspection(
        source=file.path,
        keras_version=file.version,
        backend=file.backend,
        whole_model=file.config is not None,
        layers=[
            (name, classes.get(name) or _guess(found), [array.value.shape for array in found])
            for name, found in file.layers
        ],
        optimizer=str(optimizer.get("class_name")).removeprefix("Custom>") if optimizer else None,
        optimizer_arrays=len(arrays),
        steps=steps,
        loss=training.get("loss"),
        notes=notes,
    )


def _classes(config):
    """(name, class) of the layers in a configuration."""
    if not isinstance(config, dict):
        return
    inner = config.get("config")
    entries = inner if isinstance(inner, list) else (inner or {}).get("layers", [])
    for entry in entries:
        found = entry.get("config")
        name = entry.get("name") or (found.get("name") if isinstance(found, dict) else None)
        if name:
            yield name, entry.get("class_name", "")


def _rows(arrays):
    """The number of units of a recurrent layer."""
    return next((a.value.shape[0] for a in arrays if a.short == "recurrent_kernel"), 0)


def _guess(arrays):
    """The class of a layer in a file of weights only, as far as its arrays tell it."""
    names = [array.short for array in arrays]
    if "recurrent_kernel" in names:
        kernel, recurrent = (
            next(a.value.shape for a in arrays if a.short == n)
            for n in ("kernel", "recurrent_kernel")
        )
        gates = recurrent[-1] // recurrent[0] if len(recurrent) == 2 and recurrent[0] else 0
        kind = cudnn.kind_of(arrays) or {1: "SimpleRNN", 3: "GRU", 4: "LSTM"}.get(gates, "")
        return f"Bidirectional({kind})" if len(arrays) > 3 and kind and kernel else kind
    if "moving_mean" in names:
        return "BatchNormalization"
    if "embeddings" in names:
        return "Embedding"
    if "depthwise_kernel" in names:
        return "SeparableConv" if "pointwise_kernel" in names else "DepthwiseConv"
    if names[:1] == ["kernel"]:
        rank = arrays[0].value.ndim
        return {2: "Dense", 3: "Conv1D", 4: "Conv2D", 5: "Conv3D"}.get(rank, "")
    return ""


def notes_of(file, classes: dict) -> list[str]:
    """What a reader of the file has to know.

    Arguments:
        file: The `OldFile`.
        classes: Layer's name -> its class, as far as the file tells.
    """
    notes = []
    if file.config is None:
        notes.append(
            "the file holds no model: build it in code, in the same order of layers, and use "
            "old_checkpoint.load_weights(model, source)"
        )
        notes.append("it says nothing of activations: take them from the code that trained it")
    kinds = [(classes.get(name) or _guess(arrays), arrays) for name, arrays in file.layers]
    gated = [kind for kind, _ in kinds if "CuDNN" not in kind and ("LSTM" in kind or "GRU" in kind)]
    if gated and layout(file.version).maybe_recurrent_hard_sigmoid:
        notes.append(
            "this Keras used the old hard_sigmoid in LSTM and GRU unless the code said otherwise"
            + (" (tf.keras: with TensorFlow 1)" if layout(file.version).tf else "")
            + ": recurrent_activation=old_checkpoint.hard_sigmoid (Keras 3's own differs)"
        )
    if any(
        array.short == "bias" and array.value.shape == (_rows(arrays) * 3,)
        for kind, arrays in kinds
        if "GRU" in kind and "CuDNN" not in kind
        for array in arrays
    ):
        notes.append("a GRU with one row of biases needs reset_after=False")
    if file.backend == "theano":
        notes.append("kernels of the Theano backend are flipped in their spatial axes")
    if "Lambda" in classes.values():
        notes.append("a Lambda holds Python bytecode, so the file cannot be converted")
    return notes
