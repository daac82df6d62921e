"""A whole run, by any engine: both stores, the localizer and the result, each made once."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from sensmap import files
from sensmap.datasets import Dataset, ExampleError
from sensmap.engines import pieces
from sensmap.engines.job import Job
from sensmap.feature_store import manifest
from sensmap.localizer import read_config

# What a run has in its folder.
_WRITTEN = ("features", "measured_features", "localizer", "result.json", "table.md")


class Engine(Protocol):
    """What is asked of an engine here."""

    def localize(self, job: Job, fitted: pieces.Fitted | None) -> None: ...


def run(
    job: Job,
    engine: Engine,
    overwrite: bool = False,
    record: Callable[[], Mapping[str, Any]] | None = None,
) -> dict[str, Any]:
    """Brings a run to its end, from where it is.

    Args:
        job: what to do.
        engine: by what.
        overwrite: start anew where there is a run, whatever it was made from.
        record: gives ``job.record``, and is called if the run was not finished before.

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
    if record is not None:
        job = job._replace(record=record())
    with _writing(job, overwrite):
        for leftover in _leftovers(Path(job.output)):
            _remove(leftover)
        # It is made from what is made next.
        job.result.unlink(missing_ok=True)
        fitted = pieces.Fitted.from_folder(job.localizer) if job.localizer.is_dir() else None
        engine.localize(job, fitted)
    return files.read_json(job.result)


@contextlib.contextmanager
def _writing(job: Job, overwrite: bool) -> Iterator[None]:
    def forget() -> None:
        # A result tells that all is finished: it must not outlive its stores.
        job.result.unlink(missing_ok=True)
        if overwrite:
            _remove(job.localizer)

    of_fitted = job.fitted.plan().writing(overwrite, forget)
    with of_fitted, job.measured.plan().writing(overwrite, forget):
        yield


def _refuse_fitted(job: Job) -> None:
    fitted, measured = (each.plan().dataset for each in (job.fitted, job.measured))
    one, other = (
        (each.dataset["name"], each.dataset.get("root")) for each in (job.fitted, job.measured)
    )
    both = sorted({*fitted.ids} & {*measured.ids}) if one == other else []
    if both and _are_of_one_split(fitted, measured, both):
        raise ValueError(
            f"{len(both)} of the {len(measured)} images to measure on are fitted on, {both[0]!r} "
            "among them; choose another --measured_part or --measured_split."
        )


def _are_of_one_split(one: Dataset, other: Dataset, ids: list[str]) -> bool:
    """Whether ids that two parts of a data set share name the same images: in folders of images
    two splits may have a file of the same name each."""
    places = [{name: place for place, name in enumerate(each.ids)} for each in (one, other)]
    for name in ids:
        try:
            first, second = one[places[0][name]].image, other[places[1][name]].image
        except ExampleError:  # the next one may tell
            continue
        # What is no file has an id with its split in it.
        return first == second if isinstance(first, Path) else True
    return False


def _refuse_other_things(output: Path) -> None:
    if output.exists() and not output.is_dir():
        raise FileExistsError(f"The folder {output} cannot be made: a file is in its place.")
    there = {path.name for path in output.iterdir()} if output.exists() else set()
    if others := sorted(there - {*_WRITTEN} - {path.name for path in _leftovers(output)}):
        raise FileExistsError(
            f"The folder {output} exists and holds other things ({others[0]}); choose another one."
        )


def _leftovers(output: Path) -> list[Path]:
    """What a killed run was writing."""
    return [path for name in _WRITTEN for path in output.glob(f".{name}.*.partial")]


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


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
