"""Outcomes of an evaluation: what is written is read, and what is wrong is told in one line."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensmap import outcomes
from sensmap.outcomes import MethodOutcomes, Outcomes

TRUTHS = (
    np.array([[0.1, 0.2, 0.7, 0.9]], np.float32),
    np.zeros((0, 4), np.float32),
    np.array([[0, 0, 1, 1], [0.3, 0.3, 0.5, 0.4]], np.float32),
)
BOXES = np.array([[0, 0, 0.3, 1], [0.1, 0.1, 0.2, 0.2], [0, 0, 1, 2 / 3]], np.float32)
IOUS = np.array([1 / 3, np.nan, 2 / 3])
YES_NO = np.array([False, False, True])
RUN = Outcomes(
    ("a", "b/c d", "é"),
    TRUTHS,
    {
        "plain": MethodOutcomes(BOXES, IOUS),
        "guessing": MethodOutcomes(BOXES[::-1].copy(), IOUS, YES_NO, ~YES_NO & [True, False, True]),
        "one guess": MethodOutcomes(BOXES, IOUS, YES_NO),
    },
)


def assert_same(found, expected):
    assert found.ids == expected.ids
    assert list(found.methods) == list(expected.methods)
    for ours, theirs in zip(found.truths, expected.truths, strict=True):
        assert ours.dtype == np.float32
        np.testing.assert_array_equal(ours, theirs)
    for method, known in expected.methods.items():
        again = found.methods[method]
        assert again.boxes.dtype == np.float32
        np.testing.assert_array_equal(again.boxes, known.boxes)
        np.testing.assert_array_equal(again.ious, known.ious)
        for key in ("top1", "top5"):
            ours, theirs = getattr(again, key), getattr(known, key)
            assert (ours is None) == (theirs is None)
            if theirs is not None:
                assert ours.dtype == bool
                np.testing.assert_array_equal(ours, theirs)


def test_what_is_written_is_read(tmp_path):
    outcomes.write(tmp_path / "outcomes.jsonl", RUN)
    assert_same(outcomes.read(tmp_path / "outcomes.jsonl"), RUN)
    assert [path.name for path in tmp_path.iterdir()] == ["outcomes.jsonl"]


def test_the_lines_by_hand(tmp_path):
    outcomes.write(tmp_path / "o", RUN)
    lines = [json.loads(line) for line in (tmp_path / "o").read_text().splitlines()]
    assert [line["id"] for line in lines] == ["a", "b/c d", "é"]
    assert lines[0]["truths"] == [[0.1, 0.2, 0.7, 0.9]]  # not 0.10000000149011612
    plain = {"box": [0.0, 0.0, 0.3, 1.0], "iou": 1 / 3, "top1": None, "top5": None}
    assert lines[0]["methods"]["plain"] == plain
    assert lines[1]["methods"]["guessing"] == plain | {"box": [0.1, 0.1, 0.2, 0.2], "iou": None}
    assert lines[2]["methods"]["guessing"]["top1"] is True
    assert lines[2]["methods"]["guessing"]["top5"] is False
    assert lines[2]["methods"]["one guess"]["top5"] is None


def test_which_images_are_scored():
    assert RUN.scored.tolist() == [True, False, True]


@st.composite
def runs(draw):
    names = draw(st.lists(st.text(min_size=1, max_size=5), min_size=1, max_size=4, unique=True))
    names = [name for name in names if name.isprintable()] or ["a"]
    sides = st.floats(0, 1, width=32)
    pairs = st.lists(sides, min_size=2, max_size=2, unique=True).map(sorted)

    def box():
        (left, right), (top, bottom) = draw(pairs), draw(pairs)
        return [left, top, right, bottom]

    truths = [[box() for _ in range(draw(st.integers(0, 2)))] for _ in names]
    scored = [len(truth) > 0 for truth in truths]
    methods = {}
    for method in ("x", "y"):
        ious = [draw(st.floats(0, 1)) if keep else np.nan for keep in scored]
        boxes = np.array([box() for _ in names], np.float32)
        guessed = [draw(st.booleans()) and keep for keep in scored]
        # Where no image is scored nothing says whether there were guesses.
        top1 = np.array(guessed) if any(scored) and draw(st.booleans()) else None
        methods[method] = MethodOutcomes(boxes, np.array(ious), top1)
    shaped = tuple(np.array(truth, np.float32).reshape(-1, 4) for truth in truths)
    return Outcomes(tuple(names), shaped, methods)


@given(runs())
@settings(max_examples=60, deadline=None)
def test_any_run_comes_back(tmp_path_factory, run):
    path = tmp_path_factory.getbasetemp() / "any.jsonl"
    outcomes.write(path, run)
    assert_same(outcomes.read(path), run)


@given(st.text(max_size=80) | st.binary(max_size=80))
@settings(max_examples=100, deadline=None)
def test_any_text_is_refused_in_one_line(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "text.jsonl"
    path.write_bytes(
        content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content
    )
    with pytest.raises(ValueError, match=r"text\.jsonl") as error:
        outcomes.read(path)
    assert len(str(error.value).splitlines()) == 1


# --- What is refused ---

METHOD = {"box": [0, 0, 1, 1], "iou": 0.5, "top1": None, "top5": None}
UNSCORED = METHOD | {"iou": None}
LINE = {"id": "a", "truths": [[0, 0, 1, 0.5]], "methods": {"m": METHOD}}


def line_with(**changes):
    return json.dumps(LINE | changes)


def method_with(**changes):
    return line_with(methods={"m": METHOD | changes})


WRONG = {
    "no JSON": ("{'id': 1}", "line 1: not valid JSON"),
    "cut off": (line_with()[:-2], "line 1: not valid JSON"),
    "a blank line": ("\n" + line_with(), "line 1: not valid JSON"),
    "nested too deep": ("[" * 100000, "line 1: not valid JSON"),
    "NaN": (
        line_with().replace("0.5}", "NaN}").replace("0.5,", "NaN,"),
        "NaN is not a JSON number",
    ),
    "a list": (
        "[1, 2]",
        r"line 1: a line is a JSON object of id, truths, methods; received \[1, 2\]",
    ),
    "a key too few": ('{"id": "a", "truths": []}', "received 'id', 'truths'"),
    "a key too many": (line_with(more=1), "received 'id', 'truths', 'methods', 'more'"),
    "a key twice": (line_with()[:-1] + ', "id": "b"}', "'id' stands twice"),
    "a method twice": (
        line_with().replace('{"m": ', '{"m": ' + json.dumps(METHOD) + ', "m": '),
        "'m' stands twice",
    ),
    "a number as id": (line_with(id=3), "an id is a word; received 3"),
    "an empty id": (line_with(id=""), "an id is a word; received ''"),
    "an id twice": (line_with() + "\n" + line_with(), "line 2: the image 'a' stands twice"),
    "truths of words": (line_with(truths="none"), 'truths are a list .*; received "none"'),
    "three sides": (line_with(truths=[[0, 0, 1]]), r"truths are a list .*received \[\[0, 0, 1\]\]"),
    "inverted": (line_with(truths=[[0.5, 0, 0.1, 1]]), "with an area"),
    "in pixels": (line_with(truths=[[0, 0, 100, 50]]), "of 0 to 1"),
    "true for a side": (line_with(truths=[[0, 0, True, 1]]), "truths are a list"),
    "no methods": (line_with(methods={}), r"methods are one or more .*received \{\}"),
    "a list of methods": (line_with(methods=[METHOD]), "methods are one or more by their names"),
    "a method of words": (line_with(methods={"m": "x"}), "the method 'm' is a JSON object of box"),
    "no box": (method_with(box=None), "the box of 'm' is four numbers; received null"),
    "infinite box": (method_with().replace("[0, 0, 1, 1]", "[0, 0, 1e999, 1]"), "four numbers"),
    "iou in percent": (method_with(iou=50), "number from 0 to 1, .*; received 50 with 1 true"),
    "iou of words": (method_with(iou="0.5"), "number from 0 to 1"),
    "true iou": (method_with(iou=True), "number from 0 to 1"),
    "no iou": (method_with(iou=None), "received null with 1 true boxes"),
    "iou without a truth": (line_with(truths=[]), "received 0.5 with 0 true boxes"),
    "top1 of 1": (method_with(top1=1), "top1 of 'm' is true, false or null; received 1"),
    "right without a truth": (
        line_with(truths=[], methods={"m": UNSCORED | {"top5": True}}),
        "top5 of 'm' is true without a true box",
    ),
    "top1 of some": (
        method_with(top1=True) + "\n" + line_with(id="b"),
        "top1 of 'm' is null for some images with a true box and not for others",
    ),
    "other methods": (
        line_with() + "\n" + line_with(id="b", methods={"n": METHOD}),
        "line 2: its methods are 'n', those of the first line 'm'",
    ),
    "empty": ("\n", "holds no image"),
}


@pytest.mark.parametrize(("text", "message"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_told_in_one_line(tmp_path, text, message):
    (tmp_path / "o.jsonl").write_text(text + "\n")
    with pytest.raises(ValueError, match=message) as error:
        outcomes.read(tmp_path / "o.jsonl")
    assert str(error.value).startswith(f"{tmp_path / 'o.jsonl'}")
    assert "\n" not in str(error.value)


def test_the_line_that_the_wrong_ones_are_made_of_is_right(tmp_path):
    (tmp_path / "o.jsonl").write_text(line_with())
    assert outcomes.read(tmp_path / "o.jsonl").methods["m"].ious.tolist() == [0.5]


def test_files_that_there_are_not(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no such file of outcomes"):
        outcomes.read(tmp_path / "absent.jsonl")
    with pytest.raises(ValueError, match="a text in UTF-8"):
        outcomes.read(tmp_path)


FOUND = RUN.methods["guessing"]


def guessing(**changes):
    values = {key: getattr(FOUND, key) for key in ("boxes", "ious", "top1", "top5")} | changes
    return {"m": MethodOutcomes(**values)}


@pytest.mark.parametrize(
    ("ids", "truths", "methods", "message"),
    [
        (("a", "a", "b"), TRUTHS, guessing(), "'a' stands twice"),
        (("a", "", "b"), TRUTHS, guessing(), "An id is a word; received ''"),
        (("a", "b"), TRUTHS, guessing(), "2 ids, 3 sets of true boxes and 1 methods"),
        ((), (), guessing(), "0 ids, 0 sets"),
        (RUN.ids, TRUTHS, {}, "0 methods"),
        (RUN.ids, (TRUTHS[0], TRUTHS[1], [[0, 0, 2, 1]]), guessing(), "'é' has a true box that"),
        (
            RUN.ids,
            TRUTHS,
            guessing(boxes=BOXES[:2]),
            r"'m' has one box .*received the shape \(2, 4",
        ),
        (RUN.ids, TRUTHS, guessing(boxes=BOXES * np.nan), "or other numbers"),
        (RUN.ids, TRUTHS, guessing(ious=IOUS[:2]), "'m' has an IoU of 0 to 1"),
        (RUN.ids, TRUTHS, guessing(ious=np.ones(3)), "NaN for each without"),
        (RUN.ids, TRUTHS, guessing(ious=np.full(3, np.nan)), "NaN for each without"),
        (RUN.ids, TRUTHS, guessing(ious=100 * IOUS), "an IoU of 0 to 1"),
        (RUN.ids, TRUTHS, guessing(top1=YES_NO[:2]), "top1 of the method 'm' is 3 times true or"),
        (
            RUN.ids,
            TRUTHS,
            guessing(top5=np.ones(3)),
            r"top5 .* received \(3,\) of the type float64",
        ),
        (RUN.ids, TRUTHS, guessing(top5=np.ones(3, bool)), "top5 .* true for an image without"),
    ],
)
def test_what_does_not_fit_together(ids, truths, methods, message):
    with pytest.raises(ValueError, match=message) as error:
        Outcomes(ids, truths, methods)
    assert "\n" not in str(error.value)
