"""The batches that a classifier is trained with."""

import contextlib
import threading
import weakref

import numpy as np
import pytest
import tensorflow as tf

from sensmap import images
from sensmap.classifiers import Preprocessing, _training_data
from sensmap.classifiers._training_data import Batches
from sensmap.datasets import Dataset, Example, ExampleError

TF = Preprocessing.of("tf")
SIZE = (6, 4)


def plain(count=10, bad=(), read=None):
    """Image ``i`` is plain, of the grey level ``10 i``, and of the classes ``i % 3`` and 2."""

    def example(position):
        if read:
            read(position)
        if position in bad:
            raise ExampleError(bad[position])
        pixels = np.full((*SIZE, 3), 10 * position, np.uint8)
        return Example(id=ids[position], image=pixels, labels=(position % 3, 2))

    ids = [f"image{position}" for position in range(count)]
    return Dataset("plain", ["a", "b", "c"], ids, example)


OPEN = contextlib.ExitStack()


def batches(dataset, batch_size=4, preprocessing=TF, size=SIZE, **options):
    return OPEN.enter_context(Batches(dataset, size, preprocessing, batch_size, **options))


@pytest.fixture(autouse=True)
def closed():
    yield
    OPEN.close()


def arrays(made, epochs=1):
    """The batches of some epochs, one after the other, as arrays."""
    return [[each.numpy() for each in batch] for _ in range(epochs) for batch in made.epoch()]


def positions(found):
    """Which of the plain images stand in some batches."""
    return [
        round(float(image.flat[0] + 1) * 127.5) // 10 for pixels, _ in found for image in pixels
    ]


@pytest.fixture(params=["held", "decoded in each epoch"])
def any_size(request, monkeypatch):
    if request.param != "held":
        monkeypatch.setattr(_training_data, "HELD_BYTES", 0)


@pytest.mark.usefixtures("any_size")
def test_an_epoch_has_every_image_once_with_its_label():
    made = batches(plain())
    assert (made.count, made.steps) == (10, 3)
    found = arrays(made)
    assert [pixels.shape for pixels, _ in found] == [(4, 6, 4, 3), (4, 6, 4, 3), (2, 6, 4, 3)]
    assert sorted(positions(found)) == list(range(10))
    labels = np.concatenate([labels for _, labels in found])
    assert labels.tolist() == [position % 3 for position in positions(found)]
    # Every pixel of a plain image is preprocessed alike.
    assert all((pixels == pixels[:, :1, :1, :1]).all() for pixels, _ in found)


@pytest.mark.usefixtures("any_size")
def test_the_order_is_that_of_the_seed_and_new_in_each_epoch():
    def orders(seed):
        made = batches(plain(20), seed=seed)
        return [positions(arrays(made)) for _ in range(2)]

    first, second = orders(3)
    assert [first, second] == orders(3)
    assert first != second
    assert orders(4)[0] not in (first, list(range(20)))


@pytest.mark.parametrize("options", [{}, {"sizes": (2, 9)}, {"multilabel": True}])
def test_larger_data_sets_give_the_same_batches(monkeypatch, options):
    bad = {3: "its XML is broken", 8: "truncated"}
    held = arrays(batches(plain(20, bad), seed=5, **options), epochs=2)
    monkeypatch.setattr(_training_data, "HELD_BYTES", 0)
    decoded = arrays(batches(plain(20, bad), seed=5, **options), epochs=2)
    assert len(held) == len(decoded) == 2 * 5
    for one, other in zip(held, decoded, strict=True):
        for a, b in zip(one, other, strict=True):
            assert (a.dtype, a.tobytes()) == (b.dtype, b.tobytes())


def test_what_fits_the_budget_is_read_once(monkeypatch):
    taken = 5 * 6 * 4 * 3
    for budget, times in ((taken, 1), (taken - 1, 3)):
        monkeypatch.setattr(_training_data, "HELD_BYTES", budget)
        seen = []
        arrays(batches(plain(5, read=seen.append)), epochs=2)
        assert sorted(seen) == sorted(list(range(5)) * times)


@pytest.mark.usefixtures("any_size")
def test_examples_are_read_by_one_thread_first_in_order():
    seen = []

    def read(position):
        seen.append((position, threading.get_ident()))

    made = batches(plain(25, read=read))
    assert [position for position, _ in seen] == list(range(25))
    arrays(made)
    assert len({thread for _, thread in seen}) == 1


@pytest.mark.usefixtures("any_size")
def test_pixels_are_those_of_the_resized_file(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (17, 13, 3), np.uint8)
    encoded = tf.io.encode_jpeg(pixels).numpy()
    (tmp_path / "a.jpg").write_bytes(encoded)
    sources = [tmp_path / "a.jpg", encoded, images.load(encoded)]
    dataset = Dataset("files", ["a"], "xyz", lambda i: Example("xyz"[i], sources[i], (0,)))
    ((found, _),) = arrays(batches(dataset, preprocessing=Preprocessing.of("caffe")))
    resized, _ = images.load_resized(tmp_path / "a.jpg", SIZE)
    expected = Preprocessing.of("caffe")(np.rint(resized))
    assert found.tolist() == [expected.tolist()] * 3


