"""What is built comes back; what is not as it was built is found and named."""

import hashlib
import json
import re
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from sensmap import classifiers, datasets, feature_store, files, maps, splits
from sensmap.datasets import Dataset, Example, ExampleError
from sensmap.localizers.graphcut import GraphCut
from sensmap.pipeline import Extractor

DIGITS = datasets.load("digits", split="fit", count=11)
NAMES = [str(digit) for digit in range(10)]
SHARDS = [f"features-0000{number}-of-00004.tfrecord" for number in range(4)]


def classifier(names=NAMES, seed=0):
    keras.utils.set_random_seed(seed)
    model = keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            layers.Conv2D(6, 3, strides=2, activation="relu", name="conv1"),
            layers.Conv2D(8, 3, strides=2, activation="relu", name="conv2"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(len(names)),
        ]
    )
    return classifiers.load(model, "tf", class_names=names)


@pytest.fixture(scope="module")
def extractor():
    return Extractor(maps.create("gradient", classifier(), layers=["pixels", "conv2"]), top_k=2)


@pytest.fixture(scope="module")
def built(extractor, tmp_path_factory):
    folder = tmp_path_factory.mktemp("stores") / "two words"
    feature_store.build(folder, extractor, DIGITS, shard_size=3, batch_size=2)
    return folder


@pytest.fixture
def store(built, tmp_path):
    """A copy that may be damaged."""
    return Path(shutil.copytree(built, tmp_path / "store"))


def dataset(examples, classes=NAMES):
    """A data set of these examples; one that is an exception is raised when it is read."""

    def read(position):
        if isinstance(examples[position], Exception):
            raise examples[position]
        return examples[position]

    ids = [getattr(example, "id", f"unread{i}") for i, example in enumerate(examples)]
    return Dataset("made", classes, ids, read)


