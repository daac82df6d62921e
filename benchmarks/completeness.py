r"""How complete are integrated gradients, and how close to those of many more steps?

  python -m benchmarks.completeness --classifier=squeezenet1_1

Attributions should add up to S_c(image) - S_c(baseline). For the true and the predicted class of
each image: how far they are off, as a share of that difference, with the plain quadrature weights
and with the calibrated ones (see `sensmap.maps.integrated_gradients`). And the distance (relative
L2, channels added) of both from the attributions of --reference steps, whose weights are plain.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from absl import flags

from benchmarks import _common
from sensmap import maps
from sensmap.maps import given
from sensmap.report.tables import Column, number

_CLASSIFIER = flags.DEFINE_enum(
    "classifier", "squeezenet1_1", list(_common.CLASSIFIERS), "Whose attributions."
)
_IMAGES = flags.DEFINE_integer("images", 32, "How many images.", lower_bound=1)
_STEPS = flags.DEFINE_list("steps", ["25", "50", "100"], "How many steps, one row each.")
_BASELINES = flags.DEFINE_list("baselines", ["black", "mean"], "Which baselines.")
_REFERENCE = flags.DEFINE_integer("reference", 400, "Steps to measure the distance from.")
_BATCH = 16


def main() -> None:
    network = _common.classifier(_CLASSIFIER.value)
    data = _common.ilsvrc()
    spread = [place * len(data) // _IMAGES.value for place in range(_IMAGES.value)]
    batches = _common.batches_in_memory(network, data.select(spread), _BATCH)
    rows = []
    for baseline in _BASELINES.value:
        far = attributions(network, batches[:1], baseline, _REFERENCE.value)
        for steps in map(int, _STEPS.value):
            found = attributions(network, batches, baseline, steps)
            row = {"baseline": baseline, "steps": steps}
            for kind in ("plain", "calibrated"):
                off = np.abs(found[kind].sum(axis=(2, 3)) / found["difference"] - 1)
                row[kind] = {
                    "median": 100 * float(np.median(off)),
                    "within": 100 * float(np.mean(off <= 0.01)),
                    "distance": distance(found[kind][:_BATCH], far["plain"]),
                }
            rows.append(row)
    _common.report(rows, COLUMNS, classifier=_CLASSIFIER.value, images=_IMAGES.value)


def attributions(network, batches, baseline: str, steps: int) -> dict[str, np.ndarray]:
    """Of the true and the predicted class, ``(N, 2, h, w)``, channels added; and what they
    should add up to, ``(N, 2)``."""
    method = maps.create("integrated_gradients", network, baseline=baseline, steps=steps)

    @tf.function(autograph=False)
    def compute(pixels, class_ids):
        passes = method._all_passes(pixels, given(class_ids))
        start = method._start(passes.inputs)
        plain = (passes.inputs - start)[:, None] * passes.sums[0]
        before = tf.gather(network.scores_from_input(start)[0], passes.class_ids)
        return {
            "plain": tf.reduce_sum(plain, axis=-1),
            "calibrated": tf.reduce_sum(method._attributions(passes), axis=-1),
            "difference": tf.gather(passes.scores, passes.class_ids, batch_dims=1) - before,
        }

    found = []
    for pixels, true in batches:
        predicted = network.class_scores(pixels).argmax(axis=1).astype(np.int32)
        found.append(compute(pixels, tf.stack([true, predicted], axis=1)))
    return {key: np.concatenate([each[key] for each in found]) for key in found[0]}


def distance(found: np.ndarray, reference: np.ndarray) -> float:
    """The median relative L2 distance, in percent."""
    off = np.linalg.norm(found - reference, axis=(2, 3)) / np.linalg.norm(reference, axis=(2, 3))
    return 100 * float(np.median(off))


COLUMNS = (
    Column("Baseline", lambda row: row["baseline"], is_number=False),
    Column("steps", lambda row: number(row["steps"], 0)),
    *(
        column
        for kind in ("plain", "calibrated")
        for column in (
            Column(f"{kind}: off by (%)", lambda row, kind=kind: number(row[kind]["median"], 2)),
            Column("within 1% (%)", lambda row, kind=kind: number(row[kind]["within"], 0)),
            Column("distance (%)", lambda row, kind=kind: number(row[kind]["distance"], 2)),
        )
    ),
)


if __name__ == "__main__":
    _common.run(main)