@pytest.mark.usefixtures("any_size")
def test_several_labels_are_marked():
    ((pixels, labels),) = arrays(batches(plain(6), batch_size=6, multilabel=True))
    assert labels.dtype == np.float32
    marked = {0: [1, 0, 1], 1: [0, 1, 1], 2: [0, 0, 1]}
    assert labels.tolist() == [marked[position % 3] for position in positions([(pixels, labels)])]


@pytest.mark.usefixtures("any_size")
def test_each_step_has_a_size_and_half_of_them_are_mirrored():
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[:, :4] = 255  # bright on the left
    ids = [str(i) for i in range(80)]
    dataset = Dataset("halves", ["a"], ids, lambda i: Example(ids[i], pixels, (0,)))
    options = {"batch_size": 2, "size": (8, 8), "sizes": (4, 8), "seed": 1}
    found = [pixels for pixels, _ in arrays(batches(dataset, **options))]
    sides = [each.shape[1] for each in found]
    assert all(each.shape == (2, side, side, 3) for each, side in zip(found, sides, strict=True))
    assert set(sides) == {4, 5, 6, 7, 8}
    left = [bool((each[:, :, 0] > each[:, :, -1]).all()) for each in found]
    right = [bool((each[:, :, 0] < each[:, :, -1]).all()) for each in found]
    assert [not each for each in left] == right
    assert 10 < sum(left) < 30  # of 40


def test_pixels_and_threads_are_let_go():
    threads = threading.active_count()
    with Batches(plain(), SIZE, TF, 4) as made:
        arrays(made)
        pixels = weakref.ref(made._held)
    assert pixels() is None
    assert threading.active_count() <= threads


# --- What cannot be used ---


@pytest.mark.usefixtures("any_size")
def test_each_is_named_once():
    text = Example("image2", b"hello", (1,))
    good = plain(6, {4: "its XML is broken"})
    dataset = Dataset("mixed", "abc", good.ids, lambda i: text if i == 2 else good[i])
    made = batches(dataset)
    arrays(made, epochs=3)
    assert sorted(made.skipped) == [
        ("image2", "image of 5 bytes: not an image (JPEG, PNG, GIF, BMP or WebP)."),
        ("image4", "its XML is broken"),
    ]
    assert (made.count, made.steps) == (4, 1)


def test_an_image_that_disappears_is_left_out_and_named_once(monkeypatch):
    monkeypatch.setattr(_training_data, "HELD_BYTES", 0)
    bad = {}
    made = batches(plain(10, bad))
    bad[7] = "gone"
    found = arrays(made, epochs=2)
    assert sorted(positions(found)) == sorted([0, 1, 2, 3, 4, 5, 6, 8, 9] * 2)
    assert len(found) == 2 * made.steps
    labels = [label for _, labels in found for label in labels]
    assert labels == [position % 3 for position in positions(found)]
    assert made.skipped == [("image7", "gone")]


def test_an_epoch_breaks_off_where_all_images_disappear(monkeypatch):
    monkeypatch.setattr(_training_data, "HELD_BYTES", 0)
    bad = {}
    made = batches(plain(3, bad))
    bad.update(dict.fromkeys(range(3), "gone"))
    with pytest.raises(tf.errors.OpError):
        arrays(made)
    assert str(made.failure).startswith("Too few images of a batch can still be read (image")


# --- Several replicas ---


@pytest.mark.usefixtures("any_size")
def test_replicas_have_equal_parts_of_each_step():
    made = batches(plain(11), replicas=2)
    assert made.steps == 3
    assert [len(labels) for _, labels in arrays(made, epochs=2)] == [4, 4, 2] * 2
    # Which one is left out is up to the order of the epoch.
    left_out = {tuple(set(range(11)) - set(positions(arrays(made)))) for _ in range(10)}
    assert len(left_out) > 1


def test_replicas_have_equal_parts_of_what_is_left(monkeypatch):
    monkeypatch.setattr(_training_data, "HELD_BYTES", 0)
    bad = {}
    made = batches(plain(8, bad), replicas=2)
    bad[3] = "gone"
    assert sorted(len(labels) for _, labels in arrays(made)) == [2, 4]


@pytest.mark.parametrize(
    ("count", "replicas", "message"),
    [
        (10, 3, "must be a multiple of the 3 replicas that share each batch; received 4"),
        (0, 1, r"No image of plain could be used \(it is empty\)"),
    ],
)
def test_what_is_refused(count, replicas, message):
    with pytest.raises(ValueError, match=message):
        batches(plain(count), replicas=replicas)
