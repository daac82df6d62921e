"""Small localizers whose boxes follow the picture, pictures, and what to expect of an export."""

import struct

import keras
import numpy as np

from sensmap import classifiers, images, maps
from sensmap.localizer import Localizer
from sensmap.localizers.linear import BoxRegressor

NAMES = ("ant", "bee", "cat", "dog", "eel")
SIZE = (24, 32)  # not square, so that no mix-up of height and width goes unnoticed


def follow(method):
    """A localizer that takes the box around where a map has its mass."""
    random = np.random.default_rng(0)
    corners = np.sort(random.uniform(size=(200, 2, 2)), axis=1)
    boxes = corners.reshape(-1, 4).astype(np.float32)

    def blobs(height, width):
        x, y = (np.arange(width) + 0.5) / width, (np.arange(height) + 0.5) / height
        x0, y0, x1, y1 = (side[:, None] for side in boxes.T)
        inside = ((y > y0) & (y < y1))[:, :, None] & ((x > x0) & (x < x1))[:, None]
        return inside + random.uniform(0, 0.3, inside.shape)

    shapes = [
        found.shape[1:]
        for found in method(np.zeros((1, *method.classifier.input_size, 3), np.uint8)).maps
    ]
    return Localizer(method, BoxRegressor().fit([blobs(*shape) for shape in shapes], boxes))


def make_localizer(layers=("pixels",), first=None, dtype="float32"):
    keras.utils.set_random_seed(7)
    pixels = keras.Input((*SIZE, 3))
    x = pixels if first is None else first(pixels)
    x = keras.layers.Conv2D(8, 3, activation="relu", name="fine", dtype=dtype)(x)
    x = keras.layers.MaxPooling2D(dtype=dtype)(x)
    x = keras.layers.BatchNormalization(dtype=dtype)(x)
    x = keras.layers.Conv2D(8, 3, activation="swish", name="coarse", dtype=dtype)(x)
    x = keras.layers.Flatten()(x)
    scores = keras.layers.Dense(len(NAMES), dtype="float32")(x)
    model = keras.Model(pixels, scores)
    classifier = classifiers.load(model, preprocessing="none", class_names=NAMES)
    return follow(maps.create("gradient", classifier, layers=layers))


def exif_orientation(jpeg, value):
    """The JPEG with an Exif segment that says how the camera was held."""
    entry = struct.pack("<HHIHH", 0x0112, 3, 1, value, 0)
    body = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 1) + entry + bytes(4)
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + jpeg[2:]


def picture(height, width, seed):
    """A bright patch somewhere on a dark, noisy ground."""
    random = np.random.default_rng(seed)
    pixels = random.integers(1, 40, (height, width, 3), np.uint8)
    y, x = random.integers(0, height // 2), random.integers(0, width // 2)
    patch = pixels[y : y + height // 3, x : x + width // 3]
    patch += random.integers(100, 200, patch.shape, np.uint8)
    return pixels


def expected(localizer, sources, class_ids=None, top_k=1):
    """What the library itself finds in each image, in the shape of a served answer."""
    rows = []
    for position, source in enumerate(sources):
        pixels = images.load(source)
        scores = localizer(pixels[None]).scores[0]
        ranking = np.argsort(-scores, kind="stable")[:top_k]
        wanted = ranking if class_ids is None else [class_ids[position]]
        found = [localizer(pixels[None], [class_id]) for class_id in wanted]
        boxes = np.concatenate([each.boxes for each in found])
        height, width = pixels.shape[:2]
        row = {
            "class_ids": np.array(wanted),
            "class_scores": scores[wanted],
            "boxes": boxes,
            "boxes_pixels": boxes * [width, height, width, height],
            "degenerate": np.concatenate([each.degenerate for each in found]),
        }
        for layer, *each in zip(localizer.method.layers, *(f.maps for f in found), strict=True):
            row[f"map_{layer}"] = np.concatenate(each)
        rows.append(row)
    return {name: np.stack([row[name] for row in rows]) for name in rows[0]}
