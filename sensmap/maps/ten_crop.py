"""The pixels' sensitivity, averaged over sub-images of the image.

Simonyan et al. 2013, sections 3.1 and 3.2: ten sub-images are cut from the image, four corners
and the centre, and mirrored. Of each the map of `sensmap.maps.gradient` is made, mirrored back
where it was mirrored, and put in its place in the full image:

    M(i, j) = mean over the sub-images that cover (i, j) of max over k of | dS_c / dI(i, j, k) |

The class is predicted from S_c averaged over the sub-images.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import tensorflow as tf

from sensmap.maps import _layers, _numbers, _reduce
from sensmap.maps._base import Choice, MapMethod, Sensitivity
from sensmap.maps._derivatives import Derivatives

if TYPE_CHECKING:
    from sensmap.classifiers import Classifier

# Where a sub-image lies in the room that it leaves, by (row, column), each 0 to 2.
_CENTRE = ((1, 1),)
_CORNERS = ((0, 0), (0, 2), (2, 0), (2, 2))
# By their number: the places, and whether each is there a second time, mirrored.
_KINDS = {
    1: (_CENTRE, False),
    2: (_CENTRE, True),
    5: (_CORNERS + _CENTRE, False),
    10: (_CORNERS + _CENTRE, True),
}


class TenCrop(MapMethod):
    """Maps of the pixels by one batched pass over the sub-images.

    Sub-images have the network's input size, so images are resized to more than that, and the
    maps have that larger size. ``scores`` are the averaged ones. Pixels that no sub-image covers,
    at the edges if only the centre is cut out, are 0.

    Args:
        classifier: whose class scores are differentiated.
        crop: a sub-image's side as a share of the image's, 0.5 to 1; 224 of 256 pixels by default.
        count: 10, as in the paper; 5, the same not mirrored; 2, the centre and its mirror image;
            1, the centre.
        reduction: what is done over channels, as of `Gradient`.

    Raises:
        ValueError: for an option out of its range.

    >>> import keras, numpy as np
    >>> from sensmap import classifiers
    >>> model = keras.Sequential([keras.Input((14, 14, 3)), keras.layers.Flatten(),
    ...                           keras.layers.Dense(2, kernel_initializer="ones")])
    >>> method = TenCrop(classifiers.load(model, preprocessing="none"))
    >>> method.image_size, method(np.zeros((1, 20, 20, 3)), [1]).maps[0].shape
    ((16, 16), (1, 16, 16))
    """

    def __init__(
        self,
        classifier: Classifier,
        crop: float = 0.875,
        count: int = 10,
        reduction: str = "max",
    ):
        self.crop = _numbers.between("crop", crop, 0.5, 1)
        self.count = _numbers.whole("count", count, 1)
        if self.count not in _KINDS:
            raise ValueError(
                f"count is the number of sub-images, one of {', '.join(map(str, _KINDS))}; "
                f"received {count}."
            )
        self.reduction = _reduce.check(reduction)
        self.copies = self.count
        self._derivatives = Derivatives(classifier, _layers.PIXELS)
        height, width = classifier.input_size
        image_size = (round(height / crop), round(width / crop))
        super().__init__(classifier, self._derivatives.layers, image_size)
        places, self._mirrored = _KINDS[self.count]
        room = (image_size[0] - height, image_size[1] - width)
        self._corners = [(row * room[0] // 2, column * room[1] // 2) for row, column in places]

    def explain(self, resized: tf.Tensor, choose: Choice) -> Sensitivity:
        """See `MapMethod.explain`."""

        def of_all(scores: tf.Tensor) -> tf.Tensor:
            return tf.repeat(choose(self._mean_over_crops(scores)), self.count, axis=0)

        inputs = self.classifier.preprocess(self._cut(resized))
        found = self._derivatives(inputs, of_all, _reduce.REDUCTIONS[self.reduction])
        return Sensitivity(
            (self._put_back(found.maps[0]),),
            found.class_ids[:: self.count],
            self._mean_over_crops(found.scores),
        )

    def _measured(self, classes: int) -> tf.Graph:
        """That of the sub-images."""
        return self._derivatives.graph(_reduce.REDUCTIONS[self.reduction], classes)

    def _cut(self, resized: tf.Tensor) -> tf.Tensor:
        """The sub-images of ``(N, H, W, 3)``: ``(N * count, h, w, 3)``, those of an image
        together."""
        height, width = self.classifier.input_size
        crops = [resized[:, y : y + height, x : x + width] for y, x in self._corners]
        if self._mirrored:
            crops += [crop[:, :, ::-1] for crop in crops]
        return tf.reshape(tf.stack(crops, axis=1), [-1, height, width, 3])

    def _put_back(self, maps: tf.Tensor) -> tf.Tensor:
        """From the maps ``(N * count, K, h, w)`` to their averages ``(N, K, H, W)``."""
        height, width = self.classifier.input_size
        each = tf.unstack(tf.reshape(maps, [-1, self.count, *maps.shape[1:]]), axis=1)
        places = len(self._corners)
        if self._mirrored:
            straight, mirrored = each[:places], each[places:]
            each = [(a + b[..., ::-1]) / 2 for a, b in zip(straight, mirrored, strict=True)]
        total = covered = 0.0
        for of_place, (y, x) in zip(each, self._corners, strict=True):
            below, right = self.image_size[0] - y - height, self.image_size[1] - x - width
            padding = [[y, below], [x, right]]
            total += tf.pad(of_place, [[0, 0], [0, 0], *padding])
            covered += tf.pad(tf.ones([height, width]), padding)
        return tf.math.divide_no_nan(total, covered)

    def _mean_over_crops(self, scores: tf.Tensor) -> tf.Tensor:
        return tf.reduce_mean(tf.reshape(scores, [-1, self.count, scores.shape[1]]), axis=1)


# By the name of its module.
create = TenCrop
