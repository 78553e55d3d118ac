"""How an attempt at a job ends: what the queue is told, what is thrown away, and what is held while a disk is full."""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from ..running.outcome import Outcome
from .chains import LoadedChain
from .holds import Holds
from .ledger import Ledger
from .queue import Job, JobQueue, JobState, LostLease, NameTaken, Record
from .settings import MqttSource, NatsSource, Observatory, WatchSource
from .work.destinations import Destination
from .work.publish import clear_staging

log = logging.getLogger(__name__)

LONGEST_BACKOFF = 600.0
MOST_RETURNS = 5
"""So often a job is given back, uncharged, since a disk is full that has room again when it is tried."""

LAST_WRITES = 6.0
"""At the end, so long is waited for a queue that cannot be written [s]; the next daemon takes up what is left."""


LOOK_AGAIN = (WatchSource, MqttSource, NatsSource)
"""Sources that find what has taken the place of a file."""


@dataclass(slots=True)
class InWork:
    """A job that is being done, for those who look."""

    job: Job
    since: float = field(default_factory=time.time)
    step: str = ""
    phase: str = "waits for a worker"


class Endings:
    """The jobs that are in work, and the ways in which they cease to be.

    Parameters
    ----------
    settings : Observatory
        Folder for what is not complete.
    ledger : Ledger
        The queue.
    chains : mapping
        The chains by name.
    destinations : mapping
        Where products go.
    tell : callable
        Told each job whose state has changed: its number, and its new state.
    ended : callable
        Told each attempt that has come to an end: the job, how, and what is to be remembered.
    """

    def __init__(
        self,
        settings: Observatory,
        ledger: Ledger,
        chains: Mapping[str, LoadedChain],
        destinations: Mapping[str, Destination],
        *,
        tell: Callable[[int, str], None],
        ended: Callable[[Job, str, Record], None],
    ) -> None:
        self.settings = settings
        self.ledger = ledger
        self.chains = chains
        self.destinations = destinations
        self.in_work: dict[int, InWork] = {}
        self.holds = Holds(destinations, settings.state, partial(ledger.read, ledger.queue.queued_for), self.wake)
        self._tell = tell
        self._attempt_ended = ended
        self._returned: dict[int, int] = {}
        self._missing_since: dict[int, float] = {}
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """There may be something to do."""
        self._wake.set()

    def _attempts(self, job: Job) -> int:
        chain = self.chains.get(job.chain)
        return 3 if chain is None else chain.settings.attempts

    # --- how it ends ----------------------------------------------------------------------------------------------

    async def _end(self, job: Job, state: JobState, record: Record, staging: Path | None) -> None:
        try:
            await self.ledger.write(self.ledger.queue.finish, job.id, job.token, state, record)
        except LostLease as error:
            await self._lost(job, staging, error)
            return
        self._attempt_ended(job, state, record)
        level = logging.ERROR if state is JobState.FAILED else logging.INFO
        text = f"{state} in {record.seconds:.2f} s" if not record.error else f"{state}: {record.error}"
        log.log(level, text, extra=log_names(job, record.step))
        await self._clear(staging)
        self._forget(job, state)

    async def _later(self, job: Job, attempts: int, backoff: float, record: Record, staging: Path | None) -> None:
        delay = min(LONGEST_BACKOFF, backoff * 2 ** (job.attempts - 1)) * random.uniform(1.0, 1.2)
        try:
            write, later = self.ledger.write, self.ledger.queue.retry_later
            state = await write(later, job.id, job.token, record, delay=delay, attempts=attempts)
        except LostLease as error:
            await self._lost(job, staging, error)
            return
        self._attempt_ended(job, "failed" if state is JobState.FAILED else "retry", record)
        if state is JobState.FAILED:
            log.error(
                "failed: %s (attempt %d, the last one)", record.error, job.attempts, extra=log_names(job, record.step)
            )
        else:
            text = "attempt %d of %d failed: %s; once more in %.0f s"
            log.warning(text, job.attempts, attempts, record.error, delay, extra=log_names(job, record.step))
        await self._clear(staging)
        self._forget(job, state)

    async def _return(self, job: Job, reason: str, *, delay: float = 0.0, staging: Path | None = None) -> None:
        """Give a job back; the attempt is not charged."""
        try:
            await self.ledger.write(self.ledger.queue.give_back, job.id, job.token, reason, delay=delay)
        except LostLease as error:
            log.warning("%s", error, extra=log_names(job))
        await self._clear(staging)
        self._forget(job, JobState.QUEUED)

    async def _cut_off(self, job: Job, staging: Path | None) -> None:
        """Give a job back whose task ends; however often it is told to, not before that is written down."""
        returning = asyncio.ensure_future(self._return(job, "the daemon was ended", staging=staging))
        end = time.monotonic() + LAST_WRITES
        while not returning.done() and time.monotonic() < end:
            with suppress(asyncio.CancelledError):
                await asyncio.wait([returning], timeout=end - time.monotonic())

    async def _replaced(self, job: Job, record: Record, staging: Path) -> None:
        """The file is another one than the job was made for; its source makes a job of what is there now."""
        if await asyncio.to_thread(_is_as_it_was, job):  # then there is nothing new that a source could find
            await self._later(job, self._attempts(job), 1.0, record, staging)
            return
        source = next((one for one in self.settings.sources if one.name == job.source), None)
        if not isinstance(source, LOOK_AGAIN):
            text = f"the file was replaced, and no source looks at it again: {record.error}"
            await self._end(job, JobState.FAILED, replace(record, error=text), staging)
            return
        said = replace(record, step="", error=f"the file was replaced: {record.error}")
        await self._end(job, JobState.SKIPPED, said, staging)

    async def _hold(self, job: Job, reason: str, *, staging: Path | None = None) -> None:
        """A disk is full or gone: nobody's fault, and no job for it is tried before it is there again.

        Where the disk has had room again each time, it is the job that fills it, or a disk that is not ours.
        """
        self._returned[job.id] = self._returned.get(job.id, 0) + 1
        if self._returned[job.id] > MOST_RETURNS:
            del self._returned[job.id]
            await self._later(job, self._attempts(job), LONGEST_BACKOFF / 10, Record(error=reason), staging)
            return
        self.holds.note(job.destination, reason)
        await self._return(job, reason, staging=staging)

    async def _lost(self, job: Job, staging: Path | None, error: LostLease) -> None:
        log.warning("%s; what was made of it here is thrown away", error, extra=log_names(job))
        await self._clear(staging)
        self._forget(job)

    async def _clear(self, staging: Path | None) -> None:
        if staging is not None:
            await asyncio.to_thread(clear_staging, staging)

    def _forget(self, job: Job, state: JobState | str = "") -> None:
        if (work := self.in_work.get(job.id)) is not None and work.job.token == job.token:
            del self.in_work[job.id]
        if state and state != JobState.QUEUED:
            self._missing_since.pop(job.id, None)
            self._returned.pop(job.id, None)
        self.wake()
        if state:
            self._tell(job.id, state)


