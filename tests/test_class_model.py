"""Class models where the maximum is known, and the binary that shows them."""

import inspect
import json
import re
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers, ops

from sensmap import classifiers, files, images
from sensmap.class_model import ClassModels, ClassVisualiser

ROOT = Path(__file__).resolve().parents[1]
RNG = np.random.default_rng(0)


def linear(weights, mode="tf"):
    """Class scores that are linear in the network's input; weights (C, h, w, 3)."""
    weights = np.asarray(weights, np.float32)
    model = keras.Sequential([keras.Input(weights.shape[1:]), layers.Flatten()])
    model.add(layers.Dense(len(weights), use_bias=False))
    model.set_weights([weights.reshape(len(weights), -1).T])
    return classifiers.load(model, mode)


def of_function(scores, size=(4, 4), mode="tf"):
    """Class scores by a function of the flattened network's input, (N, h * w * 3)."""
    inputs = keras.Input((*size, 3))
    outputs = layers.Lambda(scores)(layers.Flatten()(inputs))
    return classifiers.load(keras.Model(inputs, outputs), mode)


def deep():
    keras.utils.set_random_seed(1)
    awake = {"activation": "relu", "bias_initializer": keras.initializers.RandomUniform(0, 0.5)}
    stack = [keras.Input((12, 12, 3)), layers.Conv2D(8, 3, **awake), layers.Conv2D(8, 3, **awake)]
    return classifiers.load(
        keras.Sequential([*stack, layers.GlobalAveragePooling2D(), layers.Dense(5)]), "tf"
    )


DEEP = deep()


def as_image(network, inputs):
    """I of the equation, from the network's input."""
    preprocessing = network.preprocessing
    pixels = inputs / np.array(preprocessing.scale) + preprocessing.mean
    pixels = pixels[..., ::-1] if preprocessing.bgr else pixels
    mean = np.array(preprocessing.mean[::-1] if preprocessing.bgr else preprocessing.mean)
    return (pixels - (mean if mean.any() else 127.5)) / 255


# --- The maximum ---

# What is added for display, and the derivative of the network's input with respect to I.
MODES = {
    "tf": ([127.5, 127.5, 127.5], [2.0, 2.0, 2.0]),
    "torch": ([123.675, 116.28, 103.53], [1 / 0.229, 1 / 0.224, 1 / 0.225]),
    "caffe": ([123.68, 116.779, 103.939], [255.0, 255.0, 255.0]),
    "none": ([127.5, 127.5, 127.5], [255.0, 255.0, 255.0]),
}


@pytest.mark.parametrize("mode", MODES)
def test_linear_score(mode):
    # The maximum of g . I - lambda ||I||^2 is g / (2 lambda).
    mean, scale = (np.array(each) for each in MODES[mode])
    weights = RNG.normal(size=(2, 6, 5, 3)) / scale
    gradient = (weights * scale)[..., ::-1] if mode == "caffe" else weights * scale
    network = linear(weights, mode)
    models = ClassVisualiser(network, penalty=1.5, steps=100, step_size=0.5)([1, 0])
    expected = gradient[[1, 0]] / 3
    np.testing.assert_allclose(as_image(network, models.inputs), expected, atol=1e-5)
    shown = np.clip(np.round(mean + 255 * expected), 0, 255)
    assert {0, 255} <= set(shown.ravel())  # some are cut off
    assert np.abs(models.images - shown).max() <= 1  # a number that is nearly a half
    assert models.images.dtype == np.uint8
    scores = np.einsum("nhwk,chwk->nc", models.inputs, weights)
    np.testing.assert_allclose(models.scores, scores, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("parametrisation", "steps"), [("pixels", 20), ("fourier", 150), ("multiresolution", 1500)]
)
def test_every_parametrisation_has_the_same_maximum(parametrisation, steps):
    weights = RNG.normal(size=(2, 20, 24, 3))
    settings = {"penalty": 5.0, "steps": steps, "step_size": 1.0}
    models = ClassVisualiser(linear(weights), parametrisation=parametrisation, **settings)([0])
    np.testing.assert_allclose(
        as_image(linear(weights), models.inputs)[0], weights[0] / 5, atol=2e-3
    )


