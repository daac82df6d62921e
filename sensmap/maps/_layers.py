"""The layers of a classifier, as places where a map can be taken.

Layers are reached by calling the model and listening to what its layers return, not by its
graph: so nested, Sequential, reloaded and subclassed models are all the same to it.
"""

from __future__ import annotations

import contextlib
import difflib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

# The network's input, as the name of a place where a map can be taken.
PIXELS = "pixels"
# In place of layer names: one layer a resolution, chosen by `one_per_resolution`.
AUTO = "auto"
# In place of a layer name: the one that `last` finds.
LAST = "last"

_PATCHING = threading.RLock()


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
        f"(or {PIXELS!r} for the network's input, {AUTO!r} for one layer a resolution, "
        f"{LAST!r} for the last feature map)."
    )


@contextlib.contextmanager
def calling(calls: Mapping[keras.Layer, Callable]) -> Iterator[None]:
    """While the context lasts, these functions stand in place of the layers' ``call``.

    Keras looks ``call`` up on the layer, so an attribute of the instance stands before the
    class's method; the layer is as before when the context ends. Other threads wait for that.
    """
    with _PATCHING, _patched(calls):
        yield


@contextlib.contextmanager
def _patched(calls: Mapping[keras.Layer, Callable]) -> Iterator[None]:
    before = {layer: vars(layer).get("call") for layer in calls}
    # Past Keras's attribute tracking: a function is no state of the layer.
    for layer, call in calls.items():
        object.__setattr__(layer, "call", call)
    try:
        yield
    finally:
        for layer, call in before.items():
            if call is None:
                object.__delattr__(layer, "call")
            else:
                object.__setattr__(layer, "call", call)


def listening(
    layers: Sequence[keras.Layer], heard: Callable[[keras.Layer, tuple, Any], None]
) -> contextlib.AbstractContextManager:
    """While the context lasts, ``heard(layer, inputs, output)`` follows each call of a layer."""

    def listener(layer: keras.Layer) -> Callable:
        call = layer.call

        def call_and_tell(*args, **kwargs):
            output = call(*args, **kwargs)
            heard(layer, args, output)
            return output

        return call_and_tell

    return calling({layer: listener(layer) for layer in layers})


def bottlenecks(model: keras.Model, input_size: tuple[int, int]) -> list[tuple[str, tf.Tensor]]:
    """The layers that everything on the way from the image to the scores passes through.

    A layer inside one branch of several is none, nor is one that a shortcut goes around. All
    operations count, those that a model's code calls without a layer too. The forward pass is
    only traced, which computes nothing.

    Returns:
        Name and output (of a batch of one) of each such layer, in their order; where a layer
        gives back what it got, as dropout does here, only the first with that tensor.
    """
    paths = {id(layer): path for path, layer in named_layers(model).items()}
    outputs: list[tuple[str, Any]] = []

    def heard(layer: keras.Layer, _: tuple, output: Any) -> None:
        outputs.append((paths[id(layer)], output))

    @tf.function(input_signature=[tf.TensorSpec([1, *input_size, 3])], autograph=False)
    def forward(inputs):
        return model(inputs, training=False)

    with listening(list(named_layers(model).values()), heard):
        graph = forward.get_concrete_function().graph
    named: dict[str, tuple[str, tf.Tensor]] = {}  # by the tensor's name in the graph
    for path, output in outputs:
        if getattr(output, "graph", None) is graph:
            named.setdefault(output.name, (path, output))
    operations = graph.get_operations()  # each after those that it takes from
    of_image = {graph.inputs[0].name}
    last_use: dict[str, int] = {}
    for place, operation in enumerate(operations):
        taken = [tensor.name for tensor in operation.inputs if tensor.name in of_image]
        last_use.update(dict.fromkeys(taken, place))
        if taken:
            # Numbers that are no floats are shapes: they carry nothing of the image.
            of_image |= {tensor.name for tensor in operation.outputs if tensor.dtype.is_floating}
    found = []
    reach = 0  # the last operation that takes a tensor from before the one looked at
    for place, operation in enumerate(operations):
        made = [tensor.name for tensor in operation.outputs]
        if reach <= place:
            found += [named[name] for name in made if name in named and name in of_image]
        reach = max(reach, *(last_use.get(name, 0) for name in made), 0)
    return found


def one_per_resolution(model: keras.Model, input_size: tuple[int, int]) -> tuple[str, ...]:
    """One layer for each resolution of the network, finest first.

    Only `bottlenecks` are eligible, and at each resolution the middle one of them is taken: the
    first ones are hardly past the finer resolution, and the derivative with respect to the very
    last ones is the same at every position when global average pooling follows. A resolution
    that only one such layer has (padding, a stem) is passed over, unless all are like that.

    Raises:
        ValueError: where the network has no such layers.
    """
    stages: dict[tuple[int, int], list[str]] = {}
    for name, size in _feature_maps(model, input_size):
        if size != tuple(input_size):
            stages.setdefault(size, []).append(name)
    several = [names for names in stages.values() if len(names) > 1]
    chosen = [names[(len(names) - 1) // 2] for names in several or stages.values()]
    if not chosen:
        raise ValueError(
            f"No layer of {model.name!r} could be chosen for maps; name some, or use {PIXELS!r}."
        )
    return tuple(chosen)


def last(model: keras.Model, input_size: tuple[int, int]) -> str:
    """The last of `bottlenecks` that still has positions: what the head of the network sees.

    Raises:
        ValueError: where the network has no such layer.
    """
    names = [name for name, _ in _feature_maps(model, input_size)]
    if not names:
        raise ValueError(
            f"{model.name!r} has no layer with a feature map that all of it passes through; "
            "name the layer."
        )
    return names[-1]


def _feature_maps(
    model: keras.Model, input_size: tuple[int, int]
) -> list[tuple[str, tuple[int, int]]]:
    """Name, height and width of the `bottlenecks` that have more than one row and column."""
    return [
        (name, tuple(output.shape[1:3]))
        for name, output in bottlenecks(model, input_size)
        if len(output.shape) == 4 and min(output.shape[1:3]) > 1
    ]
