"""Worker processes: one image each, from its file to its products.

A worker that dies, whatever it dies of, costs one attempt of one image; a fresh one takes its place. Workers
are replaced after a number of images, and earlier when they have grown too large.
"""

import asyncio
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import deque
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from ..errors import ConfigError
from .executor import out_of_time
from .one_image import Job, Setting
from .outcome import Outcome
from .shipping import Chain
from .worker import NATIVE_THREADS

BOOTSTRAP = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from etendue.pipeline.running.worker import main; main()"
)
"""What a worker is started with: it finds modules where its parent finds them."""

LONGEST_MESSAGE = 64 * 1024 * 1024
START_LIMIT = 120.0
"""How long a worker may take to start [s]."""

GOODBYE_LIMIT = 5.0
"""How long a worker may take to end when nothing more comes in [s]."""

REMEMBERED_OUTPUT = 8_000
"""Characters of a worker's last words that are kept for the report of its death."""


UNFINISHED = re.compile(r"\.[0-9a-f]{8}\.part$")
"""How the names end that :func:`etendue.images.io.atomic_write` gives to what is not complete."""


class WorkerDiedError(Exception):
    """A worker process ended before its image did."""


@dataclass(eq=False)
class _Worker:
    """One process, as its parent sees it."""

    process: asyncio.subprocess.Process
    words: deque[str] = field(default_factory=deque)
    listener: asyncio.Task[None] | None = None
    images: int = 0
    step: str = ""
    resident: int = 0
    left_behind: int = 0

    @classmethod
    async def start(cls, chain: Chain, setting: Setting) -> Self:
        """A worker that is ready for images.

        Raises
        ------
        ConfigError
            It cannot rebuild the chain.
        WorkerDiedError
            It ended at once.
        """
        environment = os.environ | dict.fromkeys(NATIVE_THREADS, "1") | {"MALLOC_ARENA_MAX": "2"}
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            BOOTSTRAP,
            json.dumps(sys.path),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            limit=LONGEST_MESSAGE,
            start_new_session=True,
        )
        worker = cls(process)
        worker.listener = asyncio.create_task(worker._listen())
        setup = {"pipeline": chain.text, "main": chain.main, "setting": setting.to_json()}
        try:
            try:
                async with asyncio.timeout(START_LIMIT):
                    answer = await worker.ask({"setup": setup})
            except TimeoutError:
                raise WorkerDiedError(f"it was not ready within {START_LIMIT:g} s") from None
            if "unfit" in answer:
                raise ConfigError(f"a worker process cannot rebuild the chain: {answer['unfit']}; run it with 1 worker")
        except BaseException:
            await worker.end(kill=True)
            raise
        return worker

    async def ask(self, message: dict[str, Any]) -> dict[str, Any]:
        """Send a message and wait for the answer; on the way, note the steps that the worker enters.

        Raises
        ------
        WorkerDiedError
            The worker ended instead; the message says of what.
        """
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            self.process.stdin.write(json.dumps(message).encode() + b"\n")
            await self.process.stdin.drain()
            while line := await self.process.stdout.readline():
                answer = json.loads(line)
                if "step" not in answer:
                    self.resident = answer.get("resident", 0)
                    self.left_behind = answer.get("left_behind", 0)
                    return answer
                self.step = answer["step"]
        except (BrokenPipeError, ConnectionResetError, ValueError):
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()  # it died while we wrote to it, or while it wrote to us
        code = await self.process.wait()
        await self._drain()
        raise WorkerDiedError(_cause(code, self.last_words))

    async def end(self, *, kill: bool = False) -> None:
        """End the process and everything that it started."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        if not kill:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.process.wait(), GOODBYE_LIMIT)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        await self.process.wait()
        await self._drain()

    @property
    def last_words(self) -> str:
        """The end of what it printed: for a crash, where in the code it was."""
        return "".join(self.words)[-REMEMBERED_OUTPUT:]

    async def _drain(self) -> None:
        """Read what an ended process has left in its pipes, so that they close."""
        assert self.process.stdout is not None
        rest: list[asyncio.Task[Any]] = [asyncio.create_task(self.process.stdout.read())]
        if self.listener is not None:
            rest.append(self.listener)
        _, open_ = await asyncio.wait(rest, timeout=1.0)  # a grandchild may hold them open
        for task in open_:
            task.cancel()

    async def _listen(self) -> None:
        """Pass on what steps print, and remember the end of it."""
        assert self.process.stderr is not None
        while text := await self.process.stderr.read(4096):
            self.words.append(text.decode(errors="replace"))
            while sum(map(len, self.words)) > 2 * REMEMBERED_OUTPUT and len(self.words) > 1:
                self.words.popleft()
            sys.stderr.write(self.words[-1])


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
        self._workers: set[_Worker] = set()
        self._idle: list[_Worker] = []
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

    async def _ready(self) -> _Worker:
        """An idle worker that still lives, or a fresh one."""
        while self._idle:
            worker = self._idle.pop()
            if worker.process.returncode is None:
                return worker
            self._workers.discard(worker)
            await worker.end(kill=True)
        return await self._fresh()

    async def _fresh(self) -> _Worker:
        worker = await _Worker.start(self._chain, self._setting)
        self._workers.add(worker)
        return worker

    async def _put_back(self, worker: _Worker) -> None:
        worker.images += 1
        old = worker.images >= self._recycle_after
        large = self._largest is not None and worker.resident > self._largest
        if (old or large or worker.left_behind) and not self._chain.sequential:
            self._workers.discard(worker)
            await worker.end()
            return
        self._idle.append(worker)

    async def _bury(self, worker: _Worker, since: float) -> None:
        self._workers.discard(worker)
        await worker.end(kill=True)
        self._deaths.append((since, time.time()))

    def _forgotten(self) -> list[str]:
        return ["what sequential steps remembered of earlier images was lost"] if self._chain.sequential else []

    def _lost(self, job: Job, step: str, error: str, notes: list[str], begin: float, words: str = "") -> Outcome:
        seconds = time.perf_counter() - begin
        return Outcome(job.path, "failed", step=step, error=error, traceback=words, seconds=seconds, notes=tuple(notes))


def remove_unfinished(output: Path, since: float, until: float) -> None:
    """Remove temporary files of our own writers that a process left when it died.

    Only those last written between two moments [s since 1970]: another run's are younger soon.
    """
    for unfinished in output.rglob(".*.part"):
        if UNFINISHED.search(unfinished.name):
            with contextlib.suppress(OSError):
                if since - 1 <= unfinished.stat().st_mtime <= until:
                    unfinished.unlink()


def _cause(code: int, words: str) -> str:
    """What a process died of, from its return code and, if it ended by itself, its last words."""
    if code >= 0:
        last = words.strip().rpartition("\n")[2]
        return f"exit status {code}: {last}" if last else f"exit status {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = "unknown"
    hint = ", perhaps out of memory" if -code == signal.SIGKILL else ""
    return f"signal {-code}, {name}{hint}"
