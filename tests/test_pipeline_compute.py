"""Map extraction on two devices, by XLA, and in half precision."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from two_devices import FEW, network

from sensmap import classifiers, datasets, feature_store, maps, registry
from sensmap.pipeline import Extractor

DIGITS = datasets.load("digits", split="fit", count=5)


# --- Two devices ---


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    file = tmp_path_factory.mktemp("two_devices") / "answers.npz"
    result = subprocess.run(
        [sys.executable, Path(__file__).with_name("two_devices.py"), file],
        env=os.environ | {"CUDA_VISIBLE_DEVICES": "-1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return dict(np.load(file))


@pytest.mark.parametrize(
    "name",
    [*(f"batches of {size}" for size in (1, 3, 4, 5)), *registry.names("sensmap.maps")],
)
def test_two_devices_give_what_one_gives(answers, name):
    one, two = (answers[f"{name}|{number}"] for number in (1, 2))
    assert one.shape == two.shape
    assert np.ptp(one, axis=0).any() or len(one) == 1
    np.testing.assert_allclose(two, one, rtol=1e-5, atol=1e-5)


def test_both_devices_compute_by_one_function_that_is_traced_once(answers):
    assert answers["replicas"] == 2
    assert {"CPU:0", "CPU:1"} <= set(answers["devices"])
    assert answers["traces"] == 1


def test_two_devices_with_xla(answers):
    one, two = (answers[f"compiled by XLA|{number}"] for number in (1, 2))
    np.testing.assert_allclose(two, one, rtol=1e-4, atol=1e-4)


def test_a_classifier_from_outside_of_the_scope_is_refused(answers):
    assert "was made outside of the strategy's scope" in str(answers["outside"])
    assert "\n" not in str(answers["outside"])


# --- XLA ---


@pytest.mark.parametrize("name", sorted(set(registry.names("sensmap.maps")) - {"smooth_grad"}))
def test_maps_compiled_by_xla(name):
    method = maps.create(name, classifiers.load(network(), "tf"), **FEW.get(name, {}))
    extractor = Extractor(method, None, judges={"map": lambda example, size, found: found[0]})
    compiled = extractor.computed_by(None, True)
    expected, found = (each.extract(DIGITS, batch_size=3) for each in (extractor, compiled))
    assert found.ids == expected.ids
    peak = expected.judged["map"].max()
    np.testing.assert_allclose(found.judged["map"] / peak, expected.judged["map"] / peak, atol=1e-4)
    np.testing.assert_allclose(found.asked.scores, expected.asked.scores, rtol=1e-4)


def test_features_compiled_by_xla():
    extractor = Extractor(maps.create("gradient", classifiers.load(network(), "tf")), top_k=1)
    compiled = extractor.computed_by(None, True)
    expected, found = (each.extract(DIGITS, batch_size=3) for each in (extractor, compiled))
    np.testing.assert_allclose(found.features, expected.features, rtol=0, atol=1e-4)
    np.testing.assert_allclose(found.guessed.features, expected.guessed.features, atol=1e-4)


def test_features_that_xla_cannot_compile():
    method = maps.create("gradient", classifiers.load(network(), "tf"))
    expected = r"^The map method 'gradient' with the features 'pooled' has the operation ResizeArea"
    with pytest.raises(ValueError, match=expected):
        Extractor(method, "pooled", jit_compile=True).extract(DIGITS)


def test_xla_compiles_for_one_size_of_batches(monkeypatch):
    extractor = Extractor(maps.create("gradient", classifiers.load(network(), "tf")))
    extractor = extractor.computed_by(None, True)
    sizes = []
    compiled = extractor.compiled
    extractor.compiled = lambda pixels, ids: sizes.append(len(pixels)) or compiled(pixels, ids)
    assert len(extractor.extract(DIGITS, batch_size=3)) == 5
    assert sizes == [3, 3]


def test_random_numbers_are_refused_under_xla():
    method = maps.create("smooth_grad", classifiers.load(network(), "tf"))
    with pytest.raises(ValueError, match=r"^The map method 'smooth_grad' draws random.*leave jit_"):
        Extractor(method, jit_compile=True)


# --- Half precision ---


@pytest.mark.parametrize("name", registry.names("sensmap.maps"))
def test_every_map_method_computes_in_half_precision(name):
    of_digits = np.stack([each.image for each in DIGITS])
    found = []
    for each in ("none", "float16"):
        classifier = classifiers.load(network(), "tf", mixed_precision=each)
        method = maps.create(name, classifier, **FEW.get(name, {}))
        found.append(np.ravel(method(of_digits, [0, 1, 2, 3, 4]).maps[0]))
    assert found[1].dtype == np.float32
    assert 0.99 < np.corrcoef(*found)[0, 1] < 1


@pytest.mark.parametrize(
    ("layer", "precision", "least"),
    [
        ("concatenate_5", "float16", 0.999),
        ("concatenate_5", "bfloat16", 0.99),
        ("pixels", "float16", 0.99),
        # Eight bits: what is lost adds up over all layers of the way back.
        ("pixels", "bfloat16", 0.94),
    ],
)
def test_maps_of_squeezenet_in_half_precision(shared, layer, precision, least):
    data = datasets.load("ilsvrc", str(shared / "data" / "ilsvrc2012_val_1300")).select([0, 400])
    pictures = [maps._base.images.load_resized(each.image, (224, 224))[0] for each in data]
    file = shared / "models" / "squeezenet1_1_imagenet.keras"
    found = []
    for each in ("none", precision):
        classifier = classifiers.load(file, "torch", mixed_precision=each)
        method = maps.create("gradient", classifier, layers=layer, reduction="l2")
        found.append(np.ravel(method(np.stack(pictures), [0, 1]).maps[0]))
    assert np.corrcoef(*found)[0, 1] > least


def test_a_store_of_another_precision_is_refused_with_the_difference(tmp_path):
    def build(precision):
        classifier = classifiers.load(network(), "tf", mixed_precision=precision)
        extractor = Extractor(maps.create("gradient", classifier), "pooled")
        return feature_store.build(tmp_path / "store", extractor, DIGITS, "truth", 5, 5)

    built = build("bfloat16")
    assert built.store.manifest["classifier"]["mixed_precision"] == "bfloat16"
    with pytest.raises(ValueError, match=r"mixed_precision: stored bfloat16, given nothing"):
        build("none")
