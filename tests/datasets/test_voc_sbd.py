"""VOC 2012 with the masks of SBD, as PNGs beside VOC's own and as SBD's Matlab files."""

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from sensmap import masks
from sensmap.datasets import ExampleError, load
from sensmap.datasets.voc import VOC_CLASSES

# VOC has a mask of the first, SBD of all but the second; the last has no XML.
VOC_TRAIN, VOC_VAL, SBD_TRAIN, SBD_VAL, NO_XML = IDS = (
    *("2007_000032", "2007_000033", "2008_000008", "2008_000015", "2011_003276"),
)
CAR, DOG, TV = (VOC_CLASSES.index(name) for name in ("car", "dog", "tvmonitor"))

VOC_MASK = np.array([[0, 255], [TV + 1, TV + 1]], np.uint8)
MORE_MASK = np.array([[0, CAR + 1], [255, DOG + 1]], np.uint8)


def _list(path, *lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))


@pytest.fixture
def tree(tmp_path, picture, voc_xml):
    """VOC 2012 as it comes."""
    root = tmp_path / "VOCdevkit" / "VOC2012"
    for name in IDS:
        picture(root / f"JPEGImages/{name}.jpg", 2, 2)
        if name != NO_XML:
            voc_xml(root / f"Annotations/{name}.xml", [("tvmonitor", 1, 1, 2, 2)], size=(2, 2))
    for name in (VOC_TRAIN, VOC_VAL):
        masks.save(root / f"SegmentationClass/{name}.png", VOC_MASK)
    _list(root / "ImageSets/Segmentation/train.txt", VOC_TRAIN)
    _list(root / "ImageSets/Segmentation/val.txt", VOC_VAL)
    return root


@pytest.fixture
def augmented(tree):
    """With masks of SBD as PNGs, of VOC's images too, as they are handed around."""
    for name in IDS:
        masks.save(tree / f"SegmentationClassAug/{name}.png", MORE_MASK)
    return tree


@pytest.fixture
def sbd(tmp_path):
    """SBD as it comes: VOC's images in another division."""
    root = tmp_path / "benchmark_RELEASE" / "dataset"
    (root / "cls").mkdir(parents=True)
    (root / "img").mkdir()
    present = np.array([[CAR + 1], [DOG + 1]], np.uint8)
    for name in set(IDS) - {VOC_TRAIN}:
        fields = {"Boundaries": [], "Segmentation": MORE_MASK, "CategoriesPresent": present}
        savemat(root / "cls" / f"{name}.mat", {"GTcls": fields}, do_compression=True)
    _list(root / "train.txt", VOC_VAL, SBD_TRAIN)
    _list(root / "val.txt", NO_XML, SBD_VAL)
    return root


PAIRS = [f"/JPEGImages/{name}.jpg /SegmentationClassAug/{name}.png" for name in IDS]


@pytest.mark.parametrize("folder", ["Segmentation", "SegmentationAug"])
@pytest.mark.parametrize(
    "lines",
    [
        IDS,
        PAIRS,
        [line.replace(" /", " ").lstrip("/") for line in PAIRS],
        [line.split()[0] for line in PAIRS],
        [line.replace("/JPEG", "VOCdevkit/VOC2012/JPEG") for line in PAIRS],
    ],
    ids=["ids", "pairs", "relative pairs", "images", "longer paths"],
)
def test_lists_of_ids_and_of_paths(augmented, folder, lines):
    _list(augmented / f"ImageSets/{folder}/trainaug.txt", *lines)
    for image_set in (None, folder):
        dataset = load("voc", augmented, "trainaug", image_set=image_set)
        assert dataset.ids == IDS
        assert dataset.classes == tuple(VOC_CLASSES)
        assert all(example.image.is_file() for example in dataset)


def test_a_mask_is_vocs_own_or_else_of_the_augmented_folder(augmented):
    dataset = load("voc", augmented)
    own, _, more, _, no_xml = dataset
    assert own.mask == augmented / f"SegmentationClass/{VOC_TRAIN}.png"
    assert more.mask == augmented / f"SegmentationClassAug/{SBD_TRAIN}.png"
    assert masks.load(own.mask).tolist() == VOC_MASK.tolist()
    assert masks.load(more.mask).tolist() == MORE_MASK.tolist()
    assert own.labels == more.labels == (TV,)  # the XML counts where there is one
    assert (no_xml.labels, len(no_xml.boxes)) == ((CAR, DOG), 0)


