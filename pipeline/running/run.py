"""Take many images through a chain."""

import asyncio
import contextvars
import json
import os
import platform
import shutil
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import psutil

from ...images import Image, ImageError
from ...images.io import check_read_options
from ...processors.context import claim_product
from ..errors import ConfigError
from ..pipeline import Pipeline
from .discover import find_images
from .executor import Executor, InlineExecutor
from .journal import RUN_FOLDER, Journal, identity
from .memory import Budget, default_budget, working_memory
from .one_image import Job, Setting
from .outcome import Event, Outcome
from .pool import WorkerPool
from .processes.worker import IMPORTING
from .results import Results, Run
from .shipping import pack

Images = Iterable[str | Path | Image] | str | Path


def run_pipeline(pipeline: Pipeline, images: Images, **options: Any) -> Results:
    """Take many images through a chain and wait for them. Works in scripts and in notebooks.

    The first Ctrl-C stops cleanly: no further image is started, those that run are finished, and the results
    say that they are not all. The second one ends what runs.

    Parameters
    ----------
    pipeline : Pipeline
        The chain.
    images : paths, or iterable of paths or of Image
        What to process; a folder means the frames in it. Images in memory need ``workers=1``.
    **options
        As for :func:`arun_pipeline`. `on_event` is called from another thread.

    Returns
    -------
    Results
        Images, outcomes and times, in the order of the input.

    Raises
    ------
    ConfigError
        The arguments are wrong, and nothing has been run. What goes wrong with an image is in the results.
    """
    ending = _Ending()
    context = contextvars.copy_context()
    work = _run(pipeline, images, ending, **options)
    with ThreadPoolExecutor(1, thread_name_prefix="etendue-run") as thread:
        future = thread.submit(context.run, asyncio.run, work)
        while True:
            try:
                return future.result()
            except KeyboardInterrupt:
                if future.done():
                    raise
                ending.sooner()


async def arun_pipeline(pipeline: Pipeline, images: Images, **options: Any) -> Results:
    """Take many images through a chain. Cancelling it ends what runs.

    Parameters
    ----------
    pipeline : Pipeline
        The chain.
    images : paths, or iterable of paths or of Image
        What to process; a folder means the frames in it. Images in memory need ``workers=1``.
    output : path
        Folder for products; made if it does not exist. The current folder by default. If it is given, a journal of the
        run is kept there.
    workers : int
        Number of worker processes; 1 (the default) takes one image at a time in this process.
    resume : bool
        Pass over images that an earlier run of the same chain into `output` finished.
    on_event : callable
        Called with an :class:`Event` at the start, after each image and at the end.
    memory : int
        Memory that the images in work may fill together [byte]; by default 60 % of what is free.
    recycle_after : int
        A worker process is replaced after this many images.
    timeout : float
        Longest time for one image [s].
    report : path
        Where to write a report of the run.
    read : mapping
        Options for the reader, on top of those of the chain.
    depends : mapping of path to str
        What the products of an image depend on besides the image and the chain, such as master frames: where that has
        changed, a resumed run does the image again.
    keep : bool
        Keep a copy of each final image that the chain does not save, so that the results can hand it out.

    Returns
    -------
    Results
        Images, outcomes and times, in the order of the input.

    Raises
    ------
    ConfigError
        The arguments are wrong, and nothing has been run.
    """
    return await _run(pipeline, images, _Ending(), **options)


class _Ending:
    """How a run is asked, from any thread, to end before its time."""

    def __init__(self) -> None:
        self.gently = False
        self.tell: Callable[[], None] = lambda: None
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._at_once: asyncio.Event | None = None

    def bind(self) -> asyncio.Event:
        """The event, on this loop, that asks to end at once."""
        with self._lock:
            self._loop, self._at_once = asyncio.get_running_loop(), asyncio.Event()
            return self._at_once

    def sooner(self) -> None:
        """The first call: start no further image. The second: end what runs."""
        with self._lock:
            first, self.gently = not self.gently, True
            if not first and self._loop is not None and self._at_once is not None:
                self._loop.call_soon_threadsafe(self._at_once.set)
        if first:
            self.tell()


