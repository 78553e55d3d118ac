"""Claiming jobs: who gets which, and in which order."""

import time
from collections.abc import Collection, Mapping
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
        destinations: Collection[str] | None = None,
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
        destinations : collection of str or None
            Only jobs whose products go there; None for all, which takes as long as there are jobs to be put in order.

        Returns
        -------
        list of Job
            In the order in which they are to be done. A job that was given back after its products were listed still
            has its manifest: it only remains to put them into their places.
        """
        asked = {
            "fits": fits,
            "only": None if chains is None else sorted({"", *chains}),
            "no_sources": sorted(except_sources) or None,
            "no_chains": sorted(except_chains) or None,
        }
        places = None if destinations is None else sorted(set(destinations))
        for _ in range(3):
            try:
                with self.writing() as connection:
                    return self._claim(connection, daemon, limit, asked, places)
            except Collision:  # another daemon has begun a job for the same file at this moment
                continue
        return []

    def queued_for(self, destinations: Collection[str]) -> dict[str, int]:
        """How many jobs are queued for each destination; those for which there are none are left out."""
        column = jobs.c.destination
        query = sql.select(column, sql.func.count()).where(QUEUED_JOB, column.in_(sorted(destinations)))
        with self.reading() as connection:
            return {row[0]: row[1] for row in connection.execute(query.group_by(column))}

    def note_strays(self, chains: Collection[str], destinations: Collection[str]) -> int:
        """Say of queued jobs that none of these chains and destinations is theirs; gives of how many it is news."""
        column, known = jobs.c, ["", *chains]
        strays = (
            ("chain", column.chain.not_in(known)),
            ("destination", sql.and_(column.chain.in_(known), column.destination.not_in(list(destinations)))),
        )
        count = 0
        with self.writing() as connection:
            for what, is_stray in strays:
                named = sql.literal(f"there is no {what} '").concat(column[what])
                reason = named.concat("' in the configuration any more")
                news = sql.update(jobs).where(QUEUED_JOB, is_stray, column.reason != reason).values(reason=reason)
                count += connection.execute(news).rowcount
        return count

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
        asked: Mapping[str, Any],
        destinations: list[str] | None,
    ) -> list[Job]:
        if limit <= 0 or destinations == []:
            return []
        query = _claimable(
            **{name: value is not None for name, value in asked.items()},
            destinations=None if destinations is None else len(destinations),
        )
        values = {name: value for name, value in asked.items() if value is not None}
        values |= {f"destination{index}": name for index, name in enumerate(destinations or ())}
        inputs: dict[Any, int] = {}
        for number, place, chain, *_ in connection.execute(query, {**values, "now": time.time(), "limit": limit}).all():
            inputs.setdefault(number if place is None else (place, chain), number)
        if not inputs:
            return []
        order = {number: index for index, number in enumerate(inputs.values())}
        values = {"state": JobState.RUNNING, "owner": daemon, "token": self.mark + token_hex(8), "started": time.time()}
        empty = {"finished": 0.0, "reason": "", "step": "", "error": "", "cause": ""}
        rows = connection.execute(START, {"ids": list(order), **values, **empty})
        return sorted((job_of(row) for row in rows), key=lambda job: order[job.id])


@lru_cache(maxsize=32)
def _claimable(
    *, fits: bool, only: bool, no_sources: bool, no_chains: bool, destinations: int | None
) -> sql.Select[*tuple[Any, ...]] | sql.CompoundSelect[*tuple[Any, ...]]:
    """Jobs that may be claimed, those that come first first. Made once for each kind of question: making it anew
    takes longer than the answer.

    For each of several destinations the index gives those that come first; then these few are put in order.
    """
    column, same = jobs.c, OTHER.c
    runs = sql.exists().where(
        sql.text("other.state = 'running'"), same.place == column.place, same.chain == column.chain
    )
    now = bindparam("now", type_=sql.Double)
    found = sql.select(*column["id", "place", "chain", "priority", "rank"]).where(
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
    limit = bindparam("limit", type_=sql.Integer)
    first = found.order_by(column.priority.desc(), column.rank, column.id).limit(limit)
    first = first.with_for_update(skip_locked=True, of=jobs)
    if destinations is None:
        return first
    each = [first.where(column.destination == bindparam(f"destination{index}")) for index in range(destinations)]
    if len(each) == 1:
        return each[0]
    of_all = sql.union_all(*(sql.select(one.subquery(f"of{index}")) for index, one in enumerate(each)))
    return of_all.order_by(sql.desc("priority"), "rank", "id").limit(limit)
