"""Pictures small enough to be drawn by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensmap._opencv import cv2
from sensmap.report import pictures

RED, DARK_BLUE, YELLOW = (255, 0, 0), (0, 0, 120), (255, 255, 0)


def _plain(height, width, value=128):
    return np.full((height, width, 3), value, np.uint8)


def _drawn(image, colour):
    """A picture of letters: # the line, o its casing, . what was there before."""
    letters = {(128, 128, 128): ".", colour: "#", (0, 0, 0): "o", (255, 255, 255): "o"}
    return ["".join(letters[tuple(pixel)] for pixel in row) for row in image.tolist()]


def test_an_outline_lies_inside_of_its_box_between_casings():
    # Pixels 2 to 7 (half-open: the 8th is out) of 10.
    drawn = pictures.draw_boxes(_plain(10, 10), [0.2, 0.2, 0.8, 0.8], YELLOW, thickness=1)
    assert _drawn(drawn, YELLOW) == [
        "..........",
        ".oooooooo.",
        ".o######o.",
        ".o#oooo#o.",
        ".o#o..o#o.",
        ".o#o..o#o.",
        ".o#oooo#o.",
        ".o######o.",
        ".oooooooo.",
        "..........",
    ]
    assert drawn[1, 1].tolist() == [0, 0, 0]  # a dark casing for a light line


def test_a_box_at_the_border_is_seen_whole():
    drawn = pictures.draw_boxes(_plain(4, 5), [0, 0, 1, 1], DARK_BLUE, thickness=1)
    assert _drawn(drawn, DARK_BLUE) == ["#####", "#ooo#", "#ooo#", "#####"]
    assert drawn[1, 1].tolist() == [255, 255, 255]  # a light casing for a dark line


def test_dashes_begin_and_end_at_the_corners():
    # 32 pixels in 5 pieces of 6.4: dash 0 to 12, gap 13 to 19, dash 20 to 31.
    image = _plain(32, 32)
    drawn = pictures.draw_boxes(image, [0, 0, 1, 1], YELLOW, dashed=True, thickness=2)
    solid = "#" * 13 + "." * 7 + "#" * 12
    assert _drawn(drawn, YELLOW)[0] == solid
    assert _drawn(drawn, YELLOW)[31] == solid
    assert _drawn(drawn.transpose(1, 0, 2), YELLOW)[0] == solid


def test_where_boxes_agree_both_are_seen():
    box = [0.1, 0.1, 0.9, 0.9]
    drawn = pictures.draw_comparison(_plain(100, 100), [box], box)
    colours = {tuple(pixel) for pixel in drawn[10].tolist()}
    assert {pictures.TRUTH, pictures.PREDICTION} <= colours


def test_without_boxes_the_image_stays():
    image = _plain(3, 3)
    assert np.array_equal(pictures.draw_comparison(image), image)


@given(
    st.tuples(*[st.floats(-0.5, 1.5)] * 4),
    st.integers(1, 30),
    st.integers(1, 30),
    st.booleans(),
)
def test_any_box_can_be_drawn_and_changes_nothing_but_the_copy(box, height, width, dashed):
    image = _plain(height, width)
    drawn = pictures.draw_boxes(image, [box], RED, dashed=dashed)
    assert drawn.shape == image.shape
    assert drawn.dtype == np.uint8
    assert (image == 128).all()


@pytest.mark.parametrize(
    "values",
    [
        np.zeros((4, 4)),
        np.full((4, 4), 7.5),
        np.full((4, 4), np.nan),
        np.array([[0.0, 1.0], [np.nan, 2.0]]),
        np.array([[0.0, np.inf]]),
        np.zeros((0, 0)),
    ],
    ids=["zero", "flat", "nan", "one nan", "inf", "empty"],
)
def test_a_map_that_shows_nothing_gives_the_image(values):
    image = np.random.default_rng(0).integers(0, 256, (8, 6, 3), np.uint8)
    assert np.array_equal(pictures.overlay(image, values), image)


