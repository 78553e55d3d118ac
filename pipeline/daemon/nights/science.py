"""Science frames: they go on when their masters are there, or have waited long enough, and anew for better ones."""

import asyncio
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from ..queue import Job, JobQueue
from ..settings import NightsSettings
from .asking import LOOK_EVERY, Library
from .clock import Ages
from .frames import Placed
from .reprocessing import AT_ONCE, LACKED, candidates, to_do_again
from .standing import Build, Standing
from .view import Key
from .waiting import lacking

log = logging.getLogger(__name__)


class Ledger(Protocol):
    """The queue, and how it is asked without waiting for its disk."""

    queue: JobQueue

    async def read(self, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any: ...
    async def write(self, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any: ...


class ScienceFrames:
    """The science frames of all nights.

    Parameters
    ----------
    settings : NightsSettings
        How long they wait.
    ledger : Ledger
        The queue.
    library : Library
        What there is for them.
    ages : Ages
        How old jobs are.
    """

    def __init__(self, settings: NightsSettings, ledger: Ledger, library: Library, ages: Ages) -> None:
        self.settings = settings
        self._ledger = ledger
        self._library = library
        self._ages = ages

    async def may_wait(
        self, chain: str, placed: Placed, last: tuple[Sequence[Standing], Sequence[Build]] | None
    ) -> bool:
        """Whether a frame that comes in now has to wait, at least until somebody has looked what there is for it.

        Parameters
        ----------
        chain : str
            Name of its chain.
        placed : Placed
            Where it belongs.
        last : (sequence of Standing, sequence of Build) or None
            How its night stood a moment ago.
        """
        if self.settings.masters.wait <= 0 or not placed.night:
            return False
        if not (kinds := await self._library.kinds_for(chain)):
            return False
        at_hand = self._library.known(chain, placed)
        return at_hand is None or last is None or bool(lacking(placed, kinds, at_hand, *last))

    async def tend(
        self,
        science: Mapping[tuple[str, Placed], Sequence[Job]],
        found: Sequence[Standing],
        builds: Sequence[Build],
    ) -> float:
        """Let frames of one night and setup go on, or wait; when they want to be looked at again [s from now]."""
        wait = self.settings.masters.wait
        due = LOOK_EVERY
        for (chain, placed), members in science.items():
            await asyncio.sleep(0)  # there may be thousands: others have their turn in between
            lacks = await self._lacks(chain, placed, members[0], found, builds)
            if not lacks:
                await self._ledger.write(self._ledger.queue.release, [job.id for job in members], "")
                continue
            late, early = [], []
            for job in members:
                age = self._ages.age(job.id, job.created)
                (late if age >= wait else early).append(job)
                due = min(due, max(0.0, wait - age))
            await self._end_waiting(late, lacks)
            await self._go_on_waiting(early, lacks)
        return due

    async def reprocess(self, key: Key) -> None:
        """Do frames of a night and setup again that would be calibrated with other masters now."""
        queue = self._ledger.queue
        jobs: list[Job] = await self._ledger.read(candidates, queue, key)
        chains = self._library.chains
        for name in dict.fromkeys(job.chain for job in jobs if job.chain in chains):
            own = [job for job in jobs if job.chain == name]
            for start in range(0, len(own), AT_ONCE):
                some = own[start : start + AT_ONCE]
                again = to_do_again(some, await self._library.masters_for(name, some))
                if again.done:
                    log.info("%d frames of %s are done again with its new masters", len(again.done), key[0])
                    await self._ledger.write(queue.requeue, again.done)
                if again.failed:
                    await self._ledger.write(queue.retry, again.failed)

    async def _lacks(
        self, chain: str, placed: Placed, job: Job, found: Sequence[Standing], builds: Sequence[Build]
    ) -> list[str]:
        """What frames wait for, of which `job` is one; nothing if their chain is not there any more."""
        if not (kinds := await self._library.kinds_for(chain)):
            return []
        at_hand = await self._library.at_hand(chain, placed, job)
        if "error" in at_hand:
            return []  # whoever takes it through the chain finds out what is the matter with the file
        return lacking(placed, kinds, at_hand, found, builds)

    async def _end_waiting(self, jobs: Sequence[Job], lacks: Sequence[str]) -> None:
        if not jobs:
            return
        queue, numbers = self._ledger.queue, [job.id for job in jobs]
        text = "; ".join(lacks)
        if self.settings.masters.policy == "fail":
            log.error("frames have waited long enough for masters: %s", text, extra={"jobs": numbers})
            await self._ledger.write(queue.fail, numbers, LACKED + text)
            return
        log.warning("frames take the nearest masters, after they have waited: %s", text, extra={"jobs": numbers})
        await self._ledger.write(queue.release, numbers, f"takes the nearest masters: {text}")

    async def _go_on_waiting(self, jobs: Sequence[Job], lacks: Sequence[str]) -> None:
        reason = "; ".join(lacks)
        groups: dict[float, list[int]] = {}
        for job in jobs:
            deadline = shown_deadline(job.created, self.settings.masters.wait)
            if job.reason != reason or job.deadline != deadline:
                groups.setdefault(deadline, []).append(job.id)
        for deadline, numbers in groups.items():
            await self._ledger.write(self._ledger.queue.hold, numbers, reason, deadline)


def shown_deadline(created: float, wait: float) -> float:
    """When waiting ends, for people: at a full minute, so that thousands of frames are held by few changes."""
    return 60.0 * math.ceil((created + wait) / 60.0)
