"""What a rectifier y = max(x, 0) does to the derivative on its way back.

With R the derivative that arrives at the rectifier's output,

    gradient    R * [x > 0]              back-propagation
    deconvnet   R * [R > 0]              Zeiler & Fergus 2014; Simonyan et al. 2013, section 4
    guided      R * [x > 0] * [R > 0]    Springenberg et al. 2015; Shimoda & Yanai 2016, section 3.3

and everything else in the network is differentiated as ever: the three differ at rectifiers only.

Rectifiers are found as operations of the graph, where every way to write one ends: a layer, an
``activation=`` argument, a function called by a model's code, nested or reloaded. One with a
maximum m (ReLU6 and others) is min(max(x, 0), m): the rule is that of the inner part, and the
minimum lets nothing back above m. What is no rectifier keeps its derivative: one with a threshold
other than zero; one with a slope below zero (leaky, PReLU), though Keras computes some of these
as relu(x) - a relu(-x); a hard sigmoid, though that is relu6(x + 3) / 6.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import tensorflow as tf

RULES = ("gradient", "deconvnet", "guided")

_OPERATIONS = ("Relu", "Relu6")
_BACK = {"Relu": tf.raw_ops.ReluGrad, "Relu6": tf.raw_ops.Relu6Grad}
_MARK = "_gradient_op_type"


@tf.RegisterGradient("sensmap>deconvnet")
def _deconvnet(operation: tf.Operation, arriving: tf.Tensor) -> tf.Tensor:
    if not _is_rectifier(operation):
        return _derivative(operation, arriving)
    back = tf.nn.relu(arriving)
    if operation.type == "Relu6":
        back = tf.where(operation.outputs[0] < 6, back, tf.zeros_like(back))
    return back


@tf.RegisterGradient("sensmap>guided")
def _guided(operation: tf.Operation, arriving: tf.Tensor) -> tf.Tensor:
    if _is_rectifier(operation):
        arriving = tf.nn.relu(arriving)
    return _derivative(operation, arriving)


def _derivative(operation: tf.Operation, arriving: tf.Tensor) -> tf.Tensor:
    return _BACK[operation.type](gradients=arriving, features=operation.outputs[0])


@contextlib.contextmanager
def rewritten(rule: str, source: str) -> Iterator[None]:
    """While the context lasts, the rectifiers that are traced follow a rule.

    What is traced here must be differentiated by `tf.gradients`, for tapes do not know of it.

    Args:
        rule: one of `RULES`, other than ``"gradient"``.
        source: what to call the model in an error.

    Raises:
        ValueError: outside of a graph; and at the end, if there was no rectifier, or one in a
            `tf.function` of its own.
    """
    if tf.executing_eagerly():
        raise ValueError(
            f"The rule {rule!r} is one of graphs: call the map method itself or its `compiled`, "
            "or trace it in a tf.function."
        )
    graph = tf.compat.v1.get_default_graph()
    before, out_of_reach = count(graph), _functions_with_rectifiers(graph)
    with graph.gradient_override_map(dict.fromkeys(_OPERATIONS, f"sensmap>{rule}")):
        yield
    if _functions_with_rectifiers(graph) - out_of_reach:
        raise ValueError(
            f"{source} has a rectifier inside a tf.function, loop or condition of its own, where "
            f"{rule} does not reach it; take the tf.function away, or use 'gradient'."
        )
    if count(graph) == before:
        raise ValueError(
            f"{source} has no rectifier (ReLU, ReLU6), so there is nothing that {rule} would do "
            "otherwise than the map method 'gradient'; use that."
        )


def count(graph: tf.Graph) -> int:
    """How many rectifiers of a graph follow another rule than their derivative."""
    found = 0
    for operation in graph.get_operations():
        if operation.type in _OPERATIONS:
            with contextlib.suppress(ValueError):  # it has no such attribute
                marked = operation.get_attr(_MARK) != b""
                found += marked and _is_rectifier(operation)
    return found


def _is_rectifier(operation: tf.Operation) -> bool:
    """Whether such an operation is a rectifier of its own, and no part of another function."""
    return not _is_of_hard_sigmoid(operation) and not _is_of_leaky(operation)


def _is_of_hard_sigmoid(operation: tf.Operation) -> bool:
    """Whether it is the one of relu6(x + 3) / 6."""
    added = operation.inputs[0].op
    return operation.type == "Relu6" and 3.0 in _numbers_added(added)


def _is_of_leaky(operation: tf.Operation) -> bool:
    """Whether it is one of relu(x) and relu(-x), or of x > t and relu(-x + t)."""
    above = operation.inputs[0]
    below = above.op.inputs[0] if _numbers_added(above.op) else above
    if below.op.type == "Neg":
        partners = {each.type for each in below.op.inputs[0].consumers()}
        return not partners.isdisjoint({*_OPERATIONS, "Greater"})
    negated = [each.outputs[0] for each in above.consumers() if each.type == "Neg"]
    return any(each.type in _OPERATIONS for minus in negated for each in minus.consumers())


def _numbers_added(operation: tf.Operation) -> list[float]:
    """The c of an operation x + c."""
    if operation.type != "AddV2":
        return []
    values = [tf.get_static_value(tensor) for tensor in operation.inputs]
    return [float(value) for value in values if value is not None and value.ndim == 0]


def _functions_with_rectifiers(graph: tf.Graph) -> set[str]:
    """The functions that the graph may call, by name, where they have rectifiers of their own."""
    return {
        function.signature.name
        for function in graph.as_graph_def().library.function
        if any(node.op in _OPERATIONS for node in function.node_def)
    }
