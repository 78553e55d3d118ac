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
import time
import traceback
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from ...images import ImageError
from ..running.outcome import Outcome
from ..running.shipping import Chain
from ..step import explain
from .chains import LoadedChain
from .endings import (
    LAST_WRITES,
    LONGEST_BACKOFF,
    MOST_RETURNS,
    Endings,
    InWork,
    collision,
    give_back_all,
    log_names,
    record_of,
)
from .holds import PROBE_EVERY
from .ledger import Ledger
from .places import LIBRARY
from .queue import Job, JobKind, JobState, LostLease, NameTaken, Piece, Record
from .settings import Observatory
from .work.destinations import Destination
from .work.fleet import Fleet, FleetClosedError, Work
from .work.publish import make_staging, manifest_of, publish, staging_of
from .work.storage import StorageError, is_storage_problem, probe

log = logging.getLogger(__name__)

WAIT_FOR_MISSING = 15.0
"""Before it is tried again to read a file that is not there [s]; by then its source knows whether its folder is."""

LOOK_EVERY = 1.0
"""The queue is asked for jobs at least so often [s]: another daemon or a person may have added some."""

COUNT_EVERY = 30.0
"""Whether all jobs that the queue calls ours are in work is looked up so often [s]."""

MOST_UNPUBLISHED = 2
"""So many images for each worker may be on their way into one destination; one that is slow is given no more."""


