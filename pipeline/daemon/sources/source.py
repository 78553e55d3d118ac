"""What a source is: something that tells the daemon of images, for ever, and never falls over."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from .inspect import Inspected, spelled


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One input that a source has found.

    Attributes
    ----------
    source : str
        Name of the source.
    path : Path or None
        The file; None for an empty image of an interval, and for a message that names nothing that could be taken.
    size, mtime_ns : int
        With the path, the file's identity [byte], [ns since 1970].
    due : float or None
        For intervals: the time for which the run is planned [s since 1970]. It is the same in every daemon.
    origin : str
        Where it comes from, for people: the message, who has uploaded it. The same message has the same origin again.
    problem : str
        Empty, or why it cannot be taken: it becomes a failed job that a person sees.
    facts : mapping
        What a look at the file has shown, JSON data; see :attr:`Inspected.facts`.
    """

    source: str
    path: Path | None = None
    size: int = 0
    mtime_ns: int = 0
    due: float | None = None
    origin: str = ""
    problem: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """What people call it."""
        if self.path is not None:
            return spelled(self.path.name)
        return self.origin or self.source


Hand = Callable[[list[Found]], Awaitable[Any]]
"""Takes what was found; returns when the jobs are in the database, and not before."""

Known = Callable[[str, Sequence[Path]], Awaitable[Mapping[Path, tuple[int, int]]]]
"""``await known(source, paths)``: the newest identity (size, mtime_ns) of those paths that have had a job."""

Ended = Callable[[str, float, bool], Awaitable[Mapping[Path, bool]]]
"""``await ended(source, within, first)``: see :meth:`etendue.pipeline.daemon.queue.JobQueue.ended`."""

Inspect = Callable[[Sequence[Path]], Awaitable[list[Inspected]]]
"""Look at files, one answer for each; see :func:`etendue.pipeline.daemon.sources.inspect.inspect_files`."""


@dataclass(slots=True)
class SourceState:
    """How a source is doing, for the page.

    Attributes
    ----------
    state : {"ok", "holding", "failed"}
        ``holding``: something outside is missing (a folder, a broker) and the source waits for it.
        ``failed``: it does not work until a person changes something. Both keep trying.
    message : str
        Why it is not ok.
    last : float
        When it last found something [s since 1970]; 0 for never.
    count : int
        How many inputs it has handed over since the daemon started.
    waiting : int
        Inputs that it has seen and that are not complete yet.
    lost : bool
        Whether the files that it has found cannot be reached now: its folder is not there.
    notes : tuple of str
        What a person should know besides: links that are not followed, folders that cannot be searched.
    """

    state: Literal["ok", "holding", "failed"] = "ok"
    message: str = ""
    last: float = 0.0
    count: int = 0
    waiting: int = 0
    lost: bool = False
    notes: tuple[str, ...] = ()

    def is_well(self) -> None:
        """Say that it works."""
        self.state, self.message, self.lost = "ok", "", False

    def holds(self, message: str) -> None:
        """Say that it waits for something outside."""
        self.state, self.message = "holding", message

    def fails(self, message: str) -> None:
        """Say that a person has to change something."""
        self.state, self.message = "failed", message


class SourceRunner(Protocol):
    """A source at work.

    Attributes
    ----------
    name, kind : str
        What it is called, and which of the kinds of sources it is.
    where : str
        Its folder or address, for people.
    state : SourceState
        How it is doing.
    """

    name: str
    kind: str
    where: str
    state: SourceState

    async def run(self, hand: Hand) -> None:
        """Find inputs and hand them over, until it is cancelled. Errors are shown in `state` and survived."""
        ...

    async def close(self) -> None:
        """Give back what it holds. It is called after :meth:`run` was cancelled."""
        ...
