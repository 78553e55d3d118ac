"""Computing off the event loop: in a thread, or at once where the loop serves nobody else."""

import asyncio
import contextvars
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, nullcontext, suppress
from functools import cache, partial
from typing import Any, TypeVar

Result = TypeVar("Result")

_inline: contextvars.ContextVar[bool] = contextvars.ContextVar("compute_inline", default=False)


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=os.cpu_count() or 1, thread_name_prefix="etendue")


async def off_loop(function: Callable[..., Result], *arguments: Any) -> Result:
    """Run a computation in a thread, with the caller's context variables, and wait for it.

    In a worker process, whose loop serves one image only, it runs at once (see :func:`compute_inline`), unless
    there is a time limit (see :func:`time_limit`). A computation cannot be interrupted: when the waiting
    task is cancelled, the thread goes on to its end.
    """
    if _limited.get():
        return await _in_own_thread(function, *arguments)
    if _inline.get():
        return function(*arguments)
    computation = partial(contextvars.copy_context().run, function, *arguments)
    return await asyncio.get_running_loop().run_in_executor(_threads(), computation)


@contextmanager
def compute_inline() -> Iterator[None]:
    """Within this context computations run on the loop that awaits them: only where that loop serves nobody else."""
    token = _inline.set(True)
    try:
        yield
    finally:
        _inline.reset(token)


_limited: contextvars.ContextVar[bool] = contextvars.ContextVar("time_limit", default=False)
_left_behind: set[threading.Thread] = set()


def time_limit(seconds: float | None) -> AbstractAsyncContextManager[None]:
    """Raise TimeoutError in whoever waits longer than this within the context; None is no limit.

    A computation that takes longer cannot be stopped, so within a limit each one has a thread of its own that can be
    left behind. A thread of the pool that never came back would be missing for all images after it.
    """
    return nullcontext() if seconds is None else _limit(seconds)


@asynccontextmanager
async def _limit(seconds: float) -> AsyncIterator[None]:
    token = _limited.set(True)
    try:
        async with asyncio.timeout(seconds):
            yield
    finally:
        _limited.reset(token)


def threads_left_behind() -> int:
    """How many computations still run although nobody waits for them any more."""
    _left_behind.difference_update([thread for thread in _left_behind if not thread.is_alive()])
    return len(_left_behind)


async def _in_own_thread(function: Callable[..., Result], *arguments: Any) -> Result:
    loop = asyncio.get_running_loop()
    result: asyncio.Future[Result] = loop.create_future()
    context = contextvars.copy_context()

    def settle(put: Callable[[Any], None], value: Any) -> None:
        if not result.done():
            put(value)

    def work() -> None:
        try:
            outcome = result.set_result, context.run(function, *arguments)
        except BaseException as error:  # noqa: BLE001 - whoever waits gets it, whatever it is
            outcome = result.set_exception, error
        with suppress(RuntimeError):  # the loop was closed: nobody waits any more
            loop.call_soon_threadsafe(settle, *outcome)

    thread = threading.Thread(target=work, name="etendue-limited", daemon=True)
    thread.start()
    try:
        return await result
    except asyncio.CancelledError:
        _left_behind.add(thread)
        raise
