"""A build that was killed, however often and whenever, ends as one that was not."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sensmap import files


@pytest.fixture(scope="module")
def ends(tmp_path_factory):
    work = tmp_path_factory.mktemp("killed")
    script = Path(__file__).with_name("killed_builds.py")
    # The script forks, which is safe while it has one thread: BLAS would begin with several.
    alone = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    command = [sys.executable, script, work, work / "answer.json"]
    subprocess.run(command, check=True, env=os.environ | alone)
    return files.read_json(work / "answer.json")


@pytest.mark.parametrize("way", ["new", "overwritten", "repaired"])
def test_killed_before_each_operation_on_files(ends, way):
    assert ends[way]["kills"] >= 25  # or else kills did not reach into writing
    assert ends[way]["wrong"] == []


def test_killed_again_and_again(ends):
    assert ends["again"]["kills"] >= 5
    assert ends["again"]["wrong"] == []


def test_killed_while_the_network_computes(ends):
    assert ends["computing"]["kills"] >= 4
    # Some of the kills fell between the first shard and the last, of 31.
    assert any(0 < finished < 31 for finished in ends["computing"]["finished"])
    assert ends["computing"]["wrong"] == []
