"""Sheets of pictures: where each tile lies, and what is written below it."""

import numpy as np
import pytest

from sensmap.report import pictures, sheets


def _plain(height, width, value=128):
    return np.full((height, width, 3), value, np.uint8)


def test_four_panels_stand_in_a_row_of_equal_size():
    image = _plain(20, 40)
    values = np.arange(20.0).reshape(4, 5)
    seeds = np.ones((4, 5), np.uint8)
    mask = np.tile([True, False], (4, 3))
    box = [0.1, 0.1, 0.9, 0.9]
    sheet = sheets.four_panels(image, values, seeds, mask, box, side=40)
    assert sheet.shape == (20 + 2 * 8, 4 * (40 + 8) + 8, 3)
    panels = [sheet[8:28, left : left + 40] for left in (8, 56, 104, 152)]
    expected = [
        image,
        pictures.overlay(image, values),
        pictures.draw_seeds(image, seeds),
        pictures.draw_mask(image, mask, box),
    ]
    for panel, drawn in zip(panels, expected, strict=True):
        assert np.array_equal(panel, drawn)
    sheet[8:28, 8:48] = sheet[8:28, 56:96] = sheet[8:28, 104:144] = sheet[8:28, 152:192] = 255
    assert (sheet == 255).all()


def test_without_seeds_their_panel_is_left_out():
    image, values, mask = _plain(20, 40), np.arange(20.0).reshape(4, 5), np.ones((4, 5), bool)
    sheet = sheets.four_panels(image, values, None, mask, [0, 0, 1, 1], side=40)
    assert sheet.shape == (20 + 2 * 8, 3 * (40 + 8) + 8, 3)
    cut = pictures.draw_mask(image, mask, [0, 0, 1, 1])
    np.testing.assert_array_equal(sheet[8:28, 104:144], cut)


def test_tiles_are_equal_and_pictures_keep_their_aspect():
    black = _plain(5, 10, 0)
    sheet = sheets.grid([black] * 3, columns=2, side=20)
    # Margins of 8: rows and columns of tiles begin at 8 and 36.
    assert sheet.shape == (64, 64, 3)
    assert (sheet[36:56, 36:56] == 255).all()  # no fourth tile
    tile = sheet[8:28, 36:56, 0]
    assert (tile[5:15] == 0).all()
    assert (tile[:5] == tile[0, 0]).all()
    assert (tile[15:] == tile[0, 0]).all()
    assert 200 < tile[0, 0] < 255


def test_columns_beyond_the_tiles_are_left_out():
    assert sheets.grid([_plain(4, 4)], columns=6, side=20).shape == (36, 36, 3)


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
    sheet = sheets.grid([white, white], columns=2, captions=["", caption], side=80)
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
        sheets.grid(*arguments)
