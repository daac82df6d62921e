"""Features of several layers' maps together, and what a map without any content counts as."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from sensmap import registry


def compute(name: str, maps: Sequence[tf.Tensor]) -> tf.Tensor:
    """The features of several maps of the same images, side by side.

    Args:
        name: a module of `sensmap.features`.
        maps: one ``(N, h, w)`` array or tensor a layer, of any resolutions.

    Returns:
        ``(N, F)`` float32, finite: a map that holds NaN, infinity or nothing but zeros counts as
        uniform, see `is_degenerate`.

    Raises:
        ValueError: for an unknown name.
    """
    module = registry.find("sensmap.features", name)
    return tf.concat([module.compute(_or_uniform(tf.cast(m, tf.float32))) for m in maps], axis=1)


def compute_by_class(name: str | None, maps: Sequence[tf.Tensor]) -> tf.Tensor:
    """`compute` for maps of several classes an image.

    Args:
        name: as there; None for no features at all.
        maps: one ``(N, K, h, w)`` tensor a layer.

    Returns:
        ``(N, K, F)`` float32.
    """
    count, classes = tf.shape(maps[0])[0], maps[0].shape[1]
    if name is None:
        return tf.zeros([count, classes, 0])
    flat = compute(name, [tf.reshape(each, [-1, *each.shape[2:]]) for each in maps])
    return tf.reshape(flat, [count, classes, flat.shape[1]])


def is_degenerate(maps: tf.Tensor) -> tf.Tensor:
    """Which maps say nothing: holding NaN or infinity, or zero everywhere; ``(N,)`` bool.

    >>> is_degenerate(tf.constant([[[0.0, 1.0]], [[0.0, 0.0]]])).numpy().tolist()
    [False, True]
    """
    total = tf.reduce_sum(tf.abs(maps), axis=[1, 2])
    return ~(tf.math.is_finite(total) & (total > 0))


def _or_uniform(maps: tf.Tensor) -> tf.Tensor:
    degenerate = is_degenerate(maps)[:, None, None]
    # Divided by the maximum, so that no power of tiny derivatives leaves float32's range.
    peak = tf.reduce_max(maps, axis=[1, 2], keepdims=True)
    return tf.where(degenerate, tf.ones_like(maps), maps / tf.where(degenerate, 1.0, peak))
