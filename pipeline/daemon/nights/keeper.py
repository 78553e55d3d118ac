"""The keeper of the nights: puts frames to their nights, has masters built, and lets science frames go when they can.

A calibration frame becomes a job that waits until it is part of a master. When a group of them is complete, one job
builds the masters of its night and setup; there is never more than one such job open for them, in however many
daemons, since its key is the number of those that were before it. Science frames wait for the masters of their night
that their chain looks for, and go when they are there, or when they have waited long enough.

All of it follows from the rows of the queue: whoever tends to it next, after whatever has happened, goes on from there.
"""

import asyncio
import hashlib
import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from ...night.frame_types import FrameType
from ...night.groups import TYPES
from ..places import LIBRARY
from ..queue import Filter, Job, JobKind, JobState, NewJob
from ..settings import NightsSettings
from .asking import Call, Chain, Library
from .clock import Ages
from .decisions import note_decisions
from .frames import NOTES, PLACED, Placed, QueuedFrame, known_type
from .science import Ledger, ScienceFrames, shown_deadline
from .standing import Build, Standing, next_build, standings
from .verdicts import Verdict, verdicts
from .view import RECENT, SEEN, SETUP, Key, OneNight, look

log = logging.getLogger(__name__)

REST, LONGEST_REST = 20.0, 30.0
"""Between two looks at the queue passes so many times the time that the last one took, and at most so much [s].

Time in which the clerk was waited for, which does its work elsewhere, does not count.
"""

CANDIDATES_EVERY = 15.0
"""Whether a person has accepted a master is looked up so often [s]."""

NOTHING_TO_DO = {
    FrameType.MASTER: "it is a master, not a raw frame",
    FrameType.ARC: "it is a lamp spectrum: chains for images have no use for it",
    FrameType.OTHER: "it was taken for focus, pointing, guiding or a test: there is nothing to reduce",
}


