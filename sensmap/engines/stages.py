"""A whole run, by any engine: both stores, the localizer and the result, each made once."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from sensmap import files
from sensmap.engines import pieces
from sensmap.engines.job import Job
from sensmap.feature_store import manifest
from sensmap.localizer import read_config

# What a run has in its folder.
_WRITTEN = ("features", "measured_features", "localizer", "result.json", "table.md")


class Engine(Protocol):
    """What is asked of an engine here."""

    def localize(self, job: Job, fitted: pieces.Fitted | None) -> None: ...


def run(job: Job, engine: Engine, overwrite: bool = False) -> dict[str, Any]:
    """Brings a run to its end, from where it is.

    Args:
        job: what to do.
        engine: by what.
        overwrite: start anew where there is a run, whatever it was made from.

    Returns:
        What result.json holds.

    Raises:
        ValueError: if images to measure on are among those to fit on; if the folder holds a run of
            something else, with each difference; if no image could be used.
        FileExistsError: if it holds other things.
        BlockingIOError: if another process is writing there.
        OSError: if it cannot be written. What is finished is kept.
    """
    _refuse_fitted(job)
    _refuse_other_things(Path(job.output))
    if not overwrite:
        _check_fitted(job)
        if (result := finished(job)) is not None:
            return result
    with _writing(job, overwrite):
        # They are made from what is made next.
        job.result.unlink(missing_ok=True)
        if overwrite and job.localizer.is_dir():
            shutil.rmtree(job.localizer)
        fitted = pieces.Fitted.from_folder(job.localizer) if job.localizer.is_dir() else None
        engine.localize(job, fitted)
    return files.read_json(job.result)


@contextlib.contextmanager
def _writing(job: Job, overwrite: bool) -> Iterator[None]:
    with job.fitted.plan().writing(overwrite), job.measured.plan().writing(overwrite):
        yield


def _refuse_fitted(job: Job) -> None:
    fitted, measured = (each.plan().dataset for each in (job.fitted, job.measured))
    both = sorted({*fitted.ids} & {*measured.ids}) if fitted.name == measured.name else []
    if both:
        raise ValueError(
            f"{len(both)} of the {len(measured)} images to measure on are fitted on, {both[0]!r} "
            "among them; choose another --measured_part or --measured_split."
        )


def _refuse_other_things(output: Path) -> None:
    if output.exists() and not output.is_dir():
        raise FileExistsError(f"The folder {output} cannot be made: a file is in its place.")
    there = {path.name for path in output.iterdir()} if output.exists() else set()
    if others := sorted(name for name in there - {*_WRITTEN} if not name.endswith(".partial")):
        raise FileExistsError(
            f"The folder {output} exists and holds other things ({others[0]}); choose another one."
        )


def _check_fitted(job: Job) -> None:
    """Sees that a localizer that is there is the one asked for."""
    if job.localizer.is_dir():
        stored = read_config(job.localizer).get("made_from", {})
        _refuse_differences(job.localizer, manifest.differences(stored, job.fit_made_from()))


def finished(job: Job) -> dict[str, Any] | None:
    """The result of a run that has come to its end; None where there is none.

    Raises:
        ValueError: if it is that of something else, with each difference.
    """
    if not (job.localizer.is_dir() and job.result.is_file()):
        return None
    result = files.read_json(job.result)
    for part, given in job.made_from().items():
        stored = result.get("made_from", {}).get(part, {})
        _refuse_differences(job.result, manifest.differences(stored, given))
    return result


def _refuse_differences(place: Path, differing: list[str]) -> None:
    if differing:
        raise ValueError(
            f"{place} is of something else ({'; '.join(differing)}); choose another folder, or "
            "allow it to be overwritten."
        )
