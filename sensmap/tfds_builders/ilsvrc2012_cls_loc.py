"""ILSVRC 2012 CLS-LOC with its boxes, which TensorFlow Datasets' ``imagenet2012`` leaves out.

    import sensmap.tfds_builders, tensorflow_datasets as tfds
    tfds.load("ilsvrc2012_cls_loc", split="train", data_dir=..., download=True)

reads the unpacked Kaggle archive from ``<data_dir>/downloads/manual`` the first time, and the
prepared records from then on; ``--dataset=tfds:ilsvrc2012_cls_loc`` reads them too. Nothing is
fetched from the network.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds
from absl import logging

from sensmap import boxes, images
from sensmap.datasets import Dataset, Example, ExampleError, ilsvrc
from sensmap.datasets._image_header import read_header

_CITATION = """\
@article{ILSVRC15,
  author = {Russakovsky, Olga and Deng, Jia and Su, Hao and Krause, Jonathan and Satheesh, Sanjeev
            and Ma, Sean and Huang, Zhiheng and Karpathy, Andrej and Khosla, Aditya and
            Bernstein, Michael and Berg, Alexander C. and Fei-Fei, Li},
  title = {{ImageNet Large Scale Visual Recognition Challenge}},
  journal = {International Journal of Computer Vision},
  volume = {115}, number = {3}, pages = {211--252}, year = {2015},
  doi = {10.1007/s11263-015-0816-y},
}"""


class Ilsvrc2012ClsLoc(tfds.core.GeneratorBasedBuilder):
    """ILSVRC 2012 CLS-LOC: images of 1,000 classes with the boxes of their objects.

    Features: ``image`` (JPEG), ``file_name`` (id), ``label`` and ``objects`` with ``bbox``
    (``ymin, xmin, ymax, xmax``, relative, cut off at the border) and ``label``. JPEGs are kept
    byte for byte, but for the few that are CMYK, turned by EXIF or no JPEGs at all: those are
    stored anew, upright and RGB. An image that cannot be used is left out with a warning.
    """

    VERSION = tfds.core.Version("1.0.0")
    MANUAL_DOWNLOAD_INSTRUCTIONS = """\
    Unpack Kaggle's "ImageNet Object Localization Challenge" archive into manual_dir, so that it
    holds LOC_synset_mapping.txt, ILSVRC/Data/CLS-LOC/{train,val} and
    ILSVRC/Annotations/CLS-LOC/{train,val} (or LOC_{train,val}_solution.csv).
    """

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(encoding_format="jpeg"),
                    "file_name": tfds.features.Text(),
                    "label": tfds.features.ClassLabel(),
                    "objects": tfds.features.Sequence(
                        {
                            "bbox": tfds.features.BBoxFeature(),
                            "label": tfds.features.ClassLabel(),
                        }
                    ),
                }
            ),
            supervised_keys=("image", "label"),
            homepage="https://www.image-net.org/challenges/LSVRC/2012/",
            citation=_CITATION,
            description="ILSVRC 2012 classification with localization: a class an image, boxes.",
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Iterator]:
        train, val = (ilsvrc.load(dl_manager.manual_dir, split) for split in ("train", "val"))
        # The classes' names stand in the archive, not in the code.
        self.info.features["label"].names = train.classes
        self.info.features["objects"]["label"].names = train.classes
        return {
            "train": self._generate_examples(train),
            "validation": self._generate_examples(val),
        }

    def _generate_examples(self, dataset: Dataset) -> Iterator[tuple[str, dict[str, Any]]]:
        examples = iter(dataset)
        while True:
            try:
                example = next(examples)
                yield example.id, _features(example)
            except StopIteration:
                return
            except ExampleError as error:
                logging.warning("left out: %s", error)


def _features(example: Example) -> dict[str, Any]:
    return {
        "image": _jpeg(Path(str(example.image))),
        "file_name": example.id,
        "label": example.labels[0],
        "objects": [
            {"bbox": tfds.features.BBox(*map(float, box)), "label": int(label)}
            for box, label in zip(
                boxes.yxyx_to_xyxy(example.boxes), example.box_labels, strict=True
            )
        ],
    }


def _jpeg(path: Path) -> Any:
    """The file to keep as it is, or pixels to encode anew."""
    header = read_header(path)
    is_plain = header.jpeg_channels in (1, 3) and header.orientation == 1
    return path if is_plain else images.load(path)