def _is_as_it_was(job: Job) -> bool:
    """Whether the file of a job is, again, the version that it was made for."""
    try:
        facts = job.path.stat() if job.path is not None else None
    except OSError:
        return False
    return facts is not None and (facts.st_size, facts.st_mtime_ns) == (job.size, job.mtime_ns)


def record_of(outcome: Outcome, fingerprint: str) -> Record:
    """What the queue keeps of an outcome."""
    return Record(
        fingerprint=fingerprint,
        step=outcome.step,
        error=outcome.error,
        traceback=outcome.traceback,
        log=outcome.log,
        seconds=outcome.seconds,
        timings=outcome.timings,
        facts=outcome.facts,
        notes=outcome.notes,
        checksum=outcome.checksum,
        cause=outcome.cause,
    )


def collision(taken: NameTaken, record: Record) -> tuple[JobState, Record]:
    """What becomes of a job whose product another one has already made under the same name."""
    if taken.same_content or taken.newer:
        return JobState.SKIPPED, replace(record, step="", error=str(taken))
    return JobState.FAILED, replace(record, step="publish", error=str(taken))


def give_back_all(queue: JobQueue, daemon: str) -> list[Job]:
    """Return all jobs of a daemon that ends; those whose products are listed are for whoever finds them."""
    jobs = [job for job in queue.running(daemon) if not job.manifest]
    for job in jobs:
        queue.give_back(job.id, job.token, "the daemon was ended")
    return jobs


def log_names(job: Job, step: str = "") -> dict[str, Any]:
    """What a line of the log says about where it belongs."""
    return {"job": job.id, "image": job.label, "chain": job.chain, **({"step": step} if step else {})}