def content(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def assert_same_readings(found, expected):
    for name in ("class_ids", "scores", "features"):
        one, two = getattr(found, name), getattr(expected, name)
        assert one.dtype == two.dtype
        np.testing.assert_array_equal(one, two)
    assert set(found.of) == set(expected.of)
    for name, each in found.of.items():
        assert each.dtype == expected.of[name].dtype
        np.testing.assert_array_equal(each, expected.of[name])


def assert_same_table(found, expected):
    assert found.ids == expected.ids
    assert_same_readings(found.asked, expected.asked)
    assert_same_readings(found.guessed, expected.guessed)
    for name in ("labels", "sizes"):
        one, two = getattr(found, name), getattr(expected, name)
        assert one.dtype == two.dtype
        np.testing.assert_array_equal(one, two)
    for one, two in zip(found.truths, expected.truths, strict=True):
        assert one.dtype == two.dtype
        np.testing.assert_array_equal(one, two)
    assert sorted(found.skipped) == sorted(expected.skipped)
    assert found.dropped == expected.dropped
    assert found.degenerate == expected.degenerate
    assert found.judged == expected.judged == {}


# --- Round trip ---


def test_shards_are_the_tables_of_their_blocks(extractor, built):
    tables = list(feature_store.open(built).shards())
    assert [len(table) for table in tables] == [3, 3, 3, 2]
    for number, table in enumerate(tables):
        block = DIGITS.select(range(11)[3 * number : 3 * number + 3])
        assert_same_table(table, extractor.extract(block, batch_size=2))


def test_one_shard_is_the_whole_table_with_all_that_is_wrong(extractor, tmp_path):
    (tmp_path / "empty.png").write_bytes(b"")
    boxes = np.array([[0, 0, 0.5, 0.5], [0, 0, 1, 1]], np.float32)
    owners = np.array([7, 1], np.int32)
    examples = [
        Example("missing", tmp_path / "missing.png", (2,)),
        Example("wide", np.full((20, 40, 3), 9, np.uint8), (7, 1), boxes, owners, (200, 400)),
        ExampleError("its annotation is damaged"),
        Example("empty", tmp_path / "empty.png", (2,)),
        Example("unlabelled", DIGITS[1].image),
        Example("left out", DIGITS[2].image, (4,), dropped=("box 1 is inverted", "box 3 is empty")),
        *(DIGITS[place] for place in range(6)),
    ]
    data = dataset(examples)
    expected = extractor.extract(data, batch_size=4)
    assert len(expected.skipped) == 4
    result = feature_store.build(tmp_path / "store", extractor, data, batch_size=4)
    (table,) = result.store.shards()
    assert_same_table(table, expected)
    reasons = dict(expected.skipped)
    wrong = ["missing", "unread2", "empty", "unlabelled"]  # in the data set's order
    assert table.skipped == [(name, reasons[name]) for name in wrong]
    assert len(result.store) == 8
    assert list(result.store.ids()) == expected.ids


def test_readings_of_localizers_on_the_host(tmp_path):
    method = maps.create("gradient", classifier())
    readers = {"graphcut": GraphCut(components=2, side=40)}
    extractor = Extractor(method, None, readers, top_k=1)
    result = feature_store.build(tmp_path / "store", extractor, DIGITS, batch_size=4)
    (table,) = result.store.shards()
    assert table.asked.of["graphcut"].shape == (11, GraphCut.size)
    assert_same_table(table, extractor.extract(DIGITS, batch_size=4))
    assert result.store.manifest["readers"]["graphcut"]["components"] == 2


def test_maps_that_say_nothing_are_flagged(tmp_path):
    silent = classifier()
    silent.model.layers[-1].kernel.assign(tf.zeros_like(silent.model.layers[-1].kernel))
    extractor = Extractor(maps.create("gradient", silent))
    data = DIGITS.select(range(5))
    result = feature_store.build(tmp_path / "store", extractor, data, shard_size=3)
    assert [table.degenerate for table in result.store.shards()] == [3, 2]


def test_a_shard_whose_images_were_all_skipped(extractor, tmp_path):
    examples = [Example(f"gone{i}", tmp_path / f"{i}.png", (1,)) for i in range(2)]
    data = dataset([*examples, DIGITS[0], DIGITS[1]])
    result = feature_store.build(tmp_path / "store", extractor, data, shard_size=2)
    first, second = result.store.shards()
    assert [name for name, _ in first.skipped] == ["gone0", "gone1"]
    assert (len(first), len(second)) == (0, 2)
    assert first.features.shape == (0, second.features.shape[1])
    assert first.guessed.features.shape == (0, *second.guessed.features.shape[1:])


def test_tensorflow_alone_reads_a_shard(extractor, built):
    ids = []
    for name in SHARDS:
        for record in tf.data.TFRecordDataset(str(built / name)):
            values = tf.train.Example.FromString(record.numpy()).features.feature
            ids += [value.decode() for value in values["id"].bytes_list.value]
    assert ids == list(DIGITS.ids)


def test_what_is_written(built, extractor):
    assert sorted(content(built)) == [
        *SHARDS,
        *(f"index/0000{number}.json" for number in range(4)),
        *("lock", "manifest.json"),
    ]
    index = files.read_json(built / "index" / "00003.json")
    assert (index["records"], index["images"], index["skipped"]) == (2, 2, 0)
    assert index["bytes"] == (built / SHARDS[3]).stat().st_size
    written = files.read_json(built / "manifest.json")
    assert written["data"]["ids_sha256"] == splits.ids_sha256(DIGITS.ids)
    assert written["classifier"] == extractor.method.classifier.config
    assert written["maps"] == extractor.method.config
    assert written["numbers"]["features"] == 304
    assert written["versions"]["tensorflow"] == tf.__version__


def test_another_build_gives_the_same_bytes(built, tmp_path):
    again = Extractor(maps.create("gradient", classifier(), layers=["pixels", "conv2"]), top_k=2)
    feature_store.build(tmp_path / "again", again, DIGITS, shard_size=3, batch_size=2)
    expected = {**content(built)}
    found = content(tmp_path / "again")
    for each in (expected, found):  # the two networks have names of their own
        manifest = json.loads(each.pop("manifest.json"))
        del manifest["classifier"]["source"]
        each["manifest"] = manifest
    assert found == expected


# --- Going on ---


def never(*_):
    raise RuntimeError("nothing was to be computed")


def test_a_finished_store_is_taken_over(extractor, store, monkeypatch):
    before = content(store)
    monkeypatch.setattr(feature_store.plan.extraction, "rows", never)
    result = feature_store.build(store, extractor, DIGITS, shard_size=3, batch_size=2)
    assert (result.taken_over, result.made, result.other_versions) == (4, [], [])
    assert content(store) == before


def test_an_exception_keeps_what_is_finished(extractor, built, tmp_path):
    def read(place):
        if place == 7:
            raise MemoryError
        return DIGITS[place]

    failing = Dataset(DIGITS.name, DIGITS.classes, DIGITS.ids, read)
    with pytest.raises(MemoryError):
        feature_store.build(tmp_path / "new", extractor, failing, shard_size=3, batch_size=2)
    assert sorted(path.name for path in (tmp_path / "new").glob("*.tfrecord")) == SHARDS[:2]
    result = feature_store.build(tmp_path / "new", extractor, DIGITS, shard_size=3, batch_size=2)
    assert (result.taken_over, result.made) == (2, SHARDS[2:])
    assert content(tmp_path / "new") == content(built)


def test_a_full_disk_keeps_what_is_finished(extractor, tmp_path):
    gone = [Example(f"gone{i}", tmp_path / f"{i}.png", (1,)) for i in range(2)]
    data = dataset([*gone, *(DIGITS[place] for place in range(4))])  # the first shard is small
    whole = feature_store.build(tmp_path / "whole", extractor, data, shard_size=3)
    sizes = [path.stat().st_size for path in sorted((tmp_path / "whole").glob("*.tfrecord"))]
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (sum(sizes) // 2, before[1]))
    try:
        with pytest.raises(OSError, match=r"00001-of-00002.*File too large.*goes on") as caught:
            feature_store.build(tmp_path / "full", extractor, data, shard_size=3)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "\n" not in str(caught.value)
    assert sorted(path.name for path in (tmp_path / "full").iterdir()) == [
        *("features-00000-of-00002.tfrecord", "index", "lock", "manifest.json")
    ]
    result = feature_store.build(tmp_path / "full", extractor, data, shard_size=3)
    assert result.taken_over == 1
    assert content(tmp_path / "full") == content(whole.store.folder)


def test_a_device_that_is_really_full_is_told_of(monkeypatch, extractor, tmp_path):
    real = tf.io.TFRecordWriter
    monkeypatch.setattr(tf.io, "TFRecordWriter", lambda path: real("/dev/full"))
    with pytest.raises(OSError, match="No space left on device"):
        feature_store.build(tmp_path / "new", extractor, DIGITS)


def test_a_store_that_became_another_while_a_shard_was_made(extractor, store, tmp_path):
    def read(place):
        if not overwritten:
            overwritten.append(True)
            feature_store.build(store, extractor, DIGITS, "predicted", 3, 2, overwrite=True)
        return DIGITS[place]

    overwritten = []
    watching = Dataset(DIGITS.name, DIGITS.classes, DIGITS.ids, read)
    late = feature_store.Plan(store, extractor, watching, shard_size=3, batch_size=2)
    with pytest.raises(ValueError, match="class_of: stored predicted, given truth"):
        late.make(0)
    feature_store.build(tmp_path / "new", extractor, DIGITS, "predicted", 3, 2)
    assert content(store) == content(tmp_path / "new")
    with pytest.raises(ValueError, match="class_of: stored predicted, given truth"):
        late.is_whole(0)


def test_shards_of_a_store_with_other_settings_are_made_again(extractor, built, tmp_path):
    feature_store.build(tmp_path / "new", extractor, DIGITS, "predicted", 3, 2)
    expected = content(tmp_path / "new")
    for name in (SHARDS[1], "index/00001.json"):  # by a process that meant the former store
        shutil.copy(built / name, tmp_path / "new" / name)
    (damage,) = feature_store.open(tmp_path / "new").verify()
    assert damage == (SHARDS[1], "it was made for a feature store of something else")
    result = feature_store.build(tmp_path / "new", extractor, DIGITS, "predicted", 3, 2)
    assert result.made == [SHARDS[1]]
    assert content(tmp_path / "new") == expected


def test_a_leftover_that_is_renamed_while_it_is_cleaned_up(extractor, store, monkeypatch):
    (store / f".{SHARDS[0]}.0a.partial").write_bytes(b"half")
    unlink = Path.unlink

    def late(path, **options):
        if path.name.startswith(".features"):
            unlink(path)
        unlink(path, **options)

    monkeypatch.setattr(Path, "unlink", late)
    assert feature_store.build(store, extractor, DIGITS, shard_size=3, batch_size=2).taken_over == 4


# --- Refusals ---


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"batch_size": 4}, ["batch_size: stored 2, given 4"]),
        (
            {"shard_size": 2, "batch_size": 1},
            ["batch_size: stored 2, given 1", "shard_size: stored 3, given 2", "shards: stored 4"],
        ),
        ({"class_of": "predicted"}, ["class_of: stored truth, given predicted"]),
        (
            {"dataset": DIGITS.select(range(10))},
            ["data.images: stored 11, given 10", "data.ids_sha256: stored "],
        ),
        (
            {"extractor": lambda: Extractor(maps.create("guided", classifier()), "pooled")},
            [
                *("top_k: stored 2, given 0", "maps.name: stored gradient, given guided"),
                *("maps.layers: stored ['pixels', 'conv2'], given ['pixels']",),
                "features: stored quantiles, given pooled",
            ],
        ),
        (
            {"extractor": lambda: Extractor(maps.create("gradient", classifier(seed=1)))},
            ["classifier.fingerprint: stored "],
        ),
        (
            {
                "extractor": lambda: Extractor(
                    maps.create("gradient", classifier(), layers=["pixels", "conv2"]),
                    top_k=2,
                    jit_compile=True,
                )
            },
            ["(jit_compile: stored nothing, given True)"],
        ),
    ],
    ids=["batches", "shards", "class", "images", "maps", "weights", "compiler"],
)
def test_a_store_of_something_else(extractor, store, changed, expected):
    before = content(store)
    given = {"dataset": DIGITS, "shard_size": 3, "batch_size": 2, **changed}
    given["extractor"] = given.get("extractor", lambda: extractor)()
    with pytest.raises(ValueError, match="is a feature store of something else") as caught:
        feature_store.build(store, **given)
    for line in expected:
        assert line in str(caught.value)
    assert "numbers" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert content(store) == before


