"""What the queue knows of the nights that are under way."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from ...night.sorting import Setup
from ..queue import Filter, Job, JobKind, JobQueue, JobState
from .frames import PLACED, Placed, QueuedFrame, setup_from
from .standing import Build

PAGE = 500
"""Rows that are read at once: the interpreter is free for others in between."""

RECENT = 100
"""Jobs that build masters which are looked at, of all nights: what has ended since the last look is among them."""

SETUP = "setup"
"""Key of the facts of a job that builds masters, for the setup that it is for."""

SEEN = "seen"
"""Key of the facts of a job that builds masters: its own number when what follows from its end has been done."""

Key = tuple[str, Setup]
"""A night and a setup."""


@dataclass(slots=True)
class OneNight:
    """One night and setup.

    Attributes
    ----------
    frames : list of QueuedFrame
        All its calibration frames.
    masters : list of Job
        All jobs that build masters of it, in their order.
    science : dict of (str, Placed) to list of Job
        Science frames that wait, those together that ask for the same masters: chain, and where they belong.
    """

    frames: list[QueuedFrame] = field(default_factory=list)
    masters: list[Job] = field(default_factory=list)
    science: dict[tuple[str, Placed], list[Job]] = field(default_factory=dict)

    @property
    def builds(self) -> list[Build]:
        """What came of the jobs that build masters."""
        return [Build.of(job) for job in self.masters]


@dataclass(slots=True)
class View:
    """What is under way.

    Attributes
    ----------
    nights : dict
        Nights and setups in which something waits, or a job that builds masters is open or has just ended.
    strays : list of Job
        Frames of unknown type that a person has asked to try again.
    """

    nights: dict[Key, OneNight] = field(default_factory=dict)
    strays: list[Job] = field(default_factory=list)


def look(queue: JobQueue) -> View:
    """What is under way. With thousands of frames that wait it takes a while: not for an event loop.

    Parameters
    ----------
    queue : JobQueue
        The queue.
    """
    everything = jobs_of(queue, Filter(states=[JobState.WAITING]))
    waiting = [job for job in everything if PLACED in job.payload]
    strays = [job for job in everything if PLACED not in job.payload and job.kind is JobKind.FRAME]
    recent = queue.search(Filter(kind=JobKind.MASTERS), order="newest", limit=RECENT).jobs
    active = {job.night for job in waiting} | {job.night for job in recent if job.facts.get(SEEN) != job.id}
    found: dict[Key, OneNight] = {}
    for night in sorted(active):
        add_frames(found, jobs_of(queue, Filter(kind=JobKind.FRAME, night=night)))
        for job in jobs_of(queue, Filter(kind=JobKind.MASTERS, night=night)):
            if SETUP in job.facts:
                found.setdefault((night, setup_from(job.facts[SETUP])), OneNight()).masters.append(job)
    for job in waiting:
        if job.kind is JobKind.IMAGE:
            placed = placed_of(job)
            one = found.setdefault((placed.night, placed.setup), OneNight())
            one.science.setdefault((job.chain, placed), []).append(job)
    return View(found, strays)


def add_frames(found: dict[Key, OneNight], jobs: Iterable[Job]) -> None:
    """Add calibration frames to their nights and setups."""
    for job in jobs:
        if (frame := QueuedFrame.of(job)) is not None:
            found.setdefault((frame.placed.night, frame.setup), OneNight()).frames.append(frame)


def placed_of(job: Job) -> Placed:
    """Where a frame belongs."""
    return Placed.from_json(job.payload[PLACED])


def jobs_of(queue: JobQueue, wanted: Filter) -> list[Job]:
    """All jobs of a kind, oldest first."""
    jobs: list[Job] = []
    before = None
    while True:
        page = queue.search(wanted, order="oldest", limit=PAGE, before=before)
        jobs += page.jobs
        if page.next is None:
            return jobs
        before = page.next


def newest_of_each(jobs: Iterable[Job]) -> list[Job]:
    """Of the jobs that a file has had in a chain, the last one."""
    newest: dict[tuple[object, str, str], Job] = {}
    for job in sorted(jobs, key=lambda job: job.id):
        newest[(job.path, job.chain, job.source)] = job
    return list(newest.values())
