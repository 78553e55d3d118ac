"""The daemon's access to its queue: one thread that writes, one that reads, and a loop that never waits for a disk."""

import asyncio
import logging
import queue as queues
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

from .queue import JobQueue, QueueBusyError

log = logging.getLogger(__name__)

MOST_AT_ONCE = 64
"""Changes that share one transaction, and with it one wait for the disk."""

WAIT_WHEN_BUSY = 0.5
"""After the database was locked, or its disk full, until the next attempt [s]."""

LAST_WRITES = 6.0
"""At the end, so long is waited for a database that is locked [s]."""

Change = tuple[Callable[[], Any], asyncio.AbstractEventLoop, "asyncio.Future[Any]"]


class Ledger:
    """Runs functions of the queue in threads of their own.

    Changes that come in while the disk is busy are made together, in one transaction. While the database is locked by
    somebody else, or its disk is full, they wait, and :attr:`trouble` says so: nothing that a worker has done is lost
    because it cannot be written down at once.

    Parameters
    ----------
    queue : JobQueue
        The queue.
    """

    def __init__(self, queue: JobQueue) -> None:
        self.queue = queue
        self.trouble = ""
        self._changes: queues.SimpleQueue[Change | None] = queues.SimpleQueue()
        self._readers = ThreadPoolExecutor(2, thread_name_prefix="etendue-read")
        self._ended: Future[None] = Future()
        self._given_up = threading.Event()
        self._writer = threading.Thread(target=self._write, name="etendue-write", daemon=True)
        self._writer.start()

    async def write(self, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """Make a change, durable when this returns. Whoever is cancelled before it was begun has asked for nothing.

        Raises
        ------
        Exception
            What the function raises; other changes of the same transaction are not touched by it.
        """
        loop = asyncio.get_running_loop()
        result = loop.create_future()
        self._changes.put((partial(function, *arguments, **options), loop, result))
        return await result

    async def read(self, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """Look something up."""
        call = partial(function, *arguments, **options)
        return await asyncio.get_running_loop().run_in_executor(self._readers, call)

    async def close(self, patience: float | None = None) -> bool:
        """Make the changes that are still to be made, and end the threads. Closes the queue.

        Parameters
        ----------
        patience : float
            So long is waited for a database that cannot be written [s]; then the changes are given up. By default
            a few seconds, and less if it has been waited for already.

        Returns
        -------
        bool
            Whether all were made.
        """
        self._changes.put(None)
        if patience is None:
            patience = WAIT_WHEN_BUSY if self.trouble else LAST_WRITES
        await asyncio.wait([asyncio.wrap_future(self._ended)], timeout=patience)
        self._given_up.set()
        self._readers.shutdown(wait=False, cancel_futures=True)
        if not self._ended.done():
            return False
        self.queue.close()
        return True

    # --- in the writer's thread ----------------------------------------------------------------------------------

    def _write(self) -> None:
        try:
            self._write_all()
        finally:
            self._ended.set_result(None)

    def _write_all(self) -> None:
        ending = False
        while not ending:
            changes: list[Change] = []
            item = self._changes.get()
            while item is not None:
                changes.append(item)
                if len(changes) == MOST_AT_ONCE or self._changes.empty():
                    break
                item = self._changes.get()
            ending = item is None
            if changes:
                self._make(changes)

    def _make(self, changes: list[Change]) -> None:
        """Make changes in one transaction, as often as it takes."""
        while True:
            results: list[tuple[bool, Any]] = []
            try:
                with self.queue.batch():
                    for call, _, future in changes:
                        results.append((False, None) if future.cancelled() else _called(call))
            except QueueBusyError as error:
                if not self.trouble:
                    log.warning("the queue cannot be written: %s; trying again", error)
                self.trouble = str(error)
                if not self._given_up.wait(WAIT_WHEN_BUSY):
                    continue
                results = [(False, error)] * len(changes)
            except Exception as error:  # noqa: BLE001 - whoever asked gets it
                if len(changes) > 1:
                    for change in changes:
                        self._make([change])
                    return
                results = [(False, error)]
            if self.trouble and not self._given_up.is_set():
                log.info("the queue can be written again")
                self.trouble = ""
            for (_, loop, future), result in zip(changes, results, strict=True):
                _tell(loop, future, result)
            return


def _called(call: Callable[[], Any]) -> tuple[bool, Any]:
    try:
        return True, call()
    except QueueBusyError:
        raise
    except Exception as error:  # noqa: BLE001 - it is one change's own
        return False, error


def _tell(loop: asyncio.AbstractEventLoop, future: "asyncio.Future[Any]", result: tuple[bool, Any]) -> None:
    def settle() -> None:
        if future.done():
            return
        succeeded, value = result
        if succeeded:
            future.set_result(value)
        else:
            future.set_exception(value)

    if not loop.is_closed():
        loop.call_soon_threadsafe(settle)
