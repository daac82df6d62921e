"""The binary that extracts features, as a user types it: one process that runs many commands."""

import json
import re
import subprocess
import sys
from pathlib import Path

import keras
import pytest

from sensmap import feature_store, files

ROOT = Path(__file__).resolve().parents[2]
RUN = """
import contextlib, io, json, sys
sys.path.insert(0, sys.argv[1])
from absl import flags
from train import features
for line in sys.stdin:
    flags.FLAGS.unparse_flags()
    sys.argv = ["features", *json.loads(line)]
    out, said = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(said):
        try:
            end = features.main()
        except SystemExit as exit:
            end = exit.code or 0
    print(json.dumps([end, out.getvalue(), said.getvalue()]), flush=True)
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    keras.utils.set_random_seed(0)
    network = keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            keras.layers.Conv2D(4, 3, strides=2, activation="relu"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(10),
        ]
    )
    path = tmp_path_factory.mktemp("model") / "tiny.keras"
    network.save(path)
    return path


@pytest.fixture(scope="module")
def command(model):
    """Runs the binary; gives how it ended, and what it wrote to standard output and error."""
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, ROOT],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    data = ("--dataset=digits", "--split=fit", "--dataset_option=count=7", "--shard_size=3")

    def run(*arguments, given=(f"--classifier={model}", "--preprocessing=tf", *data)):
        process.stdin.write(json.dumps([*given, *map(str, arguments)]) + "\n")
        process.stdin.flush()
        return json.loads(process.stdout.readline())

    with process:
        yield run
        process.stdin.close()


def test_from_building_to_repairing(command, tmp_path):
    folder = tmp_path / "features"
    output = f"--output={folder}"
    end, out, said = command(output, "--localizer=linear,graphcut", "--localizer_option=side=40")
    assert end in (0, None), end
    assert "Features" not in said  # no progress bar where there is no terminal
    whole = f"{folder}: features of 7 images; "
    assert out.endswith(f"{whole}3 shards made, 0 taken over.\n")
    store = feature_store.open(folder)
    assert store.manifest["readers"]["graphcut"]["side"] == 40
    (first, *_) = store.shards()
    assert first.asked.of["graphcut"].shape[0] == first.features.shape[0] == 3

    other = command(output)  # without GraphCut's readings
    assert other[0].startswith(f"error: {folder} is a feature store of something else (readers.")
    assert "\n" not in other[0]

    same = ("--localizer=linear,graphcut", "--localizer_option=side=40", output)
    assert command(*same)[1].endswith(f"{whole}0 shards made, 3 taken over.\n")
    check = command("--check", output, given=())
    assert check[1] == f"{folder}: all 3 shards are whole.\n"

    shard = folder / "features-00001-of-00003.tfrecord"
    before = shard.read_bytes()
    shard.write_bytes(before[:-1])
    end, out, _ = command("--check", output, given=())
    assert end == f"error: {folder}: 1 of 3 shards cannot be used."
    assert out.startswith(f"{shard.name}: it has {len(before) - 1} bytes")
    end, out, _ = command(*same, "--repair")
    assert f"Made again: {shard.name}.\n" in out
    assert out.endswith(f"{whole}1 shards made, 2 taken over.\n")
    assert shard.read_bytes() == before

    _, out, _ = command(output, "--overwrite", "--features=pooled", "--top_k=2")
    assert out.endswith(f"{whole}3 shards made, 0 taken over.\n")
    assert files.read_json(folder / "manifest.json")["top_k"] == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--output is needed"),
        (["--output={place}/new", "--repair"], "There is no feature store in .*/new"),
        (["--output={place}/new", "--check"], "There is no feature store in .*/new"),
        (["--output={place}/new", "--check", "--repair"], "--repair must be left out"),
        (["--output={place}/new", "--repair", "--overwrite"], "--overwrite must be left out"),
        (["--output={place}", "--overwrite"], "holds no feature store"),
        (["--output={place}/new", "--shard_size=0"], "flag --shard_size=0"),
        (["--output={place}/new", "--top_k=11"], "1 to 10 classes"),
        (["--output={place}/new", "--localizer=nope"], "no 'nope' among the localizers"),
        (["--output={place}/new", "--class_of=zebra"], "no class 'zebra'"),
    ],
)
def test_one_clear_line(command, tmp_path, arguments, message):
    (tmp_path / "precious.txt").write_text("!")
    end, _, _ = command(*(each.format(place=tmp_path) for each in arguments))
    assert isinstance(end, str), end
    assert end.startswith("error: ")
    assert "\n" not in end
    assert re.search(message, end), end
    left = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert left == [tmp_path / "precious.txt"]
