"""Exports against the library, in other processes: the session path and `saved_model_cli`."""

import subprocess
import sys

import keras
import numpy as np
import pytest
from exported import expected, follow, make_localizer, picture

from sensmap import classifiers, maps
from sensmap.export import export_saved_model
from sensmap.export.servable import SIGNATURES, Servable, map_output


class Requests:
    """Requests for one process, each with what the library finds or the error to expect."""

    def __init__(self, folder):
        self.folder = folder
        self.requests = []
        self.answers = []

    def add(self, localizer, model, sources, class_ids=None, top_k=1, error=None):
        """A request of files, or of pixels in one array."""
        as_files = isinstance(sources, list)
        if as_files:
            inputs = {"image_bytes": {"files": [str(source) for source in sources]}}
        else:
            path = self.folder / f"batch{len(self.requests)}.npy"
            np.save(path, sources)
            inputs = {"images": {"array": str(path)}}
        if class_ids is not None:
            inputs["class_id"] = class_ids
        signature = SIGNATURES[(not as_files) * 2 + (class_ids is not None)]
        request = {"model": str(model), "signature": signature, "inputs": inputs}
        self.requests.append(request)
        self.answers.append(error or expected(localizer, sources, class_ids, top_k))


def check(answer, wanted):
    if isinstance(wanted, str):
        assert isinstance(answer, str), f"expected the error {wanted!r}"
        assert wanted in answer
        return
    assert not isinstance(answer, str), answer
    assert set(wanted) - set(answer) <= {name for name in wanted if name.startswith("map_")}
    for name, values in answer.items():
        rtol = 0 if name == "boxes" else 1e-4
        np.testing.assert_allclose(values, wanted[name], rtol, atol=1e-5, err_msg=name)


def test_every_signature_gives_what_the_library_gives(localizer, pictures, tmp_path, in_session):
    layers = ("pixels", "fine", "coarse")
    several = make_localizer(layers)
    half = make_localizer(dtype="mixed_float16")
    # The derivative of the square root at zero is infinite.
    infinite = make_localizer(first=keras.ops.sqrt)
    plain = export_saved_model(localizer, tmp_path / "models", with_map=True)
    top = export_saved_model(several, tmp_path / "models", name="top", top_k=3, with_map=True)
    halved = export_saved_model(half, tmp_path / "models", name="half")
    rooted = export_saved_model(infinite, tmp_path / "models", name="infinite")
    (tmp_path / "cut.jpg").write_bytes(pictures[0].read_bytes()[:300])
    (tmp_path / "page.jpg").write_text("<html>Not found</html>")
    (tmp_path / "empty.png").write_bytes(b"")
    batch = np.stack([picture(37, 53, seed) for seed in range(3)])

    requests = Requests(tmp_path)
    requests.add(localizer, plain, pictures[:1])
    requests.add(localizer, plain, pictures[1:3])
    requests.add(localizer, plain, pictures)
    requests.add(localizer, plain, pictures, [4, 3, 2, 1, 0])
    requests.add(localizer, plain, batch)
    requests.add(localizer, plain, batch[:1], [2])
    requests.add(several, top, pictures, top_k=3)
    requests.add(several, top, batch, top_k=3)
    requests.add(several, top, pictures[:2], [0, 0])
    requests.add(half, halved, pictures[:2])
    requests.add(infinite, rooted, pictures)
    few = "There must be one class_id an image: 2 images, 1 class ids"
    requests.add(localizer, plain, pictures[:2], [1], error=few)
    range_ = "class_id must be 0 to 4, for the classifier has 5 classes; received "
    requests.add(localizer, plain, pictures[:2], [1, 5], error=f"{range_}[5]")
    requests.add(localizer, plain, batch[:2], [-1, 1], error=f"{range_}[-1]")
    others = [pictures[0], tmp_path / "page.jpg", tmp_path / "empty.png"]
    requests.add(localizer, plain, others, error="at the positions [1 2]")
    requests.add(localizer, plain, [tmp_path / "cut.jpg"], error="InvalidArgumentError")
    answers = in_session(requests.requests)

    for answer, wanted in zip(answers, requests.answers, strict=True):
        check(answer, wanted)
    boxes, degenerate = answers[2]["boxes"][:, 0], answers[2]["degenerate"][:, 0]
    assert boxes[:4].std(axis=0).min() > 0.005, "boxes this alike would prove nothing"
    assert degenerate.tolist() == [False] * 4 + [True]
    assert answers[6].keys() >= {map_output(layer) for layer in layers}
    assert answers[6]["map_fine"].shape == (5, 3, 22, 30)
    assert not {name for name in answers[9] if name.startswith("map_")}
    assert answers[10]["degenerate"][4].all()
    assert np.isfinite(answers[10]["boxes"]).all()


def test_saved_model_cli_runs_an_export(localizer, pictures, tmp_path):
    model = export_saved_model(localizer, tmp_path)
    np.save(tmp_path / "bytes.npy", np.array([path.read_bytes() for path in pictures]))
    np.save(tmp_path / "class.npy", np.array([0, 1, 2, 3, 4], np.int32))
    tool = [sys.executable, "-m", "tensorflow.python.tools.saved_model_cli", "run"]
    inputs = f"image_bytes={tmp_path}/bytes.npy;class_id={tmp_path}/class.npy"
    options = {
        "dir": model,
        "tag_set": "serve",
        "signature_def": "bytes_with_class",
        "inputs": inputs,
        "outdir": tmp_path / "answer",
    }
    arguments = [f"--{option}={value}" for option, value in options.items()]
    subprocess.run([*tool, *arguments], check=True, capture_output=True)
    answer = {path.stem: np.load(path) for path in (tmp_path / "answer").iterdir()}
    check(answer, expected(localizer, pictures, [0, 1, 2, 3, 4]))


def test_squeezenet_by_pixels_and_by_inner_layers(shared, tmp_path, in_session):
    model = shared / "models" / "squeezenet1_1_imagenet.keras"
    classifier = classifiers.load(model, preprocessing="torch")
    photos = sorted(shared.glob("data/pets3/JPEGImages/*.jpg"))[:5]
    requests = Requests(tmp_path)
    for layers in ("pixels", "auto"):
        localizer = follow(maps.create("gradient", classifier, layers=layers))
        export = export_saved_model(localizer, tmp_path, name=layers, with_map=True)
        requests.add(localizer, export, photos[:1])
        requests.add(localizer, export, photos)
        requests.add(localizer, export, photos[:2], [7, 999])
    for answer, wanted in zip(in_session(requests.requests), requests.answers, strict=True):
        check(answer, wanted)


@pytest.mark.parametrize("top_k", [0, 6])
def test_there_are_boxes_for_classes_that_exist(localizer, top_k):
    with pytest.raises(
        ValueError, match=rf"^top_k={top_k}: maps and boxes can be given for 1 to 5 classes"
    ):
        Servable(localizer, top_k)
