"""Pictures on the page of a localization: boxes, maps, segmentations and guesses."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from sensmap.report import _record, html, pictures, sheets

# Pixels of a picture's longer side: sharp on a telephone, and some 30 KB each.
_SIDE = 360
# Longer names of guesses would leave no room for their scores.
_LONG_NAME = 22


class Cut(NamedTuple):
    """How a map became a segmentation.

    Attributes:
        seeds: ``(h, w)`` uint8, what the colour models were fitted to: 0 unused, 1 background,
            2 foreground; None where there are no colour models.
        mask: ``(h, w)`` bool, the object.
        box: ``(4,)`` xyxy, relative, around it.
    """

    seeds: np.ndarray | None
    mask: np.ndarray
    box: np.ndarray


class Guess(NamedTuple):
    """A class that an image may show, and where.

    Attributes:
        name: of the class.
        score: of the class, before softmax.
        box: ``(4,)`` xyxy, relative.
    """

    name: str
    score: float
    box: np.ndarray


@dataclasses.dataclass(frozen=True)
class Picture:
    """One image to show.

    Attributes:
        image: ``(H, W, 3)`` uint8 RGB.
        truth: ``(n, 4)`` true boxes, xyxy, relative.
        predicted: ``(4,)`` the predicted box, xyxy, relative.
        caption: what is seen, such as the name of the class.
        iou: the best IoU of the predicted box with a true one; None without a true one.
        map: ``(h, w)`` float, the sensitivity map; None to show none.
        cut: the segmentation that the predicted box is around; None where there is none.
        guesses: the classes with the highest scores and their boxes, best first.
    """

    image: np.ndarray
    truth: np.ndarray
    predicted: np.ndarray
    caption: str
    iou: float | None = None
    map: np.ndarray | None = None
    cut: Cut | None = None
    guesses: Sequence[Guess] = ()


def sections(shown: Sequence[Picture]) -> list[html.Section]:
    """Of all pictures the boxes, and of those that have them maps, segmentations and guesses."""
    return [*_boxes(shown), *_maps(shown), *_cuts(shown), *_guesses(shown)]


def box_key() -> html.Block:
    """What the outlines are."""
    return html.legend(
        [("true box", pictures.TRUTH, "solid"), ("predicted box", pictures.PREDICTION, "dashed")]
    )


def box_and_map(item: Picture) -> html.Block:
    """An image with its boxes and, where there is one, its map with the same boxes."""
    image = pictures.fit_within(item.image, _SIDE)
    frames = [(pictures.encode_jpeg(_with_boxes(item, image)), _alt(item))]
    if item.map is not None:
        laid_over = _with_boxes(item, pictures.overlay(image, item.map))
        alt = f"{item.caption}: sensitivity map with boxes"
        frames.append((pictures.encode_jpeg(laid_over), alt))
    return html.figure(frames, item.caption, _overlap(item))


def picture_grid(shown: Sequence[Picture], columns: int = 6) -> np.ndarray:
    """The boxes as one image, like the paper's Figure 1; ``(H, W, 3)`` uint8 RGB."""
    tiles = [_with_boxes(item, pictures.fit_within(item.image, _SIDE)) for item in shown]
    # The number first: long captions are cut off.
    captions = [": ".join(filter(None, (_overlap(item), item.caption))) for item in shown]
    return sheets.grid(tiles, columns, captions)


def _boxes(shown: Sequence[Picture]) -> list[html.Section]:
    if not shown:
        return []
    figures = []
    for item in shown:
        picture = _with_boxes(item, pictures.fit_within(item.image, _SIDE))
        figures.append(
            html.figure([(pictures.encode_jpeg(picture), _alt(item))], item.caption, _overlap(item))
        )
    return [html.Section("Boxes", [box_key(), html.gallery(figures)])]


def _maps(shown: Sequence[Picture]) -> list[html.Section]:
    figures = []
    for item in shown:
        if item.map is None or item.cut is not None:  # a cut shows its map itself
            continue
        image = pictures.fit_within(item.image, _SIDE)
        laid_over = _with_boxes(item, pictures.overlay(image, item.map))
        frames = [
            (pictures.encode_jpeg(image), f"{item.caption}: the image"),
            (pictures.encode_jpeg(laid_over), f"{item.caption}: sensitivity map with boxes"),
        ]
        figures.append(html.figure(frames, item.caption, _overlap(item)))
    if not figures:
        return []
    text = html.paragraph(
        "What the boxes were read from: how strongly each place of the image sways the score of "
        "the class. Bright is strong; each map has its own scale."
    )
    return [html.Section("Sensitivity maps", [text, html.gallery(figures, wide=True)])]


