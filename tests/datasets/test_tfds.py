"""TensorFlow Datasets: a small set of each form, and the features of real ones with mock data."""

import functools

import numpy as np
import pytest
import tensorflow_datasets as tfds
from tensorflow_datasets.testing import mocking

from sensmap import images
from sensmap.datasets import ExampleError, load
from sensmap.datasets import tfds as source

COUNT = 6


def box_feature(**options):
    return tfds.features.BBoxFeature(**options)


class SmallBoxes(tfds.core.GeneratorBasedBuilder):
    """Pictures with boxes in the forms of the well-known sets, one config a form."""

    VERSION = tfds.core.Version("1.2.0")
    BUILDER_CONFIGS = [  # noqa: RUF012  TFDS's own form
        tfds.core.BuilderConfig(name=name) for name in ("bbox", "objects", "labelled", "pixels")
    ]

    def _info(self):
        label = tfds.features.ClassLabel(names=["emu", "roo"])
        inside = {"bbox": box_feature()}
        more = {
            "bbox": {"label": label, "bbox": box_feature()},
            "objects": {"label": label, "objects": tfds.features.Sequence(inside)},
            "labelled": {"objects": tfds.features.Sequence({**inside, "label": label})},
            "pixels": {"label": label, "bbox": box_feature(bbox_format="XYXY")},
        }[self.builder_config.name]
        features = tfds.features.FeaturesDict({"image": tfds.features.Image(), **more})
        return tfds.core.DatasetInfo(builder=self, features=features)

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples(), "test": self._generate_examples()}

    def _generate_examples(self):
        for index in range(COUNT):
            box = tfds.features.BBox(ymin=index / 8, xmin=0.25, ymax=1.0, xmax=0.75)
            example = {"image": np.full((4, 8, 3), index, np.uint8), "label": index % 2}
            if self.builder_config.name == "bbox":
                example["bbox"] = box
            elif self.builder_config.name == "pixels":
                example["bbox"] = np.array([0, 0, 4, 4], np.float32)
            elif self.builder_config.name == "objects":
                example["objects"] = [{"bbox": box}] * (index % 3)
            else:
                label = example.pop("label")
                example["objects"] = [{"bbox": box, "label": label}, {"bbox": box, "label": 1}]
            yield index, example


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tfds")
    for config in SmallBoxes.builder_configs:
        SmallBoxes(data_dir=folder, config=config).download_and_prepare()
    return folder


def test_one_box(data_dir):
    dataset = load("tfds:small_boxes/bbox", data_dir)
    assert (len(dataset), dataset.classes) == (COUNT, ("emu", "roo"))
    assert dataset.ids[0] == "small_boxes/bbox/train/0000000"
    for example in dataset:
        index = images.load(example.image)[0, 0, 0]
        assert isinstance(example.image, bytes)
        assert example.boxes.tolist() == [[0.25, index / 8, 0.75, 1.0]]
        assert example.labels == (index % 2,)
        assert example.box_labels.tolist() == [index % 2]
        assert example.size == (4, 8)


def test_objects_without_labels_have_the_images(data_dir):
    for example in load("tfds:small_boxes/objects", data_dir):
        index = images.load(example.image)[0, 0, 0]
        assert example.box_labels.tolist() == [index % 2] * (index % 3)


def test_objects_with_labels(data_dir):
    for example in load("tfds:small_boxes/labelled", data_dir, "test"):
        index = images.load(example.image)[0, 0, 0]
        assert example.labels == ((0, 1) if index % 2 == 0 else (1,))
        assert example.box_labels.tolist() == [index % 2, 1]


def test_any_order_gives_the_same_examples(data_dir):
    dataset = load("tfds:small_boxes/bbox", data_dir)
    ascending = [example.boxes.tolist() for example in dataset]
    for position in (5, 0, 3, 3, 4, 1, -1):
        assert dataset[position].boxes.tolist() == ascending[position]
    assert [example.boxes.tolist() for example in dataset.select([1, 3, 5])] == ascending[1::2]


