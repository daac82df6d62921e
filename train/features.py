r"""Extracts what localizers learn from, of a data set of any size, into a folder on disk.

    python -m train.features --classifier=runs/digits/classifier \
        --dataset=digits --split=fit --layers=auto --output=runs/digits/features

Writes a feature store (`sensmap.feature_store`): manifest.json, shards of TFRecords, and an index
for each. A run that ended early, however it ended, goes on where it was with the same command.
With --engine=beam shards are made by Apache Beam, on several processes or machines (docs/beam.md).
With --check a store is only read, and damaged shards are named; --repair makes those again.
"""

import sys
from collections.abc import Sequence

from absl import flags

from sensmap import binaries, engine_flags, registry
from sensmap import flags as shared

FLAGS = flags.FLAGS

shared.define_classifier()
shared.define_dataset()
shared.define_maps()
shared.define_batch()
shared.define_compute()
engine_flags.define_engine()
flags.DEFINE_list(
    "localizer",
    ["linear"],
    "for which localizers: linear takes features, others what they read off the maps; of "
    + ", ".join(registry.names("sensmap.localizers")),
)
flags.DEFINE_integer(
    "top_k", 0, "of how many best classes besides the one asked for", lower_bound=0
)
flags.DEFINE_integer("shard_size", 1024, "images in a shard", lower_bound=1)
flags.DEFINE_string("output", None, "the folder to write, or to go on with")
flags.DEFINE_bool("overwrite", False, "start anew if there is a feature store")
flags.DEFINE_bool("check", False, "only check the store in --output, and name damaged shards")
flags.DEFINE_bool("repair", False, "make the damaged shards of the store in --output again")


def run(_: Sequence[str]) -> None:
    shared.require("output")
    if FLAGS.check:
        shared.refuse("--check changes nothing", "repair", "overwrite")
        _check()
        return
    if FLAGS.repair:
        shared.refuse("--repair keeps what is undamaged", "overwrite")
    shared.require("classifier", "dataset")
    from sensmap import feature_store

    if FLAGS.repair:
        feature_store.open(FLAGS.output)  # which has to exist
    engine = engine_flags.engine()
    job = engine_flags.store_job(FLAGS.output, FLAGS.localizer, FLAGS.top_k)
    plan = job.plan()
    for line in plan.dataset.skipped:
        binaries.warn(f"{plan.dataset.name}: {line}")
    binaries.report_sanity(plan.extractor.method.classifier, plan.dataset)
    try:
        built = engine.make(job, FLAGS.overwrite)
    except KeyboardInterrupt:
        binaries.warn("interrupted; finished shards are kept, and the same command goes on")
        sys.exit(130)
    for line in built.other_versions:
        binaries.warn(f"shards of two versions are together now: {line}")
    if FLAGS.repair:
        for name in built.made:
            print(f"Made again: {name}.")
    used = len(built.store)
    count = len(plan.dataset)
    if used < count:
        binaries.warn(f"skipped {count - used} of {count} images; the store says why")
    print(
        f"{FLAGS.output}: features of {used} images; {len(built.made)} shards made, "
        f"{built.taken_over} taken over."
    )


def _check() -> None:
    from sensmap import feature_store

    store = feature_store.open(FLAGS.output)
    damaged = store.verify()
    for name, reason in damaged:
        print(f"{name}: {reason}")
    count = store.manifest["shards"]
    if damaged:
        raise ValueError(f"{FLAGS.output}: {len(damaged)} of {count} shards cannot be used.")
    print(f"{FLAGS.output}: all {count} shards are whole.")


def main() -> None:
    binaries.run(run)


if __name__ == "__main__":
    main()
