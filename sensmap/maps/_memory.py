"""How much memory the tensors of a graph take at once."""

from __future__ import annotations

import math

import tensorflow as tf

# Give back what they got, without a copy.
_ALIASES = frozenset(
    {"Identity", "Reshape", "Squeeze", "ExpandDims", "StopGradient", "PreventGradient"}
)


def peak(graph: tf.Graph) -> int:
    """The bytes of an image's tensors, where they are most: each lives from the operation that
    makes it to the last one that takes it.

    Args:
        graph: of a function of a batch of images. What has no axis of unknown length, as
            weights, does not count; what is in loops does not either.

    Returns:
        An estimate; what operations need inside of themselves is not in it.
    """
    operations = _needed(graph)
    owner: dict[str, str] = {}  # of a tensor that shares another's memory
    size: dict[str, int] = {}
    last_use: dict[str, int] = {}
    for place, operation in enumerate(operations):
        inputs = [owner.get(tensor.name, tensor.name) for tensor in operation.inputs]
        last_use.update(dict.fromkeys(inputs, place))
        for tensor in operation.outputs:
            if operation.type in _ALIASES:
                owner[tensor.name] = inputs[0]
            else:
                size[tensor.name] = _bytes(tensor)
    ending: dict[int, int] = {}  # bytes that are free after an operation
    for name, place in last_use.items():
        ending[place] = ending.get(place, 0) + size.get(name, 0)
    alive = most = 0
    for place, operation in enumerate(operations):
        alive += sum(size.get(t.name, 0) for t in operation.outputs if t.name in last_use)
        most = max(most, alive)
        alive -= ending.get(place, 0)
    return most


def _needed(graph: tf.Graph) -> list[tf.Operation]:
    """The operations that are run, those that the outputs come from, in their order."""
    waiting = [tensor.op for tensor in graph.outputs]
    needed = set()
    while waiting:
        operation = waiting.pop()
        if operation.name not in needed:
            needed.add(operation.name)
            waiting += [tensor.op for tensor in operation.inputs]
    return [operation for operation in graph.get_operations() if operation.name in needed]


def _bytes(tensor: tf.Tensor) -> int:
    shape = tensor.shape
    if shape.rank is None or None not in list(shape):
        return 0
    return math.prod(side or 1 for side in shape) * tensor.dtype.size