def test_a_map_is_bright_where_it_is_large():
    values = np.zeros((4, 4))
    values[1, 2] = 1e-6
    laid_over = pictures.overlay(_plain(64, 64), values).astype(int).sum(axis=2)
    y, x = np.unravel_index(laid_over.argmax(), laid_over.shape)
    assert (y // 16, x // 16) == (1, 2)
    assert laid_over.max() > 2 * laid_over.min()


def test_one_bright_pixel_does_not_darken_the_others():
    values = np.tile([0.0, 1.0], (40, 20))
    peaked = values.copy()
    peaked[0, 0] = 1000.0
    image = _plain(40, 40)
    same = (pictures.overlay(image, values) == pictures.overlay(image, peaked)).all(axis=2)
    assert same.sum() == 1599


def test_a_map_has_its_own_scale():
    image, values = _plain(20, 20), np.random.default_rng(0).random((5, 5))
    other = pictures.overlay(image, values * 1024 - 3)
    difference = pictures.overlay(image, values).astype(int) - other
    assert abs(difference).max() <= 2  # a shade of rounding


@pytest.mark.parametrize("opacity", [0.0, 1.0])
def test_opacity(opacity):
    image = np.full((4, 4, 3), RED, np.uint8)
    laid_over = pictures.overlay(image, np.arange(16.0).reshape(4, 4), opacity)
    # Red has 29.9% of the weight in gray: 76 of 255. Magma begins with (0, 0, 4).
    assert laid_over[0, 0].tolist() == ([76, 76, 76] if opacity == 0 else [0, 0, 4])


def test_maps_have_two_axes():
    with pytest.raises(ValueError, match=r"must be \(h, w\); received \(1, 2, 2\)"):
        pictures.overlay(_plain(4, 4), np.zeros((1, 2, 2)))


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((10, 40), (5, 20)), ((40, 10), (20, 5)), ((3, 3), (20, 20)), ((1, 999), (1, 20))],
)
def test_fit_within(shape, expected):
    assert pictures.fit_within(_plain(*shape), 20).shape == (*expected, 3)


def test_tiles_are_equal_and_pictures_keep_their_aspect():
    black = _plain(5, 10, 0)
    sheet = pictures.grid([black] * 3, columns=2, side=20)
    # Margins of 8: rows and columns of tiles begin at 8 and 36.
    assert sheet.shape == (64, 64, 3)
    assert (sheet[36:56, 36:56] == 255).all()  # no fourth tile
    tile = sheet[8:28, 36:56, 0]
    assert (tile[5:15] == 0).all()
    assert (tile[:5] == tile[0, 0]).all()
    assert (tile[15:] == tile[0, 0]).all()
    assert 200 < tile[0, 0] < 255


def test_columns_beyond_the_tiles_are_left_out():
    assert pictures.grid([_plain(4, 4)], columns=6, side=20).shape == (36, 36, 3)


@pytest.mark.parametrize(
    ("caption", "writes"),
    [
        ("dog", True),
        ("a very long caption that cannot stand below so small a tile", True),
        ("Café\nnoir", True),
        ("", False),
        ("犬", False),  # beyond the built-in font
    ],
)
def test_captions_stay_below_their_tile(caption, writes):
    white = _plain(4, 4, 255)
    sheet = pictures.grid([white, white], columns=2, captions=["", caption], side=80)
    assert (sheet[:88] == 255).all()
    assert (sheet[:, :96] == 255).all()
    assert (sheet[:, 176:] == 255).all()
    assert (sheet[88:, 96:176] < 128).any() == writes


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([], 2), "received 0 tiles and 2 columns"),
        (([_plain(2, 2)], 0), "received 1 tiles and 0 columns"),
        (([_plain(2, 2)], 1, ["a", "b"]), "received 2 captions and 1 tiles"),
    ],
    ids=["no tiles", "no columns", "captions"],
)
def test_grids_that_cannot_be(arguments, message):
    with pytest.raises(ValueError, match=message):
        pictures.grid(*arguments)


@pytest.mark.parametrize(("encode", "tolerance"), [("encode_png", 0), ("encode_jpeg", 6)])
def test_encoded_pictures_keep_their_colours(encode, tolerance):
    image = _plain(16, 16)
    image[:, 6:9] = RED  # a line, which subsampled colours would smear
    image[8:] = DARK_BLUE
    data = np.frombuffer(getattr(pictures, encode)(image), np.uint8)
    decoded = cv2.cvtColor(cv2.imdecode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    assert abs(decoded.astype(int) - image).mean() <= tolerance


@pytest.mark.parametrize(
    "image",
    [np.zeros((4, 4, 3), np.float32), np.zeros((4, 4), np.uint8), np.zeros((0, 4, 3), np.uint8)],
    ids=["float", "gray", "empty"],
)
def test_what_is_not_a_picture_is_refused(image):
    with pytest.raises(ValueError, match=r"RGB pixels of the shape \(H, W, 3\) and type uint8"):
        pictures.draw_boxes(image, [])