def test_masks_in_greyscale(augmented, tmp_path):
    path = augmented / f"SegmentationClassAug/{NO_XML}.png"
    Image.fromarray(MORE_MASK).save(path)
    example = load("voc", augmented)[IDS.index(NO_XML)]
    assert (example.mask, example.labels) == (path, (CAR, DOG))


def test_masks_of_sbd_itself(tree, sbd):
    dataset = load("voc", tree, sbd=str(sbd))
    own, _, more, _, no_xml = dataset
    assert own.mask == tree / f"SegmentationClass/{VOC_TRAIN}.png"
    assert more.mask == sbd / f"cls/{SBD_TRAIN}.mat"
    assert masks.load(more.mask).tolist() == MORE_MASK.tolist()
    assert (more.labels, no_xml.labels) == ((TV,), (CAR, DOG))
    # Without the option there is none.
    assert [example.mask is None for example in load("voc", tree)] == [False] * 2 + [True] * 3


def test_sbd_is_taken_where_it_is_asked_for(augmented, sbd):
    (sbd / f"cls/{SBD_VAL}.mat").unlink()
    found = [example.mask for example in load("voc", augmented, sbd=str(sbd))]
    assert [path.parent.name for path in found] == [
        *("SegmentationClass", "SegmentationClass", "cls", "SegmentationClassAug", "cls")
    ]


def test_trainaug_is_made_of_the_lists_of_both(tree, sbd):
    # SBD trains on an image that VOC validates on: it must not come in.
    dataset = load("voc", tree.parent.parent, "trainaug", year="2012", sbd=str(sbd))
    assert dataset.ids == (VOC_TRAIN, SBD_TRAIN, SBD_VAL, NO_XML)
    # A list that is there counts.
    _list(tree / "ImageSets/Segmentation/trainaug.txt", SBD_VAL)
    assert load("voc", tree, "trainaug", sbd=str(sbd)).ids == (SBD_VAL,)


def test_trainaug_needs_its_lists(tree, sbd):
    with pytest.raises(FileNotFoundError, match=r"Main/trainaug\.txt"):
        load("voc", tree, "trainaug")
    (sbd / "val.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"val\.txt; expected SBD's images"):
        load("voc", tree, "trainaug", sbd=str(sbd))
    (tree / "ImageSets/Segmentation/val.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"val\.txt; expected VOC's own val images"):
        load("voc", tree, "trainaug", sbd=str(sbd))


def test_sbd_must_be_there_and_belong_to_a_tree(tree, sbd, tmp_path, picture, voc_xml):
    with pytest.raises(FileNotFoundError, match=r"cls; expected SBD's masks, <id>\.mat"):
        load("voc", tree, sbd=str(sbd.parent))
    with pytest.raises(FileNotFoundError, match="expected SBD, benchmark_RELEASE/dataset"):
        load("voc", tree, sbd=str(tmp_path / "nowhere"))
    picture(tmp_path / "loose/a.jpg")
    voc_xml(tmp_path / "loose/a.xml", [("roo", 1, 1, 5, 5)])
    with pytest.raises(ValueError, match="sbd= goes with a VOC tree"):
        load("voc", tmp_path / "loose", sbd=str(sbd))


def test_a_mask_that_cannot_give_the_labels_is_named_and_the_others_stand(augmented):
    path = augmented / f"SegmentationClassAug/{NO_XML}.png"
    dataset = load("voc", augmented)
    masks.save(path, [[0, 21]])
    with pytest.raises(ExampleError, match=rf"{NO_XML}\.png: its index 21 is beyond the 20 cl"):
        dataset[4]
    path.write_bytes(b"")
    with pytest.raises(ExampleError, match=rf"{NO_XML}\.png: the file of the mask is empty"):
        dataset[4]
    assert dataset[3].mask is not None


def test_a_mask_of_background_shows_no_class(augmented):
    masks.save(augmented / f"SegmentationClassAug/{NO_XML}.png", [[0, 255]])
    assert load("voc", augmented)[4].labels == ()


def test_real_masks_show_the_annotated_classes(shared, tmp_path):
    # The annotations of this set were made from its masks: without them the labels stay.
    source = shared / "data" / "msrc_v2"
    annotated = load("voc", source, "val")
    (tmp_path / "JPEGImages").symlink_to(source / "JPEGImages")
    (tmp_path / "SegmentationClassAug").symlink_to(source / "SegmentationClass")
    (tmp_path / "classes.txt").write_text((source / "classes.txt").read_text())
    _list(tmp_path / "ImageSets/Segmentation/val.txt", *annotated.ids)
    bare = load("voc", tmp_path, "val")
    assert [example.labels for example in bare] == [example.labels for example in annotated]
