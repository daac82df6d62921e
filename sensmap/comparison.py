"""Whether one method is better than another, asked of the same images.

Two methods that see the same images are right and wrong together on most of them; what tells them
apart are the others. Comparing each one's own interval ignores that and needs many times the images
to see the same difference.

McNemar ("Note on the sampling error of the difference between correlated proportions or
percentages", 1947), in its exact form: of the images that only one of the two has right, b by A
alone and c by B alone, as many would be A's as B's if they were equally good,

    p = min(1, 2 P(X <= min(b, c))),  X ~ Binomial(b + c, 1/2)

The interval of a difference is the percentile bootstrap's over images (Efron & Tibshirani, "An
Introduction to the Bootstrap", 1993, chapter 13): both methods' numbers of a drawn image are drawn
together.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.special import bdtr

from sensmap.outcomes import MethodOutcomes, Outcomes
from sensmap.report import tables

# One less than a multiple of 40, so that the ends of the interval, the 50th lowest and the 50th
# highest, are draws, and swapping the methods mirrors it exactly.
DRAWS = 1999
_END = 50
_SEED = 0
# Images that are named, of those where one method is further ahead and of those that one run lacks.
_EXAMPLES = 5
_NAMED = 20
# True boxes of two files are the same if no side differs by more: some writers round.
_SAME = 1e-5

_PERCENT = {
    "corloc": "CorLoc (%)",
    "top1": "Top-1 localization (%)",
    "top5": "Top-5 localization (%)",
}
_MEAN_IOU = "Mean IoU"


def compare(a: Outcomes, b: Outcomes, method_a: str, method_b: str) -> dict[str, Any]:
    """Compares two methods on the images that both runs have.

    The result depends on which images there are, not on their order; swapping the two swaps their
    numbers and the signs of the differences.

    Args:
        a, b: the two runs; they may be the same one.
        method_a, method_b: which of their methods.

    Returns:
        Fit for JSON: ``a`` and ``b``, each with the name of its ``method``, ``images`` and those
        that the other run lacks: ``only_here``, their number, and ``only_here_ids``, the first
        20; ``images``, how many both have; ``scored``, how many of those have a true box;
        ``measures``, a row each of ``corloc`` and, where both methods have them, ``top1`` and
        ``top5``: in percent ``a``, ``b``, ``difference`` (A less B) and its 95% ``interval``, the
        numbers of images that ``both``, ``only_a``, ``only_b`` and ``neither`` have right, and
        McNemar's ``p_value``; ``mean_iou`` with ``a``, ``b``, ``difference`` and ``interval``;
        ``a_ahead`` and ``b_ahead``, the images where one is ahead the furthest; and how it was
        done, ``interval_method`` and ``test``.

    Raises:
        ValueError: for an unknown method, with the list; the same method of the same run; no image
            in common, or none with a true box; or an image with other true boxes in one run.

    >>> boxes, truths = np.array([[0, 0, 1, 1]] * 3, np.float32), [[[0.0, 0, 1, 1]]] * 3
    >>> def method(*ious):
    ...     return MethodOutcomes(boxes, np.array(ious, float))
    >>> run = Outcomes(("x", "y", "z"), tuple(np.array(truths, np.float32)),
    ...                {"old": method(0.1, 0.6, 0.2), "new": method(0.7, 0.8, 0.1)})
    >>> found = compare(run, run, "new", "old")
    >>> corloc = found["measures"][0]
    >>> corloc["only_a"], corloc["only_b"], corloc["p_value"]
    (1, 0, 1.0)
    """
    ours, theirs = _chosen(a, method_a, "A"), _chosen(b, method_b, "B")
    if ours is theirs:
        raise ValueError(
            f"Both are the method {method_a!r} of the same run; choose two, by --method_a and "
            "--method_b."
        )
    place_a, place_b = _common(a, b)
    scored = a.scored[place_a]
    if not scored.any():
        raise ValueError(f"None of the {len(place_a)} common images has a true box.")
    place_a, place_b = place_a[scored], place_b[scored]
    ious_a, ious_b = ours.ious[place_a], theirs.ious[place_b]
    right = {"corloc": (ious_a >= 0.5, ious_b >= 0.5)}
    for key in ("top1", "top5"):
        of_a, of_b = getattr(ours, key), getattr(theirs, key)
        if of_a is not None and of_b is not None:
            right[key] = of_a[place_a], of_b[place_b]
    differences = [100.0 * one - 100.0 * other for one, other in right.values()]
    intervals = paired_intervals(np.stack([*differences, ious_a - ious_b], axis=1))
    names = [a.ids[place] for place in place_a]
    return {
        "a": _side(a, b, method_a),
        "b": _side(b, a, method_b),
        "images": len(scored),
        "scored": len(names),
        "measures": [
            {"measure": key, **_paired(*right[key]), "interval": interval}
            for key, interval in zip(right, intervals, strict=False)
        ],
        "mean_iou": {
            "a": _mean(ious_a),
            "b": _mean(ious_b),
            "difference": _mean(ious_a - ious_b),
            "interval": intervals[-1],
        },
        "a_ahead": _ahead(names, ious_a, ious_b, 1),
        "b_ahead": _ahead(names, ious_a, ious_b, -1),
        "interval_method": f"Paired bootstrap over images, {DRAWS:,} draws, percentiles, 95%",
        "test": "McNemar, exact, two-sided",
    }


def mcnemar(only_a: int, only_b: int) -> float:
    """The two-sided p-value of McNemar's exact test.

    Args:
        only_a, only_b: how many images only one of the two has right.

    Returns:
        How probable a split at least as uneven is between two equally good methods; 1 where
        they do not differ.

    Raises:
        ValueError: for a number below 0.

    >>> mcnemar(0, 5), mcnemar(3, 3), mcnemar(0, 0)
    (0.0625, 1.0, 1.0)
    """
    if min(only_a, only_b) < 0:
        raise ValueError(f"Numbers of images are 0 or more; received {only_a} and {only_b}.")
    return min(1.0, 2.0 * float(bdtr(min(only_a, only_b), only_a + only_b, 0.5)))


def paired_intervals(differences: np.ndarray) -> list[list[float]]:
    """95% intervals of mean differences by the percentile bootstrap over images.

    Args:
        differences: ``(N, K)`` of N images by K measures, all drawn together.

    Returns:
        For each measure the lower and the upper end.

    >>> paired_intervals(np.full((7, 1), 2.0))
    [[2.0, 2.0]]
    """
    rng = np.random.default_rng(_SEED)
    count = len(differences)
    means = np.stack(
        [differences[rng.integers(count, size=count)].mean(axis=0) for _ in range(DRAWS)]
    )
    means.sort(axis=0)
    return means[[_END - 1, -_END]].T.tolist()


def as_tables(found: Mapping[str, Any]) -> list[tables.Table]:
    """The numbers of `compare`, and the images where they differ most, formatted."""
    ends = {"measure": _MEAN_IOU, **found["mean_iou"]}
    rows = [{**row, "measure": _PERCENT[row["measure"]]} for row in found["measures"]]
    columns = [
        tables.Column("Measure", lambda row: row["measure"], is_number=False),
        tables.Column("A", lambda row: _number(row, row["a"])),
        tables.Column("B", lambda row: _number(row, row["b"])),
        tables.Column("A - B [95% interval]", _difference),
        _count("Both", "both"),
        _count("Only A", "only_a"),
        _count("Only B", "only_b"),
        _count("Neither", "neither"),
        tables.Column("p (McNemar)", lambda row: _p_value(row.get("p_value"))),
    ]
    examples = [
        {"ahead": ahead, **each} for ahead in "AB" for each in found[f"{ahead.lower()}_ahead"]
    ]
    of_images = [
        tables.Column("Ahead", lambda row: row["ahead"], is_number=False),
        tables.Column("Image", lambda row: row["id"], is_number=False),
        tables.Column("IoU of A", lambda row: tables.number(row["iou_a"], 3)),
        tables.Column("IoU of B", lambda row: tables.number(row["iou_b"], 3)),
    ]
    made = [tables.table([*rows, ends], columns)]
    return [*made, tables.table(examples, of_images)] if examples else made


def sentences(found: Mapping[str, Any]) -> list[str]:
    """What was compared, what came out, and what was left out; lines for a person."""
    corloc = found["measures"][0]
    low, high = corloc["interval"]
    discordant = corloc["only_a"] + corloc["only_b"]
    lines = [
        f"A is {found['a']['method']}, B is {found['b']['method']}.",
        f"On {found['scored']:,} images CorLoc is {corloc['a']:.1f}% by A and {corloc['b']:.1f}% "
        f"by B: a difference of {corloc['difference']:+.1f} points (95% interval {low:+.1f} to "
        f"{high:+.1f}).",
        f"{discordant:,} images are found by one of them only, {corloc['only_a']:,} by A and "
        f"{corloc['only_b']:,} by B; McNemar's exact test: p {_p_equals(corloc['p_value'])}.",
    ]
    if unscored := found["images"] - found["scored"]:
        lines.append(f"{unscored:,} common images have no true box and are not scored.")
    for side, other in (("a", "b"), ("b", "a")):
        if count := found[side]["only_here"]:
            names = found[side]["only_here_ids"]
            rest = f" and {count - len(names):,} more" if count > len(names) else ""
            lines.append(
                f"{count:,} images of {side.upper()} are not in {other.upper()} and are left out:"
                f" {', '.join(names)}{rest}."
            )
    return lines


def _chosen(run: Outcomes, method: str, side: str) -> MethodOutcomes:
    if method not in run.methods:
        known = ", ".join(map(repr, run.methods))
        raise ValueError(f"{side} has no method {method!r}; choose one of {known}.")
    return run.methods[method]


def _common(a: Outcomes, b: Outcomes) -> tuple[np.ndarray, np.ndarray]:
    """Where the images that both have stand in either, sorted by their ids."""
    places_a, places_b = ({name: at for at, name in enumerate(run.ids)} for run in (a, b))
    common = sorted(places_a.keys() & places_b.keys())
    if not common:
        raise ValueError(
            f"The runs have no image in common: A's are like {a.ids[0]!r}, B's like {b.ids[0]!r}."
        )
    for name in common:
        ours, theirs = a.truths[places_a[name]], b.truths[places_b[name]]
        if not _same_boxes(ours, theirs):
            raise ValueError(
                f"The image {name!r} has other true boxes in A than in B; only runs on the same "
                "data can be compared."
            )
    return (
        np.array([places_a[name] for name in common]),
        np.array([places_b[name] for name in common]),
    )


def _same_boxes(ours: np.ndarray, theirs: np.ndarray) -> bool:
    """In whatever order they stand."""
    if len(ours) != len(theirs):
        return False
    ours, theirs = (np.array(sorted(map(tuple, each))) for each in (ours, theirs))
    return bool(np.allclose(ours, theirs, rtol=0, atol=_SAME))


def _side(run: Outcomes, other: Outcomes, method: str) -> dict[str, Any]:
    only = sorted(set(run.ids) - set(other.ids))
    return {
        "method": method,
        "images": len(run.ids),
        "only_here": len(only),
        "only_here_ids": only[:_NAMED],
    }


def _paired(right_a: np.ndarray, right_b: np.ndarray) -> dict[str, Any]:
    """Percentages, counts and the test of two methods' right images, ``(N,)`` bool each."""
    count = len(right_a)
    only_a, only_b = int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum())
    return {
        "a": 100 * int(right_a.sum()) / count,
        "b": 100 * int(right_b.sum()) / count,
        "difference": 100 * (only_a - only_b) / count,
        "both": int((right_a & right_b).sum()),
        "only_a": only_a,
        "only_b": only_b,
        "neither": int((~right_a & ~right_b).sum()),
        "p_value": mcnemar(only_a, only_b),
    }


