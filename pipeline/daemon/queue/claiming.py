"""Claiming jobs: who gets which, and in which order."""

import time
from collections.abc import Collection
from functools import lru_cache
from secrets import token_hex
from typing import Any

import sqlalchemy as sql
from sqlalchemy import Connection, bindparam

from .database import Database
from .database.rows import JOB, SELECT_JOB, job_of
from .database.tables import RUNNING, jobs, pauses
from .errors import Collision
from .job import Job, JobState

LONGEST_BACKOFF = 600.0
"""A job does not wait longer than this for its next attempt [s]; one that seems to was made before the clock was set
back."""

EVERYTHING = "*"
"""In place of a chain's name: the daemon itself is paused."""

QUEUED_JOB = sql.text("jobs.state = 'queued'")

OTHER = jobs.alias("other")

NOTHING_PAUSED = ~sql.exists().where(pauses.c.chain == EVERYTHING)

START = (
    sql.update(jobs)
    .where(jobs.c.id.in_(bindparam("ids", expanding=True)))
    .values(attempts=jobs.c.attempts + 1)
    .returning(*JOB)
)


class Claiming(Database):
    """How a daemon comes to jobs."""

    def claim(
        self,
        daemon: str,
        *,
        limit: int,
        fits: int | None = None,
        except_sources: Collection[str] = (),
        except_chains: Collection[str] = (),
        chains: Collection[str] | None = None,
    ) -> list[Job]:
        """Take jobs to work on: of higher priority first, then by their order.

        Two jobs for the same file and chain are never worked on at once. Jobs of paused chains stay where they are.

        Parameters
        ----------
        daemon : str
            Who takes them.
        limit : int
            How many at most.
        fits : int or None
            The largest memory that a job may take [byte].
        except_sources, except_chains : collection of str
            Sources and chains whose jobs are left alone.
        chains : collection of str or None
            Only jobs of these chains, and those that belong to no chain (their chain is ``""``); None for all.

        Returns
        -------
        list of Job
            In the order in which they are to be done. A job that was given back after its products were listed still
            has its manifest: it only remains to put them into their places.
        """
        for _ in range(3):
            try:
                with self.writing() as connection:
                    return self._claim(connection, daemon, limit, fits, except_sources, except_chains, chains)
            except Collision:  # another daemon has begun a job for the same file at this moment
                continue
        return []

    def running(self, daemon: str) -> list[Job]:
        """The jobs that a daemon has, by what the queue knows."""
        with self.reading() as connection:
            rows = connection.execute(SELECT_JOB.where(RUNNING, jobs.c.owner == daemon).order_by(jobs.c.id))
            return [job_of(row) for row in rows]

    def running_tokens(self) -> set[tuple[int, str]]:
        """Job and token of each staging folder that is still needed."""
        listed = sql.and_(jobs.c.staging != "", jobs.c.state.in_([JobState.QUEUED, JobState.WAITING, JobState.RUNNING]))
        query = sql.select(*jobs.c["id", "token", "staging", "state"]).where(sql.or_(RUNNING, listed))
        with self.reading() as connection:
            rows = connection.execute(query).all()
        tokens = {(row.id, row.token) for row in rows if row.state is JobState.RUNNING}
        return tokens | {(row.id, row.staging) for row in rows if row.staging}

    def _claim(
        self,
        connection: Connection,
        daemon: str,
        limit: int,
        fits: int | None,
        except_sources: Collection[str],
        except_chains: Collection[str],
        only: Collection[str] | None,
    ) -> list[Job]:
        if limit <= 0:
            return []
        query = _claimable(
            fits=fits is not None,
            only=only is not None,
            no_sources=bool(except_sources),
            no_chains=bool(except_chains),
        )
        asked = {
            "fits": fits,
            "only": None if only is None else sorted({"", *only}),
            "no_sources": sorted(except_sources),
        }
        asked |= {"no_chains": sorted(except_chains), "now": time.time(), "limit": limit}
        values = {name: value for name, value in asked.items() if value is not None and value != []}
        inputs: dict[Any, int] = {}
        for number, place, chain in connection.execute(query, values).all():
            inputs.setdefault(number if place is None else (place, chain), number)
        if not inputs:
            return []
        order = {number: index for index, number in enumerate(inputs.values())}
        values = {"state": JobState.RUNNING, "owner": daemon, "token": self.mark + token_hex(8), "started": time.time()}
        empty = {"finished": 0.0, "reason": "", "step": "", "error": "", "cause": ""}
        rows = connection.execute(START, {"ids": list(order), **values, **empty})
        return sorted((job_of(row) for row in rows), key=lambda job: order[job.id])


@lru_cache(maxsize=32)
def _claimable(*, fits: bool, only: bool, no_sources: bool, no_chains: bool) -> sql.Select[*tuple[Any, ...]]:
    """Jobs that may be claimed, those that come first first. Made once for each kind of question: making it anew
    takes longer than the answer."""
    column, same = jobs.c, OTHER.c
    runs = sql.exists().where(
        sql.text("other.state = 'running'"), same.place == column.place, same.chain == column.chain
    )
    now = bindparam("now", type_=sql.Double)
    found = sql.select(column.id, column.place, column.chain).where(
        QUEUED_JOB,
        NOTHING_PAUSED,
        column.chain.not_in(sql.select(pauses.c.chain)),
        sql.or_(column.not_before <= now, column.not_before > now + LONGEST_BACKOFF),
        ~runs,
    )
    if fits:
        found = found.where(column.memory <= bindparam("fits", type_=sql.BigInteger))
    if only:
        found = found.where(column.chain.in_(bindparam("only", expanding=True)))
    if no_sources:
        found = found.where(column.source.not_in(bindparam("no_sources", expanding=True)))
    if no_chains:
        found = found.where(column.chain.not_in(bindparam("no_chains", expanding=True)))
    order = column.priority.desc(), column.rank, column.id
    return (
        found.order_by(*order).limit(bindparam("limit", type_=sql.Integer)).with_for_update(skip_locked=True, of=jobs)
    )
