"""The foreman: takes jobs from the queue, gives them to workers, and puts what they make into its place.

A job's way, and what remains of it if everything ends at that point:

===========================================  =================================================================
claimed: it is ours, by a token              it is queued again
taken through the chain, into a staging      the staging folder is thrown away, the job is queued again
folder of its own
its products are listed in the queue         whoever finds the job puts the products into their places
products are renamed into their places       the same; those that are there already stay
done                                         done
===========================================  =================================================================
"""

import asyncio
import logging
import random
import time
import traceback
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ...images import ImageError
from ..running.outcome import Outcome
from ..running.shipping import Chain
from ..step import explain
from .chains import LoadedChain
from .ledger import Ledger
from .queue import Job, JobKind, JobState, LostLease, NameTaken, Piece, Record
from .settings import Observatory
from .work.destinations import Destination
from .work.fleet import Fleet, Work
from .work.publish import clear_staging, make_staging, manifest_of, publish, staging_of
from .work.storage import StorageError, is_storage_problem, probe

log = logging.getLogger(__name__)

LONGEST_BACKOFF = 600.0
PROBE_EVERY = 2.0
"""Whether a full disk has room again is tried so often [s]."""

WAIT_FOR_MISSING = 15.0
"""Before it is tried again to read a file that is not there [s]; by then its source knows whether its folder is."""

MOST_RETURNS = 5
"""So often a job is given back, uncharged, since a disk is full that has room again when it is tried."""

LOOK_EVERY = 1.0
"""The queue is asked for jobs at least so often [s]: another daemon or a person may have added some."""


@dataclass(slots=True)
class InWork:
    """A job that is being done, for those who look."""

    job: Job
    since: float = field(default_factory=time.time)
    step: str = ""
    phase: str = "waits for a worker"


