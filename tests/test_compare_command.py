"""The command that compares two runs, as a user types it; and what users get wrong."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sensmap import files, outcomes
from sensmap.outcomes import MethodOutcomes, Outcomes

ROOT = Path(__file__).resolve().parents[1]
BOX = np.array([[0, 0, 1, 1]], np.float32)


def write(folder, ious_of, ids, dataset="photographs", truth=BOX):
    """A folder as eval/localization.py leaves it, as far as a comparison reads it."""
    boxes = np.tile(BOX, (len(ids), 1))
    methods = {
        name: MethodOutcomes(boxes, np.array(ious), np.array(ious) >= 0.7)
        for name, ious in ious_of.items()
    }
    outcomes.write(folder / "outcomes.jsonl", Outcomes(tuple(ids), (truth,) * len(ids), methods))
    files.write_json(folder / "result.json", {"dataset": dataset, "rows": []})


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compare") / "two words"
    names = [f"{i}.jpg" for i in range(8)]
    old = [0.1, 0.2, 0.3, 0.4, 0.45, 0.49, 0.9, 0.1]
    new = [0.6, 0.7, 0.8, 0.9, 0.55, 0.5, 0.8, 0.2]
    write(folder / "new", {"Mean box": old, "GraphCut (guided)": new}, names)
    write(folder / "old", {"Linear": [*old[1:], 0.3]}, [*names[1:], "other.jpg"])
    write(folder / "elsewhere", {"Linear": [0.5]}, ["z.jpg"])
    write(folder / "moved", {"Linear": old}, names, truth=BOX / 2)
    files.write_text(folder / "broken.jsonl", '{"id": "a"}\n')
    files.write_bytes(folder / "binary.jsonl", b"\xff\xfe\x00")
    write(folder / "half", {"Linear": old}, names)
    files.write_text(folder / "half" / "result.json", "{")
    (folder / "empty").mkdir()
    return folder


def command(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "eval.compare", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_two_runs(place, tmp_path):
    done = command(place / "new", place / "old", f"--output={tmp_path / 'out'}")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "A is GraphCut (guided), B is Linear." in done.stdout
    assert "1 images of A are not in B and are left out: 0.jpg." in done.stdout
    assert "1 images of B are not in A and are left out: other.jpg." in done.stdout
    assert done.stdout.endswith(f"{tmp_path / 'out'}/compare.md\n")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"compare.json", "compare.md"}
    found = files.read_json(tmp_path / "out" / "compare.json")
    corloc, top1 = found["measures"]
    assert found["scored"] == 7
    # Of images 1 to 7 A is right on 1 to 6, and B on 6 alone.
    assert (corloc["both"], corloc["only_a"], corloc["only_b"], corloc["neither"]) == (1, 5, 0, 1)
    assert corloc["p_value"] == 0.0625
    assert (top1["measure"], top1["only_a"]) == ("top1", 3)
    assert found["runs"]["a"]["dataset"] == "photographs"
    assert found["runs"]["b"]["outcomes"] == str(place / "old" / "outcomes.jsonl")
    assert found["configuration"]["method_a"] is None
    page = (tmp_path / "out" / "compare.md").read_text()
    assert "| CorLoc (%) | 85.7 | 14.3 | +71.4 [" in page
    assert "p = 0.062" in page
    assert "CorLoc (%)" in done.stdout


def test_two_methods_of_one_run_and_files(place):
    file = place / "new" / "outcomes.jsonl"
    done = command(file, place / "new", "--method_b=Mean box")
    assert done.returncode == 0, done.stderr
    assert "A is GraphCut (guided), B is Mean box." in done.stdout
    assert "On 8 images CorLoc is 87.5% by A and 12.5% by B" in done.stdout
    assert "compare.md" not in done.stdout


RUNS = ("{place}/new", "{place}/old")
BAD = {
    "no run": ([], "Give two runs, A and B: .*; received 0"),
    "one run": (["{place}/new"], "Give two runs, A and B: .*; received 1"),
    "three runs": ([*RUNS, "{place}/old"], "received 3"),
    "no such file": (["{place}/new", "{place}/nope"], "nope: there is no such file of outcomes"),
    "no folder of a run": (
        ["{place}/empty", "{place}/old"],
        "empty holds no outcomes.jsonl; give a folder of eval/localization.py",
    ),
    "broken": (["{place}/broken.jsonl", "{place}/old"], "broken.jsonl, line 1: a line is a JSON"),
    "binary": (["{place}/new", "{place}/binary.jsonl"], "binary.jsonl: outcomes are a text"),
    "unknown method of A": (
        [*RUNS, "--method_a=Linear"],
        r"A has no method 'Linear'; choose one of 'Mean box', 'GraphCut \(guided\)'",
    ),
    "unknown method of B": ([*RUNS, "--method_b=nope"], "B has no method 'nope'; .* 'Linear'"),
    "the same": (
        ["{place}/new", "{place}/new"],
        "Both are the method .* of the same run; choose two, by --method_a and --method_b",
    ),
    "other images": (["{place}/new", "{place}/elsewhere"], "no image in common: A's are like"),
    "other boxes": (["{place}/new", "{place}/moved"], "'0.jpg' has other true boxes"),
    "half a result": (
        ["{place}/new", "{place}/half", "--output={place}/out"],
        "result.json: not a valid JSON file",
    ),
    "output exists": ([*RUNS, "--output={place}/new"], "exists and is not empty"),
    "output is a file": ([*RUNS, "--output={place}/broken.jsonl"], "a file is in its place"),
    "full disk": (["limit=100", *RUNS, "--output={place}/out"], "File too large"),
    "overwrite what": ([*RUNS, "--overwrite"], "--overwrite must be left out: it is of --output"),
    "unknown flag": ([*RUNS, "--method=x"], "method"),
}


@pytest.fixture(scope="module")
def ends(place, tmp_path_factory):
    """How each case ended, all in one process, and the files that they left."""
    work = tmp_path_factory.mktemp("driven")
    cases = [[each.format(place=place) for each in arguments] for arguments, _ in BAD.values()]
    before = set(place.rglob("*"))
    (work / "cases.json").write_text(json.dumps(cases))
    driver = Path(__file__).with_name("drive_binary.py")
    arguments = [driver, "eval.compare", work / "cases.json", work / "answers.json"]
    subprocess.run([sys.executable, *arguments], cwd=work, check=True)
    answers = json.loads((work / "answers.json").read_text())
    left = [path for path in set(place.rglob("*")) - before if path.is_file()]
    return dict(zip(BAD, answers, strict=True)), left


@pytest.mark.parametrize("case", BAD)
def test_one_clear_line(ends, case):
    end = ends[0][case]["end"]
    # A text at the exit is what Python prints to standard error before it exits with 1.
    assert isinstance(end, str), ends[0][case]
    assert end.startswith("error: "), end
    assert "\n" not in end
    assert re.search(BAD[case][1], end), end


def test_nothing_is_left_of_a_run_that_failed(ends):
    assert ends[1] == []