def _cuts(shown: Sequence[Picture]) -> list[html.Section]:
    figures = [_cut_figure(item, item.cut) for item in shown if item.cut is not None]
    if not figures:
        return []
    seeded = any(item.cut is not None and item.cut.seeds is not None for item in shown)
    seeds = (
        "the pixels that the colour models of object and background were fitted to; the "
        "segmentation by these models"
    )
    text = html.paragraph(
        "From left to right: the image; how strongly each place of it sways the score of the "
        f"class, bright is strong; {seeds if seeded else 'the segmentation'}, with the box around "
        "it."
    )
    entries = [
        ("foreground model", pictures.FOREGROUND_SEED, "filled"),
        ("background model", pictures.BACKGROUND_SEED, "filled"),
        ("not used for either", pictures.UNUSED_SEED, "filled"),
    ]
    key = [html.legend(entries)] if seeded else []
    return [html.Section("From map to segmentation", [text, *key, *figures])]


def _cut_figure(item: Picture, cut: Cut) -> html.Block:
    image = pictures.fit_within(item.image, _SIDE)
    panels = [(image, "the image")]
    if item.map is not None:
        panels.append((pictures.overlay(image, item.map), "sensitivity map"))
    if cut.seeds is not None:
        panels.append((pictures.draw_seeds(image, cut.seeds), "seeds of the colour models"))
    panels.append((pictures.draw_mask(image, cut.mask, cut.box), "segmentation with its box"))
    frames = [(pictures.encode_jpeg(panel), f"{item.caption}: {what}") for panel, what in panels]
    return html.figure(frames, item.caption, _overlap(item))


def _guesses(shown: Sequence[Picture]) -> list[html.Section]:
    guessed = [item for item in shown if item.guesses]
    if not guessed:
        return []
    most = max(len(item.guesses) for item in guessed)
    words = ("One guess", "Two guesses", "Three guesses", "Four guesses", "Five guesses")
    heading = words[most - 1] if most <= len(words) else f"{most} guesses"
    text = html.paragraph(
        "The classes with the highest scores, best first, each with its score before softmax and "
        "the box from its own map. Below each image stands its own label."
    )
    figures = [_guess_figure(item) for item in guessed]
    key = html.legend([("true box", pictures.TRUTH, "solid")])
    return [html.Section(heading, [text, key, html.gallery(figures, wide=True)])]


def _guess_figure(item: Picture) -> html.Block:
    image = pictures.fit_within(item.image, _SIDE)
    labels = [
        f"{rank} {_shortened(guess.name)} {guess.score:.1f}"
        for rank, guess in enumerate(item.guesses, start=1)
    ]
    picture = pictures.draw_labelled_boxes(
        pictures.draw_boxes(image, item.truth, pictures.TRUTH),
        [guess.box for guess in item.guesses],
        labels,
    )
    guesses = ", ".join(f"{guess.name} {guess.score:.1f}" for guess in item.guesses)
    alt = f"{item.caption}: boxes guessed for {guesses}"
    return html.figure([(pictures.encode_jpeg(picture), alt)], item.caption)


def _shortened(name: str) -> str:
    return name if len(name) <= _LONG_NAME else f"{name[: _LONG_NAME - 3].rstrip()}..."


def _with_boxes(item: Picture, picture: np.ndarray) -> np.ndarray:
    return pictures.draw_comparison(picture, item.truth, item.predicted)


def _overlap(item: Picture) -> str:
    """The sign says in one glance, and without colours, whether the box counts as right."""
    if item.iou is None:
        return ""
    return f"{'✓' if item.iou >= 0.5 else '✗'} IoU {item.iou:.2f}"


def _alt(item: Picture) -> str:
    count = _record.count(len(item.truth), "true box", "true boxes")
    overlap = "" if item.iou is None else f", IoU {item.iou:.2f}"
    return f"{item.caption}: {count} and the predicted box{overlap}"
