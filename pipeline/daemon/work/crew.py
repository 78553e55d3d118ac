"""The crew: worker processes that are kept ready, watched and replaced."""

import asyncio
import itertools
import logging
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any

from ....images import EtendueError
from ...running.processes.process import WorkerDiedError, WorkerProcess
from ...running.shipping import Chain
from ..sizes import spell_size
from .watch import private_memory

log = logging.getLogger(__name__)

START_ATTEMPTS = 4
"""How often the start of a worker is tried for a job."""

START_BACKOFF = 1.0
"""Wait after the first start that failed [s]; doubled after each further one."""

WATCH_EVERY = 0.25
"""Time between two looks at the workers' memory [s]."""

WARM_LIMIT = 120.0
"""Longest time for a worker to warm up [s]."""


class FleetClosedError(EtendueError):
    """The daemon ends; the work was not done."""


class Crew:
    """Worker processes, of which those that are idle can be taken.

    Parameters
    ----------
    workers : int
        Number of processes.
    limit : int
        Most memory of one [byte].
    largest : int
        One that holds more than this between two images is replaced [byte].
    recycle_after : int
        One is replaced after so many images; it goes on until its successor is ready.
    functions : mapping of str to str
        What they can be asked to call.

    Attributes
    ----------
    all : set of WorkerProcess
        Those that are ready or work.
    """

    def __init__(
        self, *, workers: int, limit: int, largest: int, recycle_after: int, functions: Mapping[str, str]
    ) -> None:
        self.workers = workers
        self.limit = limit
        self.all: set[WorkerProcess] = set()
        self._largest = largest
        self._recycle_after = recycle_after
        self._functions = functions
        self._idle: list[WorkerProcess] = []
        self._outdated: set[WorkerProcess] = set()
        self._chains: dict[str, Chain] = {}
        self._starting: set[asyncio.Task[None]] = set()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._change = asyncio.Event()
        self._told = asyncio.Event()
        self._failures = 0
        self._trouble: Exception = WorkerDiedError("not tried yet")
        self._closed = False

    def start(self) -> None:
        """Begin to start the workers; does not wait for it. They can be taken after :meth:`expect`."""
        self._refill()
        self._spawn(self._watch())

    def expect(self, chains: Sequence[Chain]) -> None:
        """Workers that are started from now on are made ready for these chains."""
        self._chains = {chain.fingerprint: chain for chain in chains}
        self._told.set()

    def renew(self) -> None:
        """Let fresh workers take the next images: the code that these have imported may have changed since."""
        for worker in self._idle:
            self.all.discard(worker)
            self._spawn(worker.end())
        self._idle.clear()
        self._outdated = set(self.all)
        self._refill()

    async def take(self, fingerprint: str) -> WorkerProcess:
        """An idle worker, preferably one that has the chain; waits for it.

        Raises
        ------
        WorkerDiedError, OSError
            None can be started.
        FleetClosedError
            The daemon ends.
        """
        for attempt in range(START_ATTEMPTS):
            failures = self._failures
            while failures == self._failures or self._idle:
                if self._closed:
                    raise FleetClosedError("the daemon ends")
                if (worker := self._pick(fingerprint)) is not None:
                    return worker
                self._change.clear()
                await self._change.wait()
            await asyncio.sleep(START_BACKOFF * 2**attempt)
        raise self._trouble

    def put_back(self, worker: WorkerProcess) -> None:
        """A worker has finished: it can be taken again, or a fresh one takes its place."""
        worker.images += 1
        old = worker.images >= self._recycle_after
        unfit = worker.left_behind or worker.resident > self._largest or (old and len(self.all) > self.workers)
        if self._closed or unfit or worker in self._outdated:
            self.all.discard(worker)
            self._spawn(worker.end())
        else:
            self._idle.append(worker)
            if old and not self._starting:
                self._start_one()
        self._refill()
        self._change.set()

    async def bury(self, worker: WorkerProcess) -> None:
        """End a worker and everything that it has started; when this returns nothing of it writes any more."""
        self.all.discard(worker)
        self._refill()
        await worker.end(kill=True)

    async def close(self) -> None:
        """End all workers at once."""
        self._closed = True
        self._change.set()
        for task in (*self._starting, *self._tasks):
            task.cancel()
        await asyncio.gather(*self._starting, *self._tasks, return_exceptions=True)
        await asyncio.gather(*(worker.end(kill=True) for worker in self.all))
        self.all.clear()
        self._idle.clear()

    # --- starting and ending --------------------------------------------------------------------------------------

    def _pick(self, fingerprint: str) -> WorkerProcess | None:
        for worker in [worker for worker in self._idle if not worker.alive]:
            log.warning("an idle worker process (%d) has ended; another one takes its place", worker.pid)
            self._idle.remove(worker)
            self._spawn(self.bury(worker))
            self.all.discard(worker)
        self._refill()
        if not self._idle:
            return None
        chosen = next((worker for worker in reversed(self._idle) if fingerprint in worker.known), self._idle[-1])
        self._idle.remove(chosen)
        return chosen

    def _refill(self) -> None:
        while not self._closed and len(self.all) + len(self._starting) < self.workers:
            self._start_one()

    def _start_one(self) -> None:
        task = asyncio.create_task(self._fresh())
        self._starting.add(task)
        task.add_done_callback(self._started)

    def _started(self, task: "asyncio.Task[None]") -> None:
        self._starting.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a worker process could not be started: %s", error)
            self._trouble = error if isinstance(error, OSError) else WorkerDiedError(str(error))
            self._failures += 1
        self._change.set()

    async def _fresh(self) -> None:
        worker = await WorkerProcess.start(functions=self._functions, memory=self.limit, echo=False)
        self.all.add(worker)
        try:
            await self._told.wait()
            for chain in list(self._chains.values()):
                await self._warm(worker, chain)
            if worker in self._outdated:  # what it has just imported was changed meanwhile
                self.all.discard(worker)
                await worker.end()
                self._start_one()
                return
        except BaseException:
            self.all.discard(worker)
            await worker.end(kill=True)
            raise
        self._idle.append(worker)
        old = [worker for worker in self._idle if worker.images >= self._recycle_after]
        if old and len(self.all) > self.workers:
            self._idle.remove(old[0])
            self.all.discard(old[0])
            self._spawn(old[0].end())

    async def _warm(self, worker: WorkerProcess, chain: Chain) -> None:
        """Let a worker load what a chain needs. A chain that ends it is not tried so again: its images will tell."""
        message = {"fingerprint": chain.fingerprint, "text": chain.text, "main": chain.main}
        try:
            async with asyncio.timeout(WARM_LIMIT):
                await worker.ask({"warm": {"chain": message}})
        except (WorkerDiedError, TimeoutError) as error:
            self._chains.pop(chain.fingerprint, None)
            raise WorkerDiedError(f"it could not be made ready for a chain ({error})") from error

    # --- memory ----------------------------------------------------------------------------------------------------

    async def _watch(self) -> None:
        """End workers that grow beyond the limit in a way that the system does not refuse."""
        for turn in itertools.count():
            await asyncio.sleep(WATCH_EVERY)
            watched = {worker.pid: worker for worker in self.all if worker.alive}
            found = await asyncio.to_thread(private_memory, list(watched), children=turn % 4 == 0)
            for pid, size in found.items():
                worker = watched[pid]
                worker.resident = size
                if size > self.limit:
                    worker.kill(
                        f"it took {spell_size(size)} of memory, and a worker may take {spell_size(self.limit)}; "
                        "make the image smaller, or workers.limit in the configuration larger"
                    )

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def died_of(worker: WorkerProcess) -> Any:
    """The cause of a worker's death: too much memory, or anything else."""
    words = worker.last_words
    return "memory" if worker.ended_because or "bad_alloc" in words or "MemoryError" in words else "died"
