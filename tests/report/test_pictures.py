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


def test_seeds_have_the_colours_of_the_paper_over_the_gray_image():
    seeds = np.array([[2, 1], [0, 1]], np.uint8)
    drawn = pictures.draw_seeds(_plain(4, 4, 100), seeds)
    # 70% of the colour and 30 from the gray image: 178.5 + 30, rounded to even.
    high, low = 208, 30
    blue, cyan, red = [low, low, high], [low, high, high], [high, low, low]
    rows = [[blue, blue, cyan, cyan]] * 2 + [[red, red, cyan, cyan]] * 2
    assert drawn.tolist() == rows


def test_seeds_are_resized_to_the_nearest():
    seeds = np.zeros((90, 60), np.uint8)
    seeds[30:60] = 1
    seeds[60:] = 2
    drawn = pictures.draw_seeds(_plain(3, 2, 0), seeds)
    assert [pixel.argmax() for pixel in drawn[:, 0]] == [0, 1, 2]
    assert len(np.unique(drawn)) == 2  # no colours in between


def test_a_segmentation_is_outlined_and_all_else_is_faded():
    image = np.full((12, 12, 3), (100, 200, 40), np.uint8)
    mask = np.zeros((12, 12), bool)
    mask[3:9, 3:9] = True
    drawn = pictures.draw_mask(image, mask)
    # Green weighs 58.7%, red 29.9%, blue 11.4%: gray 152, a quarter of it and 191 of white.
    faded = [229, 229, 229]
    assert drawn[0, 0].tolist() == faded
    assert drawn[6].tolist() == [
        *[faded, faded, [255] * 3],
        *[list(pictures.PREDICTION), [255] * 3, [100, 200, 40]],
        *[[100, 200, 40], [255] * 3, list(pictures.PREDICTION)],
        *[[255] * 3, faded, faded],
    ]


@pytest.mark.parametrize("share", [0.0, 1.0], ids=["nothing", "all"])
def test_a_segmentation_of_nothing_and_of_all(share):
    image = _plain(20, 30)
    drawn = pictures.draw_mask(image, np.full((5, 5), bool(share)))
    is_line = (drawn == pictures.PREDICTION).all(axis=2)
    assert is_line.sum() == (2 * 30 + 2 * 18 if share else 0)  # one pixel at the image's border
    assert (drawn[10, 15] == image[10, 15]).all() == bool(share)


def test_a_segmentation_has_a_dashed_box():
    mask = np.zeros((100, 100), bool)
    drawn = pictures.draw_mask(_plain(100, 100), mask, [0.2, 0.2, 0.8, 0.8])
    top = (drawn[20, 20:80] == pictures.PREDICTION).all(axis=1)
    assert top[0]
    assert top[-1]
    assert 0.5 < top.mean() < 0.9


@pytest.mark.parametrize(
    ("draw", "values", "message"),
    [
        (pictures.draw_seeds, np.full((2, 2), 3, np.uint8), r"0 unused, 1 background, 2 fore"),
        (pictures.draw_seeds, np.zeros((2, 2)), "Seeds must be .* type float64"),
        (pictures.draw_seeds, np.zeros((1, 2, 2), np.uint8), r"received the shape \(1, 2, 2\)"),
        (pictures.draw_seeds, np.zeros((0, 2), np.uint8), r"received the shape \(0, 2\)"),
        (pictures.draw_labels, np.zeros((2, 2)), "mask of classes must be .* type float64"),
        (pictures.draw_labels, np.zeros((0, 2), np.uint8), r"received the shape \(0, 2\)"),
        (pictures.draw_mask, np.zeros((2, 2), np.uint8), r"\(h, w\) bool; .* type uint8"),
        (pictures.draw_mask, np.zeros((2, 2, 1), bool), r"received the shape \(2, 2, 1\)"),
        (pictures.draw_mask, np.zeros((2, 0), bool), r"received the shape \(2, 0\)"),
    ],
    ids=[
        *("value", "float seeds", "axes", "no seeds", "float labels", "no labels"),
        *("mask of numbers", "mask axes", "no mask"),
    ],
)
def test_what_is_no_seeds_and_no_mask_is_refused(draw, values, message):
    with pytest.raises(ValueError, match=message):
        draw(_plain(4, 4), values)


def test_classes_have_the_colours_of_voc_and_the_background_none():
    image = np.full((2, 6, 3), (90, 30, 60), np.uint8)
    gray = round(0.299 * 90 + 0.587 * 30 + 0.114 * 60)
    drawn = pictures.draw_labels(image, np.array([[0, 1, 255]], np.uint8)).astype(int)
    assert (drawn[:, :2] == gray).all()
    red, pale = (128, 0, 0), (224, 224, 192)  # of the classes 1 and 255
    for column, colour in ((2, red), (4, pale)):
        expected = 0.7 * np.array(colour) + 0.3 * gray
        assert abs(drawn[:, column : column + 2] - expected).max() <= 0.5
    assert (image == (90, 30, 60)).all()


