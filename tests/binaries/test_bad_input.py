"""What users get wrong: one clear line each, and nothing left behind."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from commands import BY_COLOUR, COLOURS, start

CLASSIFIER = "--classifier={made}/classifier"
LOCALIZER = "--localizer={made}/localizer"
SERVED = "--saved_model={made}/served/sensmap"
FEW = ("--dataset=digits", "--split=fit", "--dataset_option=count=8", "--part=all")
FEW_NEW = ("--dataset=digits", "--split=test", "--dataset_option=count=8", "--part=all")
OUT = "--output={place}/out"

BAD = {
    "train.classifier": {
        "no data set": ([OUT], "--dataset is needed"),
        "no output": (["--dataset=digits"], "--output is needed"),
        "number": ([*FEW, OUT, "--epochs=x"], "flag --epochs=x"),
        "learning rate": ([*FEW, OUT, "--learning_rate=-1"], "flag --learning_rate=-1"),
        "divergence": ([*FEW, OUT, "--epochs=1", "--learning_rate=nan"], "training diverged"),
        "architecture": ([*FEW, OUT, "--architecture=nope"], "no architecture 'nope'"),
        "input size": (
            [*FEW, OUT, "--input_size=10"],
            r"--input_size takes 2 whole numbers above 0 \(height,width",
        ),
        "too small": ([*FEW, OUT, "--input_size=4,4"], "images of 16x16 or more"),
        "no labels": (
            ["--dataset=image_folder", "--root={place}/pictures", OUT],
            "two classes or more; received 0",
        ),
        "full disk": (["limit=20000", *FEW, OUT, "--epochs=1"], "File too large"),
        "another task's flag": (
            [*FEW, OUT, "--hidden=8"],
            "--hidden must be left out: it is of --task=multilabel",
        ),
        "sizes": (
            [*FEW, OUT, "--task=multilabel", "--sizes=64,32"],
            r"least and the greatest side; received \['64', '32'\]",
        ),
        "sizes of words": (
            [*FEW, OUT, "--task=multilabel", "--sizes=small,large"],
            "--sizes takes numbers separated by commas",
        ),
        "layer to train from": (
            [*FEW, OUT, "--task=multilabel", "--sizes=32,48", "--trained_from=nope"],
            "small_cnn has no layer 'nope' to train from; it has",
        ),
        "nothing to start from": (
            [*FEW, OUT, "--task=multilabel", "--sizes=32,48", "--architecture={place}/nope"],
            "There is no classifier",
        ),
    },
    "train.box_regressor": {
        "no classifier": ([*FEW, OUT], "--classifier is needed"),
        "missing classifier": (["--classifier={place}/nope", *FEW, OUT], "There is no classifier"),
        "missing preprocessing": (
            ["--classifier={place}/five.keras", *FEW, OUT],
            "What preprocessing was",
        ),
        "two preprocessings": (
            [CLASSIFIER, "--preprocessing=tf", "--mean=1", "--scale=1", *FEW, OUT],
            "either --preprocessing, or both",
        ),
        "no model": (
            ["--classifier={place}/text.keras", "--preprocessing=tf", *FEW, OUT],
            "cannot be read as a Keras model",
        ),
        "several outputs": (
            ["--classifier={place}/two.keras", "--preprocessing=tf", *FEW, OUT],
            "has several outputs",
        ),
        "regression model": (
            ["--classifier={place}/regression.keras", "--preprocessing=tf", *FEW, OUT],
            "at least two classes",
        ),
        "NaN weights": (
            ["--classifier={place}/nan.keras", "--preprocessing=tf", *FEW, OUT],
            "NaN or infinite outputs",
        ),
        "other classes": (
            ["--classifier={place}/five.keras", "--preprocessing=tf", *FEW, OUT],
            "classifier has 5 classes without names, the data set has 10",
        ),
        "data set": ([CLASSIFIER, "--dataset=nope", OUT], "no 'nope' among the datasets"),
        "root": (
            [CLASSIFIER, "--dataset=voc", "--root={place}/nope", OUT],
            "voc: there is no .*/nope",
        ),
        "option": ([CLASSIFIER, *FEW, "--dataset_option=nonsense=1", OUT], "no option 'nonsense'"),
        "labels": (
            [CLASSIFIER, "--dataset=csv", "--root={place}/cats.csv", "--part=all", OUT],
            "knows no class of the data set",
        ),
        "one image": (
            [CLASSIFIER, "--dataset=csv", "--root={place}/seven.csv", "--part=all", OUT],
            "needs two images with one box each",
        ),
        "layer": ([CLASSIFIER, *FEW, "--layers=nope", OUT], "no layer 'nope'; near it"),
        "class id": ([CLASSIFIER, *FEW, "--class_of=10", OUT], "There is no class 10"),
        "fractions": (
            [CLASSIFIER, *FEW, "--part=train", "--fractions=0.5,0.5", OUT],
            "takes three numbers",
        ),
        "seed": ([CLASSIFIER, *FEW, "--seed=-1", OUT], "flag --seed=-1"),
        "unknown flag": ([CLASSIFIER, *FEW, "--lyers=auto", OUT], "lyers"),
        "argument": ([CLASSIFIER, *FEW, "auto", OUT], "'auto' is not a flag"),
        "output exists": ([CLASSIFIER, *FEW, "--output={place}/pictures"], "is not empty"),
        "output is a file": ([CLASSIFIER, *FEW, "--output={place}/cats.csv"], "a file is in"),
        "few to adapt": ([CLASSIFIER, *FEW, "--ready_made", OUT], "takes 30 images; received 8"),
        "ready-made": (
            [CLASSIFIER, *FEW, "--ready_made", "--features=pooled", OUT],
            "--features must be left out",
        ),
        "full disk": (["limit=4000", CLASSIFIER, *FEW, OUT], "File too large"),
        "map method": ([CLASSIFIER, *FEW, "--maps=nope", OUT], "flag --maps=nope"),
        "map option": (
            [CLASSIFIER, *FEW, "--maps=smooth_grad", "--map_option=speed=2", OUT],
            "'smooth_grad' has no option 'speed', it takes samples",
        ),
        "map option's value": (
            [CLASSIFIER, *FEW, "--maps=ten_crop", "--map_option=crop=2", OUT],
            "crop is a number from 0\\.5 to 1; received 2",
        ),
        "map option's form": ([CLASSIFIER, *FEW, "--map_option=crop", OUT], "must be KEY=VALUE"),
        "localizer": (
            [CLASSIFIER, *FEW, "--localizer=nope", OUT],
            "There is no 'nope' among the localizers; choose one of",
        ),
        "store and images": (
            [CLASSIFIER, "--store={place}", "--dataset=digits", OUT],
            "--dataset must be left out: the store has recorded it",
        ),
        "no store": ([CLASSIFIER, "--store={place}", OUT], "There is no feature store in"),
        "the same store twice": (
            [CLASSIFIER, "--store={place}/quantiles,{place}/quantiles", OUT],
            "holds the same images as",
        ),
        "stores of other maps": (
            [CLASSIFIER, "--store={place}/quantiles,{place}/pooled", OUT],
            "cannot be put together with .*: features: stored quantiles, given pooled",
        ),
        "constant box": (
            [CLASSIFIER, *FEW, "--localizer=mean_box", OUT],
            "'mean_box' is a constant box: eval/localization.py has it in every table",
        ),
        "localizer option": (
            [CLASSIFIER, *FEW, "--localizer=graphcut", "--localizer_option=speed=2", OUT],
            "graphcut has no option 'speed'",
        ),
        "localizer option's value": (
            [CLASSIFIER, *FEW, "--localizer=graphcut", "--localizer_option=components=9", OUT],
            "components must be 1 to 5",
        ),
    },
    "eval.localization": {
        "nothing to measure": ([CLASSIFIER, *FEW, OUT], "Give one of"),
        "two to measure": ([CLASSIFIER, LOCALIZER, "--ready_made", *FEW, OUT], "Give one of"),
        "folds of a folder": (
            [CLASSIFIER, LOCALIZER, "--folds=3", *FEW, OUT],
            "among the localizers; choose one of",
        ),
        "not fitted": (
            [CLASSIFIER, "--localizer=threshold", *FEW, OUT],
            "has to be fitted first, by train/box_regressor.py --localizer=threshold",
        ),
        "map methods": ([CLASSIFIER, "--folds=3", "--maps=nope", *FEW, OUT], "no 'nope' among"),
        "a method twice": (
            [CLASSIFIER, "--folds=3", "--maps=guided,guided", *FEW, OUT],
            "each once",
        ),
        "top k": ([CLASSIFIER, LOCALIZER, "--top_k=6", *FEW_NEW, OUT], "flag --top_k=6"),
        "layers twice": ([CLASSIFIER, LOCALIZER, "--layers=auto", *FEW, OUT], "--layers must be"),
        "classifier twice": ([CLASSIFIER, SERVED, *FEW, OUT], "--classifier must be left out"),
        "fitted on": ([CLASSIFIER, LOCALIZER, *FEW, OUT], "8 of the 8 images were used to fit"),
        "fitted on, served": ([SERVED, *FEW, OUT], "8 of the 8 images were used to fit"),
        "folds": ([CLASSIFIER, "--folds=9", *FEW, OUT], "received 9 folds for 8 examples"),
        "no localizer": ([CLASSIFIER, "--localizer={place}", *FEW, OUT], "There is no localizer"),
        "no export": (["--saved_model={place}", *FEW, OUT], "There is no SavedModel"),
        "damaged regressor": (
            [CLASSIFIER, "--localizer={place}/damaged", *FEW_NEW, OUT],
            "is not a box regressor, or is damaged",
        ),
        "class": ([SERVED, "--class_of=zebra", *FEW_NEW, OUT], "no class 'zebra'"),
        "full disk": (["limit=2000", SERVED, *FEW_NEW, OUT], "File too large"),
    },
    "eval.segmentation": {
        "no classifier": ([*COLOURS, OUT], "--classifier is needed"),
        "no data set": ([*BY_COLOUR, OUT], "--dataset is needed"),
        "no masks": ([CLASSIFIER, *FEW, OUT], "No image of .* has a mask .*no mask of it"),
        "other classes": ([CLASSIFIER, *COLOURS, OUT], "knows no class of the data set"),
        "scales of one size": (
            [
                *("--classifier={place}/one_size.keras", "--preprocessing=tf", *COLOURS, OUT),
                *("--maps=dcsm", "--map_option=scales=(1.0,0.5)"),
            ],
            "takes images of one size only, so the scale must be 1",
        ),
        "classes of": ([*BY_COLOUR, *COLOURS, "--classes_of=both", OUT], "flag --classes_of=both"),
        "features": (
            [*BY_COLOUR, *COLOURS, "--features=pooled", OUT],
            "--features must be left out",
        ),
        "background": ([*BY_COLOUR, *COLOURS, "--background=0", OUT], "weight above 0"),
        "two backgrounds": (
            [*BY_COLOUR, *COLOURS, "--background=1", "--fit_background=train", OUT],
            "--background must be left out: --fit_background chooses it",
        ),
        "chosen on what is scored": (
            [*BY_COLOUR, *COLOURS, "--fit_background=train", OUT],
            "2 of the 2 images .* are among those that are scored",
        ),
        "chosen on nothing": (
            [*BY_COLOUR, *COLOURS, "--split=val", "--fit_background=nope", OUT],
            "nope.txt",
        ),
        "CRF option": (
            [*BY_COLOUR, *COLOURS, "--crf_option=speed=2", OUT],
            "the CRF has no option 'speed'; it takes gaussian_xy, ",
        ),
        "CRF option's kind": (
            [*BY_COLOUR, *COLOURS, "--crf_option=steps=2.5", OUT],
            "steps is a whole number; received 2.5",
        ),
        "CRF option's value": (
            [*BY_COLOUR, *COLOURS, "--crf_option=bilateral_rgb=0", OUT],
            "must be above 0",
        ),
        "option of no CRF": (
            [*BY_COLOUR, *COLOURS, "--nocrf", "--crf_option=steps=2", OUT],
            "--crf_option must be left out",
        ),
        "output exists": ([*BY_COLOUR, *COLOURS, "--output={place}/pictures"], "is not empty"),
        "full disk": (["limit=2000", *BY_COLOUR, *COLOURS, OUT], "File too large"),
    },
    "train.export_saved_model": {
        "no localizer": ([CLASSIFIER, OUT], "--localizer is needed"),
        "top k": ([CLASSIFIER, LOCALIZER, "--top_k=11", OUT], "1 to 10 classes"),
        "name": ([CLASSIFIER, LOCALIZER, "--name=a/b", OUT], "received 'a/b'"),
        "version exists": ([CLASSIFIER, LOCALIZER, "--output={made}/served"], "is not empty"),
        "full disk": (["limit=4000", CLASSIFIER, LOCALIZER, OUT], "File too large"),
    },
    "sensmap.__main__": {
        "two ways to choose": (
            ["{place}/pictures/a.png", CLASSIFIER, "--class=1", "--top_k=2"],
            "--top_k must be left out: --class asks for one class",
        ),
        "not fitted": (
            ["{place}/pictures/a.png", CLASSIFIER, "--localizer=linear"],
            "has to be fitted first",
        ),
        "ready-made": (
            ["{place}/pictures/a.png", CLASSIFIER, "--maps=guided"],
            "ready-made regressor is for gradient maps",
        ),
        "too many classes": (
            ["{place}/pictures/a.png", CLASSIFIER, "--top_k=11"],
            "1 to 10 classes",
        ),
        "no picture": ([CLASSIFIER], "Name images or folders"),
        "no classifier": (["{place}/pictures/a.png"], "--classifier is needed"),
        "an empty name": (["", CLASSIFIER], "name of an image is empty"),
        "an empty folder": (["{place}/empty", CLASSIFIER], "no image in .*/empty"),
        "missing": (["{place}/nope.jpg", CLASSIFIER], "1 of 1 images could not be used"),
        "broken": (["{place}/pictures", CLASSIFIER], "2 of 3 images could not be used"),
        "class": (["{place}/pictures/a.png", CLASSIFIER, "--class=10"], "There is no class 10"),
        "layers twice": (
            ["{place}/pictures/a.png", CLASSIFIER, LOCALIZER, "--layers=auto"],
            "--layers must be left out",
        ),
        "classifier twice": (
            ["{place}/pictures/a.png", CLASSIFIER, SERVED],
            "--classifier must be left out",
        ),
        "overlays exist": (
            ["{place}/pictures/a.png", CLASSIFIER, "--overlays={place}/pictures"],
            "is not empty",
        ),
    },
}


@pytest.fixture(scope="module")
def ends(made, place, tmp_path_factory):
    """How each case of a binary ended, and the files it left; all of a binary in one process."""
    known = {}

    def of(module):
        if module not in known:
            known[module] = drive(module, made, place, tmp_path_factory.mktemp("driven"))
        return known[module]

    return of


def drive(module, made, place, work):
    cases = [
        [argument.format(made=made, place=place) for argument in arguments]
        for arguments, _ in BAD[module].values()
    ]
    before = sorted(place.rglob("*"))
    (work / "cases.json").write_text(json.dumps(cases))
    driver = Path(__file__).parents[1] / "drive_binary.py"
    arguments = [driver, module, work / "cases.json", work / "answers.json"]
    subprocess.run([sys.executable, *arguments], cwd=work, check=True)
    answers = json.loads((work / "answers.json").read_text())
    left = sorted(path for path in set(place.rglob("*")) - set(before) if path.is_file())
    return dict(zip(BAD[module], answers, strict=True)), left


@pytest.mark.parametrize(
    ("module", "case"), [(module, case) for module, cases in BAD.items() for case in cases]
)
def test_one_clear_line(ends, module, case):
    end = ends(module)[0][case]["end"]
    # A text at the exit is what Python prints to standard error before it exits with 1.
    assert isinstance(end, str), ends(module)[0][case]
    assert end.startswith("error: "), end
    assert "\n" not in end
    assert re.search(BAD[module][case][1], end), end


@pytest.mark.parametrize("module", BAD)
def test_nothing_is_left_of_a_run_that_failed(ends, module):
    assert ends(module)[1] == []


def test_broken_pictures_are_named(ends):
    said = ends("sensmap.__main__")[0]["broken"]["stderr"].splitlines()
    assert [line.partition("pictures/")[2] for line in said] == [
        "b.jpg: the file is empty.",
        "c.jpg: not an image (JPEG, PNG, GIF, BMP or WebP).",
    ]


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c(tmp_path):
    process = start(
        "train.classifier",
        *("--dataset=digits", "--dataset_option=count=200", "--epochs=100000"),
        *("--input_size=16,16", f"--output={tmp_path / 'out'}"),
    )
    try:
        while not list(tmp_path.iterdir()) and process.poll() is None:  # until it begins to write
            time.sleep(0.1)
        os.kill(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, said
    assert said == "error: interrupted; what was begun is not kept.\n"
    assert not list(tmp_path.iterdir())