def test_score_with_a_maximum_of_its_own():
    # S_0 = sum of (x - x^2 / 2), x = 2 I: the derivative 2 - 4 I - 2 lambda I vanishes at
    # I = 1 / (2 + lambda).
    network = of_function(lambda x: ops.stack([ops.sum(x - x**2 / 2, -1), x[:, 0]], -1))
    models = ClassVisualiser(network, penalty=3.0, steps=100, step_size=0.5)([0])
    np.testing.assert_allclose(as_image(network, models.inputs), 0.2, atol=1e-5)


def test_the_ascent_begins_at_the_zero_image():
    # The one step of size 1 gives dS/dI / (2 lambda) at the point where it begins, and this
    # derivative, 2 (a + x), tells where that is.
    start = RNG.normal(size=48).astype(np.float32)
    network = of_function(
        lambda x: ops.concatenate([ops.sum(start * x + x**2 / 2, -1, True), x[:, :1]], -1)
    )
    models = ClassVisualiser(network, penalty=1.0, steps=1, step_size=1.0)([0])
    found = as_image(network, models.inputs)[0]
    np.testing.assert_allclose(found.ravel(), start, rtol=1e-5, atol=1e-6)


def test_posterior():
    # Two classes, S = (a . x, b . x): the posterior of the first is the logistic function of
    # (a - b) . x, and with d = 2 (a - b) the maximum is I = (1 - P) d / (2 lambda).
    weights = RNG.normal(size=(2, 4, 4, 3)) + 3  # what both have in common does not count
    network = linear(weights)
    models = ClassVisualiser(network, "posterior", penalty=1.0, steps=300, step_size=0.1)([0])
    image = as_image(network, models.inputs)[0]
    difference = 2 * (weights[0] - weights[1])
    posterior = 1 / (1 + np.exp(-np.sum(difference * image)))
    np.testing.assert_allclose(models.posteriors, [posterior], rtol=1e-4)
    assert posterior > 0.9  # from 0.5
    np.testing.assert_allclose(image, (1 - posterior) * difference / 2, rtol=1e-2, atol=1e-4)


def test_posterior_rises_in_a_deep_network():
    settings = {"penalty": 0.002, "steps": 60}
    before = ClassVisualiser(DEEP, "posterior", penalty=1e9, steps=1)(range(5)).posteriors
    after = ClassVisualiser(DEEP, "posterior", **settings)(range(5))
    assert (after.posteriors > before + 0.05).all()
    by_score = ClassVisualiser(DEEP, "score", **settings)(range(5))
    own = np.arange(5)
    assert (by_score.scores[own, own] > after.scores[own, own]).all()


# --- Where the equation alone does not say what to do ---


def test_a_class_without_a_derivative_at_the_zero_image_begins_at_noise():
    # Class 0 is rectified and silent until a number passes 0.01; class 1 can be climbed at once;
    # class 2 is the same for every image.
    network = of_function(
        lambda x: ops.stack(
            [ops.sum(ops.relu(x - 0.01), -1), ops.sum(x, -1), 0 * ops.sum(x, -1) - 1], -1
        )
    )
    models = ClassVisualiser(network, penalty=1.0, steps=100, step_size=0.5)([1, 0, 2])
    assert models.from_noise.tolist() == [False, True, True]
    found = as_image(network, models.inputs)
    np.testing.assert_allclose(found[0], 1, atol=1e-5)
    # What was awake at the start has climbed, what was not has faded.
    awake = np.isclose(found[1], 1, atol=1e-5)
    assert 0 < awake.mean() < 1
    np.testing.assert_allclose(found[1][~awake], 0, atol=1e-5)
    np.testing.assert_allclose(found[2], 0, atol=1e-5)


