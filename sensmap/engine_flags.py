"""Flags of binaries that make feature stores, by the engine of one's choice."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from absl import flags

from sensmap import flags as shared

FLAGS = flags.FLAGS
# They are those of the binary that asks for them.
flags.disclaim_key_flags()

# Options of data sets that say where something is.
_FOLDERS = {"sbd"}


def define_engine() -> None:
    """--engine, --runner and --beam_option."""
    flags.DEFINE_enum(
        "engine", "local", ["local", "beam"], "what does the work: this process, or Apache Beam"
    )
    flags.DEFINE_string(
        "runner",
        None,
        "with --engine=beam what runs the pipeline: FnApiRunner (this machine; the default), "
        "FlinkRunner, SparkRunner, DataflowRunner, PortableRunner, ...",
    )
    flags.DEFINE_multi_string(
        "beam_option",
        [],
        "with --engine=beam what Beam and the runner take, as KEY=VALUE (direct_num_workers=2); "
        "KEY=True for those without a value; may be repeated",
    )


def store_job(folder: str, names: Sequence[str], top_k: int = 0, **part: str | None):
    """The feature store that the flags describe, for any process on a machine with these files.

    Args:
        folder: of the store.
        names: of the localizers that it is for.
        top_k: of how many best classes besides the one asked for.
        **part: ``part`` and ``split`` as of `sensmap.flags.dataset`.
    """
    from sensmap.engines.job import StoreJob
    from sensmap.feature_store import manifest
    from sensmap.localizer import name_of

    found = shared.estimators(names)
    ((maps, options),) = shared.map_options().items()
    classifier = {"source": _absolute(FLAGS.classifier), **shared.classifier_options()}
    if classifier["preprocessing"] and not isinstance(classifier["preprocessing"], str):
        classifier["preprocessing"] = classifier["preprocessing"].to_config()
    if classifier["weights"] != "imagenet":
        classifier["weights"] = _absolute(classifier["weights"], os.path.isfile)
    classifier["class_names"] = _absolute(classifier["class_names"], os.path.isfile)
    dataset = shared.dataset_options(**part)
    dataset["root"] = _absolute(dataset["root"])
    for name in _FOLDERS & set(dataset["options"]):
        dataset["options"][name] = _absolute(str(dataset["options"][name]))
    features = [each.features for each in found if hasattr(each, "features")]
    return StoreJob(
        folder=shared_folder(folder),
        classifier=classifier,
        dataset=dataset,
        maps={"name": maps, **options},
        features=features[0] if features else None,
        readers={name_of(each): each.get_params() for each in found if not each.in_graph},
        top_k=top_k,
        class_of=FLAGS.class_of,
        shard_size=FLAGS.shard_size,
        batch_size=FLAGS.batch_size,
        versions=manifest.versions(),
        strategy=FLAGS.strategy,
        jit_compile=FLAGS.jit_compile,
    )


def engine():
    """The engine that the flags describe."""
    if FLAGS.engine == "local":
        shared.refuse("it is for --engine=beam", "runner", "beam_option")
        from sensmap.engines import local

        return local.Engine()
    options = []
    for each in FLAGS.beam_option:
        key, equals, value = each.partition("=")
        if not key or not equals:
            raise ValueError(f"--beam_option must be KEY=VALUE; received {each!r}.")
        if key == "runner":
            raise ValueError("--beam_option=runner must be left out: --runner names it.")
        options.append(f"--{key}" if value == "True" else f"--{key}={value}")
    from sensmap.engines import beam

    return beam.Engine(FLAGS.runner, options)


def shared_folder(path: str) -> str:
    """A folder of the machine's file systems, for processes of other folders."""
    if "://" in path:
        raise ValueError(
            f"{path} is not in a file system: shards need one with renames and locks, the same for "
            "all workers; mount one (docs/beam.md)."
        )
    return os.path.abspath(path)


def _absolute(path: str | None, is_there: Callable[[str], bool] = os.path.exists) -> str | None:
    """Where something is, for processes of other folders; names of what is not there stay."""
    return os.path.abspath(path) if path and is_there(path) else path
