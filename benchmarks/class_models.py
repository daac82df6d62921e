r"""Does a class model score highest for its own class?

  python -m benchmarks.class_models --random=20 --seed=0

For each classifier, by its class score and by its posterior, with the settings' defaults: of how
many classes the image's own score is above that of every other class; of how many it still is
when the image has been rounded to 8 bits and cut off at black and white, as it is shown; the
median posterior; and the seconds a class, which all classes of a batch share.

--parametrisation=pixels,fourier,multiresolution measures later work beside the paper's.
"""

from __future__ import annotations

import time

import numpy as np
from absl import flags

from benchmarks import _common
from sensmap import class_model
from sensmap.report.tables import Column, number

_CLASSIFIER = flags.DEFINE_list("classifier", list(_common.CLASSIFIERS), "Which are measured.")
_OBJECTIVE = flags.DEFINE_list("objective", list(class_model.OBJECTIVES), "What is climbed.")
_PARAMETRISATION = flags.DEFINE_list("parametrisation", ["pixels"], "In what.")
_RANDOM = flags.DEFINE_integer("random", 20, "Classes, drawn by --seed.", lower_bound=1)
_SEED = flags.DEFINE_integer("seed", 0, "Of the drawing.", lower_bound=0)
_BATCH = flags.DEFINE_integer("batch_size", 20, "Classes at once.", lower_bound=1)


def main() -> None:
    rows = []
    for name in _CLASSIFIER.value:
        network = _common.classifier(name)
        class_ids = np.random.default_rng(_SEED.value).choice(
            network.num_classes, _RANDOM.value, replace=False
        )
        for objective in _OBJECTIVE.value:
            for parametrisation in _PARAMETRISATION.value:
                visualise = class_model.ClassVisualiser(
                    network, objective, parametrisation=parametrisation
                )
                row = {"classifier": name, **visualise.config}
                rows.append(row | measure(visualise, class_ids.tolist()))
    _common.report(rows, COLUMNS, classes=class_ids)


def measure(visualise: class_model.ClassVisualiser, class_ids: list[int]) -> dict:
    """One setting's figures."""
    began = time.perf_counter()
    models = visualise(class_ids, _BATCH.value)
    seconds = time.perf_counter() - began
    shown = visualise.classifier.class_scores(models.images)
    failed = models.ranks > 1
    return {
        "classes": len(class_ids),
        "on_top": int(np.sum(~failed)),
        "on_top_as_shown": int(np.sum(shown.argmax(axis=1) == models.class_ids)),
        "from_noise": int(models.from_noise.sum()),
        "posterior": float(np.median(models.posteriors)),
        "seconds": seconds / len(class_ids),
        "failed": [
            [int(own), int(rival)]
            for own, rival in zip(models.class_ids[failed], models.rivals[failed], strict=True)
        ],
    }


COLUMNS = (
    Column("Classifier", lambda row: row["classifier"], is_number=False),
    Column("Climbed", lambda row: row["objective"], is_number=False),
    Column("in", lambda row: row["parametrisation"], is_number=False),
    Column("On top", lambda row: f"{row['on_top']} of {row['classes']}"),
    Column("as shown", lambda row: number(row["on_top_as_shown"], 0)),
    Column("Median posterior", lambda row: number(row["posterior"], 3)),
    Column("s a class", lambda row: number(row["seconds"])),
)


if __name__ == "__main__":
    _common.run(main)
