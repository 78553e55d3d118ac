"""What the daemon shows of itself and lets others do: the page, the API and the command line talk to this."""

import asyncio
import contextlib
import hashlib
import logging
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from ..web.service import Refused
from .chains import LoadedChain
from .lag import LagMeter
from .ledger import Ledger
from .settings import Observatory, UploadSource
from .sources import SourceRunner
from .work.destinations import Destination
from .work.fleet import Clerk, Fleet
from .work.storage import StorageError

if TYPE_CHECKING:
    from ..web.metrics import Metrics
    from .foreman import Foreman
    from .intake import Intake
    from .nights import NightKeeper

log = logging.getLogger(__name__)

MOST_UNREAD = 1000
"""Events that a slow reader may leave unread; after that it is told to look at everything anew."""


class Service:
    """The daemon as others see it.

    Attributes
    ----------
    settings : Observatory
        The configuration in use.
    settings_file : Path
        Where it was read from.
    daemon : str
        Our name in the queue.
    chains : dict of str to LoadedChain
        The chains in use.
    chain_problems : dict of str to list of str
        Why a chain's file, as it is now, is not taken over.
    problems : list of str
        The same for the configuration.
    troubles : dict of str to str
        Parts of the daemon that do not work at the moment, and why; they are tried again.
    """

    def __init__(self, settings: Observatory, path: Path, daemon: str, ledger: Ledger) -> None:
        self.settings = settings
        self.settings_file = path
        self.daemon = daemon
        self.ledger = ledger
        self.queue = ledger.queue
        self.started = time.time()
        self.lag = LagMeter()
        self.chains: dict[str, LoadedChain] = {}
        self.chain_problems: dict[str, list[str]] = {}
        self.problems: list[str] = []
        self.troubles: dict[str, str] = {}
        self.destinations: dict[str, Destination] = {}
        self.sources: dict[str, SourceRunner] = {}
        self.nights: NightKeeper | None = None
        self.draining = False
        self.serving = False
        self.fleet: Fleet
        self.foreman: Foreman
        self.intake: Intake
        self.page_clerk: Clerk
        self._listeners: set[asyncio.Queue[dict[str, Any]]] = set()
        self._disks: list[dict[str, Any]] = []
        self._memory: dict[str, int] = {}
        self.metrics: Metrics | None = None
        self.reload_now: Any = None
        self.take_upload: Any = None

    # --- the queue ------------------------------------------------------------------------------------------------

    async def db(self, function: Any, *arguments: Any, **options: Any) -> Any:
        """Look something up in the queue."""
        return await self.ledger.read(function, *arguments, **options)

    async def change(self, function: Any, *arguments: Any, **options: Any) -> Any:
        """Change something in the queue; what is new to do is begun at once."""
        result = await self.ledger.write(function, *arguments, **options)
        self.foreman.wake()
        self.tell({"changed": True})
        return result

    async def at_destination(self, name: str, function: Any, *arguments: Any) -> Any:
        """What a function gives that waits, not for long, for the disk or server of a destination.

        Raises
        ------
        Refused
            It does not answer, and is held.
        """
        holds = self.foreman.holds
        if holds.is_silent(name):
            raise Refused(503, f"destination {name} is held: {holds.reason(name)}")
        try:
            return await holds.asked(self.destinations[name], function, *arguments)
        except StorageError as error:
            raise Refused(503, str(error)) from error

    # --- events ---------------------------------------------------------------------------------------------------

    def tell(self, event: dict[str, Any]) -> None:
        """Tell everybody who listens."""
        for listener in self._listeners:
            if listener.qsize() < MOST_UNREAD:
                listener.put_nowait(event)

    @contextlib.asynccontextmanager
    async def subscription(self) -> AsyncIterator["asyncio.Queue[dict[str, Any]]"]:
        """A queue of events, for as long as the context lasts."""
        events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._listeners.add(events)
        try:
            yield events
        finally:
            self._listeners.discard(events)

    async def subscribe(self) -> AsyncIterator[dict[str, Any]]:
        """What happens: ``{"job": 7, "state": "done"}``, or ``{"changed": True}``: look anew."""
        async with self.subscription() as events:
            while True:
                yield await events.get()

    # --- facts ----------------------------------------------------------------------------------------------------

    def now(self) -> dict[str, Any]:
        """What happens at this moment; nothing is looked up for it."""
        lag = self.lag.facts()
        workers = [fact.to_json() for fact in self.fleet.facts()]
        return {
            "daemon": self.daemon,
            "started": self.started,
            "draining": self.draining,
            "holding": self.holding(),
            "held": [hold.to_json() for hold in self.foreman.holds.all],
            "problems": [
                *self.problems,
                *(line for lines in self.chain_problems.values() for line in lines),
                *self._troubles(),
            ],
            "workers": workers,
            "worker_count": self.fleet.workers,
            "sources": [self._source(runner) for runner in self.sources.values()],
            "disks": [{**disk, "reason": self.foreman.holds.reason(disk["name"])} for disk in self._disks],
            "memory": {
                "limit": self.fleet.memory,
                "used": self.fleet.used,
                "workers": sum(worker["resident"] for worker in workers),
                **self._memory,
            },
            "loop_lag": {
                "p50": lag["median"],
                "p99": lag["p99"],
                "p999": lag["p999"],
                "longest": lag["max"],
                "samples": int(lag["measured"]),
            },
        }

    def holding(self) -> list[str]:
        """Why nothing at all is begun at the moment."""
        return [f"the queue cannot be written: {self.ledger.trouble}"] if self.ledger.trouble else []

    def ready(self) -> list[str]:
        """Why the daemon cannot do its work at the moment; empty if it can."""
        reasons = [*self.holding(), *map(str, self.foreman.holds.all), *self._troubles()]
        if not self.serving:
            reasons.append("it is starting")
        if self.draining:
            reasons.append("it finishes what runs, and ends")
        runners = self.sources.values()
        return reasons + [f"source {one.name}: {one.state.message}" for one in runners if one.state.state != "ok"]

    def _troubles(self) -> list[str]:
        return [f"{what}: {why}; trying again" for what, why in self.troubles.items()]

    def running(self) -> dict[int, tuple[float, str]]:
        """Jobs that are in work here: since when, and in which step."""
        return {number: (work.since, work.step or work.phase) for number, work in self.foreman.in_work.items()}

    async def look_around(self) -> None:
        """Refresh what takes a look at disks and processes. Called every few seconds."""
        holds = self.foreman.holds
        destinations = {name: one for name, one in self.destinations.items() if not holds.is_silent(name)}
        self._disks, self._memory = await asyncio.to_thread(_disks_and_memory, self.settings, destinations)

    def _source(self, runner: SourceRunner) -> dict[str, Any]:
        state = runner.state
        return {
            "name": runner.name,
            "kind": runner.kind,
            "state": state.state,
            "message": state.message,
            "last": state.last,
            "count": state.count,
            "where": runner.where,
            "waiting": state.waiting,
            "notes": list(state.notes),
        }

    # --- what others may do ----------------------------------------------------------------------------------------

    async def reload(self) -> list[str]:
        """Read the configuration and its chains again.

        Returns
        -------
        list of str
            Why something was not taken over; what was valid before goes on.
        """
        return await self.reload_now()

    async def upload(
        self, source: str, filename: str, stream: AsyncIterator[bytes], length: int | None = None, who: str = ""
    ) -> int:
        """Take a file; its job is in the queue when this returns.

        Raises
        ------
        Refused
            There is no upload of this name, or the file is too large, cut off, or no image.
        """
        settings = next((one for one in self.settings.sources if one.name == source), None)
        if not isinstance(settings, UploadSource):
            raise Refused(404, f"there is no upload '{source}'")
        return await self.take_upload(settings, filename, stream, length, who)

    async def night_summary(self, night: str) -> dict[str, Any]:
        """One night: what makes which master, what became of it, and how good its frames are."""
        from .nights import night_summary

        masters = None if self.settings.nights is None else self.settings.nights.masters
        return await self.db(night_summary, self.queue, night, masters)

    async def save_chain(self, name: str, text: str, base: str) -> list[str]:
        """Write a chain's file and take it over.

        Parameters
        ----------
        name : str
            The chain.
        text : str
            Its new text, which has been validated.
        base : str
            Hash of the text that was edited, see :func:`text_hash`.

        Raises
        ------
        Refused
            The chain came with the package, was changed by somebody else meanwhile, or cannot be written.
        """
        chain = self.chains[name]
        if chain.builtin:
            raise Refused(409, f"chain '{name}' came with etendue and is not changed; copy it to a file of your own")
        await asyncio.to_thread(_write_chain, chain.file, text, base)
        log.info("chain %s was saved", name, extra={"chain": name})
        return await self.reload()


def text_hash(text: str) -> str:
    """What identifies the text of a chain."""
    return hashlib.sha256(text.encode()).hexdigest()


def _write_chain(path: Path, text: str, base: str) -> None:
    from ...images.io import atomic_write

    try:
        if text_hash(path.read_text(encoding="utf-8-sig")) != base:
            raise Refused(409, f"{path.name} was changed by somebody else meanwhile; load it again")
        with atomic_write(path) as file:
            file.write(text.encode())
    except OSError as error:
        raise Refused(503, f"{path} cannot be written: {error.strerror or error}") from error


def _disks_and_memory(
    settings: Observatory, destinations: Mapping[str, Destination]
) -> tuple[list[dict[str, Any]], dict[str, int]]:
    import shutil

    disks = []
    for name, destination in destinations.items():
        free, total = destination.space()
        disks.append({"name": name, "location": str(destination.url), "free": free, "total": total})
    with contextlib.suppress(OSError):
        usage = shutil.disk_usage(settings.state)
        disks.append({"name": "state", "location": str(settings.state), "free": usage.free, "total": usage.total})
    machine = psutil.virtual_memory()
    memory = {"daemon": psutil.Process().memory_info().rss, "available": machine.available, "total": machine.total}
    return disks, memory
