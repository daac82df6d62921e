"""Builds feature stores in processes that are killed, and tells what became of the files.

python killed_builds.py WORK ANSWER.json

TensorFlow is imported once, and then each build runs in a fork: as long as nothing of TensorFlow
has been run this process has a single thread (which is checked), so that forks of it are whole.

Two kinds of kills. A child that does not compute, but writes what was computed before, sends
itself SIGKILL before its n-th operation on the folder, for every n that there is. One that
computes, with a network, is killed from outside after a random time.
"""

import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import tensorflow as tf
import tqdm

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from sensmap import datasets, files
from sensmap.datasets import Dataset, Example
from sensmap.feature_store import building, extraction, manifest, records, shards
from sensmap.feature_store import open as open_store

RANDOM = random.Random(0)
FEW = {"count": 5, "shard_size": 3, "batch_size": 2}
MANY = {"count": 61, "shard_size": 2, "batch_size": 2}
EVENTS = ("open", "os.rename", "os.remove", "os.mkdir", "os.listdir", "os.scandir", "fcntl.flock")


def images(count):
    """Digits, and among them one whose file is missing."""
    digits = datasets.load("digits", split="fit", count=count)

    def read(place):
        return Example(digits.ids[place], Path("missing.png")) if place == 4 else digits[place]

    return Dataset("digits and a gap", digits.classes, digits.ids, read)


def compute(folder, count, **options):
    """A build with a network."""
    import keras
    from keras import layers

    from sensmap import classifiers, maps
    from sensmap.pipeline import Extractor

    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            layers.Conv2D(6, 3, strides=2, activation="relu", name="conv"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(10),
        ]
    )
    method = maps.create("gradient", classifiers.load(model, "tf"), layers=["pixels", "conv"])
    building.build(folder, Extractor(method, top_k=1), images(count), "predicted", **options)


def replay(folder, recorded, overwrite=False):
    """The build of few images, but for the network: it takes what another has computed."""
    described, rows = recorded
    manifest.describe = lambda *_: described
    manifest.information = lambda *_: {}
    extraction.rows = lambda _, block, *__: [rows[each] for each in block.ids]
    extractor = SimpleNamespace(judges={}, top_k=0, method=SimpleNamespace(classifier=None))
    dataset = Dataset("recorded", (), list(rows), None)
    sizes = {name: FEW[name] for name in ("shard_size", "batch_size")}
    building.build(folder, extractor, dataset, "predicted", overwrite=overwrite, **sizes)


def record(store):
    """What `replay` takes."""
    read = open_store(store)
    count = read.manifest["shards"]
    whose = manifest.identity(read.manifest)
    found = [image for each in range(count) for image in shards.read(store, each, count, whose)]
    assert any(isinstance(image, records.Skipped) for image in found)
    return read.manifest, {image.id: image for image in found}


def kill_before(operation, folder):
    """From here on this process dies before its so-many-th operation on the folder."""
    left = [operation]

    def count(*_):
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)

    def audit(event, arguments):
        path = str(arguments[0]) if arguments else ""
        if event in EVENTS and (path.startswith(str(folder)) or event == "fcntl.flock"):
            count()

    def counted(function):
        def call(self, *arguments):
            if isinstance(self, tf.io.TFRecordWriter):
                self.flush()  # some of the shard is in its file
            count()
            return function(self, *arguments)

        return call

    sys.addaudithook(audit)
    os.fsync = counted(os.fsync)
    for name in ("write", "close"):
        setattr(tf.io.TFRecordWriter, name, counted(getattr(tf.io.TFRecordWriter, name)))


def fork(work):
    """The id of a process that does some work."""
    assert len(os.listdir("/proc/self/task")) == 1, "forks would not be whole"
    child = os.fork()
    if child:
        return child
    try:
        work()
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
        os._exit(1)
    os._exit(0)


def was_killed(child):
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, "the build failed"
    return os.WIFSIGNALED(status)


def content(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def differing(folder, expected):
    """Names of files that are not as they are in an undisturbed build."""
    found, other = content(folder), content(expected)
    return sorted(name for name in {**found, **other} if found.get(name) != other.get(name))


def at_every_operation(work, expected, recorded, start=None, overwrite=False):
    """A kill before each operation of a build, after each of which a build is let go on."""
    kills, wrong = 0, []
    while True:
        folder = work / f"at{kills}"
        if start:
            shutil.copytree(start, folder)

        def build(operation, folder=folder):
            if operation:
                kill_before(operation, folder)
            replay(folder, recorded, overwrite)

        killed = was_killed(fork(lambda build=build, n=kills + 1: build(n)))
        if killed:
            was_killed(fork(lambda build=build: build(0)))
        wrong += differing(folder, expected)
        shutil.rmtree(folder)
        if not killed:
            return {"kills": kills, "wrong": wrong}
        kills += 1


def again_and_again(work, expected, recorded, builds=5):
    """Builds that are killed until one comes through."""
    kills, wrong = 0, []
    for number in range(builds):
        folder = work / f"again{number}"

        def build(folder=folder):
            kill_before(RANDOM.randint(5, 40), folder)
            replay(folder, recorded)

        while was_killed(fork(build)):
            kills += 1
            RANDOM.random()  # the next fork draws another number
        wrong += differing(folder, expected)
    return {"kills": kills, "wrong": wrong}


def at_any_time(work, expected, builds=1, kills_each=5):
    """Builds that compute, killed from outside some time after they began to write."""
    kills, wrong, finished = 0, [], []
    for number in range(builds):
        folder = work / f"time{number}"
        for _ in range(kills_each):
            began, begin = os.pipe()

            def build(begin=begin, folder=folder):
                write = shards.write

                def first(*arguments):
                    shards.write = write
                    os.write(begin, b"!")
                    write(*arguments)

                shards.write = first
                compute(folder, **MANY)

            child = fork(build)
            os.close(begin)
            os.read(began, 1)  # empty where the child ended without writing
            os.close(began)
            time.sleep(RANDOM.uniform(0, 0.1))
            os.kill(child, signal.SIGKILL)
            kills += was_killed(child)
            finished.append(len(list(folder.glob("index/*.json"))))
        was_killed(fork(lambda folder=folder: compute(folder, **MANY)))
        wrong += differing(folder, expected)
    return {"kills": kills, "wrong": wrong, "finished": finished}


def main(work, answer):
    expected, computed = work / "expected", work / "computed"
    tqdm.tqdm.get_lock()  # made once, not in each fork
    was_killed(fork(lambda: compute(expected, **FEW)))
    was_killed(fork(lambda: compute(computed, **MANY)))
    recorded = record(expected)
    other, damaged = work / "other", work / "damaged"
    shutil.copytree(expected, other)
    files.write_json(other / manifest.FILE, {**recorded[0], "batch_size": 1})
    shutil.copytree(expected, damaged)
    shard = damaged / shards.file_name(1, 2)
    shard.write_bytes(shard.read_bytes()[:-9])
    files.write_json(
        answer,
        {
            "new": at_every_operation(work, expected, recorded),
            "overwritten": at_every_operation(work, expected, recorded, other, overwrite=True),
            "repaired": at_every_operation(work, expected, recorded, damaged),
            "again": again_and_again(work, expected, recorded),
            "computing": at_any_time(work, computed),
        },
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]))