def test_the_last_image_on_top_is_kept():
    # With u the mean of x, class 1's score u^2 passes class 0's, u, where u = 1. The ascent of
    # class 0 goes on to u = 2 / 48 / lambda.
    network = of_function(
        lambda x: ops.concatenate([ops.mean(x, -1, True), ops.mean(x, -1, True) ** 2], -1)
    )
    penalty, steps, step_size = 0.0146, 50, 0.02
    rates = step_size * (1 - np.arange(steps) / steps)
    way = 2 / 48 / penalty * (1 - np.cumprod(1 - rates))  # u after each step
    assert way[steps // 2] < 0.95 < 1.05 < way[-1]
    models = ClassVisualiser(network, "score", penalty, steps, step_size)([0])
    found = 2 * as_image(network, models.inputs).mean()
    assert found == pytest.approx(way[way < 1].max(), rel=1e-4)
    assert models.ranks.tolist() == [1]
    # Where none of the second half is on top, the last one is given, as it is.
    models = ClassVisualiser(network, "score", penalty / 10, steps, step_size)([0])
    assert 2 * as_image(network, models.inputs).mean() == pytest.approx(10 * way[-1], rel=1e-4)
    assert models.ranks.tolist() == [2]


def test_what_else_is_in_the_batch_does_not_matter():
    visualise = ClassVisualiser(DEEP, steps=30, jitter=2, seed=4)
    together = visualise([3, 0, 4, 1])
    for batch_size in (1, 3):
        parts = visualise([3, 0, 4, 1], batch_size=batch_size)
        np.testing.assert_allclose(parts.inputs, together.inputs, atol=1e-4)
        np.testing.assert_allclose(parts.scores, together.scores, atol=1e-3)
    assert together.class_ids.tolist() == [3, 0, 4, 1]


def test_seed():
    def inputs(**settings):
        return ClassVisualiser(DEEP, steps=10, **settings)([0, 1]).inputs.tobytes()

    assert inputs(jitter=3, seed=5) == inputs(jitter=3, seed=5)
    assert inputs(jitter=3, seed=5) != inputs(jitter=3, seed=6)
    assert inputs(seed=5) == inputs(seed=6)


# --- Later work ---


def test_jitter_changes_nothing_where_shifts_do_not():
    network = of_function(lambda x: ops.stack([ops.mean(x, -1), ops.mean(x**2, -1)], -1))
    plain, shifted = (ClassVisualiser(network, steps=20, jitter=each)([0]) for each in (0, 2))
    np.testing.assert_allclose(shifted.inputs, plain.inputs, rtol=1e-5)


def test_jitter_spreads_what_is_local():
    weights = np.zeros((2, 9, 9, 3))
    weights[0, 4, 4] = 1
    settings = {"penalty": 1.0, "steps": 200, "step_size": 0.2}
    plain, shifted = (
        as_image(
            linear(weights), ClassVisualiser(linear(weights), jitter=j, **settings)([0]).inputs
        )
        for j in (0, 2)
    )
    assert np.argwhere(plain[0, ..., 0] > 1e-6).tolist() == [[4, 4]]
    rows, columns = np.nonzero(shifted[0, ..., 0] > 1e-6)
    assert set(rows) == set(columns) == {2, 3, 4, 5, 6}


def wave(frequency, size=32):
    """Cycles an image, from left to right; as weights of the first of two classes."""
    line = np.cos(2 * np.pi * frequency * np.arange(size) / size)
    weights = np.zeros((2, size, size, 3))
    weights[0] = line[:, None]
    return weights


@pytest.mark.parametrize(("frequency", "gain"), [(0, 1), (4, 1), (8, 1), (16, 1 / 4)])
def test_fourier_slows_high_frequencies_down(frequency, gain):
    # The first step goes the share r of the way from zero to g / (2 lambda), times s^2 with
    # s = 1 / f, and 1 up to 8 cycles.
    network = linear(wave(frequency))
    models = ClassVisualiser(
        network, penalty=1.0, steps=1, step_size=0.5, parametrisation="fourier"
    )
    found = as_image(network, models([0]).inputs)
    np.testing.assert_allclose(found[0], 0.5 * gain * wave(frequency)[0], atol=1e-5)


@pytest.mark.parametrize("parametrisation", ["fourier", "multiresolution"])
def test_a_parametrisation_moves_the_image_by_a_times_its_transpose(parametrisation):
    # One step for each unit image: the columns of r A A^T.
    height, width = 10, 12
    units = np.zeros((height * width, height, width, 3))
    units[..., 0] = np.eye(height * width).reshape(-1, height, width)
    network = linear(units)
    visualise = ClassVisualiser(
        network, penalty=1.0, steps=1, step_size=1.0, parametrisation=parametrisation
    )
    moved = as_image(network, visualise(range(len(units)), batch_size=60).inputs)
    np.testing.assert_allclose(moved[..., 1:], 0, atol=1e-6)
    matrix = moved[..., 0].reshape(len(units), -1)
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-5)
    eigenvalues = np.linalg.eigvalsh(matrix)
    assert eigenvalues.min() > 0  # whatever is seen can be made
    assert 0.9 < eigenvalues.max() <= 1 + 1e-5  # and no step goes beyond r of the way
    if parametrisation == "multiresolution":
        assert eigenvalues[:-60].max() < 0.1  # fine detail comes slowly


