"""A clerk: a process that reads headers, validates chains and draws pictures, so that the daemon never computes."""

import asyncio
from collections.abc import Mapping
from typing import Any

from ...running.processes.process import WorkerDiedError, WorkerProcess
from .calls import FUNCTIONS, CallError, result_of

LARGEST = 1_500_000_000
"""A clerk that has become larger is replaced before its next task [byte]."""

FURTHER_ATTEMPTS = {"transient": 4, "died": 3}
"""How often a call is repeated after its process could not be started, or died of it."""


class Clerk:
    """One process that calls functions, one after another.

    It starts with :meth:`start` or its first call, and again when it has died.

    Parameters
    ----------
    functions : mapping of str to str
        What it can call; see :data:`~etendue.pipeline.daemon.work.calls.FUNCTIONS`.
    limit : int
        Most memory that it may take [byte].
    """

    def __init__(self, *, functions: Mapping[str, str] = FUNCTIONS, limit: int | None = None) -> None:
        self._functions = functions
        self._limit = limit
        self._process: WorkerProcess | None = None
        self._turn = asyncio.Lock()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closed = False

    def start(self) -> None:
        """Begin to start the process; does not wait for it."""

        async def begin() -> None:
            async with self._turn:
                if not self._closed:
                    await self._ready()

        self._keep(asyncio.create_task(begin()))

    async def call(self, function: str, arguments: Mapping[str, Any], *, timeout: float = 60.0) -> Any:  # noqa: ASYNC109
        """Call a function and wait for its result. Calls are taken in their order.

        Whoever is cancelled while waiting leaves the clerk to finish; the next call waits for that.

        Parameters
        ----------
        function : str
            Its name.
        arguments : mapping
            Keyword arguments, JSON data.
        timeout : float
            Longest time from when it begins [s]; after it the clerk is ended, and a fresh one takes the next call.

        Raises
        ------
        CallError
            The function raised an error, took too long, or the process died of it.
        """
        task = asyncio.create_task(self._take(function, arguments, timeout))
        self._keep(task)
        return await asyncio.shield(task)

    async def renew(self) -> None:
        """Let a fresh process take the next call: the code that this one has imported may have changed since."""
        async with self._turn:
            await self._drop()

    async def close(self) -> None:
        """End the process; calls that wait fail."""
        self._closed = True
        if self._process is not None:
            self._process.kill("the daemon ends")
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._process is not None:
            await self._process.end(kill=True)

    @property
    def resident(self) -> int:
        """Memory of the process after its last call [byte]; 0 before the first."""
        return 0 if self._process is None else self._process.resident

    def _keep(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # whoever waited has it, or nobody waits any more

    async def _take(self, function: str, arguments: Mapping[str, Any], limit: float) -> Any:
        async with self._turn:
            deaths = 0
            while True:
                try:
                    return await self._attempt(function, arguments, limit)
                except CallError as error:
                    # Somebody else may have killed it, for want of memory perhaps; what it does may be done twice.
                    deaths += 1
                    if error.kind != "WorkerDiedError" or self._closed or deaths > FURTHER_ATTEMPTS[error.cause]:
                        raise

    async def _attempt(self, function: str, arguments: Mapping[str, Any], limit: float) -> Any:
        try:
            process = None if self._closed else await self._ready()
        except (WorkerDiedError, OSError) as error:
            raise CallError(
                f"no process could be started: {error}", kind="WorkerDiedError", cause="transient"
            ) from error
        if process is None or self._closed:
            raise CallError("the daemon ends", kind="Closed", cause="transient")
        try:
            async with asyncio.timeout(limit):
                answer = await process.ask({"call": {"function": function, "arguments": dict(arguments)}})
        except TimeoutError:
            await self._drop()
            raise CallError(f"not finished within {limit:g} s", kind="TimeoutError", cause="time") from None
        except WorkerDiedError as error:
            words = process.last_words
            await self._drop()
            message = f"the process died of it ({error})"
            raise CallError(message, kind="WorkerDiedError", cause="died", traceback=words) from error
        if process.left_behind or process.resident > LARGEST:
            await self._drop()
        return result_of(answer)

    async def _ready(self) -> WorkerProcess:
        if self._process is not None and not self._process.alive:
            await self._drop()
        if self._process is None:
            self._process = await WorkerProcess.start(functions=self._functions, memory=self._limit, echo=False)
        return self._process

    async def _drop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            await process.end(kill=True)
