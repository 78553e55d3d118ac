"""The sources of an observatory, ready to run."""

import asyncio
import hashlib
import platform
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ..queue import OPEN_STATES, Filter, JobKind
from ..settings import IntervalSource, MqttSource, NatsSource, Observatory, UploadSource, WatchSource
from ..work.calls import CallError
from .inspect import Inspected
from .interval import Busy, IntervalRunner
from .messages import MessageReader, MqttRunner, NatsRunner
from .source import Ended, Inspect, Known, SourceRunner
from .upload import UploadRunner
from .watch import WatchRunner
from .watch.search import companions_in

HARMFUL = ("time", "died", "memory")
"""Ways in which a look at a file can fail that are the file's fault."""

INCOMING = "incoming"
"""Folder for files that are sent to us, in the folder of the daemon."""


class Reader(Protocol):
    """Who asks the queue, off the event loop."""

    queue: Any

    async def read(self, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """Call a function of the queue."""
        ...


def make_sources(
    settings: Observatory,
    chains: Mapping[str, Any],
    *,
    queue: Reader,
    inspect: Callable[..., Awaitable[Any]],
) -> dict[str, SourceRunner]:
    """A runner for each source.

    Parameters
    ----------
    settings : Observatory
        The configuration.
    chains : mapping
        The loaded chains by name; what they say of reading files and of header cards is asked for anew each time.
    queue : Reader
        The queue.
    inspect : callable
        ``await inspect(function, arguments)`` runs a function of the clerk.

    Returns
    -------
    dict
        The runners by name.

    Raises
    ------
    ConfigError
        A library is missing, or an address makes no sense.
    """

    async def known(source: str, paths: Sequence[Path]) -> Mapping[Path, tuple[int, int]]:
        return await queue.read(queue.queue.known, source, paths)

    async def ended(source: str, within: float, first: bool) -> Mapping[Path, bool]:
        return await queue.read(queue.queue.ended, source, within, first=first)

    async def busy(source: str) -> bool:
        open_runs = Filter(source=source, kind=JobKind.TICK, states=OPEN_STATES)
        return (await queue.read(queue.queue.search, open_runs, limit=1)).total > 0

    tools = _Tools(known, ended, busy, folders_of_ours(settings), _identity(settings))
    return {
        str(source.name): _runner(source, settings, chains, tools, _looker(source, settings, chains, inspect))
        for source in settings.sources
    }


@dataclass(frozen=True, slots=True)
class _Tools:
    """What all sources share."""

    known: Known
    ended: Ended
    busy: Busy
    apart: Sequence[Path]
    identity: str


def _identity(settings: Observatory) -> str:
    """What tells this daemon from all others; the same after a restart."""
    return hashlib.sha256(f"{platform.node()}\n{settings.state}".encode()).hexdigest()


def _runner(
    source: Any, settings: Observatory, chains: Mapping[str, Any], tools: _Tools, look: Inspect
) -> SourceRunner:
    folder = settings.state / INCOMING / str(source.name)
    match source:
        case WatchSource():
            chain = settings.chains.get(source.chain) if source.chain else None
            loaded = chains.get(source.chain) if source.chain else None
            return WatchRunner(
                source,
                known=tools.known,
                inspect=look,
                apart=tools.apart,
                companions=companions_in({} if loaded is None else loaded.read),
                newest_first=chain is not None and chain.order == "newest",
            )
        case UploadSource():
            return UploadRunner(source, folder=folder, known=tools.known, inspect=look)
        case IntervalSource():
            return IntervalRunner(source, busy=tools.busy)
        case MqttSource() | NatsSource():
            reader = MessageReader(
                source, name=str(source.name), folder=folder, known=tools.known, ended=tools.ended, inspect=look
            )
            if isinstance(source, MqttSource):
                return MqttRunner(source, reader=reader, identity=tools.identity)
            return NatsRunner(source, reader=reader)
    raise TypeError(f"{type(source).__name__} is no source that is known here")


def _looker(
    source: Any, settings: Observatory, chains: Mapping[str, Any], call: Callable[..., Awaitable[Any]]
) -> Inspect:
    """Looks at files in another process, by the rules of a source."""

    async def look(paths: Sequence[Path]) -> list[Inspected]:
        rules = rules_for(source, chains, settings.nights)
        try:
            answers = await call("inspect", {"paths": [str(path) for path in paths], **rules})
        except CallError as error:
            if error.cause not in HARMFUL:
                raise
            if len(paths) > 1:  # one of them has ended the clerk, or held it up
                return [one for path in paths for one in await look([path])]
            return [await asyncio.to_thread(_harmful, paths[0], str(error))]
        return [Inspected.from_json(answer) for answer in answers]

    return look


def _harmful(path: Path, error: str) -> Inspected:
    """A file on which the clerk has died: nobody should read it before a person has looked."""
    try:
        facts = path.stat()
    except OSError:
        return Inspected(path=path, exists=False, why="there is no such file")
    why = f"could not be looked at: {error}"
    return Inspected(path=path, size=facts.st_size, mtime_ns=facts.st_mtime_ns, whole=True, why=why, hostile=True)


def rules_for(source: Any, chains: Mapping[str, Any], nights: Any) -> dict[str, Any]:
    """What an inspection must know to tell a file's chain and type, as :class:`.inspect.Rules` has it."""
    chain = chains.get(source.chain) if source.chain else None
    return {
        "choose": [None if choice.when is None else choice.when.model_dump(mode="json") for choice in source.choose],
        "frame_types": None
        if nights is None or not source.nights
        else [rule.model_dump(mode="json") for rule in nights.frame_types],
        "noon": 12.0 if nights is None else nights.noon,
        "keywords": {} if chain is None else dict(chain.keywords),
        "read": {} if chain is None else dict(chain.read),
    }


def folders_of_ours(settings: Observatory) -> list[Path]:
    """Folders in which nothing is raw: the daemon's own, those of products, the library of masters."""
    own = [settings.state]
    own += [Path(one.url.removeprefix("file://")) for one in settings.destinations.values() if _is_folder(one.url)]
    if settings.nights is not None:
        own.append(settings.nights.library)
    return own


def _is_folder(url: str) -> bool:
    return "://" not in url or url.startswith("file://")
