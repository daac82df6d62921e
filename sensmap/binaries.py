"""How a binary runs, ends and reports: quietly, with one line for what is wrong."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from absl import app, flags, logging

FLAGS = flags.FLAGS
_OUT_OF_MEMORY = "error: the memory is not enough; make batches, images or the model smaller."


def run(main: Callable[[Sequence[str]], None], takes_arguments: bool = False) -> None:
    """Runs a binary: absl's flags, a quiet TensorFlow, one-line errors.

    Args:
        main: takes the name of the program and the arguments that are no flags.
        takes_arguments: whether there may be such; or else they are refused, for most often one
            is the rest of a flag (``--layers=pixels, conv1``).
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

    def guarded(arguments: Sequence[str]) -> None:
        logging.set_verbosity(logging.WARNING)  # the export's INFO is about TensorFlow itself
        # To be told to end is an end like any other: nothing half written stays behind.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
        with one_line_errors():
            if arguments[1:] and not takes_arguments:
                raise ValueError(f"{arguments[1]!r} is not a flag; flags are --NAME=VALUE.")
            _start_tensorflow()
            main(arguments)

    app.run(guarded, flags_parser=_parse)


def _parse(arguments: Sequence[str]) -> list[str]:
    with one_line_errors():
        return FLAGS(arguments)


@contextlib.contextmanager
def one_line_errors() -> Iterator[None]:
    """What a user can get wrong ends a binary with one line and exit code 1, no traceback.

    So does what happens to it: too little memory, and Ctrl-C, whose exit code is 130.
    """
    try:
        yield
    except BrokenPipeError:  # who reads the output wants no more of it (`| head`)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (ValueError, TypeError, OSError, flags.Error) as error:
        sys.exit(f"error: {_in_one_line(error)}")
    except MemoryError:
        sys.exit(_OUT_OF_MEMORY)
    except KeyboardInterrupt:
        print("error: interrupted; what was begun is not kept.", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        if type(error).__name__ == "ResourceExhaustedError":  # TensorFlow's, imported or not
            sys.exit(_OUT_OF_MEMORY)
        raise


def _in_one_line(error: Exception) -> str:
    lines = (line.strip() for line in str(error).splitlines())
    return " ".join(line for line in lines if line) or type(error).__name__


def _start_tensorflow() -> None:
    """Imports TensorFlow and finds its devices, without what its C++ code says meanwhile.

    Whatever the log level, it writes of oneDNN, instruction sets and absent GPUs straight to the
    descriptor of standard error. If it fails to start, all of that is shown.
    """
    with tempfile.TemporaryFile() as said:
        kept = os.dup(2)
        os.dup2(said.fileno(), 2)
        try:
            import tensorflow as tf

            tf.config.list_logical_devices()
        except BaseException:
            said.seek(0)
            os.write(kept, said.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def warn(text: str) -> None:
    """One line on standard error."""
    print(f"warning: {text}", file=sys.stderr)


def report_sanity(of_classifier, data) -> dict[str, Any] | None:
    """Prints the classifier's accuracy before any map is made; wrong preprocessing shows here."""
    from sensmap.pipeline import sanity_check

    check = sanity_check(of_classifier, data)
    if check is None or not check.count:
        print(f"Classifier: its classes are not those of {data.name}, so it cannot be checked.")
        return None
    found = check.result()
    print(
        f"Classifier: top-1 {found['top1']:.1f}%, top-5 {found['top5']:.1f}% "
        f"on {found['images']} images of {data.name}."
    )
    if warning := check.warning():
        warn(warning)
    return found


def report_skipped(table) -> None:
    """Names what could not be used, and counts the maps that said nothing."""
    for name, reason in table.skipped[:20]:
        warn(f"skipped {name}: {reason}")
    if table.skipped:
        warn(f"skipped {len(table.skipped)} of {len(table.skipped) + len(table)} images")
    for name, reason in table.dropped[:20]:
        warn(f"left out of {name}: {reason}")
    if table.degenerate:
        warn(f"{table.degenerate} maps were NaN or zero and count as uniform")


def data_record(data, table) -> dict[str, Any]:
    """Which images were used, by name and by a hash of their ids."""
    from sensmap import splits

    digest = splits.ids_sha256(table.ids)
    return {"dataset": data.name, "images": len(table), "ids_sha256": digest, "ids": table.ids}


def configuration(module: str) -> dict[str, Any]:
    """Every flag of the binary ``__name__`` as it was in this run; JSON can hold it."""
    name = sys.argv[0] if module == "__main__" else module
    own = FLAGS.get_flags_for_module(name)
    return {flag.name: flag.value for flag in sorted(own, key=lambda flag: flag.name)}


def versions() -> dict[str, str]:
    """The versions that a result depends on."""
    packages = ("sensmap", "tensorflow", "keras", "numpy", "scikit-learn")
    found = {"python": platform.python_version()}
    for package in packages:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found
