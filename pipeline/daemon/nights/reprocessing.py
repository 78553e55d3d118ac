"""Which science frames are done again when their night has got better masters."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..queue import Filter, Job, JobKind, JobQueue, JobState
from .frames import PLACED
from .view import Key, jobs_of, newest_of_each, placed_of

AT_ONCE = 50
"""Frames whose headers are read in one call."""

LACKED = "it lacks masters of its night: "
"""Beginning of the error of frames that were failed because they had waited long enough."""


@dataclass(frozen=True, slots=True)
class Again:
    """Jobs that are done again: those that were done with other masters, and those that failed for lack of masters."""

    done: tuple[int, ...] = ()
    failed: tuple[int, ...] = ()


def candidates(queue: JobQueue, key: Key) -> list[Job]:
    """Science frames of a night and setup that are done, or failed for lack of masters; of each file the last job.

    Parameters
    ----------
    queue : JobQueue
        The queue.
    key : (str, tuple)
        Night and setup.
    """
    night, setup = key
    jobs = [job for job in jobs_of(queue, Filter(kind=JobKind.IMAGE, night=night)) if PLACED in job.payload]
    newest = newest_of_each(job for job in jobs if placed_of(job).setup == setup)
    return [job for job in newest if masters_used(job) is not None or has_lacked(job)]


def masters_used(job: Job) -> Mapping[str, str] | None:
    """Checksums of the masters that a frame was calibrated with, by kind; None if it is not done, or nobody knows."""
    return job.facts.get("masters") if job.state is JobState.DONE else None


def has_lacked(job: Job) -> bool:
    """Whether a frame was failed because it had waited long enough for masters."""
    return job.state is JobState.FAILED and job.error.startswith(LACKED)


def to_do_again(jobs: Sequence[Job], at_hand: Iterable[Mapping[str, Any]]) -> Again:
    """The frames that would be calibrated with other masters now.

    Parameters
    ----------
    jobs : sequence of Job
        As :func:`candidates` gives them.
    at_hand : iterable of mapping
        For each of them what the library has, see :func:`etendue.pipeline.daemon.nights.library.masters_at_hand`.
    """
    done, failed = [], []
    for job, kinds in zip(jobs, at_hand, strict=True):
        if "error" in kinds:
            continue
        used = masters_used(job)
        if used is None:
            if all(one["of_night"] for one in kinds.values()):
                failed.append(job.id)
        elif any(one["used"] and used.get(kind) != one["used"] for kind, one in kinds.items()):
            done.append(job.id)
    return Again(tuple(done), tuple(failed))
