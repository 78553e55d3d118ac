"""The fleet: takes images through chains in worker processes, whatever happens in them."""

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ...running.causes import Cause
from ...running.memory import Budget
from ...running.one_image import Setting
from ...running.outcome import Outcome
from ...running.processes.process import WorkerDiedError, WorkerProcess
from ...running.shipping import Chain
from .calls import FUNCTIONS, CallError, result_of
from .clerk import Clerk
from .crew import Crew, FleetClosedError, died_of

__all__ = ["Clerk", "Fleet", "FleetClosedError", "Work", "WorkerFacts"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One attempt at a job.

    Attributes
    ----------
    job : int
        Its number.
    path : Path or None
        The input file; None for a chain that begins with an empty image.
    chain : Chain
        The chain, with its fingerprint.
    staging : Path
        Folder into which products are written; there already.
    destination : Path or None
        The folder in which they will be in the end, if it is one.
    read : mapping
        Options of the reader.
    timeout : float
        Longest time [s].
    memory : int
        What it will take, roughly [byte].
    label : str
        What people call it.
    identity : (int, int) or None
        Size [byte] and time of change [ns] of the file that is meant.
    """

    job: int
    path: Path | None
    chain: Chain
    staging: Path
    destination: Path | None
    read: Mapping[str, Any] = field(default_factory=dict)
    timeout: float
    memory: int = 0
    label: str = ""
    identity: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class WorkerFacts:
    """A worker, for those who look.

    Attributes
    ----------
    pid : int
        Number of the process.
    job : int or None
        What it works on.
    label, step : str
        Name of the image, and the step that it is in.
    since : float
        When it took the job [s since 1970]; 0 if it has none.
    images : int
        How many it has taken so far.
    resident : int
        Its memory [byte].
    """

    pid: int
    job: int | None
    label: str
    step: str
    since: float
    images: int
    resident: int

    def to_json(self) -> dict[str, Any]:
        """Plain JSON data."""
        return asdict(self)


@dataclass(slots=True)
class _Busy:
    job: int | None
    label: str
    since: float = field(default_factory=time.time)


class Fleet:
    """Worker processes that each take one image at a time through a whole chain.

    Parameters
    ----------
    workers : int
        Number of processes.
    memory : int
        Memory for all images in work [byte]. One that is too large for it runs alone.
    limit : int
        Most memory of one worker [byte]; beyond, allocations fail, and what grows nevertheless is ended.
    recycle_after : int
        A worker is replaced after so many images.
    on_step : callable
        Told the number of a job and the step that it enters.
    functions : mapping of str to str
        What workers can be asked to call.
    """

    def __init__(
        self,
        *,
        workers: int,
        memory: int,
        limit: int,
        recycle_after: int = 200,
        on_step: Callable[[int, str], None] | None = None,
        functions: Mapping[str, str] = FUNCTIONS,
    ) -> None:
        self.workers = workers
        self.memory = memory
        self.limit = limit
        self._on_step = on_step
        self._crew = Crew(
            workers=workers,
            limit=limit,
            largest=min(limit, max(memory // workers, limit // 2)),
            recycle_after=recycle_after,
            functions=functions,
        )
        self._budget = Budget(memory)
        self._keys = itertools.count()
        self._inside = 0
        self._places = asyncio.Semaphore(workers)
        self._change = asyncio.Condition()
        self._busy: dict[WorkerProcess, _Busy] = {}
        self._closed = False

    async def start(self, chains: Sequence[Chain] | None = ()) -> None:
        """Begin to start the workers, and make them ready for these chains. Does not wait for it.

        With None they start, and :meth:`expect` tells them their chains; until then they take nothing.
        """
        if chains is not None:
            self._crew.expect(chains)
        self._crew.start()

    def expect(self, chains: Sequence[Chain]) -> None:
        """Workers that become ready from now on are made ready for these chains."""
        self._crew.expect(chains)

    def renew(self) -> None:
        """Let fresh processes take the next images; what runs is finished by those that have it."""
        self._crew.renew()

    @property
    def free(self) -> int:
        """How many images could be taken at once."""
        return max(0, self.workers - self._inside)

    @property
    def used(self) -> int:
        """Memory that is reserved for images in work [byte]."""
        return self._budget.used

    def admits(self, size: int) -> bool:
        """Whether memory for an image could be reserved now."""
        return self._budget.admits(size)

    async def run(self, work: Work) -> Outcome:
        """One attempt at a job: exactly one worker process takes the image, once.

        It waits for a free worker and for memory. Whatever happens to the image, or to the worker because of it, is an
        outcome with a `cause`. When it is cancelled the worker is ended, and nothing is written any more once it
        returns.

        Raises
        ------
        FleetClosedError
            The daemon ends before the attempt did.
        """
        async with self._place(work.memory):
            try:
                worker = await self._crew.take(work.chain.fingerprint)
            except (WorkerDiedError, OSError) as error:
                why = f"no worker process could be started: {error}"
                return Outcome(work.path or Path(work.label), "failed", error=why, cause="transient")
            return await self._attempt(worker, work)

    async def call(
        self,
        function: str,
        arguments: Mapping[str, Any],
        *,
        timeout: float,  # noqa: ASYNC109 - of the call, not of the wait for a worker
        memory: int = 0,
        job: int | None = None,
        label: str = "",
    ) -> Any:
        """Let a worker call a function; it takes the place of an image.

        Raises
        ------
        CallError
            The function raised an error, took too long or too much memory, or the worker died of it.
        FleetClosedError
            The daemon ends.
        """
        async with self._place(memory):
            try:
                worker = await self._crew.take("")
            except (WorkerDiedError, OSError) as error:
                why = f"no worker process could be started: {error}"
                raise CallError(why, kind="WorkerDiedError", cause="transient") from error
            message = {"call": {"function": function, "arguments": dict(arguments)}}
            try:
                answer = await self._ask(worker, message, timeout, _Busy(job, label or function))
            except TimeoutError:
                raise CallError(f"not finished within {timeout:g} s", kind="TimeoutError", cause="time") from None
            except WorkerDiedError as error:
                raise CallError(
                    str(error), kind="WorkerDiedError", cause=died_of(worker), traceback=worker.last_words
                ) from error
            return result_of(answer)

    def facts(self) -> list[WorkerFacts]:
        """The workers."""
        free = _Busy(None, "", 0.0)
        found = []
        for worker in sorted(self._crew.all, key=lambda worker: worker.pid):
            busy = self._busy.get(worker, free)
            step = worker.step if worker in self._busy else ""
            found.append(
                WorkerFacts(worker.pid, busy.job, busy.label, step, busy.since, worker.images, worker.resident)
            )
        return found

    async def close(self, grace: float = 0.0) -> None:
        """End all workers; those that work have so much time to finish [s]."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace), self._change:
                await self._change.wait_for(lambda: not self._inside)
        self._closed = True
        await self._tell()
        await self._crew.close()

    # --- an attempt ------------------------------------------------------------------------------------------------

    async def _attempt(self, worker: WorkerProcess, work: Work) -> Outcome:
        path = work.path or Path(work.label)
        begin = time.perf_counter()
        known = work.chain.fingerprint in worker.known
        text = {} if known else {"text": work.chain.text, "main": work.chain.main}
        setting = Setting(work.staging, None, read=work.read, destination=work.destination or work.staging)
        job = {
            "index": work.job,
            "path": None if work.path is None else str(work.path),
            "label": work.label or path.name,
            "identity": work.identity,
            "chain": {"fingerprint": work.chain.fingerprint, **text},
            "setting": setting.to_json(),
        }

        def failed(error: str, cause: Cause) -> Outcome:
            seconds = time.perf_counter() - begin
            words, log = worker.last_words, worker.log
            return Outcome(
                path, "failed", step=worker.step, error=error, traceback=words, log=log, seconds=seconds, cause=cause
            )

        try:
            answer = await self._ask(worker, {"job": job}, work.timeout, _Busy(work.job, work.label or path.name))
        except TimeoutError:
            return failed(f"not finished within {work.timeout:g} s", "time")
        except WorkerDiedError as error:
            told = str(error) if worker.ended_because else f"worker process died ({error})"
            return failed(told, died_of(worker))
        try:
            outcome = Outcome.from_json(answer["outcome"])
        except (KeyError, ValueError) as error:
            return failed(f"the worker process answered something unreadable: {error}", "died")
        step = outcome.step if outcome.succeeded else outcome.step or worker.step
        return replace(outcome, path=path, step=step, log=worker.log)

    async def _ask(self, worker: WorkerProcess, message: dict[str, Any], limit: float, busy: _Busy) -> dict[str, Any]:
        """Ask a worker, and put it back, or bury it together with everything that it has started.

        Raises
        ------
        WorkerDiedError, TimeoutError
            There is no answer.
        FleetClosedError
            The daemon ends.
        """

        def entered(step: str) -> None:
            if self._on_step is not None and busy.job is not None:
                self._on_step(busy.job, step)

        self._busy[worker] = busy
        worker.step = ""
        try:
            async with asyncio.timeout(limit):
                answer = await worker.ask(message, on_step=entered)
        except BaseException as error:
            worker.kill()
            await asyncio.shield(asyncio.ensure_future(self._crew.bury(worker)))
            if self._closed and isinstance(error, WorkerDiedError):
                raise FleetClosedError("the daemon ends") from None
            raise
        finally:
            self._busy.pop(worker, None)
        self._crew.put_back(worker)
        return answer

    # --- places ----------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def _place(self, memory: int) -> AsyncIterator[None]:
        """A place among the workers, and memory.

        Raises
        ------
        FleetClosedError
            The daemon ends.
        """
        key = next(self._keys)
        self._inside += 1
        try:
            async with self._places:
                try:
                    async with self._change:
                        await self._change.wait_for(lambda: self._closed or self._budget.admit(key, memory))
                    if self._closed:
                        raise FleetClosedError("the daemon ends")
                    yield
                finally:
                    self._budget.release(key)
        finally:
            self._inside -= 1
            await asyncio.shield(asyncio.ensure_future(self._tell()))

    async def _tell(self) -> None:
        async with self._change:
            self._change.notify_all()
