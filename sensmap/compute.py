"""How a network is computed: on several GPUs of one machine, in half precision, by XLA.

Mixed precision (Micikevicius et al. 2018, section 3): layers compute in 16 bits with weights of
32, and class scores are of 32, so that weights and files stay as they are. On several GPUs each
holds the weights and computes a part of every batch (`tf.distribute.MirroredStrategy`).
"""

from __future__ import annotations

import contextlib
import functools
import math
import re
from collections.abc import Callable, Iterator
from typing import Any

import keras
import tensorflow as tf

STRATEGIES = ("none", "mirrored")
PRECISIONS = ("none", "float16", "bfloat16")


@functools.cache
def strategy(name: str) -> tf.distribute.Strategy | None:
    """The strategy of that name, one and the same at each call: variables belong to the one in
    whose ``scope()`` they were made.

    Args:
        name: ``"none"``; or ``"mirrored"``, on all GPUs, or without any on all logical CPUs.

    Returns:
        None for ``"none"``.

    Raises:
        ValueError: for another name.
    """
    if name not in STRATEGIES:
        raise ValueError(f"There is no strategy {name!r}; choose one of {', '.join(STRATEGIES)}.")
    if name == "none":
        return None
    kinds = [tf.config.list_logical_devices(kind) for kind in ("GPU", "CPU")]
    return tf.distribute.MirroredStrategy([each.name for each in kinds[0] or kinds[1]])


def check_precision(name: str) -> str:
    """Gives a precision's name back, if it is one of `PRECISIONS`."""
    if name not in PRECISIONS:
        raise ValueError(f"There is no precision {name!r}; choose one of {', '.join(PRECISIONS)}.")
    return name


def in_precision(model: keras.Model, precision: str) -> keras.Model:
    """The same model with layers that compute in another precision.

    What makes the class scores, and all behind it (a softmax), computes in float32.

    Args:
        model: a Sequential model or one with a graph, nested or not; it is not changed.
        precision: one of `PRECISIONS`.

    Returns:
        A model with weights of its own, float32 and of the same values; the given one for
        ``"none"``.

    Raises:
        ValueError: for another precision; for a model without a graph.

    >>> model = keras.Sequential([keras.Input((4, 4, 3)), keras.layers.Conv2D(2, 3),
    ...                           keras.layers.Flatten(), keras.layers.Dense(5)])
    >>> [layer.compute_dtype for layer in in_precision(model, "bfloat16").layers]
    ['bfloat16', 'bfloat16', 'float32']
    """
    if check_precision(precision) == "none":
        return model
    if getattr(model, "outputs", None) is None:
        raise ValueError(
            f"{model.name} has no graph of layers (it is a subclassed model), so they cannot be "
            f"made to compute in {precision}; leave the precision at 'none'."
        )
    exact = _last_operations(model)
    policy = keras.DTypePolicy(f"mixed_{precision}")
    copies: list[tuple[keras.Layer, keras.Layer]] = []

    def copy(operation: keras.Operation) -> keras.Operation:
        if not isinstance(operation, keras.Layer):
            return operation  # plain functions have no precision of their own
        kind = keras.DTypePolicy("float32") if id(operation) in exact else policy
        made = type(operation).from_config({**operation.get_config(), "dtype": kind})
        copies.append((operation, made))
        return made

    found = keras.models.clone_model(model, clone_function=copy, recursive=True)
    for old, new in copies:
        new.set_weights(old.get_weights())
    return found


def precision_of(model: keras.Model) -> str:
    """Which precision the layers of a model compute in, other than float32; ``"none"`` for none."""
    found: set[str] = set()

    def walk(parent: keras.Model) -> None:
        for layer in parent.layers:
            if isinstance(layer, keras.Model):
                walk(layer)
            else:
                found.add(getattr(layer, "compute_dtype", ""))

    walk(model)
    return ", ".join(each for each in PRECISIONS if each in found) or PRECISIONS[0]


def _last_operations(model: keras.Model) -> set[int]:
    """The ids of the operation that makes the scores, and of those behind it that give one number
    for one number: softmax, activations, reshapes."""
    found: set[int] = set()
    tensor = model.outputs[0]
    while True:
        # Keras has no public way from a symbolic tensor to the call that made it.
        operation, index, _ = tensor._keras_history
        call = operation._inbound_nodes[index]
        if call.is_input:
            return found
        if isinstance(operation, keras.Model):
            return found | _last_operations(operation)
        found.add(id(operation))
        weights = getattr(operation, "weights", ())
        if weights or len(call.input_tensors) != 1 or not _same_count(call):
            return found
        tensor = call.input_tensors[0]