def test_blur():
    # A wave of f cycles a pixel stays one, and every blur multiplies it by
    # exp(-2 (pi sigma f)^2).
    network, sigma, steps = linear(wave(4)), 0.7, 12
    models = ClassVisualiser(network, penalty=1.0, steps=steps, step_size=0.3, blur=sigma)([0])
    gain = np.exp(-2 * (np.pi * sigma * 4 / 32) ** 2)
    height = 0.0
    for step in range(steps):
        rate = 0.3 * (1 - step / steps)
        height = gain * ((1 - rate) * height + rate)
    found = as_image(network, models.inputs)[0]
    np.testing.assert_allclose(found, height * wave(4)[0], atol=1e-5)


# --- What is told of them ---


def models_of(scores, class_ids):
    pixels = np.zeros((len(class_ids), 2, 2, 3))
    return ClassModels(
        np.array(class_ids, np.int32),
        pixels.astype(np.float32),
        pixels.astype(np.uint8),
        np.array(scores, np.float32),
        np.zeros(len(class_ids), bool),
    )


def test_ranks_rivals_and_posteriors():
    models = models_of([[1, 3, 2], [1, 3, 2], [5, 5, 0]], [1, 2, 0])
    assert models.ranks.tolist() == [1, 2, 2]  # no other may have as much
    assert models.rivals.tolist() == [2, 1, 1]
    expected = [np.exp(3) / np.exp([1, 3, 2]).sum(), np.exp(2) / np.exp([1, 3, 2]).sum()]
    np.testing.assert_allclose(models.posteriors[:2], expected, rtol=1e-6)


def test_config_makes_the_same_again():
    visualise = ClassVisualiser(DEEP, "posterior", 0.3, 7, 0.4, "fourier", 2, 0.5, 9)
    again = ClassVisualiser(DEEP, **json.loads(json.dumps(visualise.config)))
    assert again.config == visualise.config
    assert again([1]).inputs.tobytes() == visualise([1]).inputs.tobytes()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"objective": "logit"}, "no objective 'logit'; choose one of score, posterior"),
        ({"parametrisation": "wavelets"}, "no parametrisation 'wavelets'; choose one of pixels,"),
        ({"penalty": 0}, "penalty must be lambda, a number above 0; received 0"),
        ({"penalty": -0.1}, "penalty must be .* received -0.1"),
        ({"penalty": float("nan")}, "penalty must be .* received nan"),
        ({"steps": 0}, "steps must be a whole number, 1 or more; received 0"),
        ({"steps": 1.5}, "steps must be"),
        ({"step_size": 0}, "step_size must be above 0 and up to 1"),
        ({"step_size": 1.5}, "step_size must be"),
        ({"jitter": -1}, "jitter must be a whole number of pixels, 0 to half of the input's 12"),
        ({"jitter": 7}, "jitter must be"),
        ({"blur": -1.0}, "blur must be in pixels, 0 or more"),
        ({"seed": -1}, "seed must be"),
    ],
)
def test_refused_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        ClassVisualiser(DEEP, **settings)


