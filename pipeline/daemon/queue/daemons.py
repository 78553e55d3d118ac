"""Daemons: who works on the queue, who has stopped to, and what becomes of their jobs."""

import time
from collections.abc import Mapping
from secrets import token_hex
from typing import Any

import sqlalchemy as sql
from sqlalchemy import Connection, bindparam

from .database import Database
from .database.rows import SELECT_JOB, job_of, search_text
from .database.tables import RUNNING, attempts, daemons, jobs
from .errors import UnknownDaemon
from .job import Job, JobState
from .records import DaemonFacts, DaemonRow, LeaseWatch, Recovered

MOST_INTERRUPTIONS = 10
"""A job during which the daemon ends more often than this may well be the reason."""

BEAT = (
    sql.update(daemons)
    .where(daemons.c.id == bindparam("daemon"))
    .values(beat=daemons.c.beat + 1, status=bindparam("says"), last_seen=bindparam("now"))
)


class Daemons(Database):
    """What daemons tell each other."""

    def register(self, facts: DaemonFacts) -> str:
        """Take part; gives the name under which the daemon claims jobs."""
        name, now = token_hex(8), time.time()
        row = {field: getattr(facts, field) for field in DaemonFacts.__slots__}
        with self.writing() as connection:
            connection.execute(daemons.insert(), {"id": name, "started": now, "last_seen": now, "status": {}, **row})
        return name

    def beat(self, daemon: str, status: Mapping[str, Any] | None = None) -> None:
        """Show that a daemon lives, and what it says of itself.

        Raises
        ------
        UnknownDaemon
            Others have taken it for dead, and its jobs with it.
        """
        with self.writing() as connection:
            done = connection.execute(BEAT, {"daemon": daemon, "says": status or {}, "now": time.time()})
            if done.rowcount == 0:
                raise UnknownDaemon(daemon)

    def unregister(self, daemon: str) -> None:
        """Take part no longer. Jobs that it still has are for others to recover."""
        with self.writing() as connection:
            connection.execute(sql.delete(daemons).where(daemons.c.id == daemon))

    def daemons(self) -> list[DaemonRow]:
        """All that take part, the longest first."""
        with self.reading() as connection:
            rows = connection.execute(sql.select(daemons).order_by(daemons.c.started, daemons.c.id))
            return [DaemonRow(**row._mapping) for row in rows]

    def dead_daemons(self, watch: LeaseWatch, lease: float) -> list[str]:
        """Daemons that live no more, whose jobs are to be recovered.

        Those whose process on this machine has ended; those that have not beaten for a lease, by the clock of `watch`;
        and those that have jobs, but do not take part any more.

        Parameters
        ----------
        watch : LeaseWatch
            What was seen so far; the same one in each call.
        lease : float
            [s]
        """
        with self.reading() as connection:
            rows = [DaemonRow(**row._mapping) for row in connection.execute(sql.select(daemons))]
            owners = set(connection.execute(sql.select(jobs.c.owner).where(RUNNING).distinct()).scalars())
        present = {row.id for row in rows}
        watch.keep(present)
        dead = [
            row.id for row in rows if row.id != watch.own and (row.has_ended or watch.silence(row.id, row.beat) > lease)
        ]
        return dead + sorted(owners - present - {watch.own})

    def recover(self, dead: str, by: str) -> Recovered:
        """Take the jobs of a dead daemon from it, and forget it.

        Jobs that were being worked on are tried again, not charged for it unless it has happened too often. Jobs whose
        products were already listed belong to the daemon `by` now, which puts them into their places.
        """
        found = Recovered([], [], [])
        with self.writing() as connection:
            connection.execute(sql.delete(daemons).where(daemons.c.id == dead))
            query = SELECT_JOB.where(jobs.c.owner == dead, RUNNING).order_by(jobs.c.id).with_for_update()
            for row in connection.execute(query).all():
                job = job_of(row)
                if job.manifest:
                    found.publishing.append(_take_over(connection, job, by, self.mark + token_hex(8)))
                elif _requeue(connection, job) is JobState.FAILED:
                    found.failed.append(job.id)
                else:
                    found.requeued.append(job.id)
        return found


def _take_over(connection: Connection, job: Job, by: str, token: str) -> Job:
    owned = {"owner": by, "token": token}
    row = connection.execute(
        sql.update(jobs).where(jobs.c.id == job.id).values(owned).returning(*SELECT_JOB.selected_columns)
    )
    return job_of(row.one())


def _requeue(connection: Connection, job: Job) -> JobState:
    now = time.time()
    number = job.interruptions + 1
    state = JobState.FAILED if number > MOST_INTERRUPTIONS else JobState.QUEUED
    text = "the daemon or its machine ended while it worked on this"
    error = f"{text}, for the {number}th time" if state is JobState.FAILED else ""
    connection.execute(
        sql.update(jobs).where(jobs.c.id == job.id),
        {
            "state": state,
            "token": "",
            "attempts": max(job.attempts - 1, 0),
            "interruptions": number,
            "reason": "" if error else "interrupted; tried again",
            "error": error,
            "cause": "interrupted" if error else "",
            "finished": now if error else 0.0,
            "search": search_text(job.label, job.path, job.facts, error),
        },
    )
    connection.execute(
        attempts.insert(),
        {
            "job": job.id,
            "daemon": job.owner,
            "started": job.started,
            "ended": now,
            "outcome": "interrupted",
            "error": text,
            "seconds": max(now - job.started, 0.0),
        },
    )
    return state