class NightKeeper:
    """Frames by night, and their masters.

    Parameters
    ----------
    settings : NightsSettings
        What the configuration says.
    ledger : Ledger
        The queue.
    chains : mapping
        The chains by name, as they are at the moment.
    call : callable
        ``await call(function, arguments)`` runs a function in the clerk.
    clock : Ages
        How old jobs are.
    """

    def __init__(
        self,
        settings: NightsSettings,
        ledger: Ledger,
        *,
        chains: Mapping[str, Chain],
        call: Call,
        clock: Ages | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settings = settings
        self.library = Library(settings, chains, call, monotonic)
        self._ledger = ledger
        self._ages = clock or Ages()
        self._monotonic = monotonic
        self._science = ScienceFrames(settings, ledger, self.library, self._ages)
        self._last: dict[Key, tuple[list[Standing], list[Build]]] = {}
        self._version: Any = None
        self._not_before = self._due = self._candidates_due = -1.0
        self._tending = asyncio.Lock()

    # --- new frames -----------------------------------------------------------------------------------------------

    async def place(self, found: Any, facts: Mapping[str, Any], new: NewJob) -> NewJob:
        """The job of a file that was found, as its night wants it.

        Parameters
        ----------
        found : Found
            What a source has found.
        facts : mapping
            What an inspection has told: frame_type, night, instrument, size (rows, columns), binning, readout_mode,
            filter, exposure_time; why_unknown if there is no type.
        new : NewJob
            The job as it would be without nights.

        Returns
        -------
        NewJob
            A calibration frame waits for the rest of its group. A science frame is queued, or waits for masters. What
            is neither is skipped, with the reason.
        """
        kind = known_type(facts)
        if kind is None or kind in NOTHING_TO_DO:
            reason = NOTHING_TO_DO[kind] if kind is not None else str(facts.get("why_unknown") or "its type is unknown")
            return replace(new, kind=JobKind.FRAME, state=JobState.SKIPPED, reason=reason)
        placed = Placed.of(facts)
        assert placed is not None
        known = {"night": placed.night, "instrument": placed.instrument}
        new = replace(new, **known, payload={**new.payload, PLACED: placed.to_json()})
        if kind in TYPES:
            if not placed.night:
                reason = f"its header does not tell when it was taken: this {kind} can be put to no night (DATE-OBS)"
                return replace(new, kind=JobKind.FRAME, state=JobState.FAILED, reason=reason)
            return replace(new, kind=JobKind.FRAME, state=JobState.WAITING, reason=f"collecting: {kind}")
        last = self._last.get((placed.night, placed.setup))
        if new.state is not JobState.QUEUED or not await self._science.may_wait(new.chain, placed, last):
            return new
        deadline = shown_deadline(time.time(), self.settings.masters.wait)
        reason = f"asks for the masters of {placed.night}"
        return replace(new, state=JobState.WAITING, reason=reason, deadline=deadline)

    async def _sort_anew(self, job: Job) -> None:
        """Look once more at a file whose type was not known, since a person has asked for it.

        If the rules tell its type by now, it gets another job, as what it is.
        """
        seen = await self.library.inspect(job)
        again = await self.place(None, seen["facts"], _again(job, seen))
        queue, write = self._ledger.queue, self._ledger.write
        if again.state is JobState.SKIPPED:
            await write(queue.fail, [job.id], again.reason)
            return
        (added,) = await write(queue.add, [again])
        await write(queue.complete, [job.id], f"its type is known by now: job {added.id}")

    # --- what goes on ---------------------------------------------------------------------------------------------

    async def tend(self) -> None:
        """Look how the nights stand, and do what follows. To be called about every second."""
        if self._tending.locked():
            return
        async with self._tending:
            now, waited = self._monotonic(), self.library.waited
            if now >= self._candidates_due:
                self._candidates_due = now + CANDIDATES_EVERY
                await self._look_at_candidates()
            version = await self._ledger.read(self._ledger.queue.version)
            if (version == self._version and now < self._due) or now < self._not_before:
                return
            view = await self._ledger.read(look, self._ledger.queue)
            for job in view.strays:
                await self._sort_anew(job)
            dues = [now + await self._tend_one(key, night) for key, night in view.nights.items()]
            self._ages.started()
            await asyncio.sleep(0)
            self._ages.forget_all_but(job.id for night in view.nights.values() for job in _jobs(night))
            self._last = {key: one for key, one in self._last.items() if key in view.nights}
            self._version = version
            self._due = min(dues, default=now + 60.0)
            took = self._monotonic() - now - (self.library.waited - waited)
            self._not_before = now + min(LONGEST_REST, REST * took)

    async def _tend_one(self, key: Key, night: OneNight) -> float:
        """Tend to one night and setup; when it wants to be looked at again [s from now]."""
        builds = night.builds
        settings = self.settings.masters
        found = standings(night.frames, builds, settings, self._age)
        await self._change(verdicts(night.frames, found, builds, settings, self._age))
        if frames := next_build(found, builds):
            builds.append(await self._build(key, frames, night))
        self._last[key] = found, builds
        for job in night.masters:
            if not Build.of(job).is_open and job.facts.get(SEEN) != job.id:
                await self._ended(key, job)
        dues = [one.due for one in found if one.due is not None]
        if night.science:
            dues.append(await self._science.tend(night.science, found, builds))
        return max(0.1, min(dues, default=60.0))

    def _age(self, frame: QueuedFrame) -> float:
        return self._ages.age(frame.id, frame.job.created)

    async def _change(self, changes: list[Verdict]) -> None:
        """Write down what becomes of calibration frames."""
        queue, write = self._ledger.queue, self._ledger.write
        groups: dict[tuple[JobState, str, int], list[int]] = {}
        for change in changes:
            groups.setdefault((change.state, change.reason, change.build), []).append(change.job)
        for (state, reason, build), jobs in groups.items():
            if state is JobState.WAITING:
                await write(queue.hold, jobs, reason)
                continue
            if state is JobState.FAILED:
                log.error("calibration frames failed: %s", reason, extra={"jobs": jobs})
            await write(queue.complete if state is JobState.DONE else queue.fail, jobs, reason)
            if state is JobState.FAILED:
                for job in jobs:
                    await write(queue.set_facts, job, {NOTES: {"failed_by": build}})

    # --- masters --------------------------------------------------------------------------------------------------

    async def _build(self, key: Key, frames: tuple[QueuedFrame, ...], night: OneNight) -> Build:
        """Add the job that builds the masters of a night and setup."""
        date, setup = key
        masters = self.settings.masters
        name = await self._chain_for(frames)
        sequence = len(night.masters)
        plain_setup = frames[0].placed.to_json()["setup"]
        identity = json.dumps(["masters", str(self.settings.library), date, plain_setup, sequence])
        earlier = [m for build in night.builds for m in build.masters if m["status"] in ("accepted", "reused")]
        payload = {
            "pipeline": self.library.chains[name].pipeline if name else None,
            "library": self.library.folder,
            "night": date,
            "frames": [_told(frame) for frame in frames],
            "fewest": dict(masters.fewest),
            "bad_pixels": masters.bad_pixels,
            "memory": masters.memory,
            "earlier": [{"kind": m["kind"], "name": m["name"], "frames": m["frames"]} for m in earlier],
        }
        words = " ".join(part for part in (setup[0], date) if part)
        job = NewJob(
            kind=JobKind.MASTERS,
            key=hashlib.sha256(identity.encode()).hexdigest(),
            source=frames[0].job.source,
            chain=name,
            label=f"masters {words}",
            destination=LIBRARY,
            priority=max(frame.job.priority for frame in frames) + 1,
            night=date,
            instrument=setup[0],
            facts={SETUP: plain_setup},
            payload=payload,
            memory=masters.memory,
        )
        (added,) = await self._ledger.write(self._ledger.queue.add, [job])
        if added.new:
            log.info("masters of %s will be built from %d frames", words, len(frames), extra={"job": added.id})
        return Build(added.id, JobState.QUEUED, frozenset(frame.id for frame in frames))

    async def _chain_for(self, frames: tuple[QueuedFrame, ...]) -> str:
        """The chain whose Calibration tells how raw frames are prepared: of the first frame whose chain has one.

        Frames for which no chain was chosen take the first chain that calibrates.
        """
        chains = self.library.chains
        names = [name for name in dict.fromkeys((*(frame.job.chain for frame in frames), *chains)) if name in chains]
        for name in names:
            if await self.library.tells_preparation(name):
                return name
        return names[0] if names else ""

    async def _ended(self, key: Key, job: Job) -> None:
        """What follows when masters have been built, or a person has accepted one."""
        self.library.has_changed()
        if self.settings.reprocess and job.state is JobState.DONE:
            await self._science.reprocess(key)
        await self._ledger.write(self._ledger.queue.set_facts, job.id, {SEEN: job.id})

    async def _look_at_candidates(self) -> None:
        """Notice that a person has decided on masters that waited for it."""
        queue = self._ledger.queue
        recent = (
            await self._ledger.read(queue.search, Filter(kind=JobKind.MASTERS), order="newest", limit=RECENT)
        ).jobs
        newest: dict[Any, Job] = {}
        for job in recent:
            if not Build.of(job).is_open:
                newest.setdefault((job.night, repr(job.facts.get(SETUP))), job)
        waiting = {job.id: [m["name"] for m in Build.of(job).masters if m["status"] == "candidate"] for job in recent}
        names = sorted({name for job in newest.values() for name in waiting[job.id]})
        if not names:
            return
        found = await self.library.statuses(names)
        for job in newest.values():
            if any(found.get(name, "candidate") != "candidate" for name in waiting[job.id]):
                await self._ledger.write(note_decisions, queue, job.id, found)


def _jobs(night: OneNight) -> Iterator[Job]:
    yield from (frame.job for frame in night.frames)
    for jobs in night.science.values():
        yield from jobs


def _again(job: Job, seen: Mapping[str, Any]) -> NewJob:
    """Another job for the file of a job."""
    return NewJob(
        kind=JobKind.IMAGE,
        key=hashlib.sha256(f"{job.key} sorted anew by {job.id}".encode()).hexdigest(),
        source=job.source,
        chain=job.chain,
        label=job.label,
        path=job.path,
        size=seen["size"],
        mtime_ns=seen["mtime_ns"],
        destination=job.destination,
        priority=job.priority,
        facts=seen["facts"],
        memory=job.memory,
        generation=job.generation + 1,
    )


def _told(frame: QueuedFrame) -> dict[str, Any]:
    job = frame.job
    return {
        "job": job.id,
        "path": str(frame.path),
        "size": job.size,
        "mtime_ns": job.mtime_ns,
        "type": str(frame.type),
    }
