"""PASCAL VOC, and any folder of images with VOC XML files in any arrangement.

A VOC tree, which `root` is when it holds ``JPEGImages``::

    JPEGImages/*.jpg   Annotations/*.xml   SegmentationClass/*.png
    SegmentationClassAug/*.png                                  optional: more masks
    ImageSets/{Main,Segmentation,SegmentationAug}/<split>.txt   an image a line
    classes.txt                                                 optional: a class a line

A line of a list begins with an image's id, or with its path as in lists for training on
``trainaug`` (``/JPEGImages/<id>.jpg /SegmentationClassAug/<id>.png``).

VOC has masks of few of its images; the Semantic Boundaries Dataset (SBD; Hariharan et al.,
"Semantic Contours from Inverse Detectors") has them of 11,355. They come as PNGs in
``SegmentationClassAug``, or as SBD's own folder ``benchmark_RELEASE/dataset``, the option `sbd`::

    cls/<id>.mat   train.txt   val.txt      img/*.jpg, which are VOC's own, are not read

Loose files otherwise: every ``*.xml`` below `root` is an image. The image is the file of the
same stem, of several the one that shares the longest path with the XML; only where no file has
that stem does the XML's ``<filename>`` count, which is wrong too often.

The classes are the lines of ``classes.txt``; without one, the 20 of PASCAL VOC where the tree's
folder is called ``VOC<year>``, or else the names found in all the XML files, sorted.

Corners are one-based pixels that belong to the box (`sensmap.boxes.voc_to_xyxy`), of the image
in the size that the XML states; see `_voc_xml.place` for the size where it is missing, and for
EXIF rotation. Boxes are cut off at the border; a box that is inverted, empty or outside is left
out and named in the example's ``dropped``, and the example keeps its others.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from sensmap import boxes, masks
from sensmap.datasets import _voc_xml
from sensmap.datasets._base import Dataset, Example, ExampleError
from sensmap.datasets._files import files_below, given_root, is_image, lines_of, required
from sensmap.datasets._image_header import read_header

SOURCE = "voc"
VOC_CLASSES = [
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
]


def load(
    root: str | None,
    split: str | None = None,
    year: str | None = None,
    image_set: str | None = None,
    difficult: bool = True,
    sbd: str | None = None,
) -> Dataset:
    """Opens PASCAL VOC, or a folder of images with VOC XML files.

    Args:
        root: the folder; with `year`, the one that holds ``VOC<year>`` or ``VOCdevkit``.
        split: of a tree, a name in ``ImageSets``, such as ``"train"``; of loose files, a folder
            inside `root`. All images by default.
        year: such as ``"2012"``.
        image_set: ``"Main"``, ``"Segmentation"`` or ``"SegmentationAug"``; by default the first of
            them that has the split.
        difficult: keep boxes that are flagged difficult, which VOC's own evaluation leaves out.
        sbd: the folder ``benchmark_RELEASE/dataset`` of SBD, for masks of images that have none
            in ``SegmentationClass``. With it the split ``"trainaug"`` needs no list: it is VOC's
            ``Segmentation/train`` and all images of SBD but those of VOC's ``Segmentation/val``.

    Returns:
        A data set whose labels are the classes of an image's objects; where there is no XML, the
        classes in its mask. The mask, where there is one, is read by `sensmap.masks.load` and has
        index ``k + 1`` for class ``k``, 0 for background and 255 for "ignore".

    Raises:
        FileNotFoundError: if the folder lacks what it should hold.
        ValueError: if the folder holds several years and none was chosen, or `sbd` is given for
            loose files.
    """
    folder = given_root(root, SOURCE, "a PASCAL VOC tree, or a folder of images and VOC XML files")
    if year is not None:
        inside = folder / "VOCdevkit" if (folder / "VOCdevkit").is_dir() else folder
        folder = required(inside / f"VOC{year}", SOURCE, f"the VOC tree of {year}")
    elif years := [path.name for path in sorted(folder.glob("VOC[0-9][0-9][0-9][0-9]"))]:
        raise ValueError(f"{SOURCE}: {folder} holds {', '.join(years)}; choose one with year=.")
    tree = (folder / "JPEGImages").is_dir()
    more_masks = None if sbd is None else given_root(sbd, SOURCE, "SBD, benchmark_RELEASE/dataset")
    if more_masks is not None:
        required(more_masks / "cls", SOURCE, "SBD's masks, <id>.mat")
        if not tree:
            raise ValueError(f"{SOURCE}: sbd= goes with a VOC tree; {folder} has no JPEGImages.")
    pairs, skipped = _tree(folder, split, image_set, more_masks) if tree else _loose(folder, split)
    classes = _classes(folder)
    label_of = {name: label for label, name in enumerate(classes)}
    ids = list(pairs)

    def read(position: int) -> Example:
        image, xml = pairs[ids[position]]
        found_mask = _mask(folder, more_masks, ids[position]) if tree else None
        if xml is None:
            shown = () if found_mask is None else _labels_in(found_mask, len(classes))
            return Example(ids[position], image, shown, mask=found_mask)
        annotation = _voc_xml.read(xml)
        if unknown := set(annotation.names) - set(classes):
            raise ExampleError(f"{xml}: its class {min(unknown)!r} is not among the classes.")
        labels = np.array([label_of[name] for name in annotation.names], np.int32)
        if not difficult:
            annotation, labels = _easy(annotation, labels)
        return Example(
            id=ids[position],
            image=image,
            labels=tuple(int(label) for label in np.unique(labels)),
            mask=found_mask,
            **_voc_xml.place(annotation, labels, read_header(image), boxes.voc_to_xyxy),
        )

    return Dataset(
        " ".join(filter(None, (SOURCE, folder.name, split))), classes, ids, read, skipped
    )


# An image and its XML file, by the image's id.
_Pairs = dict[str, tuple[Path, Path | None]]


def _tree(
    folder: Path, split: str | None, image_set: str | None, sbd: Path | None
) -> tuple[_Pairs, list[str]]:
    names = {os.path.splitext(name)[0]: name for name in files_below(folder / "JPEGImages")}
    if split is None:
        wanted: Iterable[str] = names
    else:
        kinds = ("Main", "Segmentation", "SegmentationAug") if image_set is None else (image_set,)
        lists = [folder / "ImageSets" / kind / f"{split}.txt" for kind in kinds]
        chosen = next((path for path in lists if path.exists()), None)
        if chosen is None and split == "trainaug" and sbd is not None:
            wanted = _trainaug(folder / "ImageSets" / "Segmentation", sbd)
        else:
            wanted = _listed(chosen or lists[0], f"the images of the split {split!r}, one a line")
    pairs: _Pairs = {}
    for stem in wanted:
        xml = folder / "Annotations" / f"{stem}.xml"
        image = folder / "JPEGImages" / names.get(stem, f"{stem}.jpg")
        pairs[stem] = (image, xml if xml.exists() else None)
    return pairs, []


def _listed(path: Path, holding: str) -> list[str]:
    """The ids in a list of images, whose lines may be paths and may have more behind."""
    ids = []
    for line in lines_of(path, SOURCE, holding):
        first = line.split()[0]  # lists of one class have flags behind, others the mask's path
        _, of_image, name = first.rpartition("JPEGImages/")
        ids.append(os.path.splitext(name)[0] if of_image else first)
    return ids


def _trainaug(lists: Path, sbd: Path) -> list[str]:
    """VOC's training images and all of SBD's that are not VOC's to validate on, sorted."""
    train, val = (
        set(_listed(lists / f"{part}.txt", f"VOC's own {part} images")) for part in ("train", "val")
    )
    more = (set(_listed(sbd / f"{part}.txt", "SBD's images")) for part in ("train", "val"))
    return sorted(train.union(*more) - val)


