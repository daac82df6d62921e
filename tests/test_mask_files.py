"""Masks in files: indices and not colours, PNG and Matlab, and what is refused."""

import contextlib
import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from scipy.io import savemat

from sensmap import images, masks
from sensmap.datasets import ExampleError, load

MASK = np.array([[0, 1, 20], [255, 2, 0]], np.uint8)


def _png(height, width, bits, colour_type, rows, palette=None):
    """A PNG written by hand: rows are the bytes of each, without the filter's."""

    def chunk(kind, body):
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, 0)
    parts = [chunk(b"IHDR", header)]
    if palette is not None:
        parts.append(chunk(b"PLTE", palette))
    parts.append(chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows))))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts) + chunk(b"IEND", b"")


def test_the_palette_is_vocs():
    palette = masks.voc_palette()
    assert (palette.shape, palette.dtype) == ((256, 3), np.uint8)
    # VOC's own table: background, aeroplane, ..., tvmonitor.
    assert palette[:21].tolist() == [
        *([0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 0], [0, 0, 128], [128, 0, 128]),
        *([0, 128, 128], [128, 128, 128], [64, 0, 0], [192, 0, 0], [64, 128, 0], [192, 128, 0]),
        *([64, 0, 128], [192, 0, 128], [64, 128, 128], [192, 128, 128], [0, 64, 0]),
        *([128, 64, 0], [0, 192, 0], [128, 192, 0], [0, 64, 128]),
    ]
    assert palette[255].tolist() == [224, 224, 192]
    assert len(np.unique(palette, axis=0)) == 256


@given(arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9))))
def test_what_is_saved_is_loaded(tmp_path_factory, mask):
    path = tmp_path_factory.mktemp("any") / "mask.png"
    masks.save(path, mask)
    found = masks.load(path)
    assert found.dtype == np.uint8
    assert np.array_equal(found, mask)


def test_what_is_saved_shows_vocs_colours(tmp_path):
    every = np.arange(256).reshape(16, 16)
    masks.save(tmp_path / "a.png", every)
    assert np.array_equal(images.load(tmp_path / "a.png"), masks.voc_palette()[every])


def test_any_whole_numbers_are_saved_and_a_file_is_replaced(tmp_path):
    path = tmp_path / "deep" / "er" / "mask.png"
    for mask in (MASK[:1].tolist(), MASK.astype(np.int64)):
        masks.save(path, mask)
        assert np.array_equal(masks.load(path), mask)
    assert [each.name for each in path.parent.iterdir()] == ["mask.png"]


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.zeros((2, 3, 3), np.uint8), r"shape \(2, 3, 3\) and type uint8 with values"),
        (np.zeros((0, 3), np.uint8), r"shape \(0, 3\) and type uint8\."),
        (np.zeros((2, 3)), r"type float64\."),
        (np.zeros((2, 3), bool), r"type bool\."),
        ([[0, 256]], "with values from 0 to 256"),
        ([[-1, 0]], "with values from -1 to 0"),
    ],
)
def test_what_is_no_mask_is_not_saved(tmp_path, mask, message):
    with pytest.raises(ValueError, match=message):
        masks.save(tmp_path / "mask.png", mask)
    assert not list(tmp_path.iterdir())


def test_a_palette_counts_by_its_index_whatever_its_colours(tmp_path):
    path = tmp_path / "a.png"
    same_colour = bytes([9, 9, 9] * 256)
    path.write_bytes(_png(2, 3, 8, 3, [bytes(row) for row in MASK], same_colour))
    assert np.array_equal(masks.load(path), MASK)


@pytest.mark.parametrize(("bits", "row"), [(1, 0b0110_0000), (2, 0b00_01_10_11), (4, 0x3A)])
def test_a_small_palette_has_fewer_bits_a_pixel(tmp_path, bits, row):
    path = tmp_path / "a.png"
    width = {1: 4, 2: 4, 4: 2}[bits]
    path.write_bytes(_png(1, width, bits, 3, [bytes([row])], bytes(3 * 2**bits)))
    expected = {1: [0, 1, 1, 0], 2: [0, 1, 2, 3], 4: [3, 10]}[bits]
    assert masks.load(path).tolist() == [expected]


