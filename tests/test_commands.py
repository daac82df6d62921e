"""The commands as a user types them, from training to a served model; and what users get wrong."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from sensmap import boxes as box_geometry
from sensmap import classifiers, datasets, files, images, masks

ROOT = Path(__file__).resolve().parents[1]
FIT = ("--dataset=digits", "--split=fit", "--dataset_option=count=200", "--part=all")
TEST = ("--dataset=digits", "--split=test", "--dataset_option=count=40", "--part=all")
BASELINES = [
    *("Constant centre box", "Mean training box", "Full image"),
    *("Top objectness box", "DDT", "Joint boxes"),
]
CONSTANT = "--baselines=centred_box,mean_box"
# The files of an evaluation.
WRITTEN = {
    *("result.json", "report.html", "report.md", "table.md"),
    *("boxes.jsonl", "outcomes.jsonl", "boxes.png"),
}


def start(module, *arguments):
    return subprocess.Popen(
        [sys.executable, "-m", module, *map(str, arguments)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process):
    out, said = process.communicate()
    assert process.returncode == 0, said
    return out, said


def command(module, *arguments):
    return finish(start(module, *arguments))


def write_png(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(tf.io.encode_png(pixels).numpy())


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder in which a classifier was trained, a localizer fitted, and both exported."""
    folder = tmp_path_factory.mktemp("runs") / "two words"
    command(
        "train.classifier",
        *("--dataset=digits", "--split=train", "--dataset_option=count=400", "--epochs=1"),
        *("--input_size=32,32", "--seed=3", f"--output={folder / 'classifier'}"),
    )
    by = f"--classifier={folder / 'classifier'}"
    out, _ = command("train.box_regressor", by, *FIT, f"--output={folder / 'localizer'}")
    assert "Linear regression, fitted on 200 images, penalty" in out
    localizer = f"--localizer={folder / 'localizer'}"
    command("train.export_saved_model", by, localizer, f"--output={folder / 'served'}")
    return folder


# --- From training to a served model ---


def test_what_training_writes(made):
    record = files.read_json(made / "classifier" / "training.json")
    assert set(record) >= {"configuration", "versions", "images", "skipped", "accuracy", "loss"}
    assert record["configuration"]["seed"] == 3
    assert record["configuration"]["dataset_option"] == ["count=400"]
    assert record["versions"]["tensorflow"] == tf.__version__
    fitted = files.read_json(made / "localizer" / "config.json")
    assert fitted["fitted_on_boxes_of"] == fitted["data"]["images"] == 200
    assert set(fitted["baselines"]) == {"centred_box", "mean_box"}
    assert fitted["maps"]["layers"] == ["pixels"]
    assert fitted["configuration"]["maps"] == "gradient"
    served = files.read_json(made / "served/sensmap/1/assets.extra/sensmap.json")
    assert served["classifier"] == fitted["classifier"]
    assert (made / "served" / "models.config").is_file()


def lines_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_multilabel_classifier_is_trained_and_validated(tmp_path):
    out, _ = command(
        "train.classifier",
        *("--task=multilabel", "--dataset=digits", "--split=train", "--dataset_option=count=200"),
        *("--part=train", "--sizes=32,48", "--hidden=8", "--epochs=1", f"--output={tmp_path}/out"),
    )
    assert "Validation part: mAP" in out
    record = files.read_json(tmp_path / "out" / "training.json")
    assert record["validation"]["images"] == 25
    config = files.read_json(tmp_path / "out" / "classifier.json")
    assert config["multilabel"]
    assert config["input_size"] == [40, 40]


