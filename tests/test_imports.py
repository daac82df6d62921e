"""What modules may import and use: the rules of the house that a reader cannot see in one file."""

import ast
import importlib
import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import sensmap

ROOT = Path(__file__).resolve().parents[1]
LIBRARY = sorted((ROOT / "sensmap").rglob("*.py"))
BINARIES = sorted([*(ROOT / "train").rglob("*.py"), *(ROOT / "eval").rglob("*.py")])
MODULES = [
    module.name
    for module in pkgutil.walk_packages(sensmap.__path__, "sensmap.")
    if module.name != "sensmap.__main__"
]

# The way the data goes. A part imports its own line and those above; what is not listed (box
# geometry, the registry, ...) serves all and imports none of these.
PARTS = (
    ("compute", "datasets", "images", "masks", "tfds_builders"),
    ("classifiers", "dataset_parts"),
    ("maps",),
    ("features",),
    ("objectness",),
    ("class_model", "dense_crf", "localizers"),
    ("segmentation",),
    ("metrics",),
    ("batches",),
    ("feature_table",),
    ("pipeline",),
    ("colocalizers", "localizer"),
    ("feature_store",),
    ("ready_made",),
    ("export",),
    ("analysis", "segmentation_analysis"),
    ("report",),
    ("comparison", "evaluation", "photographs", "segmentation_evaluation"),
    ("engines",),
    ("binaries",),
    ("flags",),
    ("engine_flags",),
    ("__main__",),
)


def _id(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _nodes(path: Path) -> list[ast.AST]:
    return list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))


def _imported(path: Path) -> set[str]:
    """Dotted names of what a file imports, wherever in the file."""
    names = set()
    for node in _nodes(path):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def _uses(path: Path, *modules: str) -> set[str]:
    """Which of these modules a file imports, whole or in part."""
    return {
        module
        for module in modules
        if any(f"{name}.".startswith(f"{module}.") for name in _imported(path))
    }


@pytest.mark.parametrize("module", MODULES)
def test_every_module_imports(module):
    importlib.import_module(module)


@pytest.mark.parametrize("path", LIBRARY, ids=_id)
def test_the_library_imports_no_binary(path):
    # Under its second name a binary would define its flags twice.
    assert not _uses(path, "train", "eval", "sensmap.train", "sensmap.eval")


@pytest.mark.parametrize("path", LIBRARY, ids=_id)
def test_the_data_go_one_way(path):
    part = path.relative_to(ROOT / "sensmap").parts[0].removesuffix(".py")
    if part == "__init__":
        return  # Gathers the public names of all parts.
    line = next((line for line, names in enumerate(PARTS) if part in names), -1)
    later = [f"sensmap.{name}" for names in PARTS[line + 1 :] for name in names]
    assert not _uses(path, *later), f"{part} comes earlier, or PARTS lacks it."


@pytest.mark.parametrize("path", [*LIBRARY, *BINARIES], ids=_id)
def test_nothing_unsafe_is_used(path):
    assert not _uses(path, "pickle", "joblib", "dill", "marshal", "shelve", "xml")
    for node in _nodes(path):
        # `python -O` removes assertions.
        assert not isinstance(node, ast.Assert), f"line {node.lineno}: assert"
        if isinstance(node, ast.keyword) and node.arg in ("allow_pickle", "shell", "safe_mode"):
            value = node.value.value if isinstance(node.value, ast.Constant) else None
            safe = node.arg == "safe_mode"
            assert value is safe, f"line {node.value.lineno}: {node.arg} must be {safe}"


@pytest.mark.parametrize("path", [*LIBRARY, *BINARIES], ids=_id)
def test_opencv_comes_through_the_module_that_explains_its_absence(path):
    assert path.name == "_opencv.py" or not _uses(path, "cv2")


@pytest.mark.parametrize(
    ("fake_cv2", "expected"),
    [
        (
            "raise ModuleNotFoundError(\"No module named 'cv2'\")",
            "sensmap needs OpenCV, which is not installed. ",
        ),
        (
            "raise ImportError('libGL.so.1: cannot open shared object file')",
            "OpenCV is installed but does not load on this machine (libGL.so.1: ",
        ),
    ],
    ids=["absent", "without graphics libraries"],
)
def test_opencv_that_does_not_load_gives_one_clear_line(tmp_path, fake_cv2, expected):
    (tmp_path / "cv2.py").write_text(fake_cv2)
    result = subprocess.run(
        [sys.executable, "-c", "import sensmap._opencv"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])},
        capture_output=True,
        text=True,
        check=False,
    )
    last_line = result.stderr.splitlines()[-1]
    assert result.returncode != 0
    assert last_line.startswith(f"ImportError: {expected}")
    assert "opencv-python-headless" in last_line