def test_greyscale_counts_by_its_value(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(_png(2, 3, 8, 0, [bytes(row) for row in MASK]))
    assert np.array_equal(masks.load(path), MASK)


@pytest.mark.parametrize(
    ("bits", "colour_type", "row", "message"),
    [
        (8, 2, bytes(9), "of the mode RGB, 8 bits"),
        (8, 6, bytes(12), "of the mode RGBA, 8 bits"),
        (8, 4, bytes(6), "of the mode LA, 8 bits"),
        (16, 0, bytes(6), "16 bits"),
        (4, 0, bytes(2), "of the mode L, 4 bits"),  # Pillow would give 17 for 1
        (1, 0, bytes(1), "1 bits"),
    ],
)
def test_other_kinds_of_png_are_refused(tmp_path, bits, colour_type, row, message):
    path = tmp_path / "a.png"
    path.write_bytes(_png(1, 3, bits, colour_type, [row]))
    with pytest.raises(ExampleError, match=rf"a\.png: a mask is a PNG with .*{message}"):
        masks.load(path)


def test_other_formats_are_refused(tmp_path):
    for suffix in ("GIF", "BMP", "JPEG"):
        path = tmp_path / f"{suffix}.png"
        Image.fromarray(MASK).save(path, format=suffix)
        with pytest.raises(ExampleError, match=r"not a PNG, nor a \.mat file"):
            masks.load(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no such mask"),
        (b"", "is empty"),
        (b"no PNG", "not a PNG"),
        (_png(2, 3, 8, 3, [bytes(3)] * 2, bytes(768))[:30], "truncated or damaged PNG"),
        (_png(20_000, 20_000, 8, 0, [b""]), "more pixels than Pillow deems safe"),
        # Of half the size, of which Pillow only warns; in tests warnings are errors.
        (_png(10_000, 10_000, 8, 0, [b""]), "more pixels than Pillow deems safe"),
    ],
    ids=["missing", "empty", "text", "no palette", "bomb", "large"],
)
def test_a_broken_file_is_named(tmp_path, content, message):
    path = tmp_path / "a.png"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ExampleError, match=rf"a\.png: .*{message}") as error:
        masks.load(path)
    assert "\n" not in str(error.value)


def test_a_cut_file_is_never_read_as_another_mask(tmp_path):
    mask = np.random.default_rng(0).integers(0, 21, (30, 30))
    path = tmp_path / "a.png"
    masks.save(path, mask)
    content = path.read_bytes()
    refused = 0
    for length in range(1, len(content)):
        path.write_bytes(content[:length])
        try:
            assert np.array_equal(masks.load(path), mask)  # only the end of the file is missing
        except ExampleError:
            refused += 1
    assert refused > 0.95 * len(content)


def test_a_folder_is_no_mask(tmp_path):
    with pytest.raises(ExampleError, match="cannot be read"):
        masks.load(tmp_path)


def _matlab(**variables):
    file = io.BytesIO()
    savemat(file, variables, do_compression=True)
    return file.getvalue()


@pytest.mark.parametrize("dtype", [np.uint8, np.int32])
def test_a_matlab_file_of_sbd(tmp_path, dtype):
    path = tmp_path / "2008_000002.mat"
    present = np.array([[1], [2], [20]], np.uint8)
    struct_ = {"Boundaries": [], "Segmentation": MASK.astype(dtype), "CategoriesPresent": present}
    path.write_bytes(_matlab(GTcls=struct_, other=[1.0]))
    found = masks.load(path)
    assert found.dtype == np.uint8
    assert np.array_equal(found, MASK)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"MATLAB 5.0", "not a Matlab file"),
        (_matlab(GTcls={"Segmentation": MASK})[:150], "or damaged"),
        (b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + bytes(400), "before version 7.3"),
        (_matlab(GTinst={"Segmentation": MASK}), "lacks GTcls.Segmentation"),
        (_matlab(GTcls={"Boundaries": MASK}), "lacks GTcls.Segmentation"),
        (_matlab(GTcls=MASK), "lacks GTcls.Segmentation"),
        (_matlab(GTcls={"Segmentation": MASK / 2}), r"shape \(2, 3\) and type float64"),
        (_matlab(GTcls={"Segmentation": MASK.astype(int) - 1}), "values from -1 to 254"),
        (_matlab(GTcls={"Segmentation": "mask"}), "must be"),
    ],
)
def test_another_matlab_file_is_refused(tmp_path, content, message):
    path = tmp_path / "a.mat"
    path.write_bytes(content)
    with pytest.raises(ExampleError, match=rf"a\.mat: .*{message}") as error:
        masks.load(path)
    assert "\n" not in str(error.value)


_WHOLE = {
    "png": _png(2, 3, 8, 3, [bytes(row) for row in MASK], bytes(768)),
    "mat": _matlab(GTcls={"Segmentation": MASK}),
}


@given(st.sampled_from(sorted(_WHOLE)), st.data())
def test_damaged_bytes_are_read_or_refused(tmp_path_factory, kind, data):
    content = bytearray(_WHOLE[kind])
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("any") / f"a.{kind}"
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    with contextlib.suppress(ExampleError):  # and nothing else may be raised
        found = masks.load(path)
        assert (found.ndim, found.dtype) == (2, np.uint8)


@pytest.mark.parametrize(
    ("folder", "count", "indices"),
    [("msrc_v2", 385, {*range(16), 255}), ("pets3", 210, {0, 1, 2, 3, 255})],
)
def test_real_masks(shared, folder, count, indices):
    dataset = load("voc", shared / "data" / folder)
    found = [example.mask for example in dataset if example.mask]
    assert len(found) == count
    assert {index for path in found for index in np.unique(masks.load(path)).tolist()} == indices
    # Another decoder, and the palette by VOC's formula.
    mask = masks.load(found[0])
    assert np.array_equal(images.load(found[0]), masks.voc_palette()[mask])
