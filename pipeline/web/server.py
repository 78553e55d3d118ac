"""Serve the page within the daemon's own event loop."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Iterator
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from .app import make_app
from .service import Service

log = logging.getLogger(__name__)

LONGEST_HEADERS = 32 * 1024
"""Of all headers of a request together [byte]."""

MOST_CONNECTIONS = 200
KEEP_ALIVE = 15
HEAD_TIMEOUT = 20.0
"""The head of a request must be there after so long [s]."""

READ_TIMEOUT = 60.0
"""Whoever takes nothing of an answer for so long is let go [s]."""

GRACE = 3
"""Answers that are being sent get so long when the daemon ends [s]."""


class _Protocol(H11Protocol):
    """Lets go of whoever neither asks nor listens: else a few silent connections would keep everybody else out."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._head: asyncio.TimerHandle | None = None
        self._reading: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch_head()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch_head()

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._head, self._reading):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._reading = self._reading or self.loop.call_later(READ_TIMEOUT, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None

    def _watch_head(self) -> None:
        """The clock runs from the connection, or the first byte of a further request, to the end of its head."""
        if self.conn.their_state is not h11.IDLE:
            if self._head is not None:
                self._head.cancel()
                self._head = None
        elif self._head is None:
            self._head = self.loop.call_later(HEAD_TIMEOUT, self._let_go)

    def _let_go(self) -> None:
        self._head = None
        if self.conn.their_state is h11.IDLE and (self.cycle is None or self.cycle.response_complete):
            self.transport.abort()


class _Server(uvicorn.Server):
    """Signals are the daemon's business, and it is told when the page answers."""

    def __init__(self, config: uvicorn.Config, tell: Callable[[], None]) -> None:
        super().__init__(config)
        self._tell = tell

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer."""
        await super().startup(sockets)
        if self.started:
            self._tell()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve_web(
    service: Service,
    *,
    port: int | None = None,
    listener: socket.socket | None = None,
    started: Callable[[str], None] | None = None,
) -> None:
    """Serve the page until this is cancelled.

    Parameters
    ----------
    service : Service
        The daemon.
    port : int
        Instead of the configured one.
    listener : socket
        From :func:`listen`, for those who want to know early whether the port is free.
    started : callable
        Told the address as soon as the page answers: ``http://127.0.0.1:8077``.

    Raises
    ------
    OSError
        The address cannot be listened on; the message says which.
    """
    web = service.settings.web
    listener = listener or listen(web.host, web.port if port is None else port)
    app = make_app(service)
    config = uvicorn.Config(
        app,
        http=_Protocol,
        loop="none",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        lifespan="on",
        h11_max_incomplete_event_size=LONGEST_HEADERS,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=GRACE,
    )
    server = _Server(config, lambda: started(address_of(listener)) if started else None)
    task = asyncio.create_task(server.serve(sockets=[listener]), name="page")
    try:
        await asyncio.shield(task)
    finally:
        app.state.hub.close()
        server.should_exit = True
        await task
        listener.close()


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens, so that a taken port is known at once and a free one can be chosen."""
    family, _, _, _, address = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)[0]
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        listener.close()
        reason = error.strerror or error
        raise OSError(error.errno, f"the page cannot listen on {host}:{port}: {reason}") from error
    listener.setblocking(False)
    return listener


def address_of(listener: socket.socket) -> str:
    """The address of a page for people and programs on this machine."""
    bound, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(bound, str(bound))
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
