"""Training a classifier on image labels alone: the boxes are never looked at."""

from __future__ import annotations

import contextlib
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from sensmap import compute
from sensmap.classifiers import applications, fully_convolutional, loading
from sensmap.classifiers._training_data import Batches
from sensmap.classifiers.classifier import Classifier
from sensmap.classifiers.preprocessing import Preprocessing
from sensmap.datasets import Dataset


def small_cnn(input_size: tuple[int, int], num_classes: int) -> keras.Model:
    """A small convolutional network for small images, ending in class scores.

    Six 3x3 convolutions in four stages, batch-normalised, with max pooling between the stages;
    then global average pooling and a linear layer. Noise on the input while training (0.3 of an
    input of -1 to 1) makes the derivatives at inference smoother, and the boxes better.

    Args:
        input_size: ``(height, width)`` in pixels, at least 16.
        num_classes: the number of outputs.

    >>> small_cnn((64, 64), 10).output_shape
    (None, 10)
    """
    inputs = keras.Input((*input_size, 3))
    x = keras.layers.GaussianNoise(0.3, name="noise")(inputs)
    for name, filters in (("1", 16), ("2", 32), ("3a", 64), ("3b", 64), ("4a", 128), ("4b", 128)):
        if name in ("2", "3a", "4a"):
            x = keras.layers.MaxPooling2D(name=f"pool{int(name[0]) - 1}")(x)
        x = keras.layers.Conv2D(filters, 3, padding="same", use_bias=False, name=f"conv{name}")(x)
        x = keras.layers.BatchNormalization(name=f"norm{name}")(x)
        x = keras.layers.ReLU(name=f"relu{name}")(x)
    x = keras.layers.GlobalAveragePooling2D(name="pool4")(x)
    return keras.Model(inputs, keras.layers.Dense(num_classes, name="scores")(x), name="small_cnn")


def architecture(
    name: str,
    input_size: tuple[int, int],
    num_classes: int,
    mode: str | None = None,
    weights: str | None = None,
    seed: int = 0,
) -> tuple[keras.Model, Preprocessing]:
    """A model to train, and what its input is to be made with.

    Args:
        name: ``"small_cnn"``, or the name of a `keras.applications` model.
        input_size: ``(height, width)`` in pixels.
        num_classes: the number of outputs.
        mode: preprocessing by Keras's names; known for applications, ``"tf"`` for the small one.
        weights: for applications: ``"imagenet"`` for all layers but the last, a weights file, or
            None for random ones.
        seed: of the random weights.

    Raises:
        ValueError: for an unknown name, or arguments that the architecture does not take.
    """
    if num_classes < 2:
        raise ValueError(f"A classifier needs two classes or more; received {num_classes}.")
    if name == "small_cnn":
        if weights is not None:
            raise ValueError(f"small_cnn starts from random weights; received {weights!r}.")
        if min(input_size) < 16:
            raise ValueError(f"small_cnn takes images of 16x16 or more; received {input_size}.")
        keras.utils.set_random_seed(seed)
        return small_cnn(input_size, num_classes), Preprocessing.of(mode or "tf")
    application = applications.find(name)
    if application is None:
        raise ValueError(
            f"There is no architecture {name!r}; choose small_cnn or one of keras.applications: "
            f"{', '.join(applications.names())}."
        )
    own = applications.preprocessing(application)
    if mode is not None and Preprocessing.of(mode) != own:
        raise ValueError(f"{application} takes {own}; leave preprocessing out.")
    keras.utils.set_random_seed(seed)
    backbone = applications.backbone(application, weights, input_size)
    outputs = keras.layers.Dense(num_classes, name="scores")(backbone.output)
    return keras.Model(backbone.input, outputs, name=application), own


def multilabel_architecture(
    source: str,
    num_classes: int,
    mode: str | None = None,
    weights: str | None = None,
    hidden: int = 0,
    evidence: bool = True,
    pooling: str = "average",
    trained_from: str | None = None,
    seed: int = 0,
) -> tuple[keras.Model, Preprocessing]:
    """A fully convolutional network to train for images with several classes.

    Args:
        source: whose layers and weights it starts from, but for the last layer: ``"small_cnn"``,
            the name of a `keras.applications` model (VGG16 in the paper), or a classifier's file
            or folder, as of `sensmap.classifiers.load`.
        num_classes: the number of outputs.
        mode, weights: as of `sensmap.classifiers.load`.
        hidden, evidence, pooling: as of `fully_convolutional.with_head`.
        trained_from: the first layer that is trained, by its name; all by default. Batch
            normalisation that was learned before keeps its statistics.
        seed: of the random weights.

    Raises:
        FileNotFoundError, ValueError: if there is no such classifier or layer, or it cannot be
            made fully convolutional.
    """
    keras.utils.set_random_seed(seed)
    if source == "small_cnn":
        base, preprocessing = small_cnn((64, 64), num_classes), Preprocessing.of(mode or "tf")
        learned = False
    else:
        classifier = loading.load(source, mode, weights=weights)
        base, preprocessing = classifier.model, classifier.preprocessing
        learned = weights is not None or applications.find(source) is None
    model = fully_convolutional.with_head(base, num_classes, hidden, evidence, pooling)
    names = [layer.name for layer in model.layers]
    if trained_from is not None and trained_from not in names:
        raise ValueError(
            f"{source} has no layer {trained_from!r} to train from; it has {', '.join(names)}."
        )
    first = names.index(trained_from) if trained_from else 0
    for place, layer in enumerate(model.layers):
        # Statistics of few images are worse than those that the weights were learned with.
        keeps = learned and isinstance(layer, keras.layers.BatchNormalization)
        layer.trainable = place >= first and not keeps
    return model, preprocessing


