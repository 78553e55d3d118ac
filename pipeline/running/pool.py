"""Worker processes: one image each, from its file to its products.

A worker that dies, whatever it dies of, costs one attempt of one image; a fresh one takes its place. Workers
are replaced after a number of images, and earlier when they have grown too large.
"""

import asyncio
import contextlib
import re
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from ..errors import ConfigError
from .executor import out_of_time
from .one_image import Job, Setting
from .outcome import Outcome
from .processes.process import WorkerDiedError, WorkerProcess
from .shipping import Chain

UNFINISHED = re.compile(r"\.[0-9a-f]{8}\.part$")
"""How the names end that :func:`etendue.images.io.atomic_write` gives to what is not complete."""


class WorkerPool:
    """Takes images through a chain in worker processes.

    Parameters
    ----------
    chain : Chain
        The chain as text.
    setting : Setting
        What all images of the run share.
    workers : int
        Number of processes. A sequential chain has one, which sees the images in order.
    recycle_after : int
        A worker is replaced after this many images.
    largest : int
        A worker is replaced when it holds more memory than this between two images [byte].
    timeout : float
        Longest time for one image [s]; after it the worker is ended. None: no limit.
    attempts : int
        How often an image is tried whose worker died.
    """

    def __init__(
        self,
        chain: Chain,
        setting: Setting,
        *,
        workers: int,
        recycle_after: int = 100,
        largest: int | None = None,
        timeout: float | None = None,
        attempts: int = 2,
    ) -> None:
        self._chain = chain
        self._setting = setting
        self._recycle_after = recycle_after
        self._largest = largest
        self._timeout = timeout
        self._attempts = attempts
        self._workers: set[WorkerProcess] = set()
        self._idle: list[WorkerProcess] = []
        self._deaths: list[tuple[float, float]] = []
        self.capacity = 1 if chain.sequential else workers

    @classmethod
    async def start(cls, chain: Chain, setting: Setting, **limits: Any) -> Self:
        """A pool whose workers are all ready; they start at the same time.

        Raises
        ------
        ConfigError
            A worker cannot rebuild the chain, or ends at once.
        """
        pool = cls(chain, setting, **limits)
        starting = [asyncio.create_task(pool._fresh()) for _ in range(pool.capacity)]
        try:
            pool._idle.extend(await asyncio.gather(*starting))
        except BaseException as error:
            for task in starting:
                task.cancel()
            await asyncio.gather(*starting, return_exceptions=True)
            await pool.close()
            if isinstance(error, WorkerDiedError | OSError):
                raise ConfigError(f"worker processes cannot be started: {error}") from error
            raise
        return pool

    async def submit(self, job: Job) -> Outcome:
        notes: list[str] = []
        begin, since = time.perf_counter(), time.time()
        for attempt in range(1, self._attempts + 1):
            try:
                worker = await self._ready()
            except (WorkerDiedError, ConfigError, OSError) as error:
                return self._lost(job, "", f"no worker process could be started: {error}", notes, begin)
            worker.step = ""
            try:
                async with asyncio.timeout(self._timeout):
                    answer = await worker.ask({"job": {"index": job.index, "path": str(job.path)}})
            except TimeoutError:
                await self._bury(worker, since)
                notes += self._forgotten()
                return replace(out_of_time(job, worker.step, self._timeout or 0.0), notes=tuple(notes))
            except WorkerDiedError as error:
                await self._bury(worker, since)
                notes.append(f"attempt {attempt}: worker process died ({error}) in step {worker.step or 'start'}")
                notes += self._forgotten()
                cause, step, words = error, worker.step, worker.last_words
                continue
            except BaseException:
                await self._bury(worker, since)
                raise
            outcome = Outcome.from_json(answer["outcome"])
            await self._put_back(worker)
            return replace(outcome, notes=(*notes, *outcome.notes)) if notes else outcome
        times = f", {self._attempts} times" if self._attempts > 1 else ""
        return self._lost(job, step, f"worker process died{times} ({cause})", notes, begin, words)

    async def finish(self) -> list[Outcome]:
        if not (self._chain.sequential and self._idle):
            return []
        worker, begin, since = self._idle.pop(), time.perf_counter(), time.time()
        try:
            answer = await worker.ask({"finish": True})
        except WorkerDiedError as error:
            await self._bury(worker, since)
            job = Job(0, Path("end of the run"))
            return [self._lost(job, worker.step, f"worker process died ({error})", [], begin, worker.last_words)]
        await self._put_back(worker)
        return [Outcome.from_json(outcome) for outcome in answer["outcomes"]]

    async def close(self) -> None:
        await asyncio.gather(*(worker.end() for worker in self._workers))
        self._workers.clear()
        self._idle.clear()
        for since, until in self._deaths:
            remove_unfinished(self._setting.output, since, until)

    async def _ready(self) -> WorkerProcess:
        """An idle worker that still lives, or a fresh one."""
        while self._idle:
            worker = self._idle.pop()
            if worker.alive:
                return worker
            self._workers.discard(worker)
            await worker.end(kill=True)
        return await self._fresh()

    async def _fresh(self) -> WorkerProcess:
        worker = await WorkerProcess.start(self._chain, self._setting)
        self._workers.add(worker)
        return worker

    async def _put_back(self, worker: WorkerProcess) -> None:
        worker.images += 1
        old = worker.images >= self._recycle_after
        large = self._largest is not None and worker.resident > self._largest
        if (old or large or worker.left_behind) and not self._chain.sequential:
            self._workers.discard(worker)
            await worker.end()
            return
        self._idle.append(worker)

    async def _bury(self, worker: WorkerProcess, since: float) -> None:
        self._workers.discard(worker)
        await worker.end(kill=True)
        self._deaths.append((since, time.time()))

    def _forgotten(self) -> list[str]:
        return ["what sequential steps remembered of earlier images was lost"] if self._chain.sequential else []

    def _lost(self, job: Job, step: str, error: str, notes: list[str], begin: float, words: str = "") -> Outcome:
        seconds = time.perf_counter() - begin
        return Outcome(
            job.path,
            "failed",
            step=step,
            error=error,
            traceback=words,
            seconds=seconds,
            notes=tuple(notes),
            cause="died",
        )


def remove_unfinished(output: Path, since: float, until: float) -> None:
    """Remove temporary files of our own writers that a process left when it died.

    Only those last written between two moments [s since 1970]: another run's are younger soon.
    """
    for unfinished in output.rglob(".*.part"):
        if UNFINISHED.search(unfinished.name):
            with contextlib.suppress(OSError):
                if since - 1 <= unfinished.stat().st_mtime <= until:
                    unfinished.unlink()
