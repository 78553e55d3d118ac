"""Threads of the daemon that wait for disks and servers; one that has gone holds up some of them, perhaps for ever."""

import asyncio
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

THREADS = 32
THREADS_PER_WORKER = 4
"""One disk that has gone holds some of them up for each worker, and must not hold up everything."""

NAME = "etendue-disk"
"""What they are called."""

LAST_ANSWERS = 2.0
"""At the end, so long is waited for answers [s]."""


@contextmanager
def threads_for(workers: int) -> Iterator[None]:
    """Let :func:`asyncio.to_thread` use these threads; after the block, asyncio does not wait for them."""
    loop = asyncio.get_running_loop()
    executor = ThreadPoolExecutor(THREADS + THREADS_PER_WORKER * workers, thread_name_prefix=NAME)
    loop.set_default_executor(executor)
    try:
        yield
    finally:
        executor.shutdown(wait=False, cancel_futures=True)
        loop.set_default_executor(ThreadPoolExecutor(1))


def hung_threads() -> list[threading.Thread]:
    """After the end: the threads that still wait, a moment later."""
    threads = [thread for thread in threading.enumerate() if thread.name.startswith(NAME)]
    end = time.monotonic() + LAST_ANSWERS
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    return [thread for thread in threads if thread.is_alive()]
