"""Server-sent events: the page hears of a change before anybody thinks of reloading it.

===========  ======================================================================
``job``      a job was added or has changed: its summary
``now``      what happens now: the answer of /api/now
``changed``  more has changed than is told one by one, or by another daemon: look anew
===========  ======================================================================
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Iterator

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ..daemon.queue import JobQueue, QueueBusyError
from .board import Board
from .service import Refused, Service
from .summaries import summary_of

log = logging.getLogger(__name__)

MOST_LISTENERS = 64
MOST_AT_ONCE = 40
"""Jobs told one by one at once; of more, only that much has changed."""

GATHER = 0.15
"""Changes within this time are told together [s]."""

LOOK_EVERY = 1.0
"""Changes that another daemon or a command has made are looked for so often [s]."""

NOW_EVERY = 2.0
PING_EVERY = 15.0
PATIENCE = 30.0
"""A listener that takes nothing for so long is let go [s]."""

UNREAD = 200
"""Messages that wait for a listener; one that has more is only told to look anew."""


class Listener:
    """Somebody who listens, and what they have not heard yet."""

    def __init__(self) -> None:
        self._unread: asyncio.Queue[bytes | None] = asyncio.Queue()

    def tell(self, message: bytes | None) -> None:
        """Put a message into the queue; None ends it."""
        if message is not None and self._unread.qsize() >= UNREAD:
            while not self._unread.empty():
                self._unread.get_nowait()
            message = encoded("changed", "{}")
        self._unread.put_nowait(message)

    async def next(self) -> bytes | None:
        """The next message, or a sign of life when there has been none for a while."""
        try:
            async with asyncio.timeout(PING_EVERY):
                return await self._unread.get()
        except TimeoutError:
            return b": ping\n\n"


class Hub:
    """Tells everybody who listens what happens.

    Parameters
    ----------
    service : Service
        The daemon.
    board : Board
        Looks up what happens now.
    """

    def __init__(self, service: Service, board: Board) -> None:
        self._service, self._board = service, board
        self._listeners: set[Listener] = set()
        self._version = ""
        self._stir = asyncio.Event()
        self._closed = False

    @contextlib.contextmanager
    def listening(self) -> Iterator[Listener]:
        """A listener, for as long as the context lasts.

        Raises
        ------
        Refused
            Too many listen already.
        """
        if self._closed or len(self._listeners) >= MOST_LISTENERS:
            raise Refused(503, f"{len(self._listeners)} pages listen already; close one of them")
        listener = Listener()
        listener.tell(encoded("changed", "{}"))  # what happened since the page was loaded, nobody has told it
        self._listeners.add(listener)
        self._stir.set()
        try:
            yield listener
        finally:
            self._listeners.discard(listener)

    def close(self) -> None:
        """Send everybody away."""
        self._closed = True
        for listener in self._listeners:
            listener.tell(None)

    async def run(self) -> None:
        """Gather changes and tell them, for ever. Whatever goes wrong is logged, and the next change is told."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._gather())
            tasks.create_task(self._spread())

    async def _gather(self) -> None:
        """Be woken by what the daemon tells of itself; what it is exactly, the queue knows."""
        async for _ in self._service.subscribe():
            self._stir.set()

    async def _spread(self) -> None:
        told = 0.0
        while True:
            if not self._listeners:
                self._version = ""
                await self._stir.wait()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY):
                    await self._stir.wait()
            self._stir.clear()
            await asyncio.sleep(GATHER)
            try:
                changed = await self._tell_jobs()
                if changed:
                    self._board.outdate()
                if time.monotonic() - told > (LOOK_EVERY if changed else NOW_EVERY):
                    self._tell("now", (await self._board.now()).model_dump_json())
                    told = time.monotonic()
            except QueueBusyError as error:
                log.warning("the page could not be told what has changed: %s", error)
            except Exception:
                log.warning("the page could not be told what has changed", exc_info=True)
                await asyncio.sleep(LOOK_EVERY)

    async def _tell_jobs(self) -> bool:
        """Tell which jobs have changed, whoever has changed them; whether any has."""
        version, summaries, more = await self._service.db(_changes, self._service.queue, self._version)
        known, self._version = self._version, version
        changed = bool(known) and version != known
        for summary in summaries:
            self._tell("job", summary)
        # Before the first look changes may have gone by, and the page may have looked before them.
        if more or not known or (changed and not summaries):
            self._tell("changed", "{}")
        return changed

    def _tell(self, kind: str, data: str) -> None:
        message = encoded(kind, data)
        for listener in self._listeners:
            listener.tell(message)


def encoded(kind: str, data: str) -> bytes:
    """A message as it is sent; JSON has no line breaks."""
    return f"event: {kind}\ndata: {data}\n\n".encode()


def _changes(queue: JobQueue, known: str) -> tuple[str, list[str], bool]:
    """Version of the queue, summaries of jobs that have changed, and whether there are more of them.

    It runs in a thread of its own.
    """
    version = queue.version()
    if not known or version == known:
        return version, [], False
    found = queue.changed_since(known, limit=MOST_AT_ONCE + 1)
    return version, [summary_of(job).model_dump_json() for job in found[:MOST_AT_ONCE]], len(found) > MOST_AT_ONCE


class EventStream(Response):
    """An answer that goes on for as long as somebody listens."""

    def __init__(self, hub: Hub) -> None:
        super().__init__(
            media_type="text/event-stream", headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        )
        del self.headers["content-length"]
        self._hub = hub

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._hub.listening() as listener:
            async with asyncio.TaskGroup() as tasks:
                gone = tasks.create_task(_gone(receive, listener))
                await self._stream(listener, send)
                gone.cancel()

    async def _stream(self, listener: Listener, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        message: bytes | None = b": welcome\n\n"
        with contextlib.suppress(TimeoutError, OSError):
            while message is not None:
                async with asyncio.timeout(PATIENCE):
                    await send({"type": "http.response.body", "body": message, "more_body": True})
                message = await listener.next()
            async with asyncio.timeout(PATIENCE):
                await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _gone(receive: Receive, listener: Listener) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    listener.tell(None)