def test_evaluations_agree(made, tmp_path):
    by = f"--classifier={made / 'classifier'}"
    ways = {
        "localizer": (by, f"--localizer={made / 'localizer'}"),
        "saved_model": (f"--saved_model={made / 'served' / 'sensmap'}",),
        "folds": (by, "--folds=3", "--layers=auto"),
    }
    begun = {  # all at once
        way: start("eval.localization", *arguments, *TEST, f"--output={tmp_path / 'new' / way}")
        for way, arguments in ways.items()
    }
    lines = {}
    for way, process in begun.items():
        out, _ = finish(process)
        output = tmp_path / "new" / way
        assert "Constant centre box" in out
        assert str(output / "report.html") in out
        assert {path.name for path in output.iterdir()} == WRITTEN
        result = files.read_json(output / "result.json")
        assert set(result) >= {"rows", "sanity", "skipped", "counts", "configuration", "versions"}
        rows = result["rows"]
        # The export holds a classifier, but not its inner layers.
        baselines = [name for name in BASELINES if way != "saved_model" or name != "DDT"]
        assert [row["method"] for row in rows[:-1]] == baselines
        assert {row["images"] for row in rows} == {40}
        lines[way] = lines_of(output / "boxes.jsonl")
        assert [line["id"] for line in lines[way]] == result["data"]["ids"]
        # The score is that of these boxes.
        found = 100 * np.mean([line["iou"] >= 0.5 for line in lines[way]])
        assert rows[-1]["corloc"] == pytest.approx(found)
    assert len(list(tmp_path.glob("**/.*"))) == 0
    assert lines["folds"] != lines["localizer"]
    for left, right in zip(lines["localizer"], lines["saved_model"], strict=True):
        assert (left["id"], left["class_id"]) == (right["id"], right["class_id"])
        np.testing.assert_allclose(left["box"], right["box"], atol=1e-4)
        np.testing.assert_allclose(left["box_pixels"], right["box_pixels"], atol=0.02)


def test_map_methods_against_localizers(made, tmp_path):
    by = (f"--classifier={made / 'classifier'}", *TEST, "--top_k=5")
    out, _ = command(
        "eval.localization",
        *(*by, "--folds=2", "--localizer=linear,graphcut,threshold", "--maps=gradient,grad_cam"),
        *("--localizer_option=components=2", "--learning_curve=1,all", CONSTANT),
        f"--output={tmp_path / 'table'}",
    )
    result = files.read_json(tmp_path / "table" / "result.json")
    rows = result["rows"][2:]
    assert [(row["localizer"], row["maps"].split(",")[0]) for row in rows] == [
        (localizer, maps)
        for maps in ("gradient", "grad_cam")
        for localizer in ("Linear regression", "GraphCut", "Threshold")
    ]
    for row in result["rows"]:
        assert row["top5_error"] <= row["top1_error"]
        assert row["top5_classification_error"] <= row["top5_error"]
        assert row["top1_classification_error"] == pytest.approx(100 - accuracy(made), abs=1e-6)
    for row in rows:
        assert row["seconds_per_image"] > 0
        # Only thresholds can be chosen on the scored images, or on others.
        for key in ("corloc_oracle", "max_box_acc_transferred"):
            assert (key in row) == (row["localizer"] == "Threshold")
    curve = result["learning_curve"]
    assert [(each["method"], each["boxes_per_class"]) for each in curve] == [
        (row["method"], count) for row in rows for count in (1, "all")
    ]
    assert [each["images"] for each in result["fitted_on"]] == [20, 20]
    page = (tmp_path / "table" / "report.html").read_text()
    assert "Top-1 localization error  Top-5" in out
    assert "Top-5 localization error" in page
    assert "Learning curve" in page
    for text in (out, page):
        assert "Threshold (grad_cam" in text
    assert "Five guesses" in page
    lines = lines_of(tmp_path / "table" / "boxes.jsonl")
    assert [len(line["guesses"]) for line in lines] == [5] * 40
    assert lines[0]["guesses"][0]["score"] >= lines[0]["guesses"][1]["score"]


def accuracy(made):
    """Top-1, in percent, of the classifier on the images of `TEST`."""
    classifier = classifiers.load(made / "classifier")
    digits = datasets.load("digits", split="test", count=40)
    scores = classifier.class_scores(np.stack([example.image for example in digits]))
    return 100 * np.mean(scores.argmax(axis=1) == [example.labels[0] for example in digits])


def test_a_threshold_is_fitted_and_graphcut_needs_no_fit(made, tmp_path):
    by = f"--classifier={made / 'classifier'}"
    out, _ = command(
        "train.box_regressor", by, *FIT, "--localizer=threshold", f"--output={tmp_path / 'fitted'}"
    )
    assert "Threshold, fitted on 200 images, threshold 0." in out
    out, _ = command(
        *("eval.localization", by, *TEST, f"--localizer={tmp_path / 'fitted'},graphcut"),
        *(CONSTANT, f"--output={tmp_path / 'evaluation'}"),
    )
    rows = files.read_json(tmp_path / "evaluation" / "result.json")["rows"]
    assert [row["method"] for row in rows[2:]] == ["Threshold (gradient)", "GraphCut (gradient)"]
    assert "From map to segmentation" in (tmp_path / "evaluation" / "report.html").read_text()