class Foreman:
    """Keeps the workers busy.

    Parameters
    ----------
    settings : Observatory
        Folder for what is not complete; workers.
    daemon : str
        Who we are in the queue.
    ledger : Ledger
        The queue.
    fleet : Fleet
        The workers.
    chains : mapping
        The chains by name; what it holds at the moment a job is claimed counts.
    destinations : mapping
        Where products go.
    tell : callable
        Told each job whose state has changed: its number, and its new state.
    make_masters : callable
        Takes a job of kind MASTERS through a worker, and gives the facts to be noted with it.
    held_sources : callable
        The names of sources whose folders are not there at the moment.
    ended : callable
        Told each attempt that has come to an end: the job, how, and what is to be remembered.
    """

    def __init__(
        self,
        settings: Observatory,
        daemon: str,
        ledger: Ledger,
        fleet: Fleet,
        chains: Mapping[str, LoadedChain],
        destinations: Mapping[str, Destination],
        *,
        tell: Callable[[int, str], None],
        make_masters: Callable[[Job], Awaitable[dict[str, Any]]],
        held_sources: Callable[[], set[str]],
        ended: Callable[[Job, str, Record], None],
    ) -> None:
        self.settings = settings
        self.daemon = daemon
        self.ledger = ledger
        self.fleet = fleet
        self.chains = chains
        self.destinations = destinations
        self.in_work: dict[int, InWork] = {}
        self._returned: dict[int, int] = {}
        self.holds: dict[str, str] = {}
        """Destinations that cannot be written to, and why."""
        self._tell = tell
        self._make_masters = make_masters
        self._held_sources = held_sources
        self._attempt_ended = ended
        self._tasks: dict[asyncio.Task[None], int] = {}
        self._missing_since: dict[int, float] = {}
        self._wake = asyncio.Event()
        self._draining = False

    def wake(self) -> None:
        """There may be something to do."""
        self._wake.set()

    def entered(self, job: int, step: str) -> None:
        """Note the step that a job is in."""
        if (work := self.in_work.get(job)) is not None:
            work.step, work.phase = step, "running"

    async def run(self) -> None:
        """Work until :meth:`drain`."""
        while not self._draining:
            self._wake.clear()
            for name in list(self.holds):
                await self._try_again(name)
            room = self.fleet.workers + 1 - sum(work.phase != "publishing" for work in self.in_work.values())
            jobs = await self._claim(room) if room > 0 and not self.holds else []
            if self._draining:
                await self._give_back(jobs)
                return
            for job in jobs:
                self.in_work[job.id] = InWork(job)
                self._tell(job.id, JobState.RUNNING)
                self._start(job, self._one(job))
            await self._pause(PROBE_EVERY if self.holds else LOOK_EVERY)

    async def recover(self, jobs: list[Job]) -> None:
        """Put the products of jobs into their places whose daemon died while it did so."""
        for job in jobs:
            self.in_work[job.id] = InWork(job, phase="publishing")
            self._start(job, self._publish(job, job.manifest, JobState.DONE, Record(fingerprint=job.fingerprint), None))

    async def drain(self, grace: float) -> None:
        """Claim nothing more, wait for what runs, and give back what does not end in time."""
        self._draining = True
        self.wake()
        for task, job in list(self._tasks.items()):
            if (work := self.in_work.get(job)) is not None and work.phase == "waits for a worker":
                task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=grace)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # --- one job --------------------------------------------------------------------------------------------------

    async def _one(self, job: Job) -> None:
        """One attempt at a job, and what follows from it."""
        if job.kind is JobKind.MASTERS:
            await self._masters(job)
            return
        chain = self.chains.get(job.chain)
        destination = self.destinations.get(job.destination)
        if chain is None or destination is None:
            what = f"chain '{job.chain}'" if chain is None else f"destination '{job.destination}'"
            await self._return(job, f"there is no {what} in the configuration any more", delay=30.0)
            return
        if job.manifest:  # an earlier attempt has done everything but the last
            await self._publish(job, job.manifest, JobState.DONE, Record(fingerprint=job.fingerprint), None)
            return
        staging = staging_of(destination, job.id, job.token)
        try:
            await asyncio.to_thread(make_staging, destination, staging)
        except (OSError, StorageError) as error:
            await self._hold(job, str(error))
            return
        limit = chain.settings.timeout or self.settings.workers.timeout
        work = Work(
            job=job.id,
            path=job.path,
            chain=Chain(chain.pipeline, fingerprint=chain.fingerprint),
            staging=staging,
            destination=destination.folder,
            read=chain.read,
            timeout=limit,
            memory=job.memory,
            label=job.label,
            identity=None if job.path is None else (job.size, job.mtime_ns),
        )
        try:
            outcome = await self.fleet.run(work)
        except asyncio.CancelledError:
            await asyncio.shield(self._return(job, "the daemon was ended", staging=staging))
            raise
        self.wake()
        await self._settle(job, chain, outcome, staging)

    async def _settle(self, job: Job, chain: LoadedChain, outcome: Outcome, staging: Path) -> None:
        record = record_of(outcome, chain.fingerprint)
        match outcome.cause:
            case "storage":
                await self._hold(job, outcome.error, staging=staging)
            case "missing" if self._may_come_back(job):
                await self._return(job, f"not there at the moment: {outcome.error}", delay=5.0, staging=staging)
            case "replaced":
                await self._replaced(job, record, staging)
            case "":
                await self._commit(job, outcome, record, staging)
            case "image":
                await self._end(job, JobState.FAILED, record, staging)
            case "missing":  # its disk may have gone a moment ago, and its source not have noticed yet
                await self._later(job, chain.settings.attempts, WAIT_FOR_MISSING, record, staging)
            case _:
                await self._later(job, chain.settings.attempts, chain.settings.backoff, record, staging)

    def _may_come_back(self, job: Job) -> bool:
        """Whether a file that is not there may be there again later: its whole folder is gone, or may be.

        That a folder is gone is only known after the source has searched it; so long the file has time.
        """
        if job.source in self._held_sources():
            self._missing_since.pop(job.id, None)
            return True
        source = next((one for one in self.settings.sources if one.name == job.source), None)
        since = self._missing_since.setdefault(job.id, time.monotonic())
        return time.monotonic() - since < 2 * getattr(source, "scan", 0.0)

    async def _commit(self, job: Job, outcome: Outcome, record: Record, staging: Path) -> None:
        """List the products in the queue, then put them into their places."""
        state = JobState.DONE if outcome.status == "done" else JobState.SKIPPED
        try:
            manifest = await asyncio.to_thread(manifest_of, staging, outcome.products, job.destination)
            if manifest:
                arguments = (job.id, job.token, manifest, outcome.checksum)
                await self.ledger.write(self.ledger.queue.commit_manifest, *arguments)
        except NameTaken as taken:
            await self._end(job, *_collision(taken, record), staging)
            return
        except LostLease as error:
            await self._lost(job, staging, error)
            return
        except ImageError as error:
            await self._end(job, JobState.FAILED, replace(record, step="publish", error=str(error)), staging)
            return
        except OSError as error:
            await self._hold(job, f"{staging}: {error.strerror or error}", staging=staging)
            return
        if manifest and state is JobState.SKIPPED:  # it ended on the way, and had written something before
            state, record = JobState.DONE, replace(record, notes=(*record.notes, f"ended in {record.step}"), error="")
        await self._publish(job, manifest, state, record, staging)

    async def _publish(
        self, job: Job, manifest: tuple[Piece, ...], state: JobState, record: Record, staging: Path | None
    ) -> None:
        """Put products into their places, as long as that takes; then the job is done."""
        if (work := self.in_work.get(job.id)) is not None:
            work.phase = "publishing"
        while manifest:
            try:
                await asyncio.to_thread(publish, manifest, self.destinations)
                break
            except FileNotFoundError as error:  # somebody has removed what was staged: it is to be made anew
                failed = replace(record, step="publish", error=str(error))
                await self._later(job, self._attempts(job), 2.0, failed, staging)
                return
            except (ImageError, LookupError) as error:
                await self._end(job, JobState.FAILED, replace(record, step="publish", error=str(error)), staging)
                return
            except (StorageError, OSError) as error:
                self._note_hold(job.destination, str(error))
                await asyncio.sleep(PROBE_EVERY)
                if self._draining:
                    self._forget(job)  # whoever finds the job puts the rest into its place
                    return
        await self._end(job, state, record, staging)

    def _attempts(self, job: Job) -> int:
        chain = self.chains.get(job.chain)
        return 3 if chain is None else chain.settings.attempts

    async def _masters(self, job: Job) -> None:
        try:
            facts = await self._make_masters(job)
        except asyncio.CancelledError:
            await asyncio.shield(self._return(job, "the daemon was ended"))
            raise
        except Exception as error:  # noqa: BLE001 - it becomes the job's own
            if is_storage_problem(error):  # of the library: it is the masters that wait, and nothing else
                await self._return(job, f"the library of masters cannot be written: {error}", delay=10.0)
                return
            record = Record(step="masters", error=str(error), traceback=getattr(error, "traceback", ""))
            await self._later(job, self._attempts(job), 2.0, record, None)
            return
        await self._end(job, JobState.DONE, Record(facts=facts, notes=tuple(facts.get("notes", ()))), None)

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
        log.log(level, text, extra=_names(job, record.step))
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
                "failed: %s (attempt %d, the last one)", record.error, job.attempts, extra=_names(job, record.step)
            )
        else:
            text = "attempt %d of %d failed: %s; once more in %.0f s"
            log.warning(text, job.attempts, attempts, record.error, delay, extra=_names(job, record.step))
        await self._clear(staging)
        self._forget(job, state)

    async def _return(self, job: Job, reason: str, *, delay: float = 0.0, staging: Path | None = None) -> None:
        """Give a job back; the attempt is not charged."""
        try:
            await self.ledger.write(self.ledger.queue.give_back, job.id, job.token, reason, delay=delay)
        except LostLease as error:
            log.warning("%s", error, extra=_names(job))
        await self._clear(staging)
        self._forget(job, JobState.QUEUED)

    async def _replaced(self, job: Job, record: Record, staging: Path) -> None:
        """The file is another one than the job was made for; the source makes a job of what is there now."""
        said = replace(record, step="", error=f"the file was replaced: {record.error}")
        await self._end(job, JobState.SKIPPED, said, staging)

    async def _hold(self, job: Job, reason: str, *, staging: Path | None = None) -> None:
        """A disk is full or gone: nobody's fault, and nothing to be tried before it is there again.

        Where the disk has had room again each time, it is the job that fills it, or a disk that is not ours.
        """
        self._returned[job.id] = self._returned.get(job.id, 0) + 1
        if self._returned[job.id] > MOST_RETURNS:
            del self._returned[job.id]
            await self._later(job, self._attempts(job), LONGEST_BACKOFF / 10, Record(error=reason), staging)
            return
        self._note_hold(job.destination, reason)
        await self._return(job, reason, delay=PROBE_EVERY, staging=staging)

    async def _lost(self, job: Job, staging: Path | None, error: LostLease) -> None:
        log.warning("%s; what was made of it here is thrown away", error, extra=_names(job))
        await self._clear(staging)
        self._forget(job)

    async def _give_back(self, jobs: list[Job]) -> None:
        for job in jobs:
            await self._return(job, "the daemon was ended")

    async def _clear(self, staging: Path | None) -> None:
        if staging is not None:
            await asyncio.to_thread(clear_staging, staging)

    def _forget(self, job: Job, state: JobState | str = "") -> None:
        self.in_work.pop(job.id, None)
        if state and state != JobState.QUEUED:
            self._missing_since.pop(job.id, None)
        self.wake()
        if state:
            self._tell(job.id, state)

    # --- holding --------------------------------------------------------------------------------------------------

    def _note_hold(self, destination: str, reason: str) -> None:
        if destination not in self.holds:
            log.error("destination %s cannot be written to: %s; nothing is started until it can", destination, reason)
        self.holds[destination] = reason

    async def _try_again(self, name: str) -> None:
        destination = self.destinations.get(name)
        reason = None if destination is None else await asyncio.to_thread(probe, destination, self.settings.state)
        if reason is None:
            log.info("destination %s can be written to again", name)
            del self.holds[name]
        else:
            self.holds[name] = reason

    # --- the queue ------------------------------------------------------------------------------------------------

    async def _claim(self, room: int) -> list[Job]:
        return await self.ledger.write(
            self.ledger.queue.claim,
            self.daemon,
            limit=room,
            fits=None,
            except_sources=tuple(self._held_sources()),
            chains=tuple(self.chains),
        )

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return

    def _start(self, job: Job, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(self._guarded(job, work))
        self._tasks[task] = job.id
        task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.pop(task, None)
        self.wake()

    async def _guarded(self, job: Job, work: Coroutine[Any, Any, None]) -> None:
        """A defect of ours costs an attempt of the job; it never leaves one behind that nobody works on."""
        try:
            await work
        except Exception as error:
            log.exception("the job could not be settled", extra=_names(job))
            record = Record(error=f"a defect of the daemon: {explain(error)}", traceback=traceback.format_exc())
            await self._later(job, self._attempts(job), 2.0, record, None)


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


def _collision(taken: NameTaken, record: Record) -> tuple[JobState, Record]:
    """What becomes of a job whose product another one has already made under the same name."""
    if taken.same_content or taken.newer:
        return JobState.SKIPPED, replace(record, step="", error=str(taken))
    return JobState.FAILED, replace(record, step="publish", error=str(taken))


def _names(job: Job, step: str = "") -> dict[str, Any]:
    """What a line of the log says about where it belongs."""
    return {"job": job.id, "image": job.label, "chain": job.chain, **({"step": step} if step else {})}
