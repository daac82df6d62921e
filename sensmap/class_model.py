"""Images that a classifier holds to be typical of its classes: class model visualisation.

Simonyan et al. 2013, section 2: for the class c,

    I* = argmax over I of  S_c(I) - lambda ||I||^2

with S_c the class score before softmax and I the image less the mean of the training set. The
maximum is sought by gradient ascent from the zero image, and the mean is added to show it.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from sensmap.classifiers import Classifier, Preprocessing

OBJECTIVES = ("score", "posterior")
PARAMETRISATIONS = ("pixels", "fourier", "multiresolution")

# From images (N, h, w, 3) to images.
Linear = Callable[[tf.Tensor], tf.Tensor]

# Where preprocessing knows no mean, the network takes one off by itself: that of many images.
_MID_GRAY = 127.5
# Of the noise to begin with where the zero image gives no direction: five levels of gray.
_NOISE = 0.02
# Cycles an image from which on the Fourier parametrisation makes frequencies slower.
_FLAT = 8
# The multiresolution parametrisation's cells are 1, 2, 4 and 8 pixels wide.
_LEVELS = 4


@dataclasses.dataclass(frozen=True)
class ClassModels:
    """The images of some classes, and what the classifier says of them.

    Attributes:
        class_ids: ``(N,)`` int32.
        inputs: ``(N, h, w, 3)`` float32, the network's input.
        images: ``(N, h, w, 3)`` uint8 RGB, the same with the mean added, cut off at 0 and 255.
        scores: ``(N, C)`` float32, class scores of the inputs, before softmax.
        from_noise: ``(N,)`` bool, whether the ascent began at noise, see `ClassVisualiser`.
    """

    class_ids: np.ndarray
    inputs: np.ndarray
    images: np.ndarray
    scores: np.ndarray
    from_noise: np.ndarray

    @property
    def posteriors(self) -> np.ndarray:
        """``(N,)`` float32, the softmax posterior of each image's own class."""
        return tf.gather(tf.nn.softmax(self.scores), self.class_ids, batch_dims=1).numpy()

    @property
    def rivals(self) -> np.ndarray:
        """``(N,)`` int32, the class with the highest score but for the image's own."""
        others = self.scores.copy()
        np.put_along_axis(others, self.class_ids[:, None], -np.inf, axis=1)
        return others.argmax(axis=1).astype(np.int32)

    @property
    def ranks(self) -> np.ndarray:
        """``(N,)`` int32, 1 where the own class has the highest score and no other has as much."""
        own = np.take_along_axis(self.scores, self.class_ids[:, None], axis=1)
        return (self.scores >= own).sum(axis=1).astype(np.int32)