def test_a_store_of_something_else_can_be_replaced(extractor, store, tmp_path):
    data = DIGITS.select(range(5))
    feature_store.build(store, extractor, data, shard_size=4, overwrite=True)
    feature_store.build(tmp_path / "new", extractor, data, shard_size=4)
    assert content(store) == content(tmp_path / "new")


def test_other_versions_are_told(extractor, store):
    manifest = files.read_json(store / "manifest.json")
    manifest["versions"]["tensorflow"] = "2.0"
    files.write_json(store / "manifest.json", manifest)
    (store / SHARDS[1]).unlink()
    result = feature_store.build(store, extractor, DIGITS, shard_size=3, batch_size=2)
    assert result.other_versions == [f"tensorflow was 2.0, is {tf.__version__}"]


def test_a_folder_of_other_things_stays_as_it_is(extractor, tmp_path):
    (tmp_path / "precious.txt").write_text("!")
    for overwrite in (False, True):
        with pytest.raises(FileExistsError, match="holds no feature store"):
            feature_store.build(tmp_path, extractor, DIGITS, overwrite=overwrite)
    assert content(tmp_path) == {"precious.txt": b"!"}
    with pytest.raises(FileExistsError, match="a file is in its place"):
        feature_store.build(tmp_path / "precious.txt", extractor, DIGITS)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"dataset": DIGITS.select([])}, "it is empty"),
        ({"shard_size": 0}, "shard_size is how many images, 1 or more; received 0"),
        ({"batch_size": -1}, "batch_size is how many"),
        ({"class_of": "zebra"}, "no class 'zebra'"),
        (
            {"extractor": Extractor(maps.create("gradient", classifier()), top_k=11)},
            "1 to 10 classes",
        ),
    ],
)
def test_what_cannot_be_built_makes_no_folder(extractor, tmp_path, given, message):
    with pytest.raises(ValueError, match=message):
        feature_store.build(
            tmp_path / "new", **{"extractor": extractor, "dataset": DIGITS, **given}
        )
    assert not (tmp_path / "new").exists()


