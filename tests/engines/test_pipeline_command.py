"""What users of train/pipeline.py get wrong, in one process that runs many commands."""

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HAS_BEAM = importlib.util.find_spec("apache_beam") is not None
DESCRIBE = """
import sys
from absl import flags
from sensmap import engine_flags
from train import pipeline
flags.FLAGS(["pipeline", *sys.argv[1:]])
print(engine_flags.store_job("run", ["linear"]).text)
"""
DATA = ("--dataset=digits", "--split=fit", "--dataset_option=count=40")
CASES = {
    "no data set": ((), "--dataset is needed"),
    "runner of the local engine": (
        (*DATA, "--runner=FlinkRunner"),
        "--runner must be left out: it is for --engine=beam",
    ),
    "option of the local engine": (
        (*DATA, "--beam_option=direct_num_workers=2"),
        "--beam_option must be left out: it is for --engine=beam",
    ),
    "engine": ((*DATA, "--engine=spark"), "flag --engine=spark: value should be one of"),
    "option without a value": (
        (*DATA, "--engine=beam", "--beam_option=streaming"),
        "--beam_option must be KEY=VALUE; received 'streaming'",
    ),
    "runner as an option": (
        (*DATA, "--engine=beam", "--beam_option=runner=FlinkRunner"),
        "--beam_option=runner must be left out: --runner names it",
    ),
    "unknown runner": (
        (*DATA, "--engine=beam", "--runner=Nope"),
        "no runner 'Nope'" if HAS_BEAM else r"pip install 'sensmap\[beam\]'",
    ),
    "the same images": (
        (*DATA, "--measured_part=train"),
        "30 of the 30 images to measure on are fitted on, .* choose another --measured_part",
    ),
    "the same images in another part": (
        (*DATA, "--part=all"),
        "5 of the 5 images to measure on are fitted on",
    ),
    "fractions": (
        (*DATA, "--fractions=1"),
        "--fractions takes three numbers, of train, validation and test",
    ),
    "what the regression has not": (
        (*DATA, "--localizer_option=components=3"),
        "linear has no option 'components'; there is features, penalties",
    ),
    "a negative penalty": (
        (*DATA, "--localizer_option=penalties=[-1]"),
        r"Penalties must be positive numbers; received \[-1\]",
    ),
    "one penalty": (
        (*DATA, "--localizer_option=penalties=5"),
        "Penalties must be positive numbers; received 5, expected a list",
    ),
    "a set of penalties": (
        (*DATA, "--localizer_option=penalties={1}"),
        r"Penalties must be positive numbers; received \{1\}",
    ),
    "data set": (("--dataset=nope",), "no 'nope' among the datasets"),
    "a folder with other things": ((*DATA, "--output={place}"), "holds other things .precious"),
    "an object store": ((*DATA, "--output=gs://bucket/run"), "^error: gs://bucket/run is not in a"),
    "class": ((*DATA, "--class_of=zebra"), "no class 'zebra'"),
}


@pytest.fixture(scope="module")
def answers(model, tmp_path_factory):
    """How each case ended."""
    place = tmp_path_factory.mktemp("bad")
    (place / "precious.txt").write_text("!")
    cases = [
        [
            *(f"--classifier={model}", "--preprocessing=tf", f"--output={place / 'new'}"),
            *(each.replace("{place}", str(place)) for each in arguments),
        ]
        for arguments, _ in CASES.values()
    ]
    given, ends = place.with_suffix(".json"), place.with_suffix(".answers.json")
    given.write_text(json.dumps(cases))
    command = [sys.executable, ROOT / "tests/drive_binary.py", "train.pipeline", given, ends]
    subprocess.run(command, check=True)
    assert [path.name for path in place.iterdir()] == ["precious.txt"]
    return dict(zip(CASES, json.loads(ends.read_text()), strict=True))


@pytest.mark.parametrize("case", CASES)
def test_one_clear_line(answers, case):
    end, message = answers[case]["end"], CASES[case][1]
    assert isinstance(end, str), answers[case]
    assert end.startswith("error: ")
    assert "\n" not in end
    assert re.search(message, end), end


def test_files_are_described_for_processes_of_other_folders(tmp_path):
    for folder in ("imagenet", "names", "sbd", "Main", "voc"):
        (tmp_path / folder).mkdir()
    for file in ("resnet.weights.h5", "names.txt"):
        (tmp_path / file).write_text("")

    def described(*arguments):
        common = ("--classifier=ResNet50", "--dataset=voc", "--root=voc")
        command = [sys.executable, "-c", DESCRIBE, *common, *arguments]
        path = os.environ | {"PYTHONPATH": str(ROOT)}
        said = subprocess.run(
            command, cwd=tmp_path, env=path, check=True, capture_output=True, text=True
        )
        return json.loads(said.stdout)

    options = ("--dataset_option=sbd=sbd", "--dataset_option=image_set=Main")
    job = described("--weights=imagenet", "--class_names=names", *options)
    assert job["classifier"]["source"] == "ResNet50"
    assert job["classifier"]["weights"] == "imagenet"
    assert job["classifier"]["class_names"] == "names"
    assert job["dataset"]["root"] == f"{tmp_path}/voc"
    assert job["dataset"]["options"] == {"sbd": f"{tmp_path}/sbd", "image_set": "Main"}
    assert job["folder"] == f"{tmp_path}/run"
    job = described("--weights=resnet.weights.h5", "--class_names=names.txt")
    assert job["classifier"]["weights"] == f"{tmp_path}/resnet.weights.h5"
    assert job["classifier"]["class_names"] == f"{tmp_path}/names.txt"
