"""What an export writes, where, and what it refuses."""

import importlib.metadata
import json
import resource

import numpy as np
import pytest
import tensorflow as tf
from exported import NAMES, follow, make_localizer, picture

from sensmap import maps
from sensmap.export import ServedModel, export_saved_model, saved_model, warmup
from sensmap.localizer import Localizer


@pytest.fixture(scope="module")
def export(localizer, tmp_path_factory):
    folder = tmp_path_factory.mktemp("export") / "models"
    recorded = Localizer(localizer.method, localizer.estimator, {"seed": 3})
    return export_saved_model(recorded, folder, version=12, with_map=True)


def names_under(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_the_layout_is_that_of_tensorflow_serving(export):
    folder = export.parents[1]
    assert export == folder / "sensmap" / "12"
    assert sorted(path.name for path in folder.iterdir()) == [
        "batching_parameters.txt",
        "models.config",
        "sensmap",
    ]
    assert set(names_under(export)) >= {
        "saved_model.pb",
        "variables/variables.index",
        "assets.extra/sensmap.json",
        "assets.extra/class_names.txt",
    }


def test_signatures_are_typed(export):
    signatures = tf.saved_model.load(export).signatures
    inputs = {
        name: {key: (spec.dtype, spec.shape.as_list()) for key, spec in it[1].items()}
        for name, function in signatures.items()
        for it in [function.structured_input_signature]
    }
    image_bytes = {"image_bytes": (tf.string, [None])}
    images = {"images": (tf.uint8, [None, None, None, 3])}
    class_id = {"class_id": (tf.int32, [None])}
    assert inputs == {
        "serving_default": image_bytes,
        "bytes_with_class": image_bytes | class_id,
        "images": images,
        "images_with_class": images | class_id,
    }
    outputs = signatures["images"].structured_outputs
    assert {key: (spec.dtype, spec.shape.as_list()) for key, spec in outputs.items()} == {
        "class_ids": (tf.int32, [None, 1]),
        "class_scores": (tf.float32, [None, 1]),
        "boxes": (tf.float32, [None, 1, 4]),
        "boxes_pixels": (tf.float32, [None, 1, 4]),
        "degenerate": (tf.bool, [None, 1]),
        "map_pixels": (tf.float32, [None, 1, 24, 32]),
    }


def test_the_whole_configuration_is_recorded(export, localizer):
    config = json.loads((export / "assets.extra" / "sensmap.json").read_text())
    assert config["classifier"] == localizer.classifier.config
    assert config["maps"] == localizer.method.config
    assert config["localizer"]["features"] == "quantiles"
    assert config["seed"] == 3
    assert config["export"]["version"] == 12
    assert config["export"]["versions"]["tensorflow"] == tf.__version__
    names = (export / "assets.extra" / "class_names.txt").read_text()
    assert names.splitlines() == list(NAMES)


def test_the_version_of_a_checkout_that_is_not_installed(monkeypatch):
    def absent(package):
        raise importlib.metadata.PackageNotFoundError(package)

    monkeypatch.setattr(importlib.metadata, "version", absent)
    assert saved_model._version("sensmap") is None


def test_weights_are_written_once(export, localizer):
    weights = sum(weight.nbytes for weight in localizer.classifier.model.get_weights())
    stored = sum(path.stat().st_size for path in (export / "variables").glob("*.data-*"))
    assert weights <= stored < 1.1 * weights + 1000


def test_no_machine_and_no_code_stands_in_the_graph(export):
    graph = (export / "saved_model.pb").read_bytes()
    assert b"PyFunc" not in graph
    assert b"site-packages" not in graph
    assert str(export.parents[1]).encode() not in graph


def test_a_version_is_not_replaced_by_mistake(localizer, tmp_path):
    first = export_saved_model(localizer, tmp_path)
    before = {path: path.read_bytes() for path in first.rglob("*") if path.is_file()}
    with pytest.raises(FileExistsError, match=r"sensmap/1 exists and is not empty"):
        export_saved_model(localizer, tmp_path)
    assert {path: path.read_bytes() for path in first.rglob("*") if path.is_file()} == before
    second = export_saved_model(localizer, tmp_path, version=2)
    assert sorted(path.name for path in second.parent.iterdir()) == ["1", "2"]
    unnamed = make_localizer()
    unnamed.classifier.class_names = None
    export_saved_model(unnamed, tmp_path, overwrite=True)
    assert "assets.extra/class_names.txt" not in names_under(first)


def test_nothing_is_left_when_it_fails_halfway(localizer, tmp_path, monkeypatch):
    def fail(*_):
        raise RuntimeError("the power went off")

    monkeypatch.setattr(warmup, "write", fail)
    with pytest.raises(RuntimeError, match="power"):
        export_saved_model(localizer, tmp_path / "models")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_disk_that_fills_gives_one_line(localizer, tmp_path):
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, limit[1]))
    try:
        with pytest.raises(OSError, match=r"cannot be written \(File too large\); nothing was"):
            export_saved_model(localizer, tmp_path / "models")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "../elsewhere"}, r"made of letters, .*; received '\.\./elsewhere'"),
        ({"name": ""}, "made of letters"),
        ({"version": 0}, "a whole number from 1; received 0"),
        ({"top_k": 9}, "top_k=9"),
    ],
    ids=["name with a path", "no name", "version", "top_k"],
)
def test_what_cannot_be_exported(localizer, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        export_saved_model(localizer, tmp_path, **options)
    assert names_under(tmp_path) == []


def test_models_join_the_configuration_that_is_there(tmp_path):
    messages = pytest.importorskip("tensorflow_serving.config.model_server_config_pb2")
    from google.protobuf import text_format

    (tmp_path / "batching_parameters.txt").write_text("max_batch_size { value: 7 }\n")
    (tmp_path / "models.config").write_text("# ours\n")
    for name in ("birds", "cars", "birds"):
        saved_model._enter(tmp_path, name)
    text = (tmp_path / "models.config").read_text()
    config = text_format.Parse(text, messages.ModelServerConfig())
    assert [(each.name, each.base_path) for each in config.model_config_list.config] == [
        ("birds", "/models/birds"),
        ("cars", "/models/cars"),
    ]
    assert text.startswith("# ours\n")
    assert (tmp_path / "batching_parameters.txt").read_text() == "max_batch_size { value: 7 }\n"


def test_variables_outside_of_keras_are_exported_too(tmp_path):
    import keras

    class Scale(keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self.factor = tf.Variable(2.0)

        def call(self, inputs):
            return inputs * self.factor

    scaled = make_localizer(first=Scale())
    loaded = tf.saved_model.load(export_saved_model(scaled, tmp_path))
    batch = np.full((1, 24, 32, 3), 9, np.uint8)
    found = loaded.signatures["images"](images=tf.constant(batch))
    np.testing.assert_allclose(found["boxes"][:, 0], scaled(batch).boxes, atol=1e-5)


@pytest.mark.parametrize("rule", ["guided", "deconvnet"])
def test_rules_for_derivatives_stay_behind_and_their_results_do_not(localizer, tmp_path, rule):
    other = follow(maps.create(rule, localizer.classifier))
    export = export_saved_model(other, tmp_path)
    # A loader would look for it among the rules that it knows, and warn.
    assert b"sensmap>" not in (export / "saved_model.pb").read_bytes()
    batch = np.stack([picture(40, 50, seed) for seed in range(2)])
    found = ServedModel(export)(batch).boxes[:, 0]
    np.testing.assert_allclose(found, other(batch).boxes, atol=1e-6)
    assert np.abs(found - localizer(batch).boxes).max() > 1e-3, "boxes this alike prove nothing"