async def _run(
    pipeline: Pipeline,
    images: Images,
    ending: _Ending,
    *,
    output: str | Path | None = None,
    workers: int = 1,
    resume: bool = False,
    on_event: Callable[[Event], None] | None = None,
    memory: int | None = None,
    recycle_after: int = 100,
    timeout: float | None = None,  # noqa: ASYNC109 - of each image, not of the run
    report: str | Path | None = None,
    read: Mapping[str, Any] | None = None,
    depends: Mapping[Path, str] | None = None,
    keep: bool = False,
) -> Results:
    _check_arguments(workers, recycle_after, timeout)
    if resume and output is None:
        raise ConfigError(
            "a run can be resumed only where it kept a journal: give the output folder of the earlier run"
        )
    begin = time.perf_counter()
    folder = Path.cwd() if output is None else Path(output)
    options = pipeline.read | _plain(read or {})
    jobs = _jobs(images, None if output is None else folder, workers, options)
    budget = Budget(memory or default_budget())
    outcomes: dict[int, Outcome] = {}
    teller = _Teller(on_event, pipeline.name, len(jobs), begin)
    ending.tell = teller.stopping
    interrupted = False

    with nullcontext() if output is None else Journal(folder, chain_fingerprint(pipeline, options), depends) as journal:
        temporary = _temporary_folder(None if output is None else folder / RUN_FOLDER)
        if resume and journal is not None:
            outcomes |= _finished(journal, jobs, all_or_none=pipeline.sequential)
        todo = deque(job for job in jobs if job.index not in outcomes)
        teller.started(outcomes.values())

        async def settle(index: int, source: Mapping[str, Any], outcome: Outcome) -> None:
            outcomes[index] = outcome
            if journal is not None:
                try:
                    await asyncio.to_thread(journal.append, outcome, source)
                except OSError as error:
                    teller.warn(f"{journal.path} cannot be written ({error.strerror}): this run cannot be resumed")
            teller.image(outcome)

        if todo:
            setting = _setting(folder, Path(temporary.name), jobs, options, keep)
            if setting.claims is not None:
                _claim_products(jobs, outcomes, setting.claims)
            executor: Executor
            if workers == 1:
                executor = InlineExecutor(pipeline, setting, timeout=timeout)
            else:
                processes = min(workers, len(todo))
                largest = budget.limit // processes
                limits = {"recycle_after": recycle_after, "largest": largest, "timeout": timeout}
                executor = await WorkerPool.start(pack(pipeline), setting, workers=processes, **limits)
            try:
                interrupted = await _take_all(executor, todo, budget, ending, settle)
                rest = [] if interrupted else await executor.finish()
            finally:
                await executor.close()
            for index, outcome in enumerate(rest, start=len(jobs)):
                await settle(index, {"path": str(outcome.path), "size": -1, "mtime_ns": -1}, outcome)

    facts = Run(pipeline, folder, len(jobs), time.perf_counter() - begin, workers, interrupted, tuple(teller.warnings))
    results = Results([outcomes[index] for index in sorted(outcomes)], facts, temporary)
    if report is not None:
        await asyncio.to_thread(results.write_report, report)
    teller.finished()
    return results


async def _take_all(
    executor: Executor,
    waiting: deque[Job],
    budget: Budget,
    ending: _Ending,
    settle: Callable[[int, Mapping[str, Any], Outcome], Awaitable[None]],
) -> bool:
    """Take all waiting jobs through an executor, as many at once as it and the memory allow.

    Returns
    -------
    bool
        Whether it was ended before all were through.
    """
    running: dict[asyncio.Task[Outcome], tuple[Job, Mapping[str, Any]]] = {}
    at_once = asyncio.create_task(ending.bind().wait())
    try:
        while waiting or running:
            while waiting and not ending.gently and len(running) < executor.capacity:
                job = waiting[0]
                if not budget.admit(job.index, working_memory(job.path)):
                    break
                waiting.popleft()
                running[asyncio.create_task(executor.submit(job))] = job, _identity(job)
            if not running:
                return True
            await asyncio.wait({*running, at_once}, return_when=asyncio.FIRST_COMPLETED)
            if at_once.done():
                return True
            for task in [task for task in running if task.done()]:
                job, source = running.pop(task)
                budget.release(job.index)
                await settle(job.index, source, task.result())
        return False
    finally:
        left: list[asyncio.Task[Any]] = [*running, at_once]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)


class _Teller:
    """Tells whoever listens how the run goes, and keeps what is wrong with the run itself."""

    def __init__(self, listener: Callable[[Event], None] | None, name: str, total: int, begin: float) -> None:
        self._listener = listener
        self._name = name
        self._total = total
        self._begin = begin
        self._done = self._failed = 0
        self.warnings: list[str] = []

    def started(self, resumed: Iterable[Outcome]) -> None:
        self._done = sum(1 for _ in resumed)
        self._tell("started")

    def image(self, outcome: Outcome) -> None:
        if outcome.status == "failed":
            self._failed += 1
        else:
            self._done += 1
        self._total = max(self._total, self._done + self._failed)
        self._tell("image", outcome)

    def stopping(self) -> None:
        self._tell("stopping")

    def finished(self) -> None:
        self._tell("finished")

    def warn(self, message: str) -> None:
        if message not in self.warnings:
            self.warnings.append(message)

    def _tell(self, kind: Literal["started", "image", "stopping", "finished"], outcome: Outcome | None = None) -> None:
        if self._listener is not None:
            seconds = time.perf_counter() - self._begin
            self._listener(Event(kind, outcome, self._done, self._failed, self._total, seconds, self._name))


