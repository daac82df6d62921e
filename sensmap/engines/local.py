"""All pieces one after the other, in this process."""

from __future__ import annotations

from tqdm import tqdm

from sensmap.engines import pieces
from sensmap.engines.job import Job, StoreJob
from sensmap.feature_store import Built, building


class Engine:
    """Runs everything here; a progress bar tells how fast, and how long it takes yet."""

    def make(self, store: StoreJob, overwrite: bool = False) -> Built:
        """Makes a store, or what is missing of it.

        Raises:
            ValueError, OSError: as of `sensmap.feature_store.build`.
        """
        return building.complete(store.plan(), overwrite)

    def localize(self, job: Job, fitted: pieces.Fitted | None) -> None:
        """Makes the stores, fits, and measures.

        Args:
            job: whose stores are ready to be written.
            fitted: what was fitted before, so that it is not done again.
        """
        if fitted is None:
            building.make_missing(job.fitted.plan())
            learned = pieces.Learned()
            for number in _progress(job.fitted, "Fit"):
                learned.add(job.fitted, number)
            fitted = pieces.fit(job, learned)
        building.make_missing(job.measured.plan())
        measured = pieces.Measured()
        for number in _progress(job.measured, "Measures"):
            measured.merge(pieces.Measured.score(job, fitted, number))
        pieces.record(job, measured)


def _progress(store: StoreJob, description: str) -> tqdm:
    return tqdm(range(store.plan().count), desc=description, unit="shard", disable=None)