class ClassVisualiser:
    """Makes class models by gradient ascent.

    A step t = 0, 1, ... of T is one of plain gradient ascent on the equation above,

        I <- I + r_t / (2 lambda) * d/dI (S_c(I) - lambda ||I||^2)
           = (1 - r_t) I + r_t / (2 lambda) * dS_c/dI,      r_t = r (1 - t / T)

    so that it goes the share r_t of the way to where I would rest if the derivative stayed as it
    is. A large step puts the last derivative in place of much of the image, and only what many
    derivatives have in common stays: shapes. The small steps at the end find the maximum. The
    paper does not say how it steps.

    Departures from the paper:

    - ``I`` counts in the full range of pixels (255 is 1), so that one lambda suits every
      preprocessing; ||I||^2 is the sum of its squares.
    - "The mean of the training set" is that of the preprocessing; mid-gray where it has none.
    - The posterior is climbed by its logarithm: where it is near 0 its own derivative vanishes.
    - S_c knows nothing of other classes, and those that look alike rise with it. In the second
      half of the steps, the last image that is above all other classes is the one given, where
      there is any.
    - Where the derivative at the zero image is zero, as of classes that a last rectifier cuts
      off there, the ascent begins at faint noise.

    Later than the paper, and off by default: ``parametrisation``, ``jitter`` and ``blur``. With a
    parametrisation I = A z, A linear, the ascent is in z, and I moves by A A^T times the
    derivative: the same maximum, but smooth shapes come first.

    Args:
        classifier: whose classes are shown.
        objective: ``"score"``, S_c; or ``"posterior"``, the softmax posterior in its place, which
            the paper found to look worse: it also rises when other classes' scores fall.
        penalty: lambda, above 0.
        steps: T.
        step_size: r, above 0 and up to 1.
        parametrisation: ``"pixels"``, as in the paper; ``"fourier"``, coefficients of
            frequencies, which weigh the less the higher the frequency (Olah et al. 2017,
            "Feature Visualization"); or ``"multiresolution"``, a pyramid: the sum of images of
            1, 1/2, 1/4 and 1/8 of the resolution (after the pyramids of the DeepDream notebook,
            Mordvintsev 2016).
        jitter: each step sees the image shifted by up to so many pixels, around the edges
            (Mordvintsev et al. 2015, "Inceptionism"). All classes are shifted alike.
        blur: standard deviation in pixels of a Gaussian blur after each step, around the edges
            (Yosinski et al. 2015, arXiv 1506.06579).
        seed: of jitter and noise.

    Raises:
        ValueError: for an option out of its range.

    >>> import keras
    >>> from sensmap import classifiers
    >>> model = keras.Sequential([keras.Input((4, 4, 3)), keras.layers.Flatten(),
    ...                           keras.layers.Dense(2, kernel_initializer="orthogonal")])
    >>> visualise = ClassVisualiser(classifiers.load(model, preprocessing="tf"), steps=20)
    >>> models = visualise([1, 0])
    >>> models.images.shape, models.ranks.tolist()
    ((2, 4, 4, 3), [1, 1])
    """

    def __init__(
        self,
        classifier: Classifier,
        objective: str = "score",
        penalty: float = 0.05,
        steps: int = 100,
        step_size: float = 0.1,
        parametrisation: str = "pixels",
        jitter: int = 0,
        blur: float = 0.0,
        seed: int = 0,
    ):
        _check_choice("objective", objective, OBJECTIVES)
        _check_choice("parametrisation", parametrisation, PARAMETRISATIONS)
        height, width = classifier.input_size
        for name, value, holds, expected in (
            ("penalty", penalty, 0 < penalty < math.inf, "lambda, a number above 0"),
            ("steps", steps, steps >= 1 and steps == int(steps), "a whole number, 1 or more"),
            ("step_size", step_size, 0 < step_size <= 1, "above 0 and up to 1"),
            (
                "jitter",
                jitter,
                0 <= jitter <= min(height, width) // 2 and jitter == int(jitter),
                f"a whole number of pixels, 0 to half of the input's {min(height, width)}",
            ),
            ("blur", blur, 0 <= blur < math.inf, "in pixels, 0 or more"),
            ("seed", seed, seed >= 0 and seed == int(seed), "a whole number, 0 or more"),
        ):
            if not holds:
                raise ValueError(f"{name} must be {expected}; received {value}.")
        self.classifier = classifier
        self.objective, self.parametrisation = objective, parametrisation
        self.penalty, self.steps, self.step_size = penalty, int(steps), step_size
        self.jitter, self.blur, self.seed = int(jitter), blur, int(seed)
        self._mean = _mean(classifier.preprocessing)
        self._direction = _direction(parametrisation, (height, width))
        self._smooth = _gaussian(blur, (height, width))
        image = tf.TensorSpec([None, height, width, 3], tf.float32)
        ids, shift = tf.TensorSpec([None], tf.int32), tf.TensorSpec([2], tf.int32)
        rate = tf.TensorSpec([], tf.float32)
        self._compiled_step = _compiled(self._step, image, ids, shift, rate)
        self._compiled_scores = _compiled(self._scores, image)

    @property
    def config(self) -> dict[str, Any]:
        """The settings; JSON can hold them."""
        names = ("objective", "penalty", "steps", "step_size", "parametrisation")
        return {name: getattr(self, name) for name in (*names, "jitter", "blur", "seed")}

    def __call__(self, class_ids: Sequence[int], batch_size: int = 16) -> ClassModels:
        """The images of some classes.

        Memory is that of one forward and backward pass of a batch, whatever the number of steps
        and classes. An image depends on what else is in its batch by no more than rounding, which
        many steps amplify.

        Args:
            class_ids: ``(N,)`` int, at least one.
            batch_size: images at once.

        Returns:
            The images in the order of the class ids.

        Raises:
            ValueError: for no class or one that there is not, a batch of less than one, or if
                the ascent leaves the finite numbers.
        """
        if not len(class_ids):
            raise ValueError("Class models take at least one class; received none.")
        if batch_size < 1:
            raise ValueError(f"A batch holds one class or more; received {batch_size}.")
        wanted = np.array([self.classifier.class_id(each) for each in class_ids], np.int32)
        batches = [
            wanted[start : start + batch_size] for start in range(0, len(wanted), batch_size)
        ]
        with tqdm(
            total=len(batches) * self.steps, desc="Class models", unit="step", disable=None
        ) as progress:
            parts = [self._ascend(batch, progress) for batch in batches]
        images, scores, from_noise = (np.concatenate(part) for part in zip(*parts, strict=True))
        if not (np.isfinite(images).all() and np.isfinite(scores).all()):
            raise ValueError(
                f"The ascent left the finite numbers with penalty={self.penalty:g} and "
                f"step_size={self.step_size:g}; take a larger penalty or smaller steps."
            )
        pixels = self._pixels(images)
        shown = np.clip(np.round(pixels), 0, 255).astype(np.uint8)
        return ClassModels(wanted, self.classifier.preprocess(pixels), shown, scores, from_noise)

    def _ascend(self, class_ids: np.ndarray, progress: tqdm) -> tuple[np.ndarray, ...]:
        """Images, scores, and which began at noise, of one batch."""
        generator = np.random.default_rng(self.seed)
        image, from_noise = self._begin(class_ids, generator)
        shifts = generator.integers(-self.jitter, self.jitter, (self.steps, 2), np.int32, True)
        kept, is_kept = image, np.zeros(len(class_ids), bool)
        for step, shift in enumerate(shifts):
            rate = np.float32(self.step_size * (1 - step / self.steps))
            moved, on_top = self._compiled_step(image, class_ids, shift, rate)
            if 2 * step >= self.steps:
                kept, is_kept = _where(on_top, image, kept), is_kept | on_top.numpy()
            image = moved
            progress.update()
        on_top = np.argmax(self._compiled_scores(image), axis=1) == class_ids
        image = _where(on_top | ~is_kept, image, kept)
        return image.numpy(), self._compiled_scores(image).numpy(), from_noise

    def _begin(self, class_ids: np.ndarray, generator: np.random.Generator):
        """Zero images; where the first step would leave them as they are, the same noise."""
        size = (*self.classifier.input_size, 3)
        noise = generator.normal(scale=_NOISE, size=size).astype(np.float32)
        zeros = np.zeros((len(class_ids), *size), np.float32)
        moved, _ = self._compiled_step(zeros, class_ids, np.zeros(2, np.int32), np.float32(1))
        from_noise = ~moved.numpy().any(axis=(1, 2, 3))
        return _where(from_noise, noise, zeros), from_noise

    def _step(self, image, class_ids, shift, rate):
        """The next image, and whether this one's class has the highest score, ``(N,)`` bool."""
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(image)
            scores = self._scores(tf.roll(image, shift, axis=(1, 2)))
            values = tf.nn.log_softmax(scores) if self.objective == "posterior" else scores
            objective = tf.gather(values, class_ids, batch_dims=1)
        derivative = tape.gradient(objective, image, unconnected_gradients="zero")
        direction = self._direction(derivative / (2 * self.penalty) - image)
        on_top = tf.argmax(scores, axis=1, output_type=tf.int32) == class_ids
        return self._smooth(image + rate * direction), on_top

    def _scores(self, image):
        classifier = self.classifier
        return classifier.scores_from_input(classifier.preprocess(self._pixels(image)))

    def _pixels(self, image):
        return self._mean + 255 * image