def test_a_regressor_from_a_feature_store(made, tmp_path):
    by = f"--classifier={made / 'classifier'}"
    store = f"--output={tmp_path / 'store'}"
    out, _ = command("train.features", by, *FIT, "--shard_size=70", store)
    assert "features of 200 images; 3 shards made, 0 taken over" in out
    out, _ = command(
        "train.box_regressor", by, f"--store={tmp_path / 'store'}", f"--output={tmp_path / 'fit'}"
    )
    assert "Linear regression, fitted on 200 images, penalty" in out
    kinds = ("dataset", "images", "ids_sha256", "ids")
    fitted, direct = (
        files.read_json(each / "config.json") for each in (tmp_path / "fit", made / "localizer")
    )
    assert [fitted["data"][kind] for kind in kinds] == [direct["data"][kind] for kind in kinds]
    assert fitted["baselines"] == direct["baselines"]
    # Its images are refused like those of any other fit.
    process = start(
        *("eval.localization", by, f"--localizer={tmp_path / 'fit'}", *FIT),
        *(CONSTANT, f"--output={tmp_path / 'evaluation'}"),
    )
    _, said = process.communicate()
    assert process.returncode == 1
    assert "200 of the 200 images were used to fit" in said


def test_maps_and_boxes_of_other_tools(made, tmp_path):
    digits = datasets.load("digits", split="test", count=40)
    maps, boxes = tmp_path / "maps", tmp_path / "boxes.jsonl"
    maps.mkdir()
    lines = []
    for position, example in enumerate(digits):
        size = example.image.shape[:2]
        x0, y0, x1, y1 = box_geometry.xyxy_to_pixels(example.boxes, size)[0].round().astype(int)
        heat = np.zeros(size)
        heat[y0:y1, x0:x1] = 1
        np.save(maps / f"{example.id}.npy", heat)
        if position >= 10:  # a quarter has no box
            lines.append(json.dumps({"id": example.id, "box": example.boxes[0].tolist()}))
    boxes.write_text("\n".join(lines))
    out, _ = command(
        "eval.localization", f"--scoremaps={maps}", *TEST, CONSTANT, f"--output={tmp_path / 'a'}"
    )
    assert "Threshold (maps)" in out
    row = files.read_json(tmp_path / "a" / "result.json")["rows"][-1]
    assert (row["corloc"], row["max_box_acc"], row["pointing_game"]) == (100, 100, 100)
    _, said = command(
        "eval.localization", f"--boxes={boxes}", *TEST, CONSTANT, f"--output={tmp_path / 'b'}"
    )
    assert "10 images have none and count as missed" in said
    result = files.read_json(tmp_path / "b" / "result.json")
    assert result["rows"][-1]["corloc"] == 75
    assert result["missing"] == list(digits.ids[:10])
    # The two runs side by side: 10 of 40 images are found by the maps only.
    out, _ = command("eval.compare", tmp_path / "a", tmp_path / "b")
    assert "10 images are found by one of them only, 10 by A and 0 by B" in out


def test_photographs_cut_and_of_several_classes(made, tmp_path):
    digit = datasets.load("digits", split="test", count=1)[0]
    write_png(tmp_path / "a.png", digit.image)
    by = (tmp_path / "a.png", f"--classifier={made / 'classifier'}", "--localizer=graphcut")
    out, _ = command("sensmap", *by, "--maps=guided", f"--overlays={tmp_path / 'cuts'}")
    assert set(json.loads(out)) >= {"class", "score", "box"}
    height, width = images.load(tmp_path / "cuts" / "0000_a.jpg").shape[:2]
    assert width > 3 * height  # four panels
    out, _ = command("sensmap", *by, "--top_k=3", f"--overlays={tmp_path / 'classes'}")
    line = json.loads(out)
    assert len({line["class"], *(other["class"] for other in line["next"])}) == 3


