"""Choices by name: a package's modules, without helpers."""

import sys

import pytest

from sensmap import registry


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package with the choices ``apple`` and ``pear`` and the helper ``_tree``."""
    folder = tmp_path / "orchard_of_test"
    folder.mkdir()
    for name in ("__init__", "pear", "apple", "_tree"):
        (folder / f"{name}.py").write_text(f"NAME = {name!r}\n")
    (folder / "notes.txt").write_text("no module")
    monkeypatch.syspath_prepend(tmp_path)
    yield "orchard_of_test"
    for name in [name for name in sys.modules if name.startswith("orchard_of_test")]:
        del sys.modules[name]


def test_names_are_sorted_and_leave_helpers_out(package):
    assert registry.names(package) == ("apple", "pear")


def test_a_module_is_found_by_its_name(package):
    assert registry.find(package, "pear").NAME == "pear"


@pytest.mark.parametrize("name", ["plum", "_tree", "", "__init__"])
def test_an_unknown_name_is_answered_with_the_list(package, name):
    with pytest.raises(ValueError, match=r"choose one of apple, pear\.") as error:
        registry.find(package, name)
    assert "orchard_of_test" in str(error.value)
    assert repr(name) in str(error.value)


def test_the_sources_of_images_are_all_there():
    assert set(registry.names("sensmap.datasets")) == {
        "csv",
        "cub",
        "digits",
        "ilsvrc",
        "image_folder",
        "tfds",
        "tiny_imagenet",
        "voc",
    }