def test_a_slice_of_a_split(data_dir):
    part = load("tfds:small_boxes/bbox", data_dir, "train[2:4]")
    whole = load("tfds:small_boxes/bbox", data_dir)
    assert [e.boxes.tolist() for e in part] == [whole[p].boxes.tolist() for p in (2, 3)]


def test_a_version_can_be_named_and_the_newest_is_the_default(data_dir, tmp_path):
    config = data_dir / "small_boxes" / "bbox" / "1.2.0"
    for version in ("1.2.0", "1.10.0"):
        target = tmp_path / "small_boxes" / "bbox" / version
        target.mkdir(parents=True)
        for path in config.iterdir():
            (target / path.name).write_bytes(path.read_bytes())
    assert source._prepared(tmp_path, "small_boxes/bbox").name == "1.10.0"
    assert source._prepared(tmp_path, "small_boxes").name == "1.10.0"  # there is one config
    assert len(load("tfds:small_boxes/bbox:1.2.0", tmp_path)) == COUNT


@pytest.mark.parametrize(
    ("name", "split", "error", "message"),
    [
        ("small_boxes", None, ValueError, "in several configs: small_boxes/bbox, "),
        ("small_boxes/bbox", "val", ValueError, "(?i)split"),
        ("small_boxes/pixels", None, ValueError, "boxes in the form XYXY"),
        ("cars196", None, FileNotFoundError, "no prepared set 'cars196' in"),
    ],
)
def test_what_cannot_be_opened(data_dir, name, split, error, message):
    with pytest.raises(error, match=message):
        load(f"tfds:{name}", data_dir, split)


def test_a_download_is_only_made_when_allowed(tmp_path):
    with pytest.raises(ValueError, match="TensorFlow Datasets has no set 'no_such_birds'"):
        load("tfds:no_such_birds", tmp_path, download=True)
    dataset = load("tfds:small_boxes/bbox", tmp_path, download=True)
    assert len(dataset) == len(load("tfds:small_boxes/bbox", tmp_path)) == COUNT


@pytest.mark.parametrize(
    ("name", "classes"),
    [("caltech_birds2011", 200), ("cars196", 196), ("stanford_dogs", 120), ("voc/2007", 20)],
)
def test_features_of_real_sets(name, classes, tmp_path, monkeypatch):
    # Mock boxes are random, mostly inverted, and TFDS itself would not write them; and mock
    # sequences of several features have a length for each, unless they are told otherwise.
    monkeypatch.setattr(
        tfds.features.BBoxFeature, "encode_example", lambda self, box: np.asarray(box, np.float32)
    )
    constant = functools.partial(mocking.EncodedRandomFakeGenerator, constant_dynamic_shape=True)
    monkeypatch.setattr(mocking, "EncodedRandomFakeGenerator", constant)
    with tfds.testing.mock_data(num_examples=4, data_dir=str(tmp_path)):
        dataset = source.from_builder(tfds.builder(name))
        assert (len(dataset), len(dataset.classes)) == (4, classes)
        for example in dataset:
            assert len(example.boxes) == len(example.box_labels)
            assert (example.boxes[:, 2:] > example.boxes[:, :2]).all()
            assert example.boxes.size or example.dropped
            assert 0 < len(example.labels) <= classes
            assert images.load(example.image).shape[:2] == example.size


@pytest.mark.parametrize("name", ["mnist", "imagenet2012", "wider_face"])
def test_sets_without_labels_or_boxes_are_refused(name, tmp_path):
    with (
        tfds.testing.mock_data(num_examples=1, data_dir=str(tmp_path)),
        pytest.raises(ValueError, match=f"{name} must have the features image, bbox or"),
    ):
        source.from_builder(tfds.builder(name))


def test_a_jpeg_that_exif_turns_stays_as_tfds_decodes_it(encoded):
    feature = tfds.features.Image()
    image, header = source._upright(feature, encoded(".jpg", 4, 8, orientation=6), "a")
    assert (image.shape, header.size) == ((4, 8, 3), (4, 8))
    with pytest.raises(ExampleError, match="a: "):
        source._upright(feature, b"no image", "a")
