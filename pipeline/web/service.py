"""What the page asks the daemon for: :class:`Service`, which ``etendue.pipeline.daemon.service`` fulfils."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ...images import EtendueError

if TYPE_CHECKING:
    from ..daemon.chains import LoadedChain
    from ..daemon.queue import JobQueue
    from ..daemon.settings import Observatory
    from .metrics import Metrics


class Refused(EtendueError):
    """The daemon does not do what it was asked for; the message says why.

    Attributes
    ----------
    status : int
        Of the answer: 404 there is no such thing, 409 it has changed meanwhile, 413 too large, 422 it is wrong,
        503 not now.
    detail : object
        More, as JSON data.
    """

    def __init__(self, status: int, message: str, detail: Any = None) -> None:
        super().__init__(message)
        self.status, self.detail = status, detail


class Clerk(Protocol):
    """A process that computes for the page."""

    async def call(self, function: str, arguments: Mapping[str, Any], *, timeout: float = 60.0) -> Any:  # noqa: ASYNC109
        """The result of a registered function: JSON data, or a mapping that may have bytes in it."""
        ...


class Destination(Protocol):
    """Where products are; see ``etendue.pipeline.daemon.work.destinations``."""

    def location(self, name: str) -> str:
        """Path or address of a product, for people."""
        ...


class Service(Protocol):
    """The daemon, as the page sees it. Everything is called on the daemon's event loop."""

    @property
    def settings(self) -> "Observatory":
        """The configuration in use."""
        ...

    @property
    def settings_file(self) -> Path | None:
        """Where it was read from."""
        ...

    @property
    def daemon(self) -> str:
        """Our name in the queue."""
        ...

    @property
    def started(self) -> float:
        """[s since 1970]"""
        ...

    @property
    def queue(self) -> "JobQueue":
        """To be used through :meth:`db` and :meth:`change`."""
        ...

    @property
    def page_clerk(self) -> Clerk:
        """Renders pictures, reads headers, validates chains."""
        ...

    @property
    def chains(self) -> "Mapping[str, LoadedChain]":
        """The chains in use, by name."""
        ...

    @property
    def chain_problems(self) -> Mapping[str, list[str]]:
        """Why the file of a chain, as it is now, was not taken over."""
        ...

    @property
    def destinations(self) -> Mapping[str, Any]:
        """Where products are, by name."""
        ...

    @property
    def metrics(self) -> "Metrics | None":
        """Told of each image that has come to an end; the page shows it at /metrics."""
        ...

    async def db(self, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """Look something up: ``await service.db(service.queue.get, 3)``."""
        ...

    async def change(self, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """Change something in the queue, and let the daemon act on it at once."""
        ...

    async def at_destination(self, name: str, function: Callable[..., Any], *arguments: Any) -> Any:
        """What a function gives that waits, not for long, for the disk or server of a destination.

        Raises
        ------
        Refused
            It does not answer (503).
        """
        ...

    def now(self) -> Mapping[str, Any]:
        """What the daemon knows of itself, at once: :class:`~etendue.pipeline.web.shapes.Live`."""
        ...

    def running(self) -> Mapping[int, tuple[float, str]]:
        """Jobs that are in work here: since when, and in which step."""
        ...

    def subscribe(self) -> AsyncIterator[Mapping[str, Any]]:
        """What happens: ``{"job": number}`` when a job changes, and whatever else; it may leave something out."""
        ...

    def ready(self) -> list[str]:
        """Why the daemon cannot do its work; empty if it can."""
        ...

    def reload(self) -> Awaitable[list[str]]:
        """Read the configuration and chains again: why something was not taken over."""
        ...

    def upload(
        self, source: str, filename: str, stream: AsyncIterator[bytes], length: int | None, who: str
    ) -> Awaitable[int]:
        """Take a file: the number of its job.

        Raises
        ------
        Refused
            There is no such source (404), the file is too large (413), incomplete (400) or no image (422).
        """
        ...

    def save_chain(self, name: str, text: str, base: str) -> Awaitable[list[str]]:
        """Write the file of a chain and take it over: why it was not taken over.

        Raises
        ------
        Refused
            It is a built-in one (409), or `base` is not the hash of what the file holds now (409).
        """
        ...