def _ahead(names: list[str], ious_a: np.ndarray, ious_b: np.ndarray, sign: int) -> list[dict]:
    """The images with the greatest lead of A (or, with -1, of B), the greatest first."""
    leads = sign * (ious_a - ious_b)
    order = [place for place in np.argsort(-leads, kind="stable") if leads[place] > 0]
    return [
        {"id": names[place], "iou_a": float(ious_a[place]), "iou_b": float(ious_b[place])}
        for place in order[:_EXAMPLES]
    ]


def _mean(values: np.ndarray) -> float:
    return math.fsum(values) / len(values)


def _count(title: str, key: str) -> tables.Column:
    return tables.Column(title, lambda row: tables.number(row.get(key), 0))


def _number(row: Mapping, value: float) -> str:
    return tables.number(value, 3 if row["measure"] == _MEAN_IOU else 1)


def _difference(row: Mapping) -> str:
    low, high = row["interval"]
    digits = 3 if row["measure"] == _MEAN_IOU else 1
    return f"{row['difference']:+.{digits}f} [{low:+.{digits}f}, {high:+.{digits}f}]"


def _p_value(value: float | None) -> str:
    """
    >>> _p_value(0.04567), _p_value(0.5), _p_value(1e-9), _p_value(None)
    ('0.046', '0.500', '< 0.001', '–')
    """
    return "< 0.001" if value is not None and value < 0.001 else tables.number(value, 3)


def _p_equals(value: float) -> str:
    text = _p_value(value)
    return text if text.startswith("<") else f"= {text}"