def train(
    model: keras.Model,
    dataset: Dataset,
    preprocessing: Preprocessing,
    *,
    epochs: int,
    batch_size: int = 64,
    learning_rate: float = 2e-3,
    seed: int = 0,
    multilabel: bool = False,
    sizes: tuple[int, int] | None = None,
    input_size: tuple[int, int] | None = None,
    strategy: tf.distribute.Strategy | None = None,
    mixed_precision: str = "none",
    jit_compile: bool = False,
) -> tuple[Classifier, dict[str, Any]]:
    """Trains a model of class scores on the labels of images.

    By softmax cross-entropy on each image's first label; or, where images have several, by

        L = - mean over classes c of y_c log s(S_c) + (1 - y_c) log(1 - s(S_c))

    with y_c whether the image has the label c, S_c the class score and s the sigmoid (Shimoda &
    Yanai 2016, section 3.1). Adam with a cosine decay of the learning rate.

    Args:
        model: a Keras model of class scores before softmax, with as many outputs as the data
            set has classes.
        dataset: the images; those without a label, or that cannot be read, are skipped.
        preprocessing: what the network's input is made with; recorded in the classifier.
        epochs: passes over the data.
        batch_size: images a step.
        learning_rate: of the first step.
        seed: of the order of the images, and of what is random inside the model.
        multilabel: whether images have several labels.
        sizes: for a model of any input size, the least and the greatest side that the images of
            a step are resized to, which is drawn for each; half of the steps mirror them.
        input_size: for a model of any input size, the one that the classifier works at.
        strategy: whose replicas compute a part of each step; each normalises its part by itself
            where the model has batch normalisation.
        mixed_precision: what layers compute in, as of `sensmap.compute.in_precision`; the
            classifier is one of float32 in any case.
        jit_compile: whether XLA compiles a step, anew for each size of images.

    Returns:
        The classifier, and what happened: images, skipped ones and the accuracy by epoch.

    Raises:
        ValueError: if the data set has fewer than two classes, or not as many as the model has
            outputs, or no image could be used, or the batches cannot be divided over the replicas,
            or the training diverges.
    """
    if len(dataset.classes) < 2:
        raise ValueError(
            f"{dataset.name} has {len(dataset.classes)} classes; a classifier needs two or more."
        )
    if model.output_shape[-1] != len(dataset.classes):
        raise ValueError(
            f"The model has {model.output_shape[-1]} outputs for {len(dataset.classes)} classes."
        )
    keras.utils.set_random_seed(seed)
    greatest = (sizes[1],) * 2 if sizes else input_size or model.input_shape[1:3]
    replicas = strategy.num_replicas_in_sync if strategy else 1
    with Batches(
        dataset, greatest, preprocessing, batch_size, seed, multilabel, sizes, replicas
    ) as batches:
        with strategy.scope() if strategy else contextlib.nullcontext():
            trained = _trained_copy(model, mixed_precision, strategy)
            steps = epochs * batches.steps
            _compile(trained, learning_rate, steps, multilabel, mixed_precision, jit_compile)
        history = _fit(trained, batches, epochs)
    weights = trained.get_weights()
    if not all(np.isfinite(weight).all() for weight in weights):
        raise ValueError(
            "The training diverged: weights became NaN or infinite; take a smaller learning rate "
            f"than {learning_rate:g}."
        )
    if trained is not model:
        model.set_weights(weights)
    classifier = Classifier(
        model,
        preprocessing,
        input_size,
        dataset.classes,
        source=f"{model.name} on {dataset.name}",
        multilabel=multilabel,
    )
    return classifier, {"images": batches.count, "skipped": batches.skipped, **history}


def _trained_copy(
    model: keras.Model, mixed_precision: str, strategy: tf.distribute.Strategy | None
) -> keras.Model:
    """What is trained in place of the model: itself, or a copy in the scope of the strategy."""
    if mixed_precision != "none":
        return compute.in_precision(model, mixed_precision)
    if strategy is None:
        return model
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    return copy


def _compile(
    model: keras.Model,
    learning_rate: float,
    steps: int,
    multilabel: bool,
    mixed_precision: str,
    jit_compile: bool,
) -> None:
    decay = keras.optimizers.schedules.CosineDecay(learning_rate, steps)
    optimizer: Any = keras.optimizers.Adam(decay)
    if mixed_precision == "float16":
        # Or else small gradients become 0; bfloat16 has the range of float32.
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    if multilabel:
        loss: Any = keras.losses.BinaryCrossentropy(from_logits=True)
        accuracy: Any = keras.metrics.BinaryAccuracy("accuracy", threshold=0.0)
    else:
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        accuracy = "accuracy"
    model.compile(optimizer, loss, metrics=[accuracy], jit_compile=jit_compile)


def _fit(model: keras.Model, batches: Batches, epochs: int) -> dict[str, list[float]]:
    """Trains with progress; the accuracy and the loss by epoch."""
    history: dict[str, list[float]] = {"accuracy": [], "loss": []}
    with tqdm(total=epochs * batches.steps, desc="Training", unit="step", disable=None) as progress:

        def step(batch: int, logs: dict) -> None:
            progress.update()
            progress.set_postfix(accuracy=f"{logs['accuracy']:.3f}", refresh=False)

        follow = keras.callbacks.LambdaCallback(on_train_batch_end=step)
        for _ in range(epochs):
            data = batches.epoch()
            try:
                logs = model.fit(data, shuffle=False, verbose=0, callbacks=[follow]).history
            except tf.errors.OpError:
                if batches.failure:
                    raise batches.failure from None
                raise
            for name, values in history.items():
                values.append(round(float(logs[name][0]), 4))
    return history