@pytest.mark.parametrize(
    ("class_ids", "batch_size", "message"),
    [
        ([], 1, "at least one class; received none"),
        ([5], 1, "There is no class 5"),
        ([0], 0, "A batch holds one class or more; received 0"),
    ],
)
def test_refused_classes(class_ids, batch_size, message):
    with pytest.raises(ValueError, match=message):
        ClassVisualiser(DEEP)(class_ids, batch_size=batch_size)


def test_an_ascent_without_end():
    network = of_function(lambda x: ops.stack([ops.sum(ops.exp(9 * x), -1), x[:, 0]], -1))
    with pytest.raises(ValueError, match=r"left the finite numbers with penalty=0.001"):
        ClassVisualiser(network, penalty=0.001, steps=20, step_size=1.0)([0])


def test_a_real_classifier(shared):
    network = classifiers.load(shared / "models" / "squeezenet1_1_imagenet.keras", "torch")
    # 321 is one of the classes whose last rectifier passes nothing at the zero image.
    models = ClassVisualiser(network, steps=15)([9, 321])
    assert models.from_noise.tolist() == [False, True]
    assert models.ranks.tolist() == [1, 1]
    assert (models.posteriors > 0.9).all()


# --- The binary ---


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("class models")
    DEEP.model.save(folder / "model.keras")
    names = ["n01855672 goose", "n01518878 ostrich, Struthio", "cup", "cup", "été"]
    (folder / "names.txt").write_text("\n".join(names))
    (folder / "full").mkdir()
    (folder / "full" / "a.txt").write_text("here before")
    return folder


BY = ("--classifier={place}/model.keras", "--preprocessing=tf", "--class_names={place}/names.txt")
OUT = "--output={place}/out"
GOOD = {
    "both": (*BY, "--classes=ostrich,0,n01855672,4", "--objective=score,posterior", "--steps=4"),
    "drawn": (*BY, "--classes=2", "--random=3", "--seed=7", "--steps=2", "--jitter=1"),
    "again": (*BY, "--classes=2", "--random=3", "--seed=7", "--steps=2", "--jitter=1"),
    "nameless": (*BY[:2], "--classes=3", "--steps=1", "--blur=1", "--parametrisation=fourier"),
}
BAD = {
    "no classifier": (["--classes=0", OUT], "--classifier is needed"),
    "no output": ([*BY, "--classes=0"], "--output is needed"),
    "no class": ([*BY, OUT], "Give --classes, or how many to draw with --random"),
    "unknown class": ([*BY, OUT, "--classes=gooze"], "no class 'gooze'; did you mean goose"),
    "shared name": ([*BY, OUT, "--classes=cup"], "Several classes are called 'cup': 2, 3"),
    "class id": ([*BY, OUT, "--classes=5"], "There is no class 5"),
    "too many": ([*BY, OUT, "--classes=1", "--random=5"], "more classes than the 4 that are left"),
    "steps": ([*BY, OUT, "--classes=1", "--steps=0"], "steps must be .* received 0"),
    "penalty": ([*BY, OUT, "--classes=1", "--penalty=-1"], "penalty must be .* received -1"),
    "step size": ([*BY, OUT, "--classes=1", "--step_size=2"], "step_size must be"),
    "objective": ([*BY, OUT, "--classes=1", "--objective=x"], "no objective 'x'; choose one of"),
    "objective twice": (
        [*BY, OUT, "--classes=1", "--objective=score,score"],
        "--objective takes objectives, each once",
    ),
    "parametrisation": ([*BY, OUT, "--classes=1", "--parametrisation=x"], "no parametrisation 'x'"),
    "jitter": ([*BY, OUT, "--classes=1", "--jitter=-1"], "jitter must be"),
    "output exists": ([*BY, "--classes=1", "--output={place}/full"], "is not empty"),
    "an argument": ([*BY, OUT, "--classes=1,", "ostrich"], "'ostrich' is not a flag"),
    "full disk": (["limit=2000", *BY, OUT, "--classes=1", "--steps=1"], "File too large"),
}


