"""Class scores before softmax, by rewiring the end of a model.

A map is the derivative of a class score. After softmax that derivative mixes in every other
class and vanishes where the model is sure (Simonyan et al., arXiv 1312.6034, section 3.1), so
scores are taken before it. A softmax (or sigmoid) that ends the model is taken out of the graph
by looking back from the output over what does not change scores: dropout, casts, reshapes,
nested models. Everything before stays the very same layers; a last layer with the softmax as its
``activation`` is replaced by a copy without, with the same weights. So scores are float-exact.
"""

from __future__ import annotations

import keras

# At inference these give back what they get, up to the dtype: left out.
NEUTRAL = {
    "ActivityRegularization",
    "AlphaDropout",
    "Cast",
    "Dropout",
    "GaussianDropout",
    "GaussianNoise",
    "Identity",
    "SpatialDropout2D",
}
# These only arrange scores anew: done again behind the scores.
_ARRANGING = {"Flatten", "Reshape", "Squeeze"}
# By the names of Keras's layers, operations and activation functions.
_REMOVABLE = {"softmax", "sigmoid"}


def before_softmax(model: keras.Model) -> tuple[keras.Model, str | None]:
    """The same classifier without the softmax or sigmoid that ends it.

    Args:
        model: a classifier with one input and one output.

    Returns:
        The model of class scores, which shares its layers with ``model``, and which function
        was removed, ``"softmax"`` or ``"sigmoid"``; the same model and None where it ends with
        neither, or has no graph (a subclassed model).

    >>> image = keras.Input((4, 4, 3))
    >>> flat = keras.layers.Flatten()(image)
    >>> model = keras.Model(image, keras.layers.Dense(10, activation="softmax")(flat))
    >>> scores, removed = before_softmax(model)
    >>> removed, scores.output_shape
    ('softmax', (None, 10))
    """
    if getattr(model, "outputs", None) is None:
        return model, None
    scores, removed = _rewind(model.outputs[0])
    if removed is None:
        return model, None
    return keras.Model(model.inputs[0], scores, name=model.name), removed


def _rewind(output: keras.KerasTensor) -> tuple[keras.KerasTensor | None, str | None]:
    """The tensor of scores that takes the place of ``output``, and what was removed before it."""
    # Keras has no public way from a symbolic tensor to the call that made it; its history is
    # what its own graph functions read.
    operation, index, _ = output._keras_history
    call = operation._inbound_nodes[index]
    if call.is_input or len(call.input_tensors) != 1:
        return None, None
    before = call.input_tensors[0]
    kind = type(operation).__name__
    if kind.lower() in _REMOVABLE and _is_over_classes(operation, before):
        return before, kind.lower()
    activation = _name_of(getattr(operation, "activation", None))
    if activation in _REMOVABLE:
        if kind == "Activation":
            return before, activation
        config = {**operation.get_config(), "activation": "linear"}
        linear = type(operation).from_config(config)
        scores = linear(*call.arguments.args, **call.arguments.kwargs)
        linear.set_weights(operation.get_weights())
        return scores, activation
    if kind in NEUTRAL or (kind == "Activation" and activation == "linear"):
        return _rewind(before)
    if kind in _ARRANGING:
        scores, removed = _rewind(before)
        if scores is None:
            return None, None
        return type(operation).from_config(operation.get_config())(scores), removed
    if isinstance(operation, keras.Model) and len(getattr(operation, "outputs", ())) == 1:
        inner, removed = _rewind(operation.outputs[0])
        if inner is None:
            return None, None
        nested = keras.Model(operation.inputs[0], inner, name=operation.name)
        return nested(*call.arguments.args, **call.arguments.kwargs), removed
    return None, None


def _is_over_classes(operation: keras.Operation, before: keras.KerasTensor) -> bool:
    axis = getattr(operation, "axis", -1)
    return axis in (-1, len(before.shape) - 1, [-1], (-1,))


def _name_of(activation) -> str | None:
    name = getattr(activation, "__name__", None)
    # TensorFlow's own function, given as ``activation=tf.nn.softmax``.
    return "softmax" if name == "softmax_v2" else name
