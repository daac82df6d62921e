"""The engine of Beam gives what the local one gives, and what a user gets wrong in one line."""

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from sensmap import feature_store
from sensmap.engines import beam, local, pieces, stages
from sensmap.localizers.linear import BoxRegressor

ROOT = Path(__file__).resolve().parents[2]
WORKER = """
import json, os, signal, sys
sys.path.insert(0, sys.argv[1])
from sensmap.engines import pieces
from sensmap.engines.job import StoreJob
store = StoreJob(**json.loads(sys.argv[2]))
with store.plan().writing():
    pieces.make_shard(store, 0)
    os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
    pieces.make_shard(store, 1)
"""


@pytest.fixture
def engine():
    pytest.importorskip("apache_beam", reason="needs Apache Beam: pip install 'sensmap[beam]'")
    return beam.Engine()


def of_workers(mode):
    return beam.Engine("FnApiRunner", ["--direct_num_workers=2", f"--direct_running_mode={mode}"])


def content(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in Path(folder).rglob("*")
        if path.is_file()
    }


def assert_same_run(job, result, expected, expected_result):
    assert content(job.fitted.folder) == content(expected.fitted.folder)
    assert content(job.measured.folder) == content(expected.measured.folder)
    found, wanted = (
        BoxRegressor.load(each.localizer / "localizer.npz") for each in (job, expected)
    )
    assert found.penalty_ == wanted.penalty_
    scale = np.abs(wanted.coef_).max()
    np.testing.assert_allclose(found.coef_, wanted.coef_, rtol=0, atol=1e-12 * scale)
    np.testing.assert_allclose(found.intercept_, wanted.intercept_, rtol=1e-12)
    for row, other in zip(result["rows"], expected_result["rows"], strict=True):
        for key in ("method", "corloc", "interval", "corloc_30", "corloc_70", "images"):
            assert row[key] == other[key]
        assert row["mean_iou"] == pytest.approx(other["mean_iou"], rel=1e-6)
    for key in ("data", "fitted_on", "counts", "made_from", "versions"):
        assert result[key] == expected_result[key]


def test_as_the_local_engine(engine, by_local, run_in, tmp_path, monkeypatch):
    job = run_in(tmp_path / "run")
    result = stages.run(job, engine)
    assert_same_run(job, result, *by_local)
    # What is fitted is not fitted again.
    job.result.unlink()
    shutil.rmtree(job.measured.folder)
    monkeypatch.setattr(pieces, "fit", None)
    assert stages.run(job, engine) == result


def test_threads(engine, by_local, run_in, tmp_path, monkeypatch):
    make, at_once = pieces.make_shard, threading.Barrier(2, timeout=30)
    waited = set()

    def make_beside_another(store, number):
        # The first shard of a thread waits for that of another one; alone it would be in vain.
        if threading.get_ident() not in waited and len(waited) < 2:
            waited.add(threading.get_ident())
            at_once.wait()
        return make(store, number)

    monkeypatch.setattr(pieces, "make_shard", make_beside_another)
    job = run_in(tmp_path / "run")
    result = stages.run(job, of_workers("multi_threading"))
    assert len(waited) == 2
    assert_same_run(job, result, *by_local)


def test_processes(engine, by_local, run_in, tmp_path, monkeypatch):
    popen, workers = subprocess.Popen, []

    def start(command, *arguments, **options):
        process = popen(command, *arguments, **options)
        if "sdk_worker_main" in str(command):
            workers.append(process.pid)
        return process

    monkeypatch.setattr(subprocess, "Popen", start)
    monkeypatch.setattr(pieces, "make_shard", None)  # in this process; theirs have their own
    job = run_in(tmp_path / "run")
    result = stages.run(job, of_workers("multi_processing"))
    assert len(workers) >= 2
    assert_same_run(job, result, *by_local)