def test_photographs(made, tmp_path):
    digits = datasets.load("digits", split="test", count=2)
    paths = [tmp_path / "ein Bild.png", tmp_path / "été" / "b.png"]
    write_png(paths[0], digits[0].image)
    write_png(paths[1], np.tile(digits[1].image, (1, 2, 1)))
    ways = {
        "localizer": (f"--classifier={made / 'classifier'}", f"--localizer={made / 'localizer'}"),
        "saved_model": (f"--saved_model={made / 'served' / 'sensmap'}",),
    }
    begun = {
        way: start("sensmap", *paths, *by, f"--overlays={tmp_path / way}", "--class=7")
        for way, by in ways.items()
    }
    found = {}
    for way, process in begun.items():
        out, said = finish(process)
        assert said == ""
        found[way] = [json.loads(line) for line in out.splitlines()]
        overlays = sorted(path.name for path in (tmp_path / way).iterdir())
        assert overlays == ["0000_ein Bild.jpg", "0001_b.jpg"]
        assert images.load(tmp_path / way / "0001_b.jpg").shape == (64, 128, 3)
        assert [line["file"] for line in found[way]] == list(map(str, paths))
        assert [line["class"] for line in found[way]] == ["7", "7"]
        assert [line["size"]["width"] for line in found[way]] == [64, 128]
    by_library, by_export = ([line["box"] for line in lines] for lines in found.values())
    assert box_geometry.is_valid(np.array(by_library)).all()
    np.testing.assert_allclose(by_library, by_export, atol=1e-4)


def test_segmentation(place, tmp_path):
    out, said = command(
        *("eval.segmentation", *(flag.format(place=place) for flag in (*BY_COLOUR, *COLOURS))),
        *("--split=val", "--maps=dcsm", "--layers=first", "--fit_background=train"),
        *("--crf_option=steps=3", "--crf_option=bilateral_xy=20", f"--output={tmp_path / 'out'}"),
    )
    assert "Background: weight " in out
    assert f"{tmp_path / 'out'}/report.html" in out
    assert "skipped none: there is no mask of it." in said
    result = files.read_json(tmp_path / "out" / "result.json")
    *baselines, plain, refined = result["rows"]
    assert [row["method"] for row in baselines] == ["Background only", "Centred object"]
    assert {row["group"] for row in baselines} == {"baseline"}
    assert (plain["method"], refined["method"]) == ("Without CRF", "With CRF")
    # The classes are read off the colours, and so are the masks.
    assert min(plain["mean_iou"], refined["mean_iou"]) > 80
    assert [row["class"] for row in refined["by_class"]] == ["background", "blue", "red"]
    assert refined["localization"]["unscored"] == 2
    assert result["skipped"] == [{"id": "none", "reason": "there is no mask of it."}]
    chosen = result["background"]["chosen_on"]
    assert chosen["ids"] == ["a", "b"]
    assert len(chosen["ids_sha256"]) == len(result["data"]["ids_sha256"]) == 64
    written = tmp_path / "out" / "masks"
    found = {
        path.relative_to(written).with_suffix("").as_posix(): masks.load(path)
        for path in written.rglob("*.png")
    }
    assert sorted(found) == result["data"]["ids"] == ["c", "deep/d"]
    truths = {name: masks.load(place / f"colours/SegmentationClass/{name}.png") for name in found}
    right = np.mean([found[name] == truths[name] for name in found])
    assert refined["pixel_accuracy"] == pytest.approx(100 * right)
    lines = (tmp_path / "out" / "images.jsonl").read_text().splitlines()
    of_images = {line["id"]: line for line in map(json.loads, lines)}
    assert {name: line["classes"] for name, line in of_images.items()} == {
        "c": ["blue"],
        "deep/d": ["blue", "red"],
    }
    for name, line in of_images.items():
        both, either = ((found[name] > 0) & (truths[name] > 0)), found[name] | truths[name]
        assert line["foreground_iou"]["With CRF"] == pytest.approx(both.sum() / (either > 0).sum())
    analysed = result["analysis"]
    assert analysed["mean_iou"] == pytest.approx(
        np.mean([100 * line["mean_iou"]["With CRF"] for line in of_images.values()])
    )
    assert analysed["errors"]["categories"][0]["images"] == 2  # all good
    # The objects of the other split cover 16 by 16 and 16 by 24 of 32 by 32 pixels.
    assert np.pi / 4 * result["background"]["ellipse"] ** 2 == pytest.approx(5 / 16)
    stages = ["weight of the background", "images and true masks", "classes, maps and masks"]
    assert list(result["seconds"]) == [*stages, "CRF", "measures", "pictures"]
    assert "Of 2 images 2 (100.0%) are good." in (tmp_path / "out" / "report.md").read_text()
    page = (tmp_path / "out" / "report.html").read_text()
    for what in ("c: blue, before subtraction", "c: blue, its map", "deep/d: mask with CRF"):
        assert f'alt="{what}"' in page


