"""What the commands are run on: a trained classifier with its localizer, and what is amiss."""

import json

import keras
import numpy as np
import pytest
from commands import FIT, command, write_colours, write_png


@pytest.fixture(scope="session")
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


@pytest.fixture(scope="session")
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
    for name, ids in {"quantiles": "1", "pooled": "2"}.items():
        (folder / name).mkdir()
        about = {"data": {"name": "digits", "ids_sha256": ids}, "classifier": {}, "maps": {}}
        manifest = {"format": 1, **about, "features": name, "class_of": "truth"}
        (folder / name / "manifest.json").write_text(json.dumps(manifest))
    (folder / "damaged").mkdir()
    for path in (made / "localizer").iterdir():
        data = path.read_bytes()
        kept = data[: len(data) // 2] if path.suffix == ".npz" else data
        (folder / "damaged" / path.name).write_bytes(kept)
    return folder
