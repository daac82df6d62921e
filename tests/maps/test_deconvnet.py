"""DeconvNet and back-propagation: the same through every layer but the rectifier.

Simonyan et al. 2013, section 4, piece by piece. R is the derivative, or the reconstruction, that
arrives at a layer's output; x is the layer's input:

    layer                           back-propagation                DeconvNet
    convolution with kernel K       R * K turned by 180 degrees     the same
    max pooling                     R at the maxima's places        the same ("switches")
    average pooling                 R / window, over the window     the same
    rectifier                       R [x > 0]                       R [R > 0]

The right-hand sides are written out in NumPy here.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from sensmap import classifiers
from sensmap.maps import given
from sensmap.maps._derivatives import Derivatives

SIDE = 6
RNG = np.random.default_rng(0)
PIXELS = RNG.normal(size=(2, SIDE, SIDE, 3)).astype(np.float32)


def convolve(x, kernel):
    """``(N, h, w, C)`` by ``(a, b, C, D)``, as far as the kernel fits."""
    windows = np.lib.stride_tricks.sliding_window_view(x, kernel.shape[:2], axis=(1, 2))
    return np.einsum("nyxcab,abcd->nyxd", windows, kernel)


def convolve_back(arriving, kernel):
    """With the kernel turned by 180 degrees, and its two axes of channels swapped."""
    a, b = kernel.shape[:2]
    padded = np.pad(arriving, [(0, 0), (a - 1, a - 1), (b - 1, b - 1), (0, 0)])
    return convolve(padded, kernel[::-1, ::-1].swapaxes(2, 3))


def switches(x):
    """1 where a 2 x 2 window's maximum stands, the first one where it stands twice; 0 elsewhere."""
    found = np.zeros_like(x)
    for n, y, x0, channel in np.ndindex(len(x), x.shape[1] // 2, x.shape[2] // 2, x.shape[3]):
        window = np.s_[n, 2 * y : 2 * y + 2, 2 * x0 : 2 * x0 + 2, channel]
        found[window].flat[x[window].argmax()] = 1
    return found


def enlarge(x):
    return x.repeat(2, axis=1).repeat(2, axis=2)


RULES = {
    "gradient": lambda arriving, x: arriving * (x > 0),
    "deconvnet": lambda arriving, x: arriving * (arriving > 0),
    "guided": lambda arriving, x: arriving * (x > 0) * (arriving > 0),
}


def model_of(*body):
    """Layers behind a rectifier, and a linear layer of two scores that R comes from."""
    keras.utils.set_random_seed(1)
    first = [keras.Input((SIDE, SIDE, 3)), layers.ReLU(name="first")]
    return keras.Sequential([*first, *body, layers.Flatten(), layers.Dense(2, name="scores")])


def derivative(model, rule, layer):
    """Of class 0 with respect to a layer's output; ``(N, h, w, channels)`` with sign."""
    derivatives = Derivatives(classifiers.load(model, "none"), layer, rule)

    @tf.function(autograph=False)
    def compute(pixels):
        return derivatives(pixels, given([[0], [0]]), lambda g, _: g).maps[0][:, 0]

    return compute(tf.constant(PIXELS)).numpy()


def arriving_at(model, *shape):
    """R at the output of the layer below the linear one."""
    weights = model.get_layer("scores").kernel.numpy()[:, 0].reshape(1, *shape)
    return np.repeat(weights, len(PIXELS), axis=0)


def conv():
    return layers.Conv2D(4, 3, bias_initializer="random_normal", name="conv")


# The layer, and the right-hand side of the table, of the model and the layer's input.
PIECES = {
    "convolution": (
        conv,
        lambda model, x: convolve_back(
            arriving_at(model, 4, 4, 4), model.get_layer("conv").kernel.numpy()
        ),
    ),
    "max pooling": (
        layers.MaxPool2D,
        lambda model, x: enlarge(arriving_at(model, 3, 3, 3)) * switches(x),
    ),
    "average pooling": (
        lambda: layers.AveragePooling2D(2),
        lambda model, x: enlarge(arriving_at(model, 3, 3, 3)) / 4,
    ),
}


@pytest.mark.parametrize("piece", PIECES)
def test_through_other_layers_the_rules_are_the_same(piece):
    # At the output of a layer behind the rectifier, so that only the piece is passed.
    make, back = PIECES[piece]
    model = model_of(layers.Conv2D(3, 1, name="mix"), make())
    x = keras.Model(model.inputs[0], model.get_layer("mix").output)(PIXELS).numpy()
    plain = derivative(model, "gradient", "mix")
    np.testing.assert_allclose(plain, back(model, x), rtol=1e-4, atol=1e-6)
    assert plain.min() < 0 < plain.max()
    for rule in ("deconvnet", "guided"):
        np.testing.assert_array_equal(derivative(model, rule, "mix"), plain)


@pytest.mark.parametrize("rule", RULES)
def test_the_rectifier_is_where_they_differ(rule):
    model = model_of()
    arriving = arriving_at(model, SIDE, SIDE, 3)
    correct = RULES[rule](arriving, PIXELS)
    np.testing.assert_allclose(derivative(model, rule, "pixels"), correct, rtol=1e-5, atol=1e-7)
    others = [RULES[other](arriving, PIXELS) for other in RULES if other != rule]
    assert not any(np.allclose(correct, other, atol=1e-2) for other in others)


@pytest.mark.parametrize("rule", RULES)
def test_a_whole_network_is_its_pieces_one_after_the_other(rule):
    # rectifier, convolution, rectifier, max pooling, linear.
    model = model_of(conv(), layers.ReLU(), layers.MaxPool2D())
    kernel, bias = (weight.numpy() for weight in model.get_layer("conv").weights)
    z = convolve(np.maximum(PIXELS, 0), kernel) + bias
    back = enlarge(arriving_at(model, 2, 2, 4)) * switches(np.maximum(z, 0))
    back = RULES[rule](back, z)
    back = RULES[rule](convolve_back(back, kernel), PIXELS)
    np.testing.assert_allclose(derivative(model, rule, "pixels"), back, rtol=1e-4, atol=1e-6)
    assert np.abs(back).max() > 0.01
