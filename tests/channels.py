"""Classes that are the colours of an image: maps and scores that a test can read off it."""

import numpy as np

from sensmap.maps import Sensitivity


class Classifier:
    """The class of each channel, seen where a pixel of the channel is above 0."""

    source, class_names, num_classes = "channels", ("red", "green", "blue"), 3

    def class_scores(self, pixels):
        return np.where(pixels.any(axis=(1, 2)), pixels.mean(axis=(1, 2)) / 255, -1.0)

    def probabilities(self, scores):
        return 1 / (1 + np.exp(-4 * scores))


class Channels:
    """The map of each class is its channel."""

    classifier = Classifier()

    def __call__(self, batch, class_ids):
        maps = np.stack([batch[n][..., ids] for n, ids in enumerate(class_ids)])
        maps = np.moveaxis(maps, -1, 1).astype(np.float32)
        return Sensitivity((maps,), class_ids, self.classifier.class_scores(batch))


def painted(*rectangles, size=(8, 8)):
    """A black image with rectangles of (channel, rows, columns, value)."""
    image = np.zeros((*size, 3), np.uint8)
    for channel, rows, columns, value in rectangles:
        image[slice(*rows), slice(*columns), channel] = value
    return image
