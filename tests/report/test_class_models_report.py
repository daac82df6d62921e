"""The report of class models names every class, and hides none that failed."""

import numpy as np
import pytest
from test_html import assert_self_contained

from sensmap import files, images
from sensmap.class_model import ClassModels
from sensmap.report import class_models

NAMES = ("goose", "<b>cup</b>", "été & co.")
RESULT = {
    "title": "Class models",
    "classifier": "a network",
    "settings": [{"objective": "score", "penalty": 0.05}],
    "versions": {"tensorflow": "2.21.0"},
}


def models(scores, seed=0):
    """Class models of the classes 2 and 0; pixels at random."""
    noise = np.random.default_rng(seed)
    return ClassModels(
        np.array([2, 0], np.int32),
        noise.normal(size=(2, 6, 8, 3)).astype(np.float32),
        noise.integers(0, 256, (2, 6, 8, 3), np.uint8),
        np.array(scores, np.float32),
        np.array([False, True]),
    )


# Class 2 is on top by its score; class 0 is second to class 1.
BY_SCORE = models([[0, 1, 5], [3, 4, -9]])
BY_POSTERIOR = models([[0, 0, 2], [9, 0, 1]], seed=1)
BOTH = {"score": BY_SCORE, "posterior": BY_POSTERIOR}


def name_of(class_id):
    return NAMES[class_id]


def test_rows():
    found = class_models.rows(BOTH, name_of)
    assert [(row["name"], row["objective"], row["rank"]) for row in found] == [
        ("été & co.", "score", 1),
        ("été & co.", "posterior", 1),
        ("goose", "score", 2),
        ("goose", "posterior", 1),
    ]
    assert found[2] == {
        "class_id": 0,
        "name": "goose",
        "objective": "score",
        "score": 3.0,
        "rival": "<b>cup</b>",
        "rival_score": 4.0,
        # e^3 / (e^3 + e^4 + e^-9) = 1 / (1 + e + e^-12)
        "posterior": pytest.approx(1 / (1 + np.e + np.exp(-12))),
        "rank": 2,
        "from_noise": True,
        "file": "0000_goose_score.png",
    }
    assert found[0]["file"] == "0002_t_co_score.png"


def test_summary():
    assert class_models.summary({"score": BY_SCORE}) == [
        {
            "objective": "score",
            "on_top": 1,
            "classes": 2,
            # The mean of e^5 / (1 + e + e^5) and of the one above.
            "posterior": pytest.approx(
                (1 / (1 + np.exp(-4) + np.exp(-5)) + 1 / (1 + np.e + np.exp(-12))) / 2
            ),
        }
    ]


def test_grid(monkeypatch):
    seen = {}

    def grid(tiles, columns, captions, side):
        seen.update(tiles=tiles, columns=columns, captions=captions)
        return np.zeros((2, 2, 3), np.uint8)

    monkeypatch.setattr("sensmap.report.sheets.grid", grid)
    class_models.grid(BOTH, name_of)
    assert seen["captions"] == [
        *("été & co., score", "été & co., posterior"),
        *("goose, score, rank 2", "goose, posterior"),
    ]
    expected = [BY_SCORE.images[0], BY_POSTERIOR.images[0]]
    expected += [BY_SCORE.images[1], BY_POSTERIOR.images[1]]
    np.testing.assert_array_equal(seen["tiles"], expected)
    assert seen["columns"] % 2 == 0  # both of a class in one row
    class_models.grid({"score": BY_SCORE}, name_of)
    assert seen["captions"] == ["été & co.", "goose, rank 2"]


def test_page_of_one_objective():
    page = assert_self_contained(class_models.page({"score": BY_SCORE}, name_of, RESULT))
    assert "1 of 2classes have a higher score than every other class" in page.text
    assert "Classifier: a network." in page.text
    assert len(page.all("img")) == 2
    assert "gooserank 2, below <b>cup</b>" in page.text
    assert "été & co.P 0.98" in page.text
    assert "goose (0)score3.0<b>cup</b>4.00.2692" in page.text.replace("\n", "")
    assert '"penalty": 0.05' in page.text
    assert '"tensorflow": "2.21.0"' in page.text
    assert "Configuration" not in page.text


def test_page_of_both_objectives():
    page = assert_self_contained(class_models.page(BOTH, name_of, RESULT))
    assert "From left to right by score, by posterior." in page.text
    assert len(page.all("img")) == 4
    assert "gooseby score: rank 2, below <b>cup</b>; by posterior: P 1.00" in page.text
    assert "score1 of 2" in page.text
    assert "posterior2 of 2" in page.text


def test_what_is_written(tmp_path):
    text = class_models.write(tmp_path, BOTH, name_of, RESULT)
    assert len(text.splitlines()) == 2 + 4
    result = files.read_json(tmp_path / "result.json")
    assert result == RESULT | {
        "summary": class_models.summary(BOTH),
        "rows": class_models.rows(BOTH, name_of),
    }
    for row in result["rows"]:
        place = [2, 0].index(row["class_id"])
        expected = BOTH[row["objective"]].images[place]
        np.testing.assert_array_equal(images.load(tmp_path / row["file"]), expected)
    assert images.load(tmp_path / "grid.png").shape[1] > 2 * 224
    assert_self_contained((tmp_path / "report.html").read_text("utf-8"))
