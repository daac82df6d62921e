"""Outputs appear whole or not at all."""

import errno
import json
import math
import os
from pathlib import Path

import numpy as np
import pytest

from sensmap import files


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def disk_full(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_folder_appears_whole(tmp_path):
    target = tmp_path / "a" / "run"
    with files.output_folder(target) as work:
        files.write_text(work / "deep" / "one.txt", "1")
        assert not target.exists()
        assert work.parent == target.parent  # one file system, so that renaming is enough
    assert names(tmp_path / "a") == ["run"]
    assert (target / "deep" / "one.txt").read_text() == "1"


def test_folder_has_the_usual_rights(tmp_path):
    (tmp_path / "usual").mkdir()
    with files.output_folder(tmp_path / "made"):
        pass
    assert (tmp_path / "made").stat().st_mode == (tmp_path / "usual").stat().st_mode


@pytest.mark.parametrize("error", [RuntimeError("boom"), KeyboardInterrupt(), OSError(2, "x")])
def test_failing_block_leaves_nothing(tmp_path, error):
    def write():
        with files.output_folder(tmp_path / "run") as work:
            files.write_text(work / "one.txt", "1")
            raise error

    with pytest.raises(type(error)) as caught:
        write()
    assert caught.value is error  # the block's own error, untouched
    assert names(tmp_path) == []


def test_existing_folder_is_refused_before_work(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "precious.txt").write_text("!")
    with (
        pytest.raises(FileExistsError, match=r"run exists and is not empty; choose another"),
        files.output_folder(tmp_path / "run"),
    ):
        pytest.fail("the block must not run")
    assert names(tmp_path) == ["run"]


def test_existing_empty_folder_is_taken(tmp_path):
    (tmp_path / "run").mkdir()
    with files.output_folder(tmp_path / "run") as work:
        files.write_text(work / "one.txt", "1")
    assert names(tmp_path / "run") == ["one.txt"]


def test_file_in_the_place_of_a_folder(tmp_path):
    (tmp_path / "run").write_text("!")
    with (
        pytest.raises(FileExistsError, match="a file is in its place"),
        files.output_folder(tmp_path / "run", overwrite=True),
    ):
        pytest.fail("the block must not run")


def test_overwriting_replaces_the_whole_folder(tmp_path):
    for text in "old", "new":
        with files.output_folder(tmp_path / "run", overwrite=True) as work:
            files.write_text(work / f"{text}.txt", text)
    assert names(tmp_path) == ["run"]
    assert names(tmp_path / "run") == ["new.txt"]


def test_failed_overwriting_keeps_the_old_folder(tmp_path, monkeypatch):
    with files.output_folder(tmp_path / "run") as work:
        files.write_text(work / "old.txt", "old")
    rename = os.rename

    def rename_old_only(source, target):
        if str(source).endswith(".partial") and Path(target).name == "run" and not moved_back:
            moved_back.append(True)
            disk_full()
        rename(source, target)

    moved_back: list[bool] = []
    monkeypatch.setattr(os, "rename", rename_old_only)
    with (
        pytest.raises(OSError, match="nothing was left behind"),
        files.output_folder(tmp_path / "run", overwrite=True) as work,
    ):
        files.write_text(work / "new.txt", "new")
    assert names(tmp_path) == ["run"]
    assert names(tmp_path / "run") == ["old.txt"]


def test_full_disk_in_a_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", disk_full)
    with (
        pytest.raises(OSError, match=r"run: cannot be written \(No space left on device\);"),
        files.output_folder(tmp_path / "run") as work,
    ):
        (work / "one.txt").write_text("1")
    assert names(tmp_path) == []


def test_full_disk_inside_the_block(tmp_path):
    with (
        pytest.raises(OSError, match=r"run: cannot be written \(No space left on device\);"),
        files.output_folder(tmp_path / "run"),
    ):
        disk_full()
    assert names(tmp_path) == []


@pytest.mark.parametrize("content", [b"", b"\0\xff", "größer\n".encode()])
def test_bytes_come_back(tmp_path, content):
    files.write_bytes(tmp_path / "new" / "file", content)
    assert (tmp_path / "new" / "file").read_bytes() == content
    assert names(tmp_path / "new") == ["file"]


def test_text_is_utf8_and_replaces(tmp_path):
    files.write_text(tmp_path / "file", "old and longer")
    files.write_text(tmp_path / "file", "größer")
    assert (tmp_path / "file").read_bytes() == "größer".encode()


def test_full_disk_keeps_the_old_file(tmp_path, monkeypatch):
    files.write_text(tmp_path / "file", "old")
    monkeypatch.setattr(os, "fsync", disk_full)
    with pytest.raises(OSError, match=r"file: cannot be written \(No space left on device\);"):
        files.write_text(tmp_path / "file", "new")
    assert names(tmp_path) == ["file"]
    assert (tmp_path / "file").read_text() == "old"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_device_that_is_really_full(tmp_path, monkeypatch):
    def open_full(path, mode):
        return os.fdopen(os.open("/dev/full", os.O_WRONLY), "wb")

    monkeypatch.setattr(files, "open", open_full, raising=False)
    with pytest.raises(OSError, match="No space left on device"):
        files.write_text(tmp_path / "file", "new")
    assert names(tmp_path) == []


def test_file_where_a_folder_is(tmp_path):
    with pytest.raises(FileExistsError, match="a folder is in its place"):
        files.write_text(tmp_path, "x")


def test_file_below_a_file(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OSError, match="cannot be written"):
        files.write_text(tmp_path / "file" / "below", "x")


def test_json_keeps_order_and_converts(tmp_path):
    value = {
        "z": np.float32(0.5),
        "a": np.arange(2),
        "p": Path("x"),
        "n": np.int64(3),
        "ü": None,
    }
    files.write_json(tmp_path / "m.json", value)
    text = (tmp_path / "m.json").read_text("utf-8")
    assert text.startswith('{\n  "z": 0.5,\n  "a"')
    assert text.endswith('"ü": null\n}\n')
    expected = {"z": 0.5, "a": [0, 1], "p": "x", "n": 3, "ü": None}
    assert files.read_json(tmp_path / "m.json") == expected


@pytest.mark.parametrize(
    "value", [math.nan, [math.inf], np.float32("nan"), {1, 2}, {"a": object()}]
)
def test_json_refuses(tmp_path, value):
    with pytest.raises(ValueError, match=r"m\.json: cannot be written as JSON"):
        files.write_json(tmp_path / "m.json", value)
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "Expecting value"),
        (b'{"a": 1', "line 1 column"),  # truncated
        (b'{"a": NaN}', "NaN is not a JSON number"),
        (b"\xff\xfe", "utf-8"),
    ],
)
def test_faulty_json(tmp_path, content, reason):
    (tmp_path / "m.json").write_bytes(content)
    with pytest.raises(ValueError, match=rf"m\.json: not a valid JSON file \(.*{reason}"):
        files.read_json(tmp_path / "m.json")


def test_missing_json(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"m\.json: there is no such file\.$"):
        files.read_json(tmp_path / "m.json")


def test_json_is_plain(tmp_path):
    files.write_json(tmp_path / "m.json", [1, {"b": [0.1]}])
    assert json.loads((tmp_path / "m.json").read_text()) == [1, {"b": [0.1]}]
