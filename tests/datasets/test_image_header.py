"""Sizes from the first bytes of a file, against decoding; EXIF turns against turned pixels."""

import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensmap import images
from sensmap.datasets import ExampleError
from sensmap.datasets._image_header import Header, read_header, turned


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".webp"])
def test_size_of_a_format(encoded, suffix):
    header = read_header(encoded(suffix, 11, 23))
    assert header.size == header.stored_size == (11, 23)
    assert header.orientation == 1
    assert header.jpeg_channels == (3 if suffix == ".jpg" else 0)


@pytest.mark.parametrize("order", ["<", ">"], ids=["little", "big"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_size_is_that_of_the_upright_image(encoded, orientation, order):
    data = encoded(".jpg", 11, 23, orientation=orientation, order=order)
    header = read_header(data)
    assert header.size == ((23, 11) if orientation >= 5 else (11, 23))
    assert header.size == images.load(data).shape[:2]
    assert header.stored_size == (11, 23)
    assert header.orientation == orientation


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_boxes_turn_as_the_pixels_do(encoded, orientation):
    """A box over the pixels of a 4x8 raster covers the same pixels after the decoder's turn."""
    raster = np.zeros((4, 8), bool)
    raster[1:2, 2:5] = True
    turns = {
        5: raster.T,
        6: np.rot90(raster, -1),
        7: np.rot90(raster.T, 2),
        8: np.rot90(raster),
    }
    rows, columns = np.nonzero(turns[orientation])
    expected = [columns.min() / 4, rows.min() / 8, (columns.max() + 1) / 4, (rows.max() + 1) / 8]
    box = np.array([[2 / 8, 1 / 4, 5 / 8, 2 / 4]])
    assert turned(box, orientation).tolist() == [expected]


def test_boxes_do_not_turn_without_a_swap():
    box = np.array([[0.1, 0.2, 0.3, 0.4]])
    assert turned(box, 1) is box


def test_padding_and_segments_before_the_frame_are_walked_over(encoded):
    data = encoded(".jpg", 11, 23)
    comment = b"\xff\xff\xff\xfe\x00\x06\xff\xc0\x00\x00"  # fill bytes, and a frame in disguise
    assert read_header(data[:2] + comment + data[2:]).size == (11, 23)


@pytest.mark.parametrize(
    "tiff",
    [
        b"",
        b"II*\0",  # ends early
        b"II*\0\xff\xff\xff\xff",  # a directory far away
        b"II*\0\x08\0\0\0\xff\xff",  # many entries, none there
        b"XX*\0\x08\0\0\0\x01\0" + bytes(12),  # no byte order
        b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x09\0\0\0",  # orientation 9
    ],
)
def test_damaged_exif_is_as_none(encoded, tiff):
    data = encoded(".jpg", 11, 23)
    payload = b"Exif\0\0" + tiff
    segment = b"\xff\xe1" + (2 + len(payload)).to_bytes(2, "big") + payload
    assert read_header(data[:2] + segment + data[2:]) == Header((11, 23), 1, 3)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "empty"), (b"GIF? no", "not an image"), (b"\xff\xd8\xff", "truncated or damaged JPEG")],
)
def test_what_is_no_image_is_named(tmp_path, content, message):
    path = tmp_path / "photo.jpg"
    path.write_bytes(content)
    with pytest.raises(ExampleError, match=rf"photo\.jpg: .*{message}"):
        read_header(path)


def test_a_missing_image_is_named(tmp_path):
    with pytest.raises(ExampleError, match=r"gone\.jpg: there is no such image"):
        read_header(tmp_path / "gone.jpg")
    with pytest.raises(ExampleError, match="cannot be read"):
        read_header(tmp_path)


@given(damage=st.binary(max_size=200), place=st.integers(0, 60))
def test_damage_gives_a_size_or_the_one_error(encoded, damage, place):
    data = encoded(".jpg", 5, 7, orientation=6)
    data = data[:place] + damage + data[place + len(damage) :]
    with contextlib.suppress(ExampleError):
        assert min(read_header(data).size) > 0


def test_real_photographs(shared):
    paths = sorted((shared / "data" / "kangaroo" / "images").iterdir())[:30]
    sizes = {}
    for path in paths:
        with contextlib.suppress(ExampleError):  # some are truncated; their headers are whole
            sizes[path] = images.load(path).shape[:2]
    assert len(sizes) > 20
    assert {path: read_header(path).size for path in sizes} == sizes
