"""Jobs in words, and as plain data."""

import time
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ....daemon.queue.job import JobState

if TYPE_CHECKING:
    from ....daemon.queue import Job

STYLES = {
    JobState.FAILED: "red",
    JobState.RUNNING: "cyan",
    JobState.DONE: "green",
    JobState.WAITING: "yellow",
    JobState.SKIPPED: "dim",
    JobState.DROPPED: "dim",
}

LEFT_OUT = ("token", "traceback", "log")
"""Of a job as plain data: its token is between the queue and the daemon, and the others are long."""


def job_as_json(job: "Job", *, whole: bool = False) -> dict[str, Any]:
    """A job as plain data; times are seconds since 1970, 0 for not yet."""
    plain = {name: value for name, value in asdict(job).items() if whole or name not in LEFT_OUT}
    plain.pop("token", None)
    plain["path"] = None if job.path is None else str(job.path)
    return plain


def why(job: "Job") -> str:
    """What a person wants to know of a job besides its state: what it waits for, or why it failed."""
    if job.error and job.state not in (JobState.DONE, JobState.RUNNING):
        first = job.error.splitlines()[0].removeprefix(f"{job.path}: ")
        return f"{job.step}: {first}" if job.step else first
    if job.state is JobState.RUNNING:
        return ""
    return job.reason or "; ".join(job.notes)


def duration(seconds: float) -> str:
    """``40 ms``, ``1.4 s``, ``12 s``, ``5 min``, ``3.2 h``, ``4.0 d``."""
    if seconds < 0.0005:
        return "0 s"
    if seconds < 0.0995:
        return f"{seconds * 1000:.0f} ms"
    for limit, factor, unit in ((10, 1, "s"), (120, 1, "s"), (7200, 60, "min"), (172800, 3600, "h")):
        if seconds < limit:
            digits = 1 if limit == 10 or unit == "h" else 0
            return f"{seconds / factor:.{digits}f} {unit}"
    return f"{seconds / 86400:.1f} d"


def age(since: float) -> str:
    """How long ago that was; a dash for never."""
    return duration(time.time() - since) if since else "–"


def moment(when: float) -> str:
    """A time for people; a dash for never."""
    return f"{datetime.fromtimestamp(when, UTC):%Y-%m-%d %H:%M:%S} UTC" if when else "–"