@pytest.fixture(scope="module")
def ends(place):
    """How each run of the binary ended, all of them in one process."""
    cases = {name: [*GOOD[name], f"--output={{place}}/{name}"] for name in GOOD}
    cases |= {name: arguments for name, (arguments, _) in BAD.items()}
    given = [[each.format(place=place) for each in arguments] for arguments in cases.values()]
    work = place.parent
    files.write_json(work / "cases.json", given)
    driver = [ROOT / "tests" / "drive_binary.py", "eval.class_model"]
    subprocess.run(
        [sys.executable, *driver, work / "cases.json", work / "answers.json"], cwd=work, check=True
    )
    return dict(zip(cases, files.read_json(work / "answers.json"), strict=True))


@pytest.mark.parametrize("case", GOOD)
def test_what_the_binary_writes(ends, place, case):
    assert ends[case] == {"end": 0, "stderr": ""}
    folder = place / case
    result = files.read_json(folder / "result.json")
    pngs = {row["file"] for row in result["rows"]}
    assert {path.name for path in folder.iterdir()} == {
        *("report.html", "result.json", "grid.png"),
        *pngs,
    }
    for name in pngs:
        assert images.load(folder / name).shape == (12, 12, 3)
    assert set(result) >= {"settings", "classifier", "configuration", "versions", "summary"}


def test_classes_objectives_and_settings(ends, place):
    result = files.read_json(place / "both" / "result.json")
    found = [(row["class_id"], row["name"], row["objective"]) for row in result["rows"]]
    assert found == [
        (class_id, name, objective)
        for class_id, name in ((1, "ostrich"), (0, "goose"), (4, "été"))
        for objective in ("score", "posterior")
    ]
    assert [each["steps"] for each in result["settings"]] == [4, 4]
    network = classifiers.load(place / "model.keras", "tf")
    again = ClassVisualiser(network, **result["settings"][1])([1, 0, 4])
    row = result["rows"][1]
    assert row["score"] == pytest.approx(again.scores[0, 1], abs=1e-4)
    assert row["posterior"] == pytest.approx(again.posteriors[0], abs=1e-4)
    assert row["file"] == "0001_ostrich_posterior.png"
    shown = images.load(place / "both" / row["file"]).astype(int)
    assert np.abs(shown - again.images[0]).max() <= 1


def test_classes_are_drawn_by_the_seed(ends, place):
    drawn = [row["class_id"] for row in files.read_json(place / "drawn" / "result.json")["rows"]]
    assert drawn[0] == 2
    assert len(set(drawn)) == 4
    for path in (place / "drawn").glob("*.png"):
        assert path.read_bytes() == (place / "again" / path.name).read_bytes()


@pytest.mark.parametrize("case", BAD)
def test_one_clear_line(ends, case):
    end = ends[case]["end"]
    assert isinstance(end, str), ends[case]
    assert end.startswith("error: "), end
    assert "\n" not in end
    assert re.search(BAD[case][1], end), end


def test_nothing_is_left_of_runs_that_failed(ends, place):
    assert {path.name for path in place.iterdir()} == {
        *("model.keras", "names.txt", "full"),
        *GOOD,
    }


def test_the_binary_has_the_defaults_of_the_library():
    shown = subprocess.run(
        [sys.executable, "-m", "eval.class_model", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    known = inspect.signature(ClassVisualiser).parameters
    for name in ("penalty", "steps", "step_size", "parametrisation", "jitter", "blur", "seed"):
        (default,) = re.findall(rf"--{name}:[^(]*\(default: '([^']*)'\)", shown)
        assert default == str(known[name].default)
