r"""CAM of MobileNetV2 by MaxBoxAcc, on 1,300 image files: are the reference's figures met?

  python -m benchmarks.reference_cam

With these maps the code of Choe et al. gives MaxBoxAcc 61.538 (IoU 0.5, all contours) and
MaxBoxAccV2 59.718. There the images were resized by OpenCV's bilinear interpolation, rounded to 8
bits; sensmap's own resize is TensorFlow's, not rounded. Both are measured: the difference is what
a resize is worth.
"""

from __future__ import annotations

import dataclasses

from benchmarks import _common
from sensmap import datasets, images, maps
from sensmap._opencv import cv2
from sensmap.evaluation import judges
from sensmap.metrics.max_box_acc import MaxBoxAcc
from sensmap.pipeline import Extractor
from sensmap.report.tables import Column, number

REFERENCE = (61.538, 59.718)


def main() -> None:
    method = maps.create("cam", _common.classifier("mobilenet_v2"))
    own = _common.ilsvrc()
    rows = [
        {"resize": "the reference", "max_box_acc": REFERENCE[0], "max_box_acc_v2": REFERENCE[1]}
    ]
    for resize, data in {"OpenCV's, 8 bits": _resized(own), "sensmap's": own}.items():
        extractor = Extractor(method, None, judges={judges.SWEEP: judges.sweep})
        metric = MaxBoxAcc()
        metric.update_swept(extractor.extract(data, description=resize).judged[judges.SWEEP])
        rows.append({"resize": resize, **metric.result()})
    _common.report(rows, COLUMNS)


def _resized(data: datasets.Dataset) -> datasets.Dataset:
    """The images as arrays of 224x224; what is known of them stays."""

    def read(position: int) -> datasets.Example:
        example = data[position]
        small = cv2.resize(images.load(example.image), (224, 224), interpolation=cv2.INTER_LINEAR)
        return dataclasses.replace(example, image=small)

    return datasets.Dataset(data.name, data.classes, data.ids, read)


COLUMNS = (
    Column("Images resized by", lambda row: row["resize"], is_number=False),
    Column("MaxBoxAcc (%)", lambda row: number(row["max_box_acc"], 3)),
    Column("MaxBoxAccV2 (%)", lambda row: number(row["max_box_acc_v2"], 3)),
)


if __name__ == "__main__":
    _common.run(main)
