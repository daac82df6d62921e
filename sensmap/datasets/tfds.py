"""TensorFlow Datasets whose features hold an image, a label and boxes: ``tfds:<builder>``.

Any set serves that has an ``image`` and

* ``label`` with ``bbox`` (caltech_birds2011, cars196),
* ``label`` with ``objects/bbox`` (stanford_dogs), or
* ``objects/bbox`` with ``objects/label`` (voc, coco, `sensmap.tfds_builders`); the labels of an
  image are then those of its objects, unless it has a ``label`` too.

Boxes are relative ``ymin, xmin, ymax, xmax`` (`sensmap.boxes.yxyx_to_xyxy`) of the image as TFDS
decodes it, which does not follow EXIF: the few JPEGs that EXIF would turn are handed on as pixels,
all others as the encoded bytes that TFDS stores. Only the record that is asked for is in memory;
ascending access reads the files once.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from sensmap import boxes
from sensmap.datasets._base import Dataset, Example, ExampleError, ImageSource, usable_boxes
from sensmap.datasets._image_header import Header, read_header

SOURCE = "tfds"


def load(
    root: str | None, split: str | None = None, builder: str = "", download: bool = False
) -> Dataset:
    """Opens a prepared TensorFlow Datasets set.

    Args:
        root: TFDS's ``data_dir``; by default ``$TFDS_DATA_DIR`` or ``~/tensorflow_datasets``.
        split: ``"train"`` (the default), ``"test"``, or a slice such as ``"train[:10%]"``.
        builder: name of the set, with its config and version where there are several:
            ``"voc/2007:5.0.0"``.
        download: download and prepare the set where it is not there yet. Without it the network
            is not used.

    Returns:
        A data set whose ids are ``<builder>/<split>/<position>``.

    Raises:
        FileNotFoundError: if there is no prepared set of that name.
        ValueError: for an unknown builder or split, several configs, or features that lack a
            label or boxes.
    """
    if not builder:
        raise ValueError(f"{SOURCE} needs the name of a set: tfds:<builder>, as tfds:cars196.")
    data_dir = Path(root or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets").expanduser()
    prepared = _prepared(data_dir, builder)
    if prepared is not None:
        return from_builder(tfds.builder_from_directory(prepared), split)
    if not download:
        raise FileNotFoundError(
            f"{SOURCE}: there is no prepared set {builder!r} in {data_dir}; prepare it with "
            f"TFDS, or allow its download with download=True."
        )
    from sensmap import tfds_builders  # noqa: F401  registers sensmap's own

    try:
        chosen = tfds.builder(builder, data_dir=data_dir)
    except tfds.core.DatasetNotFoundError:
        raise ValueError(f"{SOURCE}: TensorFlow Datasets has no set {builder!r}.") from None
    try:
        chosen.download_and_prepare()
    except AssertionError as error:  # TFDS's way to say that files must be fetched by hand
        raise FileNotFoundError(f"{SOURCE}: {' '.join(str(error).split())}") from None
    return from_builder(chosen, split)


def from_builder(builder: tfds.core.DatasetBuilder, split: str | None = None) -> Dataset:
    """A data set from a prepared builder; see `load`."""
    features = dict(builder.info.features.items())
    label, box, object_label = _check(builder.info.name, features)
    wanted: dict[str, Any] = {"image": True}
    if label is not None:
        wanted["label"] = True
    if "bbox" in features:
        wanted["bbox"] = True
    else:
        wanted["objects"] = {"bbox": True} | ({"label": True} if object_label else {})
    split = split or "train"
    records = builder.as_dataset(
        split=split,
        decoders=tfds.decode.PartialDecoding(wanted, {"image": tfds.decode.SkipDecoding()}),
        # One file after the other, in order; and not the whole set in memory, if it is small.
        read_config=tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False),
    )
    cursor = _Cursor(records)
    classes = (object_label or label).names
    convert = boxes.as_boxes if _is_xyxy(box) else boxes.yxyx_to_xyxy
    name = builder.info.full_name.rpartition("/")[0]  # without the version
    ids = [f"{name}/{split}/{position:07d}" for position in range(len(records))]

    def read(position: int) -> Example:
        record = cursor.seek(position)
        image, header = _upright(features["image"], record["image"], ids[position])
        found = record["objects"] if "objects" in record else {"bbox": record["bbox"][None]}
        own = [int(record["label"])] if label is not None else []
        if own and own[0] < 0:  # TFDS's mark for a test image whose label is not public
            return Example(ids[position], image, size=header.size)
        box_labels = found["label"] if object_label else np.full(len(found["bbox"]), own[0])
        placed, kept, dropped = usable_boxes(found["bbox"].reshape(-1, 4), box_labels, convert)
        return Example(
            id=ids[position],
            image=image,
            labels=tuple(own or np.unique(box_labels).tolist()),
            boxes=placed,
            box_labels=kept,
            size=header.size,
            dropped=dropped,
        )

    return Dataset(f"{SOURCE} {name} {split}", classes, ids, read)


class _Cursor:
    """Reads records in ascending order; going back opens the files again and skips."""

    def __init__(self, records: tf.data.Dataset):
        self._records = records
        self._position = 0
        self._iterator = records.as_numpy_iterator()

    def seek(self, position: int) -> dict:
        if position < self._position:
            self._iterator = self._records.skip(position).as_numpy_iterator()
            self._position = position
        while True:
            record = next(self._iterator)
            self._position += 1
            if self._position > position:
                return record


def _check(name: str, features: dict[str, Any]) -> tuple[Any, Any, Any]:
    """The features ``label`` (or None), ``bbox`` and ``objects/label`` (or None)."""
    objects = getattr(features.get("objects"), "feature", None)
    inside = dict(objects.items()) if isinstance(objects, tfds.features.FeaturesDict) else {}
    label, box = features.get("label"), features.get("bbox", inside.get("bbox"))
    object_label = inside.get("label") if "bbox" not in features else None
    if (
        not isinstance(features.get("image"), tfds.features.Image)
        or not isinstance(box, tfds.features.BBoxFeature)
        or not isinstance(object_label or label, tfds.features.ClassLabel)
    ):
        raise ValueError(
            f"{SOURCE}: {name} must have the features image, bbox or objects/bbox, and label or "
            f"objects/label; it has {', '.join(sorted(features))}."
        )
    form = getattr(box.bbox_format, "value", "unknown")
    if form not in ("REL_YXYX", "REL_XYXY"):
        raise ValueError(f"{SOURCE}: {name} has boxes in the form {form}; only REL_YXYX is read.")
    return label, box, object_label


def _is_xyxy(box: Any) -> bool:
    return box.bbox_format.value == "REL_XYXY"


def _upright(feature: Any, encoded: bytes, name: str) -> tuple[ImageSource, Header]:
    """The image as TFDS sees it: pixels, where its bytes would be turned when decoded."""
    try:
        header = read_header(encoded)
    except ExampleError as error:
        raise ExampleError(f"{name}: {error}") from None
    if header.orientation == 1:
        return encoded, header
    pixels = feature.decode_example(encoded).numpy()
    return np.ascontiguousarray(np.broadcast_to(pixels, (*pixels.shape[:2], 3))), Header(
        pixels.shape[:2]
    )


def _prepared(data_dir: Path, builder: str) -> Path | None:
    """The folder of a prepared set: of its newest version, unless the name states one."""
    place = data_dir / builder.replace(":", "/")
    folders = [path.parent for path in place.glob("**/features.json")]
    if place in folders or not folders:
        return place if folders else None
    if len(configs := sorted({folder.parent for folder in folders})) > 1:
        names = ", ".join(str(config.relative_to(data_dir)) for config in configs)
        raise ValueError(f"{SOURCE}: {builder!r} is prepared in several configs: {names}.")
    return max(folders, key=lambda folder: [int(part) for part in re.findall(r"\d+", folder.name)])