def _mask(folder: Path, sbd: Path | None, name: str) -> Path | None:
    """The file of an image's mask: VOC's own where there is one."""
    places = [
        folder / "SegmentationClass" / f"{name}.png",
        *([] if sbd is None else [sbd / "cls" / f"{name}.mat"]),
        folder / "SegmentationClassAug" / f"{name}.png",
    ]
    return next((path for path in places if path.exists()), None)


def _labels_in(mask: Path, classes: int) -> tuple[int, ...]:
    """The classes that a mask shows, as labels."""
    indices = set(np.unique(masks.load(mask)).tolist()) - {0, masks.IGNORE}
    if (highest := max(indices, default=0)) > classes:
        raise ExampleError(f"{mask}: its index {highest} is beyond the {classes} classes.")
    return tuple(index - 1 for index in sorted(indices))


def _loose(folder: Path, split: str | None) -> tuple[_Pairs, list[str]]:
    if split is not None:
        folder = required(folder / split, SOURCE, f"the images of the split {split!r}")
    files = list(files_below(folder))
    xmls = [name for name in files if name.endswith(".xml")]
    by_stem, by_name = defaultdict(list), defaultdict(list)
    for name in filter(is_image, files):
        by_stem[Path(name).stem].append(name)
        by_name[Path(name).name].append(name)
    stems = [Path(name).stem for name in xmls]
    unique = len(set(stems)) == len(stems)
    pairs: _Pairs = {}
    skipped = []
    used: dict[str, str] = {}
    for xml, stem in zip(xmls, stems, strict=True):
        nearest = _nearest(xml, by_stem[stem] or by_name[_stated_name(folder / xml)])
        if len(nearest) != 1:
            which = " and ".join(nearest)
            skipped.append(f"{xml}: " + (f"could be of {which}" if which else "no image for it"))
        elif nearest[0] in used:
            skipped.append(f"{xml}: its image {nearest[0]} belongs to {used[nearest[0]]}")
        else:
            used[nearest[0]] = xml
            name = stem if unique else os.path.splitext(xml)[0]
            pairs[name] = (folder / nearest[0], folder / xml)
    skipped += [f"{name}: no XML for it" for name in filter(is_image, files) if name not in used]
    if not pairs:
        raise FileNotFoundError(
            f"{SOURCE}: there is no image with a VOC XML file in {folder}; expected JPEGImages "
            f"and Annotations, or images and XML files of the same names."
        )
    return pairs, skipped


