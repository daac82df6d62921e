"""The wheel: what is in it, what it declares, and that it works away from the checkout."""

import ast
import email.message
import email.parser
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
CODE = ("sensmap", "train", "eval")
COMMANDS = {
    "sensmap": "sensmap.__main__",
    "sensmap-train-classifier": "sensmap.train.classifier",
    "sensmap-train-box-regressor": "sensmap.train.box_regressor",
    "sensmap-extract-features": "sensmap.train.features",
    "sensmap-pipeline": "sensmap.train.pipeline",
    "sensmap-export-saved-model": "sensmap.train.export_saved_model",
    "sensmap-evaluate-localization": "sensmap.eval.localization",
    "sensmap-evaluate-segmentation": "sensmap.eval.segmentation",
    "sensmap-compare": "sensmap.eval.compare",
}


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory) -> Path:
    """The wheel's contents, built from a copy so that the checkout stays clean."""
    source, wheels, target = (
        tmp_path_factory.mktemp(name) for name in ("source", "wheels", "site-packages")
    )
    for folder in CODE:
        shutil.copytree(
            ROOT / folder, source / folder, ignore=shutil.ignore_patterns("__pycache__")
        )
    for file in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, source)
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation"]
    _run([*command, "--wheel-dir", str(wheels), str(source)], cwd=wheels)
    (wheel,) = wheels.glob("*.whl")
    assert wheel.name == "sensmap-0.1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)
    return target


@pytest.fixture(scope="module")
def metadata(unpacked) -> email.message.Message:
    text = next(unpacked.glob("*.dist-info/METADATA")).read_text(encoding="utf-8")
    return email.parser.Parser().parsestr(text)


def test_nothing_lands_at_the_top_level_but_sensmap(unpacked):
    top = {path.name for path in unpacked.iterdir() if path.suffix != ".dist-info"}
    assert top == {"sensmap"}


def test_every_module_and_data_file_is_in_the_wheel(unpacked):
    expected = set()
    for folder, home in (
        ("sensmap", "sensmap"),
        ("train", "sensmap/train"),
        ("eval", "sensmap/eval"),
    ):
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and path.suffix != ".pyc":
                expected.add(f"{home}/{path.relative_to(ROOT / folder).as_posix()}")
    found = {
        path.relative_to(unpacked).as_posix() for path in unpacked.rglob("*") if path.is_file()
    }
    assert {path for path in found if path.startswith("sensmap/")} == expected


def test_the_licence_comes_along(unpacked, metadata):
    assert any(path.name == "LICENSE" for path in unpacked.rglob("LICENSE"))
    assert "Apache-2.0" in (metadata["License-Expression"] or metadata["License"])


def test_neither_build_of_opencv_is_required(metadata):
    declared = _requirements(metadata)
    assert not any("opencv" in name for name in declared[""])
    assert declared["opencv"] == {"opencv-python"}
    assert declared["headless"] == {"opencv-python-headless"}


@pytest.mark.parametrize(
    ("folders", "extras"),
    [
        (CODE, ("", "headless", "serving", "beam")),  # what users run
        (("tests",), ("", "headless", "serving", "beam", "test")),  # what `make test` runs
    ],
    ids=["library", "tests"],
)
def test_every_imported_package_is_declared(metadata, folders, extras):
    declared = set().union(*(_requirements(metadata)[extra] for extra in extras))
    provided_by = importlib.metadata.packages_distributions()
    own = {*CODE, "benchmarks", *(path.stem for path in (ROOT / "tests").rglob("*.py"))}
    for folder in folders:
        for path in (ROOT / folder).rglob("*.py"):
            for name in _imported(path) - own - set(sys.stdlib_module_names):
                # What is not installed, as an extra may be, is called like its package.
                distributions = {_normal(each) for each in provided_by.get(name, [name])}
                assert distributions & declared, f"{path} imports {name}, which is not declared."


@pytest.mark.parametrize(("command", "module"), COMMANDS.items(), ids=COMMANDS)
def test_commands_run_from_the_wheel(unpacked, tmp_path, command, module):
    entry_points = next(unpacked.glob("*.dist-info/entry_points.txt")).read_text(encoding="utf-8")
    assert f"{command} = {module}:main" in entry_points
    program = f"import sys, {module} as m; sys.argv[1:] = ['--help']; print(m.__file__); m.main()"
    environment = os.environ | {"PYTHONPATH": str(unpacked)}
    result = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.stdout.startswith(str(unpacked)), result.stderr
    assert "Traceback" not in result.stderr
    assert "--" in result.stdout


def _run(command: list[str], cwd: Path) -> None:
    result = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def _requirements(metadata: email.message.Message) -> dict[str, set[str]]:
    """Names of the declared packages by extra; those always required under ``""``."""
    declared: dict[str, set[str]] = {"": set()}
    for extra in metadata.get_all("Provides-Extra", []):
        declared[extra] = set()
    for line in metadata.get_all("Requires-Dist", []):
        requirement = Requirement(line)
        found = re.search(r"extra == ['\"](.+?)['\"]", str(requirement.marker or ""))
        declared[found.group(1) if found else ""].add(_normal(requirement.name))
    return declared


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _imported(path: Path) -> set[str]:
    """Top-level names of the modules that a file imports, wherever in the file."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add(node.module or "")
    return {name.partition(".")[0] for name in names}
