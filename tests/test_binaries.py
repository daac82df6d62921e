"""How a binary ends: with one line, and nothing half written."""

import signal
import subprocess
import sys

import pytest
import tensorflow as tf
from absl import flags

from sensmap import binaries


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("wrong"), "error: wrong"),
        (TypeError("wrong"), "error: wrong"),
        (FileNotFoundError("a/b: no such file"), "error: a/b: no such file"),
        (ValueError("two\n  lines\n\n"), "error: two lines"),  # of another library
        (ValueError(), "error: ValueError"),  # without a word
        (flags.IllegalFlagValueError("flag --x=1: no"), "error: flag --x=1: no"),
        (MemoryError(), "error: the memory is not enough; "),
        (tf.errors.ResourceExhaustedError(None, None, "OOM"), "error: the memory is not enough; "),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_one_line_errors(error, line):
    with pytest.raises(SystemExit) as end, binaries.one_line_errors():
        raise error
    # What Python prints before it exits with 1.
    assert end.value.code.startswith(line)
    assert "\n" not in end.value.code


def test_ctrl_c_is_told_by_the_exit_code(capsys):
    with pytest.raises(SystemExit) as end, binaries.one_line_errors():
        raise KeyboardInterrupt
    assert end.value.code == 130
    assert capsys.readouterr().err.startswith("error: interrupted; ")


def test_a_mistake_in_the_code_keeps_its_traceback():
    with pytest.raises(KeyError), binaries.one_line_errors():
        raise KeyError("a mistake")


STOPPED = """
import os, pathlib, signal, sys
from sensmap import binaries, files

def main(arguments):
    with files.output_folder(sys.argv[2]) as work:
        files.write_text(work / "begun.txt", "half")
        os.kill(os.getpid(), int(sys.argv[1]))
        signal.sigtimedwait([], 10)

binaries.run(main, takes_arguments=True)
"""


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize(
    ("stop", "code", "said"),
    [
        (signal.SIGINT, 130, "error: interrupted; what was begun is not kept.\n"),  # Ctrl-C
        (signal.SIGTERM, 143, ""),  # kill, docker stop
    ],
)
def test_nothing_half_written_is_left_when_a_binary_is_stopped(tmp_path, stop, code, said):
    command = [sys.executable, "-c", STOPPED, str(int(stop)), str(tmp_path / "out")]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (code, said)
    assert not list(tmp_path.iterdir())