def _nearest(xml: str, images: list[str]) -> list[str]:
    """Of several images, those that share the most leading folders with the XML file."""

    def shared(image: str) -> int:
        return len(Path(os.path.commonpath([os.path.dirname(xml), os.path.dirname(image)])).parts)

    most = max(map(shared, images), default=0)
    return [image for image in images if shared(image) == most]


def _stated_name(xml: Path) -> str:
    """The image's name that an XML file states; "" where it cannot be read."""
    try:
        return re.split(r"[/\\]", _voc_xml.read(xml).filename)[-1]
    except ExampleError:
        return ""


def _classes(folder: Path) -> list[str]:
    if (folder / "classes.txt").exists():
        return lines_of(folder / "classes.txt", SOURCE, "a class a line")
    if re.fullmatch(r"VOC\d{4}", folder.name):
        return VOC_CLASSES
    names: set[str] = set()
    for name in files_below(folder):
        if name.endswith(".xml"):
            try:
                names.update(_voc_xml.read(folder / name).names)
            except ExampleError:
                continue  # said when its example is read
    return sorted(names)


def _easy(
    annotation: _voc_xml.Annotation, labels: np.ndarray
) -> tuple[_voc_xml.Annotation, np.ndarray]:
    """Without the objects that are flagged difficult."""
    easy = ~annotation.difficult
    kept = _voc_xml.Annotation(
        annotation.filename,
        annotation.size,
        tuple(name for name, keep in zip(annotation.names, easy, strict=True) if keep),
        annotation.corners[easy],
        annotation.difficult[easy],
    )
    return kept, labels[easy]
