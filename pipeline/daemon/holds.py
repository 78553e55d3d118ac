"""Destinations that cannot be written to: the jobs for them wait, all others go on.

A hold is what this daemon sees itself, and lives in its memory: another daemon on the same queue may well be able to
write there. Held jobs stay queued as they are; they are just not claimed.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..step import explain
from .queue import QueueError
from .work.destinations import Destination
from .work.storage import StorageError, probe

log = logging.getLogger(__name__)

PROBE_EVERY = 2.0
"""Whether a destination can be written to again is tried so often [s]."""

PATIENCE = 10.0
"""A destination that does not answer for so long [s] is held; a server that has gone may never answer."""


@dataclass(slots=True)
class Hold:
    """A destination whose jobs wait.

    Attributes
    ----------
    destination : str
        What the configuration calls it.
    reason : str
        Why it cannot be written to.
    since : float
        [s since 1970]
    jobs : int
        How many are queued for it; as of the last look, at most a few seconds ago.
    is_silent : bool
        It does not answer at all: whoever looks at it, waits.
    """

    destination: str
    reason: str
    since: float = field(default_factory=time.time)
    jobs: int = 0
    is_silent: bool = False

    def __str__(self) -> str:
        since = datetime.fromtimestamp(self.since, UTC)
        waiting = f"since {since:%Y-%m-%d %H:%M:%S} UTC, jobs that wait for it: {self.jobs}"
        return f"destination {self.destination} is held: {self.reason} ({waiting})"

    def to_json(self) -> dict[str, Any]:
        """Plain JSON data."""
        return {"destination": self.destination, "reason": self.reason, "since": self.since, "jobs": self.jobs}


class Holds:
    """The destinations that are held. Each is tried again and again by a task of its own, until it can be written to.

    Parameters
    ----------
    destinations : mapping
        Where products go.
    state : Path
        The daemon's own folder, which jobs need as well.
    count : callable
        ``await count(names)`` tells how many jobs are queued for each destination.
    freed : callable
        Called when a destination can be written to again.
    """

    def __init__(
        self,
        destinations: Mapping[str, Destination],
        state: Path,
        count: Callable[[Collection[str]], Awaitable[Mapping[str, int]]],
        freed: Callable[[], None],
    ) -> None:
        self._destinations = destinations
        self._state = state
        self._count = count
        self._freed = freed
        self._held: dict[str, tuple[Hold, asyncio.Task[None]]] = {}

    def __contains__(self, destination: str) -> bool:
        return destination in self._held

    @property
    def all(self) -> list[Hold]:
        """Those that are held now, the first one first."""
        return [hold for hold, _ in self._held.values()]

    def reason(self, destination: str) -> str:
        """Why a destination is held; empty if it is not."""
        return self._held[destination][0].reason if destination in self._held else ""

    def is_silent(self, destination: str) -> bool:
        """Whether a destination is held since it does not answer: it is not to be asked for anything."""
        return destination in self._held and self._held[destination][0].is_silent

    def note(self, destination: str, reason: str, *, is_silent: bool = False) -> None:
        """Hold a destination, until it can be written to."""
        if destination in self._held:
            self._held[destination][0].reason = reason
            return
        hold = Hold(destination, reason, is_silent=is_silent)
        self._held[destination] = hold, asyncio.create_task(self._watch(hold))

    async def look_at_folders(self) -> None:
        """Hold folders that are not there at the start."""
        for name, destination in self._destinations.items():
            if destination.folder is not None:
                try:
                    await self.asked(destination, destination.check)
                except StorageError as error:
                    self.note(name, str(error))

    async def asked(self, destination: Destination, function: Callable[..., Any], *arguments: Any) -> Any:
        """What a function gives that waits for a destination. A thread that gets no answer is left alone.

        Raises
        ------
        StorageError
            It has not answered, and is held from now on.
        Exception
            Whatever the function raises.
        """
        asking = asyncio.create_task(asyncio.to_thread(function, *arguments))
        try:
            await asyncio.wait([asking], timeout=PATIENCE)
            if asking.done():
                return asking.result()
        finally:
            asking.cancel()
        self.note(destination.name, unanswered(destination), is_silent=True)
        raise StorageError(unanswered(destination))

    async def close(self) -> None:
        """Try nothing any more."""
        tasks = [task for _, task in self._held.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _watch(self, hold: Hold) -> None:
        await self._look_at_queue(hold)
        text = "destination %s cannot be written to: %s; jobs that wait for it: %d; all others go on"
        log.error(text, hold.destination, hold.reason, hold.jobs)
        while True:
            await asyncio.sleep(PROBE_EVERY)
            if (reason := await self._tried(hold)) is None:
                break
            hold.reason, hold.is_silent = reason, False
            await self._look_at_queue(hold)
        seconds = time.time() - hold.since
        text = "destination %s can be written to again, after %.0f s; jobs that have waited for it: %d"
        log.info(text, hold.destination, seconds, hold.jobs)
        del self._held[hold.destination]
        self._freed()

    async def _tried(self, hold: Hold) -> str | None:
        """Why it cannot be written to; None if it can. One that does not answer is waited for, and not asked twice."""
        destination = self._destinations.get(hold.destination)
        if destination is None:
            return None
        trying = asyncio.create_task(asyncio.to_thread(probe, destination, self._state))
        try:
            await asyncio.wait([trying], timeout=PATIENCE)
            while not trying.done():
                hold.reason, hold.is_silent = unanswered(destination), True
                await self._look_at_queue(hold)
                await asyncio.wait([trying], timeout=PATIENCE)
            return trying.result()
        except Exception as error:  # noqa: BLE001 - whatever a driver raises, it is to be tried again
            return explain(error)
        finally:
            trying.cancel()

    async def _look_at_queue(self, hold: Hold) -> None:
        with suppress(QueueError):  # the database is away, and that is shown elsewhere: the last number stands
            hold.jobs = (await self._count([hold.destination])).get(hold.destination, 0)


def unanswered(destination: Destination) -> str:
    """What is said of a destination that does not answer."""
    return f"{destination.url} has not answered for {PATIENCE:g} s; is its disk or server there?"
