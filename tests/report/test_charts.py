"""Charts: where things lie, in the drawing's own units."""

import re

import pytest
from test_html import Page

from sensmap.report import charts

# Left, right, top and bottom of the plot.
LEFT, RIGHT, TOP, BOTTOM = 44, 350, 22, 218
PERCENT = charts.Axis("CorLoc (%)", 50, 70, [(50, "50"), (60, "60"), (70, "70")])


def _numbers(path):
    return [float(number) for number in re.findall(r"-?[\d.]+", path)]


def test_places_on_axes():
    assert charts.Axis("", 10, 30, ()).place(15) == 0.25
    axis = charts.Axis("", 1, 16, (), log=True)
    assert [axis.place(value) for value in (1, 2, 4, 16)] == pytest.approx([0, 0.25, 0.5, 1])


def test_columns_have_the_height_of_their_counts():
    page = Page(charts.columns([0, 20, 10, 0, 0, 0, 5, 0, 0, 0], "IoU", 5, "what it shows"))
    bars = page.all("rect")
    assert [bar["class"] for bar in bars] == ["bar"] * 5 + ["bar set"] * 5
    height = BOTTOM - TOP
    expected = [0, height, height / 2, 0, 0, 0, height / 4, 0, 0, 0]
    assert [float(bar["height"]) for bar in bars] == pytest.approx(expected, abs=0.1)
    for bar in bars:
        assert float(bar["y"]) + float(bar["height"]) == pytest.approx(BOTTOM, abs=0.1)
    # The second begins at a tenth of the width, but for the gap of 1.5 on each side.
    assert float(bars[1]["x"]) == pytest.approx(LEFT + (RIGHT - LEFT) / 10 + 1.5, abs=0.1)
    assert page.all("svg")[0]["aria-label"] == "what it shows"
    assert page.text.endswith("20105")  # the counts, those of empty bins left out


def test_columns_of_nothing():
    heights = [bar["height"] for bar in Page(charts.columns([0] * 10, "IoU", 5, "x")).all("rect")]
    assert heights == ["0.0"] * 10


def test_points_and_their_means():
    page = Page(charts.scatter([[0, 0], [1, 0.5]], [(0.5, 0.25)], ("x", "y"), "label"))
    paths = {each["class"]: each["d"] for each in page.all("path")}
    assert _numbers(paths["diagonal"]) == [LEFT, BOTTOM, RIGHT, TOP]
    middle = (TOP + BOTTOM) / 2
    assert paths["dots"] == f"M{LEFT} {BOTTOM}h0M{RIGHT} {middle:.0f}h0"
    across, down = (LEFT + RIGHT) / 2, BOTTOM - (BOTTOM - TOP) / 4
    assert _numbers(paths["curve s0"]) == [across, down]


@pytest.mark.parametrize(("count", "shown"), [(1500, 1500), (1501, 751), (50_000, 1471)])
def test_clouds_are_thinned_out(count, shown):
    points = [[number / count, 0.5] for number in range(count)]
    page = Page(charts.scatter(points, [], ("x", "y"), "label"))
    dots = next(each["d"] for each in page.all("path") if each["class"] == "dots")
    assert dots.count("M") == shown
    assert not [each for each in page.all("path") if "curve" in each["class"]]


def test_lines_and_their_intervals():
    x = charts.Axis("boxes", 1, 100, [(1, "1"), (100, "all")], log=True)
    series = [
        charts.Series("ours", [(1, 50.0, [50, 60]), (10, 60.0, None), (100, 70.0, None)]),
        charts.Series("theirs", [(10, 55.0, None)]),
    ]
    page = Page(charts.lines(series, x, PERCENT, "label"))
    paths = [(each["class"], _numbers(each["d"])) for each in page.all("path")]
    middle_x, middle_y = (LEFT + RIGHT) / 2, (TOP + BOTTOM) / 2
    # The first of two lines has its whiskers half of 3.5 to the left.
    assert paths[0] == ("whisker s0", pytest.approx([LEFT - 1.75, BOTTOM, middle_y], abs=0.06))
    assert paths[1] == ("curve s0", [LEFT, BOTTOM, middle_x, middle_y, RIGHT, TOP])
    assert paths[2][0] == "mark s0"
    assert [name for name, _ in paths[3:]] == ["curve s1", "mark s1"] + [
        f"{kind} s{number}" for number in (0, 1) for kind in ("curve", "mark")
    ]
    rules = [float(rule["y1"]) for rule in page.all("line")]
    assert rules == [BOTTOM, middle_y, TOP]
    for word in ("boxes", "CorLoc (%)", "60", "all", "ours", "theirs"):
        assert word in page.text
    assert page.all("svg")[0]["aria-label"] == "label"


def test_twelve_lines_differ_in_colour_or_mark():
    series = [charts.Series(str(number), [(0.5, 60.0, None)]) for number in range(12)]
    page = Page(charts.lines(series, charts.Axis("x", 0, 1, ()), PERCENT, "label"))
    looks = [
        (each["class"], re.sub(r"^M\S+ \S+?(?=[a-z])", "", each["d"]))
        for each in page.all("path")
        if "mark" in each["class"]
    ][:12]
    assert len(set(looks)) == 12


@pytest.mark.parametrize(
    ("values", "low", "high", "step"),
    [
        ([58.2, 71.0], 55, 75, 5),
        ([60.0], 60, 65, 5),
        ([0.0, 100.0], 0, 100, 20),
        ([33.0, 70.0], 30, 70, 10),
        ([95.0, 100.0], 95, 100, 5),
    ],
)
def test_axes_of_percentages(values, low, high, step):
    axis = charts.percent_axis("CorLoc (%)", values)
    assert (axis.low, axis.high) == (low, high)
    assert [at for at, _ in axis.ticks] == list(range(low, high + 1, step))
