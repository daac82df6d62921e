"""The pieces as a pipeline of Apache Beam, which runs them side by side, on one machine or many.

    numbers ─ make shard ─ Learned ─ fit ────────┐
    numbers ─ make shard ─────────────────── Measured ─ record

Numbers of shards go in, and sums come out: a worker makes a shard in the folder that all see, and
reads it there to add it up, so that features are never sent about. What is merged are `Learned`
and `Measured`, in their own bytes: some hundred for each image. A piece that fails is run again, by
runners that do so: what it had finished is there, and what it had begun is not.
"""

from __future__ import annotations

import contextlib
import io
import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any

from sensmap.engines import pieces
from sensmap.engines.job import Job, StoreJob
from sensmap.feature_store import Built, building


@contextlib.contextmanager
def _no_warnings() -> Iterator[None]:
    """Nothing is logged, up to warnings, while the block runs."""
    before = logging.root.manager.disable
    logging.disable(max(before, logging.WARNING))
    try:
        yield
    finally:
        logging.disable(before)


try:
    with _no_warnings():  # of each cloud's packages that are not there
        import apache_beam as beam
        from apache_beam.options.pipeline_options import PipelineOptions
        from apache_beam.runners.runner import create_runner
except ModuleNotFoundError:  # an extra; `Engine` says so
    beam = SimpleNamespace(coders=SimpleNamespace(Coder=object), CombineFn=object)
    PipelineOptions = None

# Needs nothing but Python. DirectRunner would first try to download another program, Prism.
RUNNER = "FnApiRunner"
_ON_ONE_MACHINE = ("FnApiRunner", "DirectRunner", "SwitchingDirectRunner")
# The line of a traceback that says what was raised.
_RAISED = re.compile(r"[A-Za-z_][\w.]*(Error|Exception|Interrupt): ")


class Engine:
    """Runs everything by Beam.

    Args:
        runner: Beam's name of what runs pipelines; None for `RUNNER`.
        options: of Beam and of the runner, each as in Beam's command lines
            (``"--direct_num_workers=2"``).

    Raises:
        ValueError: if Apache Beam is not installed; for an unknown runner; for options that Beam
            refuses, or that the runners of one machine do not have.
    """

    def __init__(self, runner: str | None = None, options: Sequence[str] = ()):
        if PipelineOptions is None:
            raise ValueError("Apache Beam is not installed: pip install 'sensmap[beam]'.")
        self.options = _options(runner or RUNNER, options)

    def make(self, store: StoreJob, overwrite: bool = False) -> Built:
        """Makes a store, or what is missing of it.

        Raises:
            ValueError, OSError: as of `sensmap.feature_store.build`; if the pipeline fails.
        """
        plan = store.plan()
        with plan.writing(overwrite):
            before = plan.stamps()
            with self._pipeline() as pipeline:
                _made(pipeline, store, "Features")
            made = [number for number, time in plan.stamps().items() if before.get(number) != time]
            return building.built(plan, made)

    def localize(self, job: Job, fitted: pieces.Fitted | None) -> None:
        """Makes the stores, fits, and measures.

        Args:
            job: whose stores are ready to be written.
            fitted: what was fitted before, so that it is not done again.

        Raises:
            ValueError: if the pipeline fails, with the reason.
        """
        with self._pipeline() as pipeline:
            if fitted is None:
                boxes_by = (
                    _made(pipeline, job.fitted, "Features")
                    | "Sums" >> _sum(_Learn(job.fitted))
                    | "Fit" >> beam.Map(_fit, job)
                )
            else:
                boxes_by = pipeline | "Fitted before" >> beam.Create([fitted.to_bytes()])
            _ = (
                _made(pipeline, job.measured, "Measured features")
                # Shards are made while the fit is waited for.
                | "Made" >> beam.Reshuffle()
                | "Score" >> beam.Map(_score, job, beam.pvalue.AsSingleton(boxes_by))
                | "Counts" >> _sum(_Measure())
                | "Record" >> beam.Map(_record, job)
            )

    @contextlib.contextmanager
    def _pipeline(self) -> Iterator[Any]:
        """A pipeline that is run, to its end, when the block ends."""
        pipeline = beam.Pipeline(options=self.options)
        yield pipeline
        try:
            ended = pipeline.run()
            ended.wait_until_finish()
        except Exception as error:  # of the runner's kind, whatever a worker raised
            raise ValueError(f"The pipeline failed: {_reason(error)}") from error
        if ended.state != beam.runners.runner.PipelineState.DONE:
            raise ValueError(f"The pipeline ended as {ended.state}; the runner's log says why.")


