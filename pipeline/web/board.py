"""What happens now, looked up once for everybody who wants to know."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

from ..daemon.queue import Filter, JobQueue, JobState
from .service import Service
from .shapes import DaemonInfo, Live, Now, PauseInfo, StepTime, Tally

FRESH = 1.0
"""What was looked up so recently is shown again [s]."""

STATISTICS_FRESH = 5.0
"""The same for what takes a longer look [s]."""

DAY = 86_400.0
VERSION = version("etendue")


@dataclass(slots=True)
class Look:
    """What the queue says."""

    time: float = 0.0
    counts: dict[JobState, int] = field(default_factory=dict)
    oldest_queued: float | None = None
    paused: list[PauseInfo] = field(default_factory=list)
    daemons: list[DaemonInfo] = field(default_factory=list)
    today: Tally = field(default_factory=lambda: Tally(since=0.0, done=0, failed=0, skipped=0, per_hour=0.0))
    steps: list[StepTime] = field(default_factory=list)
    statistics_time: float = 0.0


class Board:
    """Shows what happens now; the queue is asked at most once a second, however many people look.

    Parameters
    ----------
    service : Service
        The daemon.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._look = Look()
        self._lock = asyncio.Lock()

    def outdate(self) -> None:
        """Look anew when the next one asks."""
        self._look.time = 0.0

    async def look(self) -> Look:
        """What the queue says, at most :data:`FRESH` old."""
        async with self._lock:
            if time.monotonic() - self._look.time > FRESH:
                service = self._service
                self._look = await service.db(
                    look_up,
                    service.queue,
                    service.daemon,
                    service.settings.queue.lease,
                    night_began(time.time(), service.settings.nights.noon if service.settings.nights else 12.0),
                    self._look,
                )
            return self._look

    async def now(self) -> Now:
        """All of it."""
        look = await self.look()
        live = Live.model_validate(dict(self._service.now()))
        return Now(
            **{name: getattr(live, name) for name in Live.model_fields},
            name=self._service.settings.name,
            version=VERSION,
            time=time.time(),
            counts=look.counts,
            today=look.today,
            steps=look.steps,
            paused=look.paused,
            daemons=look.daemons,
            oldest_queued=look.oldest_queued,
        )


def night_began(now: float, noon: float) -> float:
    """The last noon: what has come to an end since then belongs to today [s since 1970].

    Parameters
    ----------
    now : float
        [s since 1970]
    noon : float
        Hour (UTC) at which a new night begins.
    """
    return now - (now - noon * 3600.0) % DAY


def look_up(queue: JobQueue, daemon: str, lease: float, since: float, last: Look) -> Look:
    """Ask the queue. It runs in a thread of its own."""
    now = time.time()
    counts = queue.counts()
    oldest = queue.search(Filter(states=(JobState.QUEUED,)), order="oldest", limit=1).jobs
    look = Look(
        time=time.monotonic(),
        counts={state: counts.get(state, 0) for state in JobState},
        oldest_queued=max(0.0, now - oldest[0].created) if oldest else None,
        paused=[PauseInfo(chain=p.chain, reason=p.reason, who=p.who, since=p.since) for p in queue.paused()],
        daemons=[_daemon(row, daemon, lease, now) for row in queue.daemons()],
        today=last.today,
        steps=last.steps,
        statistics_time=last.statistics_time,
    )
    if look.time - last.statistics_time > STATISTICS_FRESH or last.today.since != since:
        tally = queue.statistics(since)
        look.today = Tally(
            since=since,
            done=tally.done,
            failed=tally.failed,
            skipped=tally.skipped,
            per_hour=float(queue.statistics(now - 3600.0).done),
        )
        look.steps = step_times(queue.statistics(now - DAY).steps)
        look.statistics_time = look.time
    return look


def step_times(steps: Sequence[Any]) -> list[StepTime]:
    """How long steps take, from what the queue has counted."""
    return [StepTime(chain=s.chain, step=s.step, count=s.n, median=s.median, p95=s.p95) for s in steps]


def _daemon(row: Any, own: str, lease: float, now: float) -> DaemonInfo:
    return DaemonInfo(
        id=str(row.id),
        host=row.host,
        pid=row.pid,
        version=row.version,
        address=row.address,
        started=row.started,
        last_seen=row.last_seen,
        alive=row.id == own or abs(now - row.last_seen) < 2 * lease,
        self=row.id == own,
    )
