"""The layers of a classifier, as places where a map can be taken.

Layers are reached by calling the model and listening to what its layers return, not by its
graph: so nested, Sequential, reloaded and subclassed models are all the same to it.
"""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

# The network's input, as the name of a place where a map can be taken.
PIXELS = "pixels"
# In place of layer names: one layer a resolution, chosen by `one_per_resolution`.
AUTO = "auto"


class Call(NamedTuple):
    """One layer's call in a forward pass."""

    name: str
    inputs: tuple[int, ...]  # identities of the tensors that went in
    output: tf.Tensor


def named_layers(model: keras.Model) -> dict[str, keras.Layer]:
    """Every layer that is no model itself, by its path: ``conv1``, or ``backbone/conv1`` in a
    nested model."""
    found: dict[str, keras.Layer] = {}

    def walk(parent: keras.Model, prefix: str) -> None:
        # A graph's operations are its layers and, where written so, plain functions (`a + b`).
        for layer in getattr(parent, "operations", None) or parent.layers:
            if isinstance(layer, keras.Model):
                walk(layer, f"{prefix}{layer.name}/")
            else:
                found[prefix + layer.name] = layer

    walk(model, "")
    return found


def find(model: keras.Model, name: str) -> keras.Layer:
    """The layer of that path; its last part is enough where that is unique.

    Raises:
        ValueError: for an unknown or ambiguous name, with the nearest ones.
    """
    layers = named_layers(model)
    if name in layers:
        return layers[name]
    ending = [path for path in layers if path.rpartition("/")[2] == name]
    if len(ending) == 1:
        return layers[ending[0]]
    if ending:
        raise ValueError(f"The layer name {name!r} is ambiguous; choose one of {ending}.")
    near = difflib.get_close_matches(name, layers, n=5, cutoff=0.3) or list(layers)[:5]
    raise ValueError(
        f"The classifier has no layer {name!r}; near it: {', '.join(near)} "
        f"(or {PIXELS!r} for the network's input, {AUTO!r} for one layer a resolution)."
    )


@contextlib.contextmanager
def listening(
    layers: Sequence[keras.Layer], heard: Callable[[keras.Layer, tuple, Any], None]
) -> Iterator[None]:
    """While the context lasts, ``heard(layer, inputs, output)`` follows each call of a layer.

    Keras looks ``call`` up on the layer, so an attribute of the instance stands before the
    class's method; the layer is as before when the context ends.
    """

    def listener(layer: keras.Layer) -> Callable:
        call = layer.call

        def call_and_tell(*args, **kwargs):
            output = call(*args, **kwargs)
            heard(layer, args, output)
            return output

        return call_and_tell

    # Past Keras's attribute tracking: a function is no state of the layer.
    for layer in layers:
        object.__setattr__(layer, "call", listener(layer))
    try:
        yield
    finally:
        for layer in layers:
            object.__delattr__(layer, "call")


def calls(model: keras.Model, input_size: tuple[int, int]) -> list[Call]:
    """The calls of a forward pass in their order, of layers that give one tensor.

    The pass is only traced, which shows shapes and who calls whom, and computes nothing.
    """
    paths = {id(layer): path for path, layer in named_layers(model).items()}
    record: list[Call] = []

    def heard(layer: keras.Layer, args: tuple, output: Any) -> None:
        tensors = tuple(id(tensor) for tensor in tf.nest.flatten(args) if tf.is_tensor(tensor))
        if tf.is_tensor(output):
            record.append(Call(paths[id(layer)], tensors, output))

    @tf.function(input_signature=[tf.TensorSpec([1, *input_size, 3])], autograph=False)
    def forward(inputs):
        model(inputs, training=False)

    with listening(list(named_layers(model).values()), heard):
        forward.get_concrete_function()
    return record


def one_per_resolution(model: keras.Model, input_size: tuple[int, int]) -> tuple[str, ...]:
    """One layer for each resolution of the network, finest first.

    Only layers that everything passes through are eligible (not one branch of several), and at
    each resolution the middle one of them is taken: the first ones are hardly past the finer
    resolution, and the derivative with respect to the very last ones is the same at every
    position when global average pooling follows. A resolution that only one such layer has
    (padding, a stem) is passed over.

    Raises:
        ValueError: where the network has no such layers.
    """
    record = calls(model, input_size)
    made_by = {id(call.output): place for place, call in enumerate(record)}
    last_use = list(range(len(record)))
    for place, call in enumerate(record):
        for tensor in call.inputs:
            if made_by.get(tensor, place) < place:
                last_use[made_by[tensor]] = place
    stages: dict[tuple[int, int], list[str]] = {}
    reach = 0  # the last call that uses something made before the one looked at
    for place, call in enumerate(record):
        shape = call.output.shape
        if reach <= place and len(shape) == 4 and min(shape[1:3]) > 1:
            stages.setdefault((shape[1], shape[2]), []).append(call.name)
        reach = max(reach, last_use[place])
    chosen = [
        names[(len(names) - 1) // 2]
        for size, names in stages.items()
        if len(names) > 1 and size != tuple(input_size)
    ]
    if not chosen:
        raise ValueError(
            f"No layer of {model.name!r} could be chosen for maps; name some, or use {PIXELS!r}."
        )
    return tuple(chosen)