def test_judges_have_no_place(extractor, tmp_path):
    judging = Extractor(extractor.method, judges={"area": lambda *_: np.zeros(1)})
    with pytest.raises(ValueError, match="nothing of judges"):
        feature_store.build(tmp_path / "new", judging, DIGITS)


def test_no_image_could_be_used(extractor, tmp_path):
    data = dataset([Example(f"gone{i}", tmp_path / f"{i}.png", (1,)) for i in range(3)])
    with pytest.raises(ValueError, match=r"No image of made could be used \(gone0: .*no such file"):
        feature_store.build(tmp_path / "new", extractor, data, shard_size=2)


def test_no_store(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"There is no feature store in .*no manifest"):
        feature_store.open(tmp_path)


@pytest.mark.parametrize("text", ["{", "[]", '{"format": 2}'])
def test_a_damaged_manifest(extractor, store, text):
    (store / "manifest.json").write_text(text)
    with pytest.raises(ValueError, match=r"manifest\.json.* not (a valid|describe a feature)"):
        feature_store.open(store)
    with pytest.raises(ValueError, match=r"manifest\.json"):
        feature_store.build(store, extractor, DIGITS, shard_size=3, batch_size=2)
    feature_store.build(store, extractor, DIGITS, shard_size=3, batch_size=2, overwrite=True)
    assert feature_store.open(store).verify() == []


