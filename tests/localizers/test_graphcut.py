"""The cut against every labelling there is, against a library's maximum flow, and by hand."""

import itertools
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import maximum_flow
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from sensmap._opencv import cv2
from sensmap.localizers._mixtures import fit
from sensmap.localizers.graphcut import BACKGROUND, FOREGROUND, GraphCut

NEIGHBOURS = [(0, 1), (1, 0), (1, 1), (1, -1)]


def scene(height, width, noise=12, seed=0):
    """A bright rectangle on dark, with noise, and a map that points into it."""
    rng = np.random.default_rng(seed)
    image = np.full((height, width, 3), (40, 80, 60), float)
    rows, columns = slice(height // 4, 3 * height // 4), slice(width // 4, 3 * width // 4)
    image[rows, columns] = (170, 130, 90)
    image += rng.normal(size=image.shape) * noise
    sensitivity = rng.uniform(0, 0.1, (height, width)).astype(np.float32)
    sensitivity[rows, columns] += rng.uniform(0, 1, sensitivity[rows, columns].shape)
    return np.clip(image, 0, 255).astype(np.uint8), sensitivity


def terms(localizer, image, seeds):
    """The energy's unary terms ``(2, n)``, and its edges as (pixel, pixel, weight)."""
    power = 50 / localizer.contrast
    unary = []
    for kind in (BACKGROUND, FOREGROUND):
        mixture = fit(image[seeds == kind], localizer.components, localizer.seed)
        logs = [
            power * (np.log(w) + multivariate_normal(m, c).logpdf(image.astype(float)))
            for w, m, c in zip(*mixture, strict=True)
        ]
        unary.append(-logsumexp(logs, axis=0).ravel() / power)
    height, width = seeds.shape
    pairs, squares = [], []
    for row, column in np.ndindex(height, width):
        for down, right in NEIGHBOURS:
            r, c = row + down, column + right
            if r < height and 0 <= c < width:
                pairs.append((row * width + column, r * width + c, np.hypot(down, right)))
                squares.append(np.square(image[row, column].astype(float) - image[r, c]).sum())
    beta = 1 / (2 * np.mean(squares))
    edges = [
        (a, b, localizer.contrast * np.exp(-beta * square) / distance)
        for (a, b, distance), square in zip(pairs, squares, strict=True)
    ]
    return np.array(unary), edges


def energy(labels, unary, edges):
    flat = labels.ravel().astype(int)
    return unary[flat, np.arange(len(flat))].sum() + sum(
        weight for a, b, weight in edges if flat[a] != flat[b]
    )


@pytest.mark.parametrize("components", [1, 2])
@pytest.mark.parametrize("contrast", [0.5, 20.0, 50.0, 300.0])
def test_no_labelling_has_less_energy(contrast, components):
    image, sensitivity = scene(3, 4, noise=30)
    localizer = GraphCut(0.7, 0.4, components, contrast)
    seeds = localizer._seeds(sensitivity)
    unary, edges = terms(localizer, image, seeds)
    found = localizer._minimum(image, seeds)
    every = itertools.product([0, 1], repeat=seeds.size)
    least = min(energy(np.array(labels), unary, edges) for labels in every)
    assert energy(found, unary, edges) == pytest.approx(least, abs=1e-5)


def test_the_contrast_decides():
    image, sensitivity = scene(24, 32, noise=45)
    lengths = []
    for contrast in (0.5, 20.0, 300.0):
        localizer = GraphCut(contrast=contrast)
        found = localizer._minimum(image, localizer._seeds(sensitivity))
        lengths.append(np.count_nonzero(np.diff(found)) + np.count_nonzero(np.diff(found, axis=0)))
    assert lengths[0] > lengths[1] > lengths[2]


@pytest.mark.parametrize("contrast", [5.0, 20.0])
def test_it_is_the_cut_of_a_maximum_flow(contrast):
    image, sensitivity = scene(18, 22, noise=25)
    localizer = GraphCut(components=3, contrast=contrast)
    seeds = localizer._seeds(sensitivity)
    unary, edges = terms(localizer, image, seeds)
    count, scale = seeds.size, 1e5
    source, sink = count, count + 1
    unary = unary - unary.min(axis=0)
    a, b, weight = (np.array(each) for each in zip(*edges, strict=True))
    every = np.arange(count)
    # A pixel on the source's side is foreground, and its edge to the sink is cut.
    start = np.concatenate([a, b, np.full(count, source), every]).astype(int)
    end = np.concatenate([b, a, every, np.full(count, sink)]).astype(int)
    capacity = np.concatenate([weight, weight, unary[0], unary[1]])
    graph = coo_matrix(
        (np.round(scale * capacity).astype(np.int32), (start, end)), (count + 2, count + 2)
    )
    flow = maximum_flow(graph.tocsr(), source, sink).flow_value / scale
    found = localizer._minimum(image, seeds)
    assert 0 < found.mean() < 1
    assert energy(found, unary, edges) == pytest.approx(flow, abs=0.05)


def test_the_colour_model_finds_what_the_map_misses():
    image, _ = scene(60, 80, noise=5)
    sensitivity = np.zeros((60, 80), np.float32)
    sensitivity[20:40, 25:40] = np.arange(1, 16)  # the object ends at 60
    cut = GraphCut().segment([sensitivity], image)
    assert cut.stand_in == ""
    np.testing.assert_allclose(cut.box, [0.25, 0.25, 0.75, 0.75], atol=1e-6)
    assert cut.mask[15:45, 20:60].all()
    assert cut.mask.sum() == 30 * 40


def test_the_seeds_are_the_papers_quantiles():
    sensitivity = np.random.default_rng(0).permutation(1000).reshape(25, 40).astype(np.float32)
    seeds = GraphCut().segment([sensitivity], scene(25, 40)[0]).seeds
    order = sensitivity.ravel().argsort()
    assert (seeds.ravel()[order[:300]] == BACKGROUND).all()
    assert (seeds.ravel()[order[-50:]] == FOREGROUND).all()
    assert np.bincount(seeds.ravel()).tolist() == [650, 300, 50]


@pytest.mark.parametrize("contrast", [5.0, 20.0, 50.0, 150.0])
def test_colours_unlike_both_models_go_to_the_nearer(contrast):
    # For red, far from black and from white, grabCut's likelihoods are 0 in both models.
    image = np.zeros((40, 60, 3), np.uint8)
    image[:, 20:40], image[:, 40:] = 250, (255, 0, 0)
    sensitivity = np.full((40, 60), 0.5, np.float32)
    sensitivity[:, :20], sensitivity[:, 20:40] = 0, 1
    cut = GraphCut(0.70, 0.30, contrast=contrast).segment([sensitivity], image)
    assert cut.stand_in == ""
    assert cut.mask[:, 20:40].all()
    assert cut.mask.sum() == 800


def flat_map():
    return np.ones((20, 30), np.float32), scene(20, 30)[0], {}


def one_colour():
    sensitivity = np.zeros((20, 30), np.float32)
    sensitivity[5:9, 6:12] = np.arange(1, 25).reshape(4, 6)
    return sensitivity, np.full((20, 30, 3), 77, np.uint8), {"foreground": 0.96}


def empty_cut():
    # With a border this dear all pixels get one label, and most are unlike the foreground.
    sensitivity, image, _ = one_colour()
    image = np.random.default_rng(0).integers(0, 256, image.shape, np.uint8)
    image[5:9, 6:12] = 200 + image[5:9, 6:12] // 5
    return sensitivity, image, {"foreground": 0.96, "contrast": 1e5}


@pytest.mark.parametrize(
    ("case", "reason", "box"),
    [
        (flat_map, "flat map", [0, 0, 1, 1]),
        (one_colour, "one-colour image", [6 / 30, 5 / 20, 12 / 30, 9 / 20]),
        (empty_cut, "empty cut", [6 / 30, 5 / 20, 12 / 30, 9 / 20]),
    ],
)
def test_stand_ins_are_defined_and_told(case, reason, box):
    sensitivity, image, options = case()
    localizer = GraphCut(**options)
    cut = localizer.segment([sensitivity], image)
    assert cut.stand_in == reason
    np.testing.assert_allclose(cut.box, box, atol=1e-6)
    assert cut.mask.any()
    readings = localizer.read([sensitivity], image)[None]
    assert localizer.stand_ins(readings) == [reason]
    np.testing.assert_allclose(localizer.predict(readings)[0], box, atol=1e-6)


@pytest.mark.parametrize("colours", [2, 3, 4])
def test_fewer_colours_than_components(colours):
    rng = np.random.default_rng(0)
    palette = rng.integers(0, 256, (colours, 3), np.uint8)
    image = palette[rng.integers(0, colours, (30, 40))]
    cut = GraphCut().segment([rng.gamma(0.5, size=(30, 40)).astype(np.float32)], image)
    assert np.isfinite(cut.box).all()
    assert cut.mask.any()


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (50, 1), (2, 2)], ids=str)
def test_tiny_images(shape):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (*shape, 3), np.uint8)
    found = GraphCut().predict(rng.gamma(0.5, size=(1, 8, 8)), [image])
    assert ((found >= 0) & (found <= 1)).all()


