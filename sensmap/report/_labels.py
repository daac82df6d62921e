"""Where labels stand in a picture: at their boxes, inside of the image, clear of each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

# x0, y0, x1, y1 in pixels, half-open.
Rectangle = tuple[int, int, int, int]


def place(
    boxes: Sequence[Sequence[int]], labels: Sequence[tuple[int, int]], image: tuple[int, int]
) -> list[Rectangle]:
    """Finds a place for each label, one after the other.

    Above its box if there is room, else below it, else the nearest to either; inside of the box
    only if nowhere else. Of places that earlier labels cover, the least covered one.

    Args:
        boxes: x0, y0, x1, y1 in pixels, inside of the image.
        labels: width and height of each box's label, in pixels.
        image: its width and height, in pixels.

    Returns:
        For each label the rectangle that it fills; inside of the image if it is no larger.

    >>> place([(20, 30, 60, 80), (20, 30, 70, 80)], [(50, 10), (45, 10)], image=(100, 100))
    [(20, 20, 70, 30), (20, 80, 65, 90)]
    """
    taken: list[Rectangle] = []
    for box, label in zip(boxes, labels, strict=True):
        taken.append(min(_places(box, label, image), key=lambda place: _covered(place, taken)))
    return taken


def _places(
    box: Sequence[int], label: tuple[int, int], image: tuple[int, int]
) -> Iterator[Rectangle]:
    """The best first; each begins at the left of the box or ends at its right."""
    x0, y0, x1, y1 = box
    wide, tall = label
    steps = range(0, image[1], max(1, tall // 4))
    outside = [top for step in steps for top in (y0 - tall - step, y1 + step)]
    inside = [top for step in steps for top in (y0 + step, y1 - tall - step)]
    for top in [top for top in outside + inside if 0 <= top <= image[1] - tall] or [0]:
        for left in (x0, x1 - wide):
            left = max(0, min(left, image[0] - wide))
            yield left, top, left + wide, top + tall


def _covered(place: Rectangle, others: Sequence[Rectangle]) -> int:
    """How many of its pixels others cover, each counted by itself."""
    return sum(
        max(0, min(place[2], other[2]) - max(place[0], other[0]))
        * max(0, min(place[3], other[3]) - max(place[1], other[1]))
        for other in others
    )