def _field(drawn, colour):
    """The rectangle (left, top, right, bottom) in which a picture has a colour."""
    y, x = np.nonzero((drawn == colour).all(axis=2))
    return x.min(), y.min(), x.max() + 1, y.max() + 1


@pytest.mark.parametrize("side", [64, 227, 500, 1500])
def test_a_label_stands_on_its_box_in_the_same_colour(side):
    drawn = pictures.draw_labelled_boxes(_plain(side, side), [0.2, 0.5, 0.8, 0.8], ["1 goose"])
    drawn = cv2.resize(drawn, (1000, 1000), interpolation=cv2.INTER_NEAREST_EXACT)
    left, top, right, bottom = _field(drawn, pictures.GUESSES[0])
    assert (left, right, bottom) == pytest.approx((200, 800, 800), abs=4)
    # Text of 2% of the image's height, or what can just be read, between paddings of half of it.
    assert 500 - top == pytest.approx(40 if side == 1500 else 18 / max(side, 320) * 1000, abs=4)
    field = drawn[top:500, left : left + 100]
    is_light = (field > 200).all(axis=2)  # white text on what is not light
    assert 0.03 < is_light.mean() < 0.4
    assert not is_light[:, :6].any()


def test_dark_text_on_a_light_field():
    boxes = [[0.2, 0.5, 0.8, 0.8]] * 2
    drawn = pictures.draw_labelled_boxes(_plain(400, 400), boxes, ["", "2 drake"])
    left, top, right, bottom = _field(drawn, pictures.GUESSES[1])
    assert (drawn[top:bottom, left:right] < 15).all(axis=2).any()


def test_boxes_have_colours_of_their_own_and_the_first_lies_on_top():
    boxes = [[0.2, 0.2, 0.6, 0.6], [0.2, 0.2, 0.9, 0.9]]
    drawn = pictures.draw_labelled_boxes(_plain(400, 400), boxes, ["a", "b"])
    first, second = pictures.GUESSES[:2]
    assert drawn[160, 80].tolist() == list(first)  # both have their left side there
    assert drawn[300, 80].tolist() == list(second)


def test_small_images_are_enlarged_for_their_labels_and_others_keep_their_size():
    assert pictures.draw_labelled_boxes(_plain(64, 32), [], []).shape == (320, 160, 3)
    assert pictures.draw_labelled_boxes(_plain(320, 32), [], []).shape == (320, 32, 3)


def test_long_labels_are_cut_off_and_odd_characters_left_out():
    box = [0.1, 0.3, 0.5, 0.6]
    drawn = pictures.draw_labelled_boxes(_plain(320, 320), box, ["1 " + "long name " * 20])
    left, _, right, _ = _field(drawn, pictures.GUESSES[0])
    assert left < 10
    assert 300 < right <= 320
    plain, odd = (
        pictures.draw_labelled_boxes(_plain(320, 320), box, [label])
        for label in ("Cafe", "Café犬\n")
    )
    assert np.array_equal(plain, odd)


def test_each_box_has_a_label():
    with pytest.raises(ValueError, match="received 2 boxes and 1 labels"):
        pictures.draw_labelled_boxes(_plain(4, 4), [[0, 0, 1, 1]] * 2, ["a"])


# Machado, Oliveira and Fernandes, "A Physiologically-based Model for Simulation of Color Vision
# Deficiency", 2009: linear RGB as seen without one of the three kinds of cones.
_VISIONS = {
    "all cones": np.eye(3),
    "no long": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "no medium": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "no short": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}


@pytest.mark.parametrize("vision", _VISIONS)
@pytest.mark.parametrize(
    "colours",
    [
        (*pictures.GUESSES, pictures.TRUTH),
        (pictures.UNUSED_SEED, pictures.BACKGROUND_SEED, pictures.FOREGROUND_SEED),
    ],
    ids=["guesses", "seeds"],
)
def test_colours_stay_apart_for_every_kind_of_vision(colours, vision):
    values = np.array(colours) / 255
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ np.transpose(_VISIONS[vision]), 0, 1).astype(np.float32)
    lab = cv2.cvtColor(seen[None], cv2.COLOR_LRGB2Lab)[0]
    apart = np.linalg.norm(lab[:, None] - lab[None], axis=2)
    # A difference of about 2.3 is just seen side by side.
    assert apart[~np.eye(len(colours), dtype=bool)].min() > 20
    if vision == "all cones":
        assert np.diff(np.sort(lab[:, 0])).min() > 10


def test_maps_have_two_axes():
    with pytest.raises(ValueError, match=r"must be \(h, w\); received \(1, 2, 2\)"):
        pictures.overlay(_plain(4, 4), np.zeros((1, 2, 2)))


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((10, 40), (5, 20)), ((40, 10), (20, 5)), ((3, 3), (20, 20)), ((1, 999), (1, 20))],
)
def test_fit_within(shape, expected):
    assert pictures.fit_within(_plain(*shape), 20).shape == (*expected, 3)


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
