"""The graph that is served: from an image's bytes to classes, scores and boxes.

    bytes ─ decode ─ resize ─ preprocessing ─ classifier ─ gradient ─ features ─ regression ─ box

Decoding and resizing are those of `sensmap.images`, all the rest is `Localizer.explain`: the
very flow that the library runs, so that the two cannot differ. The boxes of several classes come
of one forward pass.

============================ ================================ ================================
signature                    inputs                           classes that boxes are given for
============================ ================================ ================================
``serving_default``          ``image_bytes`` ``(N,)`` string  the ``k`` with the highest scores
``bytes_with_class``         and ``class_id`` ``(N,)`` int32  the given one, ``k = 1``
``images``                   ``images`` ``(N, H, W, 3)``      the ``k`` with the highest scores
                             uint8, RGB
``images_with_class``        and ``class_id`` ``(N,)`` int32  the given one, ``k = 1``
============================ ================================ ================================

Outputs of all: ``class_ids`` ``(N, k)`` int32; ``class_scores`` ``(N, k)`` float32, before
softmax; ``boxes`` ``(N, k, 4)`` float32 xyxy, relative; ``boxes_pixels`` ``(N, k, 4)`` float32,
the same in pixels of the upright image; ``degenerate`` ``(N, k)`` bool, where a map said nothing
and counts as uniform; and on demand ``map_<layer>`` ``(N, k, h, w)`` float32, one a layer.
"""

from __future__ import annotations

import tensorflow as tf

from sensmap import images, maps
from sensmap.localizer import Localizer

SIGNATURES = ("serving_default", "bytes_with_class", "images", "images_with_class")

_BYTES = tf.TensorSpec([None], tf.string, "image_bytes")
_IMAGES = tf.TensorSpec([None, None, None, 3], tf.uint8, "images")
_CLASS = tf.TensorSpec([None], tf.int32, "class_id")

# How the files start that `sensmap.images.decode` reads.
_STARTS = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"BM", b"RIFF")


class Servable:
    """The signatures of a localizer.

    Args:
        localizer: what to serve.
        top_k: for how many classes a box is given where none is asked for.
        with_map: whether the maps are outputs.

    Attributes:
        signatures: a `tf.function` by the name of each of `SIGNATURES`.
        module: what `tf.saved_model.save` takes beside them.

    Raises:
        ValueError: for a ``top_k`` below one or above the number of classes, or a localizer that
            works on the host.
    """

    def __init__(self, localizer: Localizer, top_k: int = 1, with_map: bool = False):
        maps.check_top_k(top_k, localizer.classifier.num_classes)
        self._localizer = localizer
        self._top_k = top_k
        self._with_map = with_map
        functions = (
            (self._from_bytes, [_BYTES]),
            (self._from_bytes, [_BYTES, _CLASS]),
            (self._from_images, [_IMAGES]),
            (self._from_images, [_IMAGES, _CLASS]),
        )
        self.signatures = {
            name: tf.function(function, input_signature=inputs, autograph=False)
            for name, (function, inputs) in zip(SIGNATURES, functions, strict=True)
        }
        # The variables themselves, not the Keras model: of a model's variables the loaders of
        # TF1 and of TensorFlow Serving would not find the values.
        self.module = tf.Module()
        self.module.all_variables = list(localizer.graph().variables)

    def _from_bytes(self, image_bytes, class_id=None):
        with tf.control_dependencies([_assert_images(image_bytes)]):
            image_bytes = tf.identity(image_bytes)
        size = self._localizer.method.image_size

        def read(data):
            with tf.device("CPU:0"):  # as in `sensmap.images.load_resized`
                image = images.decode(data)
                return images.resize(image, size), tf.shape(image)[:2]

        resized, sizes = tf.map_fn(
            read,
            image_bytes,
            fn_output_signature=(
                tf.TensorSpec([*size, 3], tf.float32),
                tf.TensorSpec([2], tf.int32),
            ),
        )
        return self._answer(resized, sizes, class_id)

    def _from_images(self, images_, class_id=None):
        resized = images.resize(images_, self._localizer.method.image_size)
        shape = tf.shape(images_)
        return self._answer(resized, tf.tile(shape[None, 1:3], [shape[0], 1]), class_id)

    def _answer(self, resized, sizes, class_id) -> dict[str, tf.Tensor]:
        """From resized images, their original ``(N, 2)`` sizes and class ids to the outputs."""
        localizer = self._localizer
        if class_id is None:
            found = localizer.explain(resized, maps.top(self._top_k))
        else:
            count = tf.shape(resized)[0]
            checks = _assert_class_ids(class_id, count, localizer.classifier.num_classes)
            with tf.control_dependencies(checks):
                found = localizer.explain(resized, maps.given(class_id[:, None]))
        corners = tf.cast(tf.gather(sizes, [1, 0, 1, 0], axis=1), tf.float32)
        answer = {
            "class_ids": found.class_ids,
            "class_scores": tf.gather(found.scores, found.class_ids, batch_dims=1),
            "boxes": found.boxes,
            "boxes_pixels": found.boxes * corners[:, None],
            "degenerate": found.degenerate,
        }
        if self._with_map:
            named = map(map_output, localizer.method.layers)
            answer.update(zip(named, found.maps, strict=True))
        return answer


def map_output(layer: str) -> str:
    """What the output with the maps of a layer is called.

    >>> map_output("pixels")
    'map_pixels'
    """
    return f"map_{layer}"


def _assert_images(image_bytes: tf.Tensor) -> tf.Operation:
    """Names what is no image by its place in the batch, which the decoder does not know."""
    starts = [tf.strings.substr(image_bytes, 0, len(start)) == start for start in _STARTS]
    known = tf.reduce_any(tf.stack(starts), axis=0)
    message = tf.strings.format(
        f"image_bytes holds what is not an image ({images.FORMATS}), at the positions {{}}",
        tf.where(~known)[:, 0],
    )
    return tf.debugging.Assert(tf.reduce_all(known), [message])


def _assert_class_ids(class_id: tf.Tensor, count: tf.Tensor, classes: int) -> list[tf.Operation]:
    known = (class_id >= 0) & (class_id < classes)
    message = tf.strings.format(
        f"class_id must be 0 to {classes - 1}, for the classifier has {classes} classes; "
        "received {}",
        tf.boolean_mask(class_id, ~known),
    )
    mismatch = tf.strings.format(
        "There must be one class_id an image: {} images, {} class ids", (count, tf.size(class_id))
    )
    return [
        tf.debugging.Assert(tf.size(class_id) == count, [mismatch]),
        tf.debugging.Assert(tf.reduce_all(known), [message]),
    ]