# --- What users get wrong ---

CLASSIFIER = "--classifier={made}/classifier"
LOCALIZER = "--localizer={made}/localizer"
SERVED = "--saved_model={made}/served/sensmap"
FEW = ("--dataset=digits", "--split=fit", "--dataset_option=count=8", "--part=all")
FEW_NEW = ("--dataset=digits", "--split=test", "--dataset_option=count=8", "--part=all")
OUT = "--output={place}/out"
BY_COLOUR = (
    *("--classifier={place}/colours.keras", "--preprocessing=tf", "--input_size=32,32"),
    "--class_names={place}/colours.txt",
)
COLOURS = ("--dataset=voc", "--root={place}/colours", "--part=all")

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


def write_colours(folder):
    """A VOC tree of red and blue fields on dark, and networks that see them."""
    tree = folder / "colours"
    places = {"a": (0, 16), "b": (8, 24), "c": (16, 32), "deep/d": (4, 20), "none": (0, 16)}
    for name, (start, stop) in places.items():
        image, mask = np.full((32, 32, 3), 20, np.uint8), np.zeros((32, 32), np.uint8)
        image[start:stop, 8:24, 2], mask[start:stop, 8:24] = 230, 1  # blue is the first class
        if name in ("b", "deep/d"):
            image[start:stop, :8, 0], mask[start:stop, :8] = 230, 2
        write_png(tree / "JPEGImages" / f"{name}.png", image)
        if name != "none":
            masks.save(tree / "SegmentationClass" / f"{name}.png", mask)
    (tree / "classes.txt").write_text("blue\nred\n")
    for split, names in {"train": "a b", "val": "c deep/d none"}.items():
        files.write_text(
            tree / "ImageSets" / "Segmentation" / f"{split}.txt", names.replace(" ", "\n") + "\n"
        )
    (folder / "colours.txt").write_text("red\nblue\n")
    for name, size in {"colours": None, "one_size": 32}.items():
        inputs = keras.Input((size, size, 3))
        scores = inputs
        for layer in ("first", "second"):
            scores = keras.layers.Conv2D(3, 1, activation="relu", name=layer)(scores)
        scores = keras.layers.GlobalAveragePooling2D()(scores)
        model = keras.Model(inputs, keras.layers.Dense(2, activation="sigmoid")(scores))
        ends = np.array([[40, 0], [0, 0], [0, 40]])
        eye = np.eye(3)[None, None]
        model.set_weights([eye, np.zeros(3), eye, np.full(3, -0.3), ends, np.full(2, -1)])
        model.save(folder / f"{name}.keras")


@pytest.fixture(scope="module")
def place(made, tmp_path_factory):
    """A folder of what is not as it should be."""
    folder = tmp_path_factory.mktemp("bad")
    (folder / "empty").mkdir()
    write_png(folder / "pictures" / "a.png", np.zeros((9, 9, 3), np.uint8))
    (folder / "pictures" / "b.jpg").write_bytes(b"")
    (folder / "pictures" / "c.jpg").write_text("no image")
    (folder / "cats.csv").write_text("pictures/a.png,0,0,5,5,cat\n")
    (folder / "seven.csv").write_text("pictures/a.png,0,0,5,5,7\n")
    (folder / "text.keras").write_text("no model")
    inputs = keras.Input((8, 8, 3))
    flat = keras.layers.Flatten()(inputs)
    ends = {"five": [5], "two": [5, 3], "regression": [1], "nan": [10]}
    for name, widths in ends.items():
        outputs = [keras.layers.Dense(width)(flat) for width in widths]
        model = keras.Model(inputs, outputs if len(outputs) > 1 else outputs[0])
        if name == "nan":
            model.layers[-1].bias.assign(np.full(10, np.nan))
        model.save(folder / f"{name}.keras")
    write_colours(folder)
    (folder / "damaged").mkdir()
    for path in (made / "localizer").iterdir():
        data = path.read_bytes()
        kept = data[: len(data) // 2] if path.suffix == ".npz" else data
        (folder / "damaged" / path.name).write_bytes(kept)
    return folder


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
    driver = Path(__file__).with_name("drive_binary.py")
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