# --- Damage ---


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def truncate(path):
    path.write_bytes(path.read_bytes()[:-1])


def recount(path):
    index = files.read_json(path)
    files.write_json(path, {**index, "images": 1})


def of_another_store(path):
    """A shard that is whole, but made with other settings."""
    files.write_json(path, {**files.read_json(path), "made_from": "0" * 16})


def swap_content(path):
    """A file with a fitting index that is no shard."""
    path.write_bytes(b"other")
    index = path.parent / "index" / "00002.json"
    of_other = {"sha256": hashlib.sha256(b"other").hexdigest(), "bytes": 5}
    files.write_json(index, {**files.read_json(index), **of_other})


DAMAGE = {
    "flipped byte": (flip, SHARDS[2], "its SHA-256 is not that of its index"),
    "truncated": (truncate, SHARDS[2], r"it has \d+ bytes, and its index says \d+"),
    "missing": (Path.unlink, SHARDS[2], "it is missing"),
    "missing index": (Path.unlink, "index/00002.json", "its index, index/00002.json, is missing"),
    "broken index": (lambda path: path.write_text('{"rec'), "index/00002.json", "is damaged"),
    "other JSON": (lambda path: path.write_text("5"), "index/00002.json", "is damaged"),
    "index that lies": (recount, "index/00002.json", "other records than its index says"),
    "other store": (of_another_store, "index/00002.json", "made for a feature store of something"),
    "other file": (swap_content, SHARDS[2], "it holds no records of a feature store"),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_damage_is_found_named_and_repaired(extractor, built, store, case):
    spoil, name, reason = DAMAGE[case]
    spoil(store / name)
    opened = feature_store.open(store)
    (damage,) = opened.verify()
    assert damage.shard == SHARDS[2]
    with pytest.raises(
        ValueError, match=f"store: the shard {SHARDS[2]} cannot be used: "
    ) as caught:
        list(opened.shards())
    assert damage.reason in str(caught.value)
    assert "\n" not in str(caught.value)
    assert re.search(reason, damage.reason)
    result = feature_store.build(store, extractor, DIGITS, shard_size=3, batch_size=2)
    assert (result.taken_over, result.made) == (3, [SHARDS[2]])
    assert content(store) == content(built)


def test_shards_before_the_damage_are_read(store):
    (store / SHARDS[2]).unlink()
    tables = feature_store.open(store).shards()
    assert [len(next(tables)), len(next(tables))] == [3, 3]
    with pytest.raises(ValueError, match=SHARDS[2]):
        next(tables)


# --- Two at once ---

HOLD = """
import fcntl, sys
file = open(sys.argv[1], "r+")
fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


def test_a_second_process_is_refused_until_the_first_is_dead(extractor, store):
    (store / SHARDS[0]).unlink()
    before = content(store)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, store / "lock"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(BlockingIOError, match="another process is writing") as caught:
            feature_store.build(store, extractor, DIGITS, shard_size=3, batch_size=2)
        assert "\n" not in str(caught.value)
        assert content(store) == before
        holder.kill()
    result = feature_store.build(store, extractor, DIGITS, shard_size=3, batch_size=2)
    assert result.taken_over == 3


def test_a_build_holds_the_lock(extractor, tmp_path):
    refused = []

    def read(place):
        if not refused:
            with pytest.raises(BlockingIOError) as caught:
                feature_store.build(tmp_path / "new", extractor, DIGITS)
            refused.append(caught)
        return DIGITS[place]

    watching = Dataset(DIGITS.name, DIGITS.classes, DIGITS.ids, read)
    feature_store.build(tmp_path / "new", extractor, watching)
    assert refused