def _check_arguments(workers: int, recycle_after: int, timeout: float | None) -> None:
    if os.environ.get(IMPORTING):
        raise ConfigError(
            "a worker process imports this script for its processors, and the script starts a run by that; "
            "put what it does below  if __name__ == '__main__':"
        )
    for name, value in (("workers", workers), ("recycle_after", recycle_after)):
        if value < 1:
            raise ConfigError(f"{name} must be 1 or more, not {value}")
    if timeout is not None and not timeout > 0:
        raise ConfigError(f"timeout must be more than 0 s, not {timeout:g} s")


def _plain(read: Mapping[str, Any]) -> dict[str, Any]:
    """Options of the reader as they are written down.

    Raises
    ------
    ConfigError
        An option is something that a file cannot hold, or no reader knows it.
    """
    try:
        options = json.loads(json.dumps(dict(read)))
        check_read_options(options)
    except TypeError as error:
        raise ConfigError(f"options of the reader must be plain data, as in YAML: {error}") from error
    except ImageError as error:
        raise ConfigError(f"read: {error}") from error
    return options


def _jobs(images: Images, output: Path | None, workers: int, read: Mapping[str, Any]) -> list[Job]:
    """One job for each image; paths are looked up, folders searched.

    Raises
    ------
    ConfigError
        There is nothing to do, a path leads nowhere, or an image in memory cannot be sent to a worker.
    """
    given: list[Any] = [images] if isinstance(images, str | Path | Image) else list(images)
    if not given:
        raise ConfigError("no images are given")
    in_memory = sum(isinstance(thing, Image) for thing in given)
    if in_memory and workers > 1:
        raise ConfigError("images in memory are processed in this process: use workers=1, or give the paths of files")
    if not in_memory:
        return [Job(index, path) for index, path in enumerate(find_images(given, output=output, read=read))]
    jobs: list[Job] = []
    for thing in given:
        if isinstance(thing, Image):
            jobs.append(Job(len(jobs), Path(thing.name or f"image {len(jobs) + 1}"), thing))
        else:
            paths = find_images(thing, output=output, read=read)
            jobs += [Job(index, path) for index, path in enumerate(paths, len(jobs))]
    return jobs


def _setting(folder: Path, temporary: Path, jobs: list[Job], read: Mapping[str, Any], keep: bool) -> Setting:
    claims, kept = temporary / "claims", temporary / "images"
    claims.mkdir()
    kept.mkdir()
    sources = tuple(job.path.resolve() for job in jobs if job.image is None)
    return Setting(folder.resolve(), claims.resolve(), sources, read, kept.resolve() if keep else None)


def _temporary_folder(parent: Path | None) -> TemporaryDirectory[str]:
    """A folder for a run's claims and copies; those of runs that were killed on this machine are removed."""
    mark = f"run-{platform.node()}-"
    for old in parent.glob(f"{mark}*-*") if parent is not None else ():
        owner = old.name.removeprefix(mark).partition("-")[0]
        if owner.isdecimal() and not psutil.pid_exists(int(owner)):
            shutil.rmtree(old, ignore_errors=True)
    try:
        return TemporaryDirectory(prefix=f"{mark}{os.getpid()}-", dir=parent, ignore_cleanup_errors=True)
    except OSError as error:
        raise ConfigError(f"no temporary folder can be made in {parent}: {error.strerror or error}") from error


def chain_fingerprint(pipeline: Pipeline, read: Mapping[str, Any]) -> str:
    """What identifies the work of a run: the chain's fingerprint, and how files are read."""
    if not read:
        return pipeline.fingerprint
    text = pipeline.fingerprint + json.dumps(dict(read), sort_keys=True)
    return sha256(text.encode()).hexdigest()


def _finished(journal: Journal, jobs: list[Job], *, all_or_none: bool) -> dict[int, Outcome]:
    """Outcomes of jobs that an earlier run finished.

    A chain that remembers something between images needs all of them again, unless it had finished them all.
    """
    before = journal.finished()
    found: dict[int, Outcome] = {}
    for job in jobs:
        outcome = before.get(str(job.path.resolve())) if job.image is None else None
        if outcome is not None:
            status = "resumed" if outcome.status == "done" else outcome.status
            found[job.index] = replace(outcome, path=job.path, status=status, kept=None)
    return found if len(found) == len(jobs) or not all_or_none else {}


def _claim_products(jobs: list[Job], outcomes: Mapping[int, Outcome], claims: Path) -> None:
    """What an earlier run wrote for an image that is not done again stays that image's own."""
    for job in jobs:
        for product in outcomes[job.index].products if job.index in outcomes else ():
            claim_product(product.resolve(), claims, str(job.path))


def _identity(job: Job) -> dict[str, Any]:
    try:
        return identity(job.path)
    except OSError:  # reading it will fail and say so; an image in memory is no file
        return {"path": str(job.path), "size": -1, "mtime_ns": -1}
