"""Between rows and records."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import sqlalchemy as sql
from sqlalchemy import ColumnElement

from ..job import Job, JobKind, JobState, NewJob
from ..records import Filter
from .tables import clean, jobs

JOB = tuple(jobs.c[field.name] for field in fields(Job) if field.name in jobs.c)
"""The columns of a :class:`Job`, all but those that are kept with its attempts."""

SELECT_JOB = sql.select(*JOB)

AT_ONCE = 500
"""Longest list in one statement."""


def job_of(row: Any, **more: Any) -> Job:
    """The job in a row of :data:`SELECT_JOB`."""
    return Job(**row._mapping, **more)


def search_text(label: str, path: Path | None, facts: Mapping[str, Any], said: str = "") -> str:
    """What a search looks into, in small letters."""
    words = (str(path) if path is not None else label, facts.get("object_name") or "", said)
    return "\n".join(str(word) for word in words if word).casefold()


def first_state(kind: JobKind) -> JobState:
    """Where a job stands that is to be done again: raw frames do nothing themselves but wait for their group."""
    return JobState.WAITING if kind is JobKind.FRAME else JobState.QUEUED


def parts(items: Iterable[Any]) -> Iterable[list[Any]]:
    """A long list in lists that a statement can hold."""
    everything = list(items)
    for start in range(0, len(everything), AT_ONCE):
        yield everything[start : start + AT_ONCE]


def conditions(wanted: Filter) -> list[ColumnElement[bool]]:
    """A filter as conditions of SQL."""
    column = jobs.c
    exact = {name: getattr(wanted, name) for name in ("chain", "source", "night", "instrument", "kind")}
    found: list[ColumnElement[bool]] = [column[name] == value for name, value in exact.items() if value is not None]
    if wanted.states:
        states = list(wanted.states)  # for a single one, the index has the jobs in the right order
        found.append(column.state == states[0] if len(states) == 1 else column.state.in_(states))
    if wanted.text:
        found.append(column.search.contains(wanted.text.casefold(), autoescape=True))
    if wanted.since is not None:
        found.append(column.created >= wanted.since)
    return found


def chosen(wanted: Iterable[int] | Filter) -> list[list[ColumnElement[bool]]]:
    """Conditions for the jobs that are meant, one list for each statement."""
    if isinstance(wanted, Filter):
        return [conditions(wanted)]
    return [[jobs.c.id.in_(some)] for some in parts(sorted(set(wanted)))]


def values_of(job: NewJob, place: int | None, now: float) -> dict[str, Any]:
    """The row of a new job."""
    failed = job.state is JobState.FAILED
    return {
        "kind": job.kind,
        "key": clean(job.key),
        "state": job.state,
        "source": clean(job.source),
        "chain": clean(job.chain),
        "label": job.label,
        "path": job.path,
        "place": place,
        "size": job.size,
        "mtime_ns": job.mtime_ns,
        "destination": job.destination,
        "priority": job.priority,
        "rank": job.mtime_ns if job.order == "oldest" else -job.mtime_ns,
        "reason": "" if failed else job.reason,
        "error": job.reason if failed else "",
        "night": job.night,
        "instrument": job.instrument,
        "facts": job.facts,
        "payload": job.payload,
        "memory": job.memory,
        "generation": job.generation,
        "deadline": job.deadline,
        "created": now,
        "changed": now,
        "finished": now if job.state in FINAL else 0.0,
        "search": search_text(job.label, job.path, job.facts, job.reason),
    }


FINAL: Sequence[JobState] = (JobState.DONE, JobState.SKIPPED, JobState.FAILED, JobState.DROPPED)
"""States in which nothing more happens by itself."""
