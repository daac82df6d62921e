r"""Does memory grow with the images?

  python -m benchmarks.memory

Extracts the features of the first 2,500 and of all 10,000 training images of Tiny ImageNet, each
in a process of its own, and compares the most memory that either held at once (resident set).
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys

from absl import flags

from benchmarks import _common
from sensmap.report.tables import Column, number

_CLASSIFIER = flags.DEFINE_enum(
    "classifier", "squeezenet1_1", list(_common.CLASSIFIERS), "Whose maps."
)
_COUNTS = flags.DEFINE_list("counts", ["2500", "10000"], "How many images, fewest first.")
_ONLY = flags.DEFINE_integer("only", None, "Measure this many in this process, and print JSON.")


def main() -> None:
    if _ONLY.value is not None:
        print(json.dumps(extract(_ONLY.value)))
        return
    own = [f"--classifier={_CLASSIFIER.value}", f"--shared={_common.shared()}"]
    rows = []
    for count in _COUNTS.value:
        command = [sys.executable, "-m", "benchmarks.memory", f"--only={int(count)}", *own]
        done = subprocess.run(command, stdout=subprocess.PIPE, cwd=_common.REPOSITORY)
        if done.returncode:
            sys.exit(done.returncode)  # it has said why
        rows.append(json.loads(done.stdout.splitlines()[-1]))
        rows[-1]["ratio"] = rows[-1]["megabytes"] / rows[0]["megabytes"]
    _common.report(rows, COLUMNS, classifier=_CLASSIFIER.value)


def extract(count: int) -> dict[str, float]:
    """The peak of this process."""
    from sensmap import maps
    from sensmap.pipeline import Extractor

    data = _common.tiny_imagenet("train")
    if count > len(data):
        raise ValueError(f"There are {len(data)} training images; {count} were asked for.")
    method = maps.create("gradient", _common.classifier(_CLASSIFIER.value))
    table = Extractor(method).extract(data.select(range(count)))
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"images": len(table), "megabytes": kilobytes / 1024, "seconds": table.seconds}


COLUMNS = (
    Column("Images", lambda row: number(row["images"], 0)),
    Column("peak memory (MB)", lambda row: number(row["megabytes"], 0)),
    Column("over the first", lambda row: number(row["ratio"], 3)),
    Column("seconds", lambda row: number(row["seconds"])),
)


if __name__ == "__main__":
    _common.run(main)