def test_a_worker_that_died_leaves_no_half_shard(engine, by_local, store_in, tmp_path):
    store = store_in(tmp_path / "features")
    dead = subprocess.run(
        [sys.executable, "-c", WORKER, ROOT, json.dumps(store._asdict())],
        check=False,
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    assert dead.returncode == -signal.SIGKILL
    assert list((tmp_path / "features").glob(".features-00001-*.partial"))
    assert sorted(store.plan().stamps()) == [0]
    built = engine.make(store)
    assert (built.taken_over, len(built.made)) == (1, 4)
    assert content(store.folder) == content(by_local[0].fitted.folder)


def test_a_shard_that_is_damaged_is_made_again(engine, by_local, store_in, tmp_path):
    store = store_in(tmp_path / "features")
    shutil.copytree(by_local[0].fitted.folder, store.folder)
    name = "features-00003-of-00005.tfrecord"
    shard = tmp_path / "features" / name
    shard.write_bytes(shard.read_bytes()[:-1])
    assert engine.make(store).made == [name]
    assert content(store.folder) == content(by_local[0].fitted.folder)


def test_two_workers_that_make_the_same_shard(by_local, store_in, tmp_path, monkeypatch):
    store = store_in(tmp_path / "features")
    replace = os.replace

    def after_another(work, target):
        if Path(target).suffix == ".tfrecord":
            monkeypatch.setattr(os, "replace", replace)
            pieces.make_shard(store, 0)
        replace(work, target)

    with store.plan().writing():
        monkeypatch.setattr(os, "replace", after_another)
        pieces.make_shard(store, 0)
        assert store.plan().is_whole(0)
    local.Engine().make(store)
    assert content(store.folder) == content(by_local[0].fitted.folder)


def test_what_a_worker_raises_is_one_line(engine, run_in, tmp_path, monkeypatch):
    def fail(*_):
        raise OSError("the disk\nis full")

    job = run_in(tmp_path / "run")
    with monkeypatch.context() as patch:
        patch.setattr(pieces.Learned, "add", fail)
        with pytest.raises(ValueError, match=r"^The pipeline failed: the disk is full$"):
            stages.run(job, engine)
    assert 0 in job.fitted.plan().stamps()  # what was finished is kept
    with feature_store.lock.only_writer(Path(job.fitted.folder)):
        pass  # and the lock is given back


def test_the_reason_in_what_another_process_raised():
    said = RuntimeError(
        "Error received from SDK harness for instruction bundle_3: Traceback (most recent call "
        'last):\n  File "common.py", line 1512, in process\nOSError: a disk\n\nDuring handling of '
        'it:\n\nTraceback (most recent call last):\n  File "pieces.py", line 3\nValueError: the '
        "shard\nis damaged [while running 'Score']\n"
    )
    assert beam._reason(said) == "ValueError: the shard is damaged"
    assert beam._reason(KeyError()) == "KeyError"


def test_sums_go_about_in_their_own_bytes(engine, by_local):
    job, _ = by_local
    combine = beam._Learn(job.fitted)
    sums = combine.add_input(combine.create_accumulator(), 1)
    coder = combine.get_accumulator_coder()
    sent = coder.encode(sums)
    assert sent == sums.to_bytes()
    both = combine.merge_accumulators([coder.decode(sent), combine.create_accumulator()])
    assert combine.extract_output(both) == sent


@pytest.mark.parametrize(
    ("runner", "options", "message"),
    [
        ("Nope", [], "There is no runner 'Nope' .*FnApiRunner"),
        (None, ["--direct_num_workers=x"], "^Beam: argument --direct_num_workers: invalid int"),
        (None, ["--direct_num_wrkers=2"], "FnApiRunner has no option 'direct_num_wrkers'"),
        (None, ["--direct_running_mode=fast"], "^Beam: argument --direct_running_mode: invalid"),
    ],
)
def test_options_that_beam_does_not_know(engine, capfd, runner, options, message):
    with pytest.raises(ValueError, match=message):
        beam.Engine(runner, options)
    assert capfd.readouterr() == ("", "")


def test_what_is_logged_stays_as_it_was(engine):
    before = logging.root.manager.disable
    try:
        for level in (logging.INFO, logging.CRITICAL):
            logging.disable(level)
            beam.Engine()
            with pytest.raises(ValueError, match="no option"):
                beam.Engine(None, ["--direct_num_wrkers=2"])
            assert logging.root.manager.disable == level
    finally:
        logging.disable(before)


def test_job_servers_have_options_of_their_own(engine):
    given = ["--flink_master=localhost:8081", "--parallelism=2"]
    assert beam.Engine("FlinkRunner", given).options is not None


def test_without_beam(monkeypatch):
    monkeypatch.setattr(beam, "PipelineOptions", None)
    with pytest.raises(ValueError, match=r"pip install 'sensmap\[beam\]'"):
        beam.Engine()
