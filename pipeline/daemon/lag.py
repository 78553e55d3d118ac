"""How long the daemon's event loop keeps everybody waiting."""

import asyncio
import time

BINS_PER_DECADE = 20
FIRST = 1e-4
"""Upper edge of the first bin [s]."""

BINS = 100
PERIOD = 0.05
"""Seldom enough to cost nothing: a hundred times a second were a tenth of what the loop does under load [s]."""


class LagMeter:
    """Measures by how much the loop wakes a sleeper too late, twenty times a second.

    The measurements are kept as a histogram with twenty bins a decade: a percentile is right within 12 %.
    """

    def __init__(self) -> None:
        self._counts = [0] * BINS
        self.measured = 0
        self.worst = 0.0

    async def run(self) -> None:
        """Measure for ever."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + PERIOD
            await asyncio.sleep(PERIOD)
            self.note(max(0.0, loop.time() - due))

    def note(self, seconds: float) -> None:
        """Add a measurement [s]."""
        from math import ceil, log10

        index = 0 if seconds <= FIRST else min(BINS - 1, ceil(BINS_PER_DECADE * log10(seconds / FIRST)))
        self._counts[index] += 1
        self.measured += 1
        self.worst = max(self.worst, seconds)

    def percentile(self, percent: float) -> float:
        """The lag that so many percent of the measurements do not exceed [s]."""
        wanted, seen = self.measured * percent / 100, 0
        for index, count in enumerate(self._counts):
            seen += count
            if seen >= wanted and seen:
                return min(self.worst, FIRST * 10 ** (index / BINS_PER_DECADE))
        return 0.0

    def facts(self) -> dict[str, float]:
        """Median, 99th and 99.9th percentile, and the longest [s]."""
        return {
            "median": self.percentile(50),
            "p99": self.percentile(99),
            "p999": self.percentile(99.9),
            "max": self.worst,
            "measured": float(self.measured),
            "time": time.time(),
        }
