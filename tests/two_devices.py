"""Maps by two logical CPUs, which have to be configured before TensorFlow starts.

python two_devices.py ANSWERS.npz

Saves what one device gives and what two give, by the name of what was asked, and prints what is
wrong with the strategy itself.
"""

import os
import sys
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np
import tensorflow as tf
from keras import layers

# Of few passes, where a map method takes several.
FEW = {
    "dcsm": {"subtraction": 0.0},
    "integrated_gradients": {"steps": 2},
    "smooth_grad": {"samples": 2},
}


def network():
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            layers.Conv2D(6, 3, strides=2, activation="relu", name="conv1"),
            layers.Conv2D(8, 3, strides=2, activation="relu", name="conv2"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(10),
        ]
    )


class Whole:
    """Reads the whole maps over their peaks, and the image's brightness."""

    in_graph = False

    def read(self, of_layers, image):
        relative = [each.ravel() / each.max() for each in of_layers]
        return np.concatenate([*relative, [image.mean()]]).astype(np.float32)


def main(answers):
    (processor,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(
        processor, [tf.config.LogicalDeviceConfiguration()] * 2
    )
    from sensmap import classifiers, compute, datasets, maps, registry
    from sensmap.pipeline import Extractor

    strategy = compute.strategy("mirrored")
    one = classifiers.load(network(), "tf")
    with strategy.scope():
        two = classifiers.load(network(), "tf")
    found = {"replicas": np.array(strategy.num_replicas_in_sync)}

    def pair(method, jit_compile=False, **options):
        plain, by_two = (
            Extractor(maps.create(method, each, **FEW.get(method, {})), **options)
            for each in (one, two)
        )
        return plain, by_two.computed_by(strategy, jit_compile)

    def compare(name, extractors, count, batch_size):
        data = datasets.load("digits", split="fit", count=count)
        for number, extractor in enumerate(extractors, start=1):
            table = extractor.extract(data, batch_size=batch_size)
            best = table.guessed.scores, table.guessed.class_ids
            read = [table.asked.scores[:, None], *best, *table.asked.of.values()]
            found[f"{name}|{number}"] = np.concatenate([table.features, *read], axis=1)

    whole = {"whole": Whole()}
    gradient = pair("gradient", readers=whole, top_k=2)
    for batch_size in (1, 3, 4, 5):  # 5 images: the last batch has 1, 2, 1 and 5 of them
        compare(f"batches of {batch_size}", gradient, 5, batch_size)
    found["traces"] = np.array(gradient[1].compiled.experimental_get_tracing_count())
    operations = gradient[1].compiled.get_concrete_function().graph.get_operations()
    found["devices"] = np.array(sorted({each.device[-5:] for each in operations if each.device}))
    compare("compiled by XLA", pair("gradient", True, feature_name=None, readers=whole), 3, 4)
    for name in registry.names("sensmap.maps"):
        compare(name, pair(name, feature_name=None, readers=whole), 3, 4)
    try:
        Extractor(maps.create("gradient", one), strategy=strategy)
    except ValueError as error:
        found["outside"] = np.array(str(error))
    np.savez(answers, **found)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    main(sys.argv[1])