def _same_count(call: Any) -> bool:
    before, after = call.input_tensors[0].shape[1:], call.output_tensors[0].shape[1:]
    return None not in (*before, *after) and math.prod(before) == math.prod(after)


def check_scope(model: keras.Model, strategy: tf.distribute.Strategy) -> None:
    """Refuses a model whose weights each replica would have to fetch from another.

    Raises:
        ValueError: if it was not made in the strategy's scope.
    """
    if not all(strategy.extended.variable_created_in_scope(w.value) for w in model.weights):
        raise ValueError(
            f"{model.name} was made outside of the strategy's scope, so not every device has its "
            "weights; load it within `with strategy.scope():`."
        )


def check_exact(graph: tf.Graph, name: str) -> None:
    """Refuses what XLA would compute other numbers of, not only otherwise rounded ones.

    Args:
        graph: of one batch.
        name: what to call what is computed.

    Raises:
        ValueError: if it draws random numbers.
    """
    definition = graph.as_graph_def()
    nodes = [*definition.node]
    for function in definition.library.function:  # the bodies of loops
        nodes += function.node_def
    if any("Random" in node.op for node in nodes):
        raise ValueError(
            f"{name} draws random numbers, and XLA draws others, so that its maps would differ; "
            "leave jit_compile out."
        )


@contextlib.contextmanager
def compiling(name: str) -> Iterator[None]:
    """While the context lasts, what XLA cannot compile ends in one line.

    Args:
        name: what to call what is computed.
    """
    try:
        yield
    except (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError) as error:
        if not (found := re.search(r" on XLA_\w+: (\w+)", str(error))):
            raise
        raise ValueError(
            f"{name} has the operation {found[1]}, which XLA cannot compile; leave jit_compile out."
        ) from error


def compiled(
    function: Callable,
    signature: list[tf.TensorSpec],
    strategy: tf.distribute.Strategy | None = None,
    jit_compile: bool = False,
) -> Any:
    """One `tf.function` of batches.

    Args:
        function: of tensors with an axis of images first, as all that it gives; traceable.
        signature: of those tensors, with any number of images.
        strategy: whose replicas compute a part of each batch; None for all in one place.
        jit_compile: whether XLA compiles it, anew for each number of images: see `repeated`.
    """
    if strategy is None:
        return tf.function(
            function, input_signature=signature, autograph=False, jit_compile=jit_compile or None
        )
    if jit_compile:
        function = tf.function(function, autograph=False, jit_compile=True)
    return tf.function(_divided(function, strategy), input_signature=signature, autograph=False)


def _divided(function: Callable, strategy: tf.distribute.Strategy) -> Callable:
    """The same function, each of whose calls is shared out to the replicas."""
    replicas = strategy.num_replicas_in_sync

    def divided(*batch: tf.Tensor) -> Any:
        count = tf.shape(batch[0])[0]
        share = -(-count // replicas)
        # A GPU gets its own part only, and the parts are put together on the host.
        with tf.device("CPU:0"):
            whole = repeated(share * replicas, *batch)
            parts = [[x[i * share : (i + 1) * share] for x in whole] for i in range(replicas)]

        def compute() -> Any:
            number = tf.distribute.get_replica_context().replica_id_in_sync_group
            return function(*parts[int(tf.get_static_value(number))])

        def together(of_replicas: Any) -> tf.Tensor:
            return tf.concat(strategy.experimental_local_results(of_replicas), axis=0)[:count]

        found = strategy.run(compute)
        with tf.device("CPU:0"):
            return tf.nest.map_structure(together, found)

    return divided


def repeated(size: int | tf.Tensor, *batch: tf.Tensor) -> list[tf.Tensor]:
    """Batches of that size, filled up with their last image.

    >>> repeated(3, tf.constant([5, 6]))[0].numpy().tolist()
    [5, 6, 6]
    """
    last = tf.shape(batch[0])[0] - 1
    rows = tf.minimum(tf.range(size), last)
    return [tf.gather(each, rows) for each in batch]
