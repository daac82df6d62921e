"""Runs the commands as a user types them, and makes what they are run on."""

import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from sensmap import files, masks

ROOT = Path(__file__).resolve().parents[2]
FIT = ("--dataset=digits", "--split=fit", "--dataset_option=count=200", "--part=all")
TEST = ("--dataset=digits", "--split=test", "--dataset_option=count=40", "--part=all")
# The baselines that take no time.
CONSTANT = "--baselines=centred_box,mean_box"
BY_COLOUR = (
    *("--classifier={place}/colours.keras", "--preprocessing=tf", "--input_size=32,32"),
    "--class_names={place}/colours.txt",
)
COLOURS = ("--dataset=voc", "--root={place}/colours", "--part=all")


def start(module, *arguments):
    return subprocess.Popen(
        [sys.executable, "-m", module, *map(str, arguments)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process):
    out, said = process.communicate()
    assert process.returncode == 0, said
    return out, said


def command(module, *arguments):
    return finish(start(module, *arguments))


def write_png(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(tf.io.encode_png(pixels).numpy())


def write_colours(folder):
    """A VOC tree of red and blue fields on dark, and networks that see them."""
    tree = folder / "colours"
    places = {"a": (0, 16), "b": (8, 24), "c": (16, 32), "deep/d": (4, 20), "none": (0, 16)}
    for name, (start, stop) in places.items():
        image, mask = np.full((32, 32, 3), 20, np.uint8), np.zeros((32, 32), np.uint8)
        image[start:stop, 8:24, 2], mask[start:stop, 8:24] = 230, 1  # blue is the first class
        if name in ("b", "deep/d"):
            image[start:stop, :8, 0], mask[start:stop, :8] = 230, 2
        write_png(tree / "JPEGImages" / f"{name}.png", image)
        if name != "none":
            masks.save(tree / "SegmentationClass" / f"{name}.png", mask)
    (tree / "classes.txt").write_text("blue\nred\n")
    for split, names in {"train": "a b", "val": "c deep/d none"}.items():
        files.write_text(
            tree / "ImageSets" / "Segmentation" / f"{split}.txt", names.replace(" ", "\n") + "\n"
        )
    (folder / "colours.txt").write_text("red\nblue\n")
    for name, size in {"colours": None, "one_size": 32}.items():
        inputs = keras.Input((size, size, 3))
        scores = inputs
        for layer in ("first", "second"):
            scores = keras.layers.Conv2D(3, 1, activation="relu", name=layer)(scores)
        scores = keras.layers.GlobalAveragePooling2D()(scores)
        model = keras.Model(inputs, keras.layers.Dense(2, activation="sigmoid")(scores))
        ends = np.array([[40, 0], [0, 0], [0, 40]])
        eye = np.eye(3)[None, None]
        model.set_weights([eye, np.zeros(3), eye, np.full(3, -0.3), ends, np.full(2, -1)])
        model.save(folder / f"{name}.keras")