def _compiled(function: Callable, *signature: tf.TensorSpec):
    return tf.function(function, input_signature=signature, autograph=False)


def _where(chosen: np.ndarray, images: tf.Tensor, others: tf.Tensor) -> tf.Tensor:
    return tf.where(chosen[:, None, None, None], images, others)


def _check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    if value not in choices:
        raise ValueError(f"There is no {name} {value!r}; choose one of {', '.join(choices)}.")


def _mean(preprocessing: Preprocessing) -> np.ndarray:
    """The mean that a preprocessing takes off, (3,) float32 RGB, 0 to 255."""
    mean = np.array(preprocessing.mean, np.float32)
    if not mean.any():
        return np.full(3, _MID_GRAY, np.float32)
    return mean[::-1] if preprocessing.bgr else mean


def _direction(parametrisation: str, size: tuple[int, int]) -> Linear:
    """``A A^T`` of a parametrisation ``I = A z``, scaled so that it makes no image larger."""
    if parametrisation == "fourier":
        flat = _FLAT / min(size)
        return _filter((flat / np.maximum(_frequencies(size), flat)) ** 2, size)
    if parametrisation == "multiresolution":
        return _pyramid(size)
    return tf.identity


def _gaussian(deviation: float, size: tuple[int, int]) -> Linear:
    """A Gaussian blur, around the edges."""
    if not deviation:
        return tf.identity
    return _filter(np.exp(-2 * (np.pi * deviation * _frequencies(size)) ** 2), size)


def _frequencies(size: tuple[int, int]) -> np.ndarray:
    """Of the coefficients of `tf.signal.rfft2d`, in cycles a pixel; ``(h, w // 2 + 1)``."""
    return np.hypot(np.fft.fftfreq(size[0])[:, None], np.fft.rfftfreq(size[1]))


def _filter(gain: np.ndarray, size: tuple[int, int]) -> Linear:
    """Multiplies each frequency of each channel by its gain."""
    factors = tf.constant(gain, tf.complex64)

    def apply(images: tf.Tensor) -> tf.Tensor:
        spectra = tf.signal.rfft2d(tf.transpose(images, (0, 3, 1, 2)))
        return tf.transpose(tf.signal.irfft2d(spectra * factors, size), (0, 2, 3, 1))

    return apply


def _pyramid(size: tuple[int, int]) -> Linear:
    """With ``A z`` the sum of the pyramid's levels, each enlarged to the size of the image."""
    levels = [(-(-size[0] // 2**level), -(-size[1] // 2**level)) for level in range(_LEVELS)]

    def enlarge(pyramid: Sequence[tf.Tensor]) -> tf.Tensor:
        return tf.add_n([tf.image.resize(level, size, "bilinear") for level in pyramid])

    def apply(images: tf.Tensor) -> tf.Tensor:
        pyramid = [tf.zeros([tf.shape(images)[0], *level, 3]) for level in levels]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(pyramid)
            enlarged = enlarge(pyramid)
        return enlarge(tape.gradient(enlarged, pyramid, output_gradients=images))

    # All numbers of A are positive, so no image grows by more than the constant one.
    largest = tf.reduce_max(apply(tf.ones([1, *size, 3])))
    return lambda images: apply(images) / largest