class _Coder(beam.coders.Coder):
    """The bytes of `pieces.Learned` or `pieces.Measured`, by which workers send them about."""

    def __init__(self, kind: Any):
        self._kind = kind

    def encode(self, value: Any) -> bytes:
        return value.to_bytes()

    def decode(self, encoded: bytes) -> Any:
        return self._kind.from_bytes(encoded)


class _Sums(beam.CombineFn):
    """Adds shards up on each worker, and then what workers have added up."""

    kind: Any

    def create_accumulator(self) -> Any:
        return self.kind()

    def merge_accumulators(self, accumulators: Iterable[Any]) -> Any:
        whole = self.kind()
        for each in accumulators:
            whole.merge(each)
        return whole

    def extract_output(self, accumulator: Any) -> bytes:
        return accumulator.to_bytes()

    def get_accumulator_coder(self) -> _Coder:
        return _Coder(self.kind)


class _Learn(_Sums):
    """Of numbers of shards, which are read here."""

    kind = pieces.Learned

    def __init__(self, store: StoreJob):
        self._store = store

    def add_input(self, mutable_accumulator: pieces.Learned, element: int) -> pieces.Learned:
        mutable_accumulator.add(self._store, element)
        return mutable_accumulator


class _Measure(_Sums):
    """Of what was measured on single shards."""

    kind = pieces.Measured

    def add_input(self, mutable_accumulator: pieces.Measured, element: bytes) -> pieces.Measured:
        mutable_accumulator.merge(pieces.Measured.from_bytes(element))
        return mutable_accumulator


def _made(pipeline: Any, store: StoreJob, name: str) -> Any:
    """The numbers of all shards of a store, when each is made."""
    return (
        pipeline
        | f"{name}: shards" >> beam.Create(range(store.plan().count))
        # Or else one worker would have them all.
        | f"{name}: share out" >> beam.Reshuffle()
        | f"{name}: make" >> beam.Map(_make, store)
    )


def _sum(kind: _Sums) -> Any:
    return beam.CombineGlobally(kind).without_defaults()


def _make(number: int, store: StoreJob) -> int:
    return pieces.make_shard(store, number)


def _fit(learned: bytes, job: Job) -> bytes:
    return pieces.fit(job, pieces.Learned.from_bytes(learned)).to_bytes()


def _score(number: int, job: Job, fitted: bytes) -> bytes:
    return pieces.Measured.score(job, pieces.Fitted.from_bytes(fitted), number).to_bytes()


def _record(measured: bytes, job: Job) -> None:
    pieces.record(job, pieces.Measured.from_bytes(measured))


def _options(runner: str, given: Sequence[str]) -> Any:
    """Beam's options, read as by Beam, but for what it would print of what is wrong."""
    try:
        kind = type(create_runner(runner)).__name__
    except (AttributeError, ImportError, ValueError) as error:
        raise ValueError(f"There is no runner {runner!r} ({error}).") from error
    options = PipelineOptions([f"--runner={runner}", *given])
    said = io.StringIO()
    try:
        with _no_warnings(), contextlib.redirect_stderr(said):  # its own words on the unknown
            known = options.get_all_options()
            every = options.get_all_options(retain_unknown_options=True)
    except SystemExit:
        raise ValueError(f"Beam: {said.getvalue().strip().rpartition('error: ')[2]}.") from None
    # Job servers have options that are not known here.
    unknown = sorted(set(every) - set(known)) if kind in _ON_ONE_MACHINE else []
    if unknown:
        raise ValueError(f"{kind} has no option {unknown[0]!r}.")
    return options


def _reason(error: BaseException) -> str:
    """What went wrong in a worker, in one line, without the traceback that it may come with."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    last = max((place for place, line in enumerate(lines) if _RAISED.match(line)), default=0)
    return " ".join(lines[last:]).partition(" [while running ")[0] or type(error).__name__
