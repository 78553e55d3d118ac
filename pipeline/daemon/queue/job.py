"""A job: one thing to be done, and everything that is known about it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal


class JobState(StrEnum):
    """Where a job stands."""

    WAITING = "waiting"
    """For something else than a free worker: a master, the rest of its group. `reason` says what for."""
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    SKIPPED = "skipped"
    """There was nothing to do: a step ended the image quietly, or a newer version of the file has a job of its own."""
    FAILED = "failed"
    """All attempts are spent, or another one could not help. It waits for a person."""
    DROPPED = "dropped"
    """A person has decided that nothing is to be done."""


OPEN_STATES = (JobState.WAITING, JobState.QUEUED, JobState.RUNNING)
"""States of jobs on which the daemon still works."""

PRUNED_STATES = (JobState.DONE, JobState.SKIPPED, JobState.DROPPED)
"""States of jobs whose details may be removed after some time. What has failed waits for a person."""


class JobKind(StrEnum):
    """What is to be done."""

    IMAGE = "image"
    """A file through a chain."""
    TICK = "tick"
    """A chain on an empty image, at a given time."""
    FRAME = "frame"
    """A raw calibration frame: done when it is part of a master."""
    MASTERS = "masters"
    """The masters of a night and instrument, from their raw frames."""


Order = Literal["oldest", "newest"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """A job to be added to the queue.

    Attributes
    ----------
    kind : JobKind
        What is to be done.
    key : str
        What makes it the same job, whoever adds it: hash of the input's identity, the chain's name and `generation`.
    source : str
        Name of the source that it comes from.
    chain : str
        Name of the chain.
    label : str
        What people call it: the name of the file.
    path : Path or None
        The input file.
    size, mtime_ns : int
        With the path, the input's identity.
    destination : str
        Name of the destination of its products.
    priority : int
        Higher goes first.
    order : {"oldest", "newest"}
        Which of several jobs of the same priority goes first, by `mtime_ns`.
    state : JobState
        QUEUED, or WAITING with a reason; FAILED for an input that cannot be taken at all.
    reason : str
        What it waits for, or why it failed.
    night, instrument : str
        The night (date on which it began, UTC or as configured) and instrument, where known.
    facts : mapping
        Small facts from the header, JSON data.
    payload : mapping
        What else the work needs, JSON data.
    memory : int
        Memory that the work will take [byte].
    deadline : float
        When waiting ends [s since 1970]; 0 for never.
    generation : int
        0; one more for each time that it is done again for good reason (reprocessing, a person's wish).
    """

    kind: JobKind = JobKind.IMAGE
    key: str
    source: str
    chain: str
    label: str
    path: Path | None = None
    size: int = 0
    mtime_ns: int = 0
    destination: str = "products"
    priority: int = 0
    order: Order = "oldest"
    state: JobState = JobState.QUEUED
    reason: str = ""
    night: str = ""
    instrument: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    payload: Mapping[str, Any] = field(default_factory=dict)
    memory: int = 0
    deadline: float = 0.0
    generation: int = 0


@dataclass(frozen=True, slots=True)
class Piece:
    """A product on its way: where a worker has written it, and where it will be.

    Attributes
    ----------
    staged : str
        The file in the job's staging folder.
    destination : str
        Name of the destination.
    name : str
        Name within the destination, with ``/`` between folders.
    size : int
        [byte]
    """

    staged: str
    destination: str
    name: str
    size: int


@dataclass(frozen=True, slots=True)
class Product:
    """A product that is in its place.

    Attributes
    ----------
    id, job : int
        Of the product and of its job.
    destination, name : str
        Where it is.
    size : int
        [byte]
    """

    id: int
    job: int
    destination: str
    name: str
    size: int


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt at a job, for the record.

    Attributes
    ----------
    number : int
        Counted from 1.
    daemon : str
        Which daemon.
    started, ended : float
        [s since 1970]; `ended` is 0 while it runs.
    outcome : str
        ``done``, ``failed``, ``interrupted`` …
    step, error, traceback, log : str
        What went wrong, and what the steps have said.
    seconds : float
        Duration [s].
    """

    number: int
    daemon: str
    started: float
    ended: float = 0.0
    outcome: str = ""
    step: str = ""
    error: str = ""
    traceback: str = ""
    log: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job as it stands in the queue. Fields of :class:`NewJob` mean the same here.

    Attributes
    ----------
    id : int
        Its number.
    fingerprint : str
        Of the chain that it was last taken through; empty before the first attempt.
    attempts, interruptions : int
        How often it was tried, and how often the daemon itself ended meanwhile.
    owner, token : str
        The daemon that has it, and what that daemon must show to change it.
    not_before : float
        Not tried again before this time [s since 1970].
    manifest : tuple of Piece
        Products that are about to be put into their places.
    staging : str
        The token under which the manifest was written: the name of the staging folder has it.
    created, started, finished, changed : float
        [s since 1970]; 0 for not yet.
    step, error, traceback, log : str
        Of the last attempt.
    cause : str
        Kind of failure of the last attempt: ``image``, ``transient``, ``died`` …
    checksum : str
        Of the input's content, once it was read.
    seconds : float
        Duration of the last attempt [s].
    timings : tuple of (str, float, str)
        Step, seconds and outcome of each step of the last attempt.
    notes : tuple of str
        What a person should know besides.
    """

    id: int
    kind: JobKind
    key: str
    state: JobState
    source: str
    chain: str
    label: str
    path: Path | None
    size: int
    mtime_ns: int
    destination: str
    priority: int
    reason: str
    night: str
    instrument: str
    facts: Mapping[str, Any]
    payload: Mapping[str, Any]
    memory: int
    generation: int
    fingerprint: str
    attempts: int
    interruptions: int
    owner: str
    token: str
    not_before: float
    deadline: float
    manifest: tuple[Piece, ...]
    staging: str = ""
    created: float
    started: float
    finished: float
    changed: float
    step: str
    error: str
    cause: str = ""
    checksum: str = ""
    traceback: str = ""
    log: str = ""
    seconds: float
    timings: tuple[tuple[str, float, str], ...]
    notes: tuple[str, ...]


def is_pruned(job: Job, made: Sequence[Attempt]) -> bool:
    """Whether the details of a job have been removed, since it ended long ago.

    Parameters
    ----------
    job : Job
        The job.
    made : sequence of Attempt
        Those of its attempts that are known.
    """
    return job.state in PRUNED_STATES and job.attempts > 0 and not made
