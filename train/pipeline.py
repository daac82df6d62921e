r"""Extracts maps, fits the box regressor and measures it, for data sets of any size, in one go.

    python -m train.pipeline --classifier=runs/digits/classifier --dataset=digits --split=fit \
        --part=train --measured_part=test --layers=auto --reduction=l2 --output=runs/digits/run

Writes into --output
    features            a feature store (train/features.py) of the images to fit on
    localizer           the folder that every --localizer takes
    measured_features   a feature store of the images to measure on
    result.json         CorLoc, its interval, by class, of the localizer and of the constant boxes
                        that the same images teach; what it was made from, versions, configuration
    table.md            the measures as tables
A run that ended early, however it ended, goes on where it was with the same command. With
--engine=beam Apache Beam does the work, on several processes or machines, with the same results:
    --engine=beam --beam_option=direct_num_workers=2 \
        --beam_option=direct_running_mode=multi_processing
docs/beam.md has the options for Flink, Spark and Dataflow.
"""

import importlib.metadata
import os
import sys
from collections.abc import Sequence
from typing import Any

from absl import flags

from sensmap import binaries, engine_flags
from sensmap import flags as shared

FLAGS = flags.FLAGS

shared.define_classifier()
shared.define_dataset(part="train")
shared.define_maps()
shared.define_batch()
shared.define_compute()
engine_flags.define_engine()
flags.DEFINE_enum(
    "measured_part",
    None,
    ["all", "train", "validation", "test"],
    "the part to measure on: test, or with --measured_split all",
)
flags.DEFINE_string("measured_split", None, "the split to measure on: that of --split")
flags.DEFINE_integer("shard_size", 1024, "images in a shard", lower_bound=1)
flags.DEFINE_string("output", None, "the folder to write, or to go on with")
flags.DEFINE_bool("overwrite", False, "start anew if there is a run")


def run(_: Sequence[str]) -> None:
    shared.require("classifier", "dataset", "output")
    from sensmap.engines import stages
    from sensmap.engines.job import Job
    from sensmap.report import measures, tables

    engine = engine_flags.engine()
    part = FLAGS.measured_part or ("all" if FLAGS.measured_split else "test")
    output = engine_flags.shared_folder(FLAGS.output)
    (estimator,) = shared.estimators(["linear"])  # refuses options that it does not have
    estimator.check_penalties()
    regression = shared.key_values("localizer_option")
    job = Job(
        output,
        engine_flags.store_job(os.path.join(output, "features"), ["linear"]),
        engine_flags.store_job(
            os.path.join(output, "measured_features"),
            ["linear"],
            part=part,
            split=FLAGS.measured_split,
        ),
        {key: each for key, each in regression.items() if key != "features"},  # the store has them
    )
    recorded: dict[str, Any] = {}

    def record() -> dict[str, Any]:
        plan = job.fitted.plan()
        for line in dict.fromkeys((*plan.dataset.skipped, *job.measured.plan().dataset.skipped)):
            binaries.warn(f"{plan.dataset.name}: {line}")
        recorded["sanity"] = binaries.report_sanity(plan.extractor.method.classifier, plan.dataset)
        recorded["configuration"] = binaries.configuration(__name__)
        recorded["versions"] = _versions()
        return recorded

    try:
        result = stages.run(job, engine, FLAGS.overwrite, record)
    except KeyboardInterrupt:
        binaries.warn("interrupted; finished shards are kept, and the same command goes on")
        sys.exit(130)
    if not recorded:
        print("It was finished before; --overwrite starts anew.")
    for each in result["skipped"][:20]:
        binaries.warn(f"skipped {each['id']}: {each['reason']}")
    print(f"\n{tables.as_text(measures.brief_table(result['rows']))}\n\n{FLAGS.output}/table.md")


def _versions() -> dict[str, str]:
    found = binaries.versions()
    if FLAGS.engine == "beam":
        found["apache-beam"] = importlib.metadata.version("apache-beam")
    return found


def main() -> None:
    binaries.run(run)


if __name__ == "__main__":
    main()