class Foreman(Endings):
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
        super().__init__(settings, ledger, chains, destinations, tell=tell, ended=ended)
        self.daemon = daemon
        self.fleet = fleet
        self._make_masters = make_masters
        self._held_sources = held_sources
        self._tasks: dict[asyncio.Task[None], Job] = {}
        self._draining = False
        self.drained = False
        self._next_count = 0.0

    def entered(self, job: int, step: str) -> None:
        """Note the step that a job is in."""
        if (work := self.in_work.get(job)) is not None:
            work.step, work.phase = step, "running"

    async def run(self) -> None:
        """Work until :meth:`drain`."""
        while not self._draining:
            self._wake.clear()
            try:
                await self._take()
            except Exception:  # it is not to be the end of everything else
                log.exception("the queue gives no jobs; asking again")
                await asyncio.sleep(PROBE_EVERY)
            await self._pause(LOOK_EVERY)

    async def _take(self) -> None:
        """Take jobs from the queue, if there is room."""
        if time.monotonic() >= self._next_count:
            self._next_count = time.monotonic() + COUNT_EVERY
            await self._count()
        room = self.fleet.workers + 1 - sum(work.phase != "publishing" for work in self.in_work.values())
        for job in await self._claim(room) if room > 0 and not self._draining else []:
            if self._draining:
                await self._return(job, "the daemon was ended")
                continue
            self.in_work[job.id] = InWork(job)
            self._tell(job.id, JobState.RUNNING)
            self._start(job, partial(self._one, job))

    async def _count(self) -> None:
        """Take up jobs that are ours and that nobody works on: the answer to our claim was lost, or a defect of ours.

        Claims are made by this task alone, so none is under way now.
        """
        for job in await self.ledger.read(self.ledger.queue.running, self.daemon):
            work = self.in_work.get(job.id)
            if not self._draining and (work is None or work.job.token != job.token):
                log.warning("nobody worked on this job, which is ours", extra=log_names(job))
                self.in_work[job.id] = InWork(job)
                self._start(job, partial(self._one, job))
        known = self.chains, {*self.destinations, LIBRARY}
        if strays := await self.ledger.write(self.ledger.queue.note_strays, *map(tuple, known)):
            log.error("%d jobs are queued for chains or destinations that are not in the configuration", strays)

    async def recover(self, jobs: list[Job]) -> None:
        """Put the products of jobs into their places whose daemon died while it did so."""
        for job in jobs:
            work = self.in_work.get(job.id)
            if work is None or work.job.token != job.token:
                self.in_work[job.id] = InWork(job, phase="publishing")
                self._start(job, partial(self._roll_forward, job))

    async def under_a_new_name(self, daemon: str) -> None:
        """Go on after others have taken us for dead: our jobs are theirs, and what we made of them is thrown away."""
        self.daemon = daemon
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def drain(self, grace: float) -> None:
        """Claim nothing more, wait for what runs, and give back what does not end in time."""
        self._draining = True
        self.wake()
        for task, job in list(self._tasks.items()):
            if (work := self.in_work.get(job.id)) is not None and work.phase == "waits for a worker":
                task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=grace)
        for task in list(self._tasks):
            task.cancel()
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_WRITES):
                await asyncio.gather(*self._tasks, return_exceptions=True)
                given = await self.ledger.write(give_back_all, self.ledger.queue, self.daemon)
                for job in given:
                    self._forget(job, JobState.QUEUED)
        await self.holds.close()
        self.drained = True

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
            await self._roll_forward(job)
            return
        staging = staging_of(destination, job.id, job.token)
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
            if not await self._has_folder(job, destination, staging):
                return
            outcome = await self.fleet.run(work)
        except (asyncio.CancelledError, FleetClosedError):
            await self._cut_off(job, staging)
            raise
        if (in_work := self.in_work.get(job.id)) is not None:
            in_work.phase = "publishing"
        self.wake()
        await self._settle(job, chain, outcome, staging)

    async def _has_folder(self, job: Job, destination: Destination, staging: Path) -> bool:
        """Make an attempt's folder, where that is possible; the job is given back where it is not."""
        if job.destination in self.holds:  # since it was claimed
            await self._return(job, self.holds.reason(job.destination))
            return False
        try:
            await self.holds.asked(destination, make_staging, destination, staging)
        except (OSError, StorageError) as error:
            await self._hold(job, str(error))
            return False
        return True

    async def _roll_forward(self, job: Job) -> None:
        """Complete a job whose products are listed."""
        destination = self.destinations.get(job.destination)
        folder = Path(job.manifest[0].staged).parts[0]
        staging = None if destination is None else destination.staging_root / folder
        await self._publish(job, job.manifest, JobState.DONE, Record(fingerprint=job.fingerprint), staging)

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
            await self._end(job, *collision(taken, record), staging)
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
        refusals = 0
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
                place = self.destinations[job.destination]
                is_writable = await asyncio.to_thread(probe, place, self.settings.state) is None
                refusals = refusals + 1 if is_writable else 0
                if refusals > MOST_RETURNS:  # the disk has been writable each time: it is this place that is not
                    failed = replace(record, step="publish", error=str(error))
                    await self._later(job, self._attempts(job), LONGEST_BACKOFF / 10, failed, staging)
                    return
                self.holds.note(job.destination, str(error))
                await asyncio.sleep(PROBE_EVERY)
                if self._draining:
                    self._forget(job)  # whoever finds the job puts the rest into its place
                    return
        await self._end(job, state, record, staging)

    async def _masters(self, job: Job) -> None:
        begun = time.monotonic()
        library = self.destinations.get(LIBRARY)
        try:
            if library is not None:
                await self.holds.asked(library, library.check)
            facts = await self._make_masters(job)
        except (asyncio.CancelledError, FleetClosedError):
            await self._cut_off(job, None)
            raise
        except Exception as error:  # noqa: BLE001 - it becomes the job's own
            if is_storage_problem(error):
                self.holds.note(LIBRARY, str(error))
                await self._return(job, f"the library of masters cannot be written: {error}", delay=10.0)
                return
            record = Record(step="masters", error=str(error), traceback=getattr(error, "traceback", ""))
            await self._later(job, self._attempts(job), 2.0, record, None)
            return
        notes = tuple(facts.get("notes", ()))
        record = Record(facts=facts, notes=notes, seconds=time.monotonic() - begun)
        await self._end(job, JobState.DONE, record, None)

    # --- the queue ------------------------------------------------------------------------------------------------

    async def _claim(self, room: int) -> list[Job]:
        return await self.ledger.write(
            self.ledger.queue.claim,
            self.daemon,
            limit=room,
            fits=None,
            except_sources=tuple(self._held_sources()),
            chains=tuple(self.chains),
            destinations=self._open_destinations(),
        )

    def _open_destinations(self) -> list[str]:
        """Destinations that are not held, and have no more before them than they can take soon."""
        most = MOST_UNPUBLISHED * self.fleet.workers
        before = Counter(work.job.destination for work in self.in_work.values() if work.phase == "publishing")
        return [name for name in {*self.destinations, LIBRARY} if name not in self.holds and before[name] < most]

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return

    def _start(self, job: Job, work: Callable[[], Awaitable[None]]) -> None:
        task = asyncio.create_task(self._guarded(job, work))
        self._tasks[task] = job
        task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._forget(self._tasks.pop(task))

    async def _guarded(self, job: Job, work: Callable[[], Awaitable[None]]) -> None:
        """A defect of ours costs an attempt of the job; it never leaves one behind that nobody works on."""
        try:
            await work()
        except FleetClosedError:
            return
        except Exception as error:
            log.exception("the job could not be settled", extra=log_names(job))
            record = Record(error=f"a defect of the daemon: {explain(error)}", traceback=traceback.format_exc())
            try:
                await self._later(job, self._attempts(job), 2.0, record, None)
            except Exception:  # it is still ours, and is taken up again as one that nobody works on
                log.exception("nor could that be noted", extra=log_names(job))
                self._forget(job)
