"""The commands as a user types them, from training to a served model."""

import json

import numpy as np
import pytest
import tensorflow as tf
from commands import BY_COLOUR, COLOURS, CONSTANT, FIT, TEST, command, finish, start, write_png

from sensmap import boxes as box_geometry
from sensmap import classifiers, datasets, files, images, masks

BASELINES = [
    *("Constant centre box", "Mean training box", "Full image"),
    *("Top objectness box", "DDT", "Joint boxes"),
]
# The files of an evaluation.
WRITTEN = {
    *("result.json", "report.html", "report.md", "table.md"),
    *("boxes.jsonl", "outcomes.jsonl", "boxes.png"),
}


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


def test_a_regressor_from_several_feature_stores(made, tmp_path):
    by = f"--classifier={made / 'classifier'}"
    for part in ("train", "test"):
        where = f"--output={tmp_path / part}"
        command("train.features", by, *FIT[:-1], f"--part={part}", "--shard_size=70", where)
    both = f"{tmp_path / 'train'},{tmp_path / 'test'}"
    fit = f"--output={tmp_path / 'fit'}"
    out, _ = command("train.box_regressor", by, f"--store={both}", fit)
    stored = [files.read_json(tmp_path / part / "manifest.json") for part in ("train", "test")]
    count = sum(each["data"]["images"] for each in stored)
    assert f"Linear regression, fitted on {count} images, penalty" in out
    assert files.read_json(tmp_path / "fit" / "config.json")["data"]["images"] == count


def test_everything_in_one_go(made, tmp_path):
    by = (f"--classifier={made / 'classifier'}", *FIT[:3], "--shard_size=60")
    run = ("train.pipeline", *by, "--part=train", f"--output={tmp_path / 'run'}")
    out, _ = command(*run)
    result = files.read_json(tmp_path / "run" / "result.json")
    *baselines, row = result["rows"]
    assert [each["method"] for each in baselines] == ["Constant centre box", "Mean training box"]
    assert set(result["versions"]) >= {"python", "tensorflow"}
    assert result["configuration"]["dataset_option"] == ["count=200"]
    assert result["fitted_on"][0]["images"] == 150
    assert f"{row['corloc']:.1f}" in out
    assert (tmp_path / "run" / "table.md").is_file()
    # The localizer is one like any other, and scores alike where it is measured alike.
    command(
        *("eval.localization", *by[:-1], "--part=test", CONSTANT),
        *(f"--localizer={tmp_path / 'run' / 'localizer'}", f"--output={tmp_path / 'evaluation'}"),
    )
    evaluated = files.read_json(tmp_path / "evaluation" / "result.json")
    for ours, theirs in zip(result["rows"], evaluated["rows"], strict=True):
        assert (ours["method"], ours["corloc"]) == (theirs["method"], theirs["corloc"])
    assert result["data"] == evaluated["data"]
    assert "finished before" in command(*run)[0]


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
