"""A chain that runs again and again, on an empty image."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from ..settings import IntervalSource
from .source import Found, Hand, SourceState

log = logging.getLogger(__name__)

Busy = Callable[[str], Awaitable[bool]]
"""``await busy(source)``: whether an earlier run is still open."""


class IntervalRunner:
    """Asks for a run at each full multiple of the interval.

    All daemons on one queue ask for the same times, so that each run takes place once. What was missed is not made up
    for; a run that would begin while the last one is not finished is left out.

    Parameters
    ----------
    settings : IntervalSource
        What is configured.
    busy : callable
        Whether an earlier run is still open.
    """

    kind = "interval"

    def __init__(self, settings: IntervalSource, *, busy: Busy | None = None) -> None:
        self.name = settings.name or f"every {settings.interval:g} s"
        self.where = f"every {settings.interval:g} s"
        self.state = SourceState()
        self._interval = settings.interval
        self._busy = busy

    async def run(self, hand: Hand) -> None:
        """Ask for runs until cancelled."""
        # After the start only the monotonic clock counts: a clock that is set back asks for no time twice.
        begin, started = time.time() // self._interval * self._interval, time.monotonic()
        late = time.time() - begin
        number = 0
        while True:
            try:
                await self._ask(begin + number * self._interval, hand)
            except Exception as error:
                log.exception("source %s: a run was left out", self.name)
                self.state.holds(f"{type(error).__name__}: {error}")
            elapsed = time.monotonic() - started + late
            number = max(number, int(elapsed // self._interval)) + 1
            await asyncio.sleep(number * self._interval - elapsed)

    async def _ask(self, due: float, hand: Hand) -> None:
        if self._busy is not None and await self._busy(self.name):
            self.state.notes = ("the last run is not finished, so the next one was left out",)
            return
        await hand([Found(source=self.name, due=due, origin=f"{self.name}, {_clock(due)}")])
        self.state.is_well()
        self.state.notes = ()
        self.state.count += 1
        self.state.last = time.time()

    async def close(self) -> None:
        """There is nothing to give back."""


def _clock(due: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(due))