def test_global_seeds_and_threads_change_no_byte():
    scenes = [scene(60, 80, noise=40, seed=seed) for seed in range(6)]

    def read(place):
        image, sensitivity = scenes[place]
        return GraphCut().read([sensitivity], image).tobytes()

    expected = [read(place) for place in range(6)]
    cv2.setRNGSeed(99)
    np.random.seed(99)
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(read, [*range(5, -1, -1)] * 2)) == expected[::-1] * 2


def test_masks_are_of_the_images_size_whatever_that_of_the_cut():
    image, sensitivity = scene(300, 400, noise=5)
    localizer = GraphCut(side=100)
    assert localizer.segment([sensitivity], image).mask.shape == (75, 100)
    [mask] = localizer.masks(sensitivity[None], [image])
    truth = np.zeros((300, 400), bool)
    truth[75:225, 100:300] = True
    assert np.count_nonzero(mask & truth) / np.count_nonzero(mask | truth) > 0.95


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"foreground": 0.2}, "0 < background < foreground < 1; received 0.3 and 0.2"),
        ({"background": 0.0}, "received 0.0 and 0.95"),
        ({"components": 6}, "components must be 1 to 5; received 6"),
        ({"components": 0}, "received 0"),
        ({"contrast": 0.0}, "must be above 0; received 0.0 and 250"),
        ({"side": 0}, "received 20.0 and 0"),
    ],
)
def test_options_out_of_range(options, message):
    image, sensitivity = scene(8, 8)
    with pytest.raises(ValueError, match=message):
        GraphCut(**options).segment([sensitivity], image)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (None, "needs the images besides their maps"),
        ([np.zeros((8, 8, 3))], r"\(H, W, 3\) uint8 RGB arrays; received float64\(8, 8, 3\)"),
        ([np.zeros((8, 8), np.uint8)], r"received uint8\(8, 8\)"),
        (["photo.jpg"], r"received str\(\)"),
    ],
    ids=["none", "numbers", "grey", "a name"],
)
def test_images_that_are_none(images, message):
    with pytest.raises(ValueError, match=message):
        GraphCut().predict(np.ones((1, 8, 8)), images)
