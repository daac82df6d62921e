"""Runs a binary on several lists of arguments in one process, for starting takes seconds.

python drive_binary.py MODULE CASES.json ANSWERS.json

An argument ``limit=N`` is not for the binary: no file may grow beyond N bytes, as on a disk that
is full. What is answered for each case: how it ended (an exit code; a line, which Python would
print before exit code 1; or a traceback), and what was written to standard error meanwhile.
"""

import contextlib
import importlib
import io
import json
import resource
import sys
import traceback
from pathlib import Path


@contextlib.contextmanager
def file_size(limit):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    if limit is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def run(binary, arguments):
    from absl import flags

    flags.FLAGS.unparse_flags()
    limits = [int(each.removeprefix("limit=")) for each in arguments if each.startswith("limit=")]
    sys.argv = [binary.__name__, *(each for each in arguments if not each.startswith("limit="))]
    said = io.StringIO()
    try:
        with (
            file_size(limits[0] if limits else None),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(said),
        ):
            binary.main()
    except SystemExit as end:
        return {"end": end.code or 0, "stderr": said.getvalue()}
    except BaseException:
        return {"end": traceback.format_exc(), "stderr": said.getvalue()}


if __name__ == "__main__":
    module, cases, answers = sys.argv[1:]
    sys.path.insert(0, str(Path(__file__).parents[1]))
    driven = importlib.import_module(module)
    ends = [run(driven, arguments) for arguments in json.loads(Path(cases).read_text())]
    Path(answers).write_text(json.dumps(ends))
