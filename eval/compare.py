r"""Compares two methods on the same images: is one better, or was it luck?

    python -m eval.compare runs/new runs/old --output=runs/new_against_old

A and B are folders of eval/localization.py, or outcomes.jsonl files; of each the last method is
taken unless --method_a and --method_b say which. Two methods of one run:
    python -m eval.compare runs/new runs/new --method_a="GraphCut (gradient)" \
        --method_b="Mean training box"
Prints A less B with 95% intervals, McNemar's test and the images where they differ most;
--output writes compare.json and compare.md.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from absl import flags

from sensmap import binaries
from sensmap import flags as shared

FLAGS = flags.FLAGS

shared.define_output()
flags.DEFINE_string("method_a", None, "the method of A, as its tables call it; the last by default")
flags.DEFINE_string("method_b", None, "the method of B")


def run(arguments: Sequence[str]) -> None:
    if len(arguments) != 3:
        raise ValueError(
            "Give two runs, A and B: folders of eval/localization.py, or their outcomes.jsonl; "
            f"received {len(arguments) - 1}."
        )
    if FLAGS.output is None:
        shared.refuse("it is of --output", "overwrite")
    from sensmap import comparison, files, outcomes
    from sensmap.report import tables

    paths = [_outcomes_file(each) for each in arguments[1:]]
    run_a = outcomes.read(paths[0])
    run_b = run_a if paths[1].resolve() == paths[0].resolve() else outcomes.read(paths[1])
    methods = [
        given or list(each.methods)[-1]
        for given, each in zip((FLAGS.method_a, FLAGS.method_b), (run_a, run_b), strict=True)
    ]
    found = comparison.compare(run_a, run_b, *methods)
    made = comparison.as_tables(found)
    lines = comparison.sentences(found)
    if FLAGS.output is not None:
        with files.output_folder(FLAGS.output, FLAGS.overwrite) as work:
            record = {
                "title": "Comparison of two methods on the same images",
                "runs": {"a": _run(paths[0]), "b": _run(paths[1])},
                **found,
                "configuration": binaries.configuration(__name__),
                "versions": binaries.versions(),
            }
            files.write_json(work / "compare.json", record)
            parts = [*lines, *map(tables.as_markdown, made)]
            files.write_text(work / "compare.md", "\n\n".join(parts) + "\n")
    print("\n\n".join(["\n".join(lines), *map(tables.as_text, made)]))
    if FLAGS.output is not None:
        print(f"\n{FLAGS.output}/compare.md")


def _outcomes_file(given: str) -> Path:
    """The file of outcomes that an argument names, itself or by its folder."""
    from sensmap import outcomes

    path = Path(given)
    if not path.is_dir():
        return path
    if not (path / outcomes.FILE).is_file():
        raise FileNotFoundError(
            f"{given} holds no {outcomes.FILE}; give a folder of eval/localization.py, or such a "
            "file."
        )
    return path / outcomes.FILE


def _run(path: Path) -> Mapping[str, Any]:
    """Which file it was, and of which data set, where the evaluation's result stands beside it."""
    from sensmap import files

    beside = path.with_name("result.json")
    result = files.read_json(beside) if beside.is_file() else {}
    return {
        "outcomes": path,
        "dataset": result.get("dataset") if isinstance(result, dict) else None,
    }


def main() -> None:
    binaries.run(run, takes_arguments=True)


if __name__ == "__main__":
    main()
