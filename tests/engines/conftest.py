"""A tiny network, and runs of it on digits."""

import keras
import pytest

from sensmap.engines import local, stages
from sensmap.engines.job import Job, StoreJob


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    keras.utils.set_random_seed(0)
    network = keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            keras.layers.Conv2D(4, 3, strides=2, activation="relu", name="conv"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(10),
        ]
    )
    path = tmp_path_factory.mktemp("engines") / "tiny.keras"
    network.save(path)
    return path


@pytest.fixture(scope="session")
def store_in(model):
    """Describes a store of digits, in shards of 20."""

    def describe(folder, split="fit", count=90, **options):
        return StoreJob(
            **{
                "folder": str(folder),
                "classifier": {"source": str(model), "preprocessing": "tf"},
                "dataset": {"name": "digits", "split": split, "options": {"count": count}},
                "maps": {"name": "gradient", "layers": ["pixels", "conv"], "reduction": "l2"},
                "shard_size": 20,
                "batch_size": 8,
                **options,
            }
        )

    return describe


@pytest.fixture(scope="session")
def run_in(store_in):
    """Describes a run on digits: 90 to fit on, 50 to measure on."""

    def describe(folder, **options):
        return Job(
            **{
                "output": str(folder),
                "fitted": store_in(folder / "features"),
                "measured": store_in(folder / "measured_features", "test", 50),
                "record": {"versions": {"python": "3"}},
                **options,
            }
        )

    return describe


@pytest.fixture(scope="session")
def by_local(run_in, tmp_path_factory):
    """A run by the local engine, and its result."""
    job = run_in(tmp_path_factory.mktemp("local") / "run")
    return job, stages.run(job, local.Engine())
