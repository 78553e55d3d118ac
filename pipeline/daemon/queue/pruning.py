"""Pruning: the details of jobs that have ended long ago are removed, the jobs themselves never.

What makes a file known, and the names of products whose they are, stays for ever: the row of the job and those of its
products. So do its facts, from which the nights are drawn, and what its work needs to be done again. Attempts go, with
their logs and tracebacks, and so do the times of the steps and the notes.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sql

from .database import Database
from .database.rows import AT_ONCE
from .database.tables import attempts, jobs
from .job import PRUNED_STATES


@dataclass(frozen=True, slots=True)
class Prunable:
    """Some of the jobs whose details may be removed.

    Attributes
    ----------
    jobs : list of int
        Their numbers.
    next : int or None
        `after` of the next search; None if nothing that is old enough comes any more.
    """

    jobs: list[int]
    next: int | None


class Pruning(Database):
    """What is done about jobs that nobody asks for any more."""

    def prunable(self, before: float, after: int = 0) -> Prunable:
        """Look for jobs that have ended before a time and still have details; failed ones wait for a person.

        Parameters
        ----------
        before : float
            [s since 1970]
        after : int
            `next` of the search before.
        """
        attempt = attempts.c
        query = (
            sql.select(attempt.id, attempt.job, attempt.ended, _is_old(before).label("old"))
            .join_from(attempts, jobs, attempt.job == jobs.c.id)
            .where(attempt.id > after)
            .order_by(attempt.id)
            .limit(AT_ONCE)
        )
        with self.reading() as connection:
            rows = connection.execute(query).all()
        # Attempts are numbered as they end: where none is old, none of the later ones is.
        ends = len(rows) < AT_ONCE or all(row.ended >= before for row in rows)
        return Prunable(sorted({row.job for row in rows if row.old}), None if ends else rows[-1].id)

    def prune(self, chosen: Iterable[int], before: float) -> int:
        """Remove the details of those of the jobs that have ended before a time; gives how many.

        Nobody is told: `changed` and :meth:`~etendue.pipeline.daemon.queue.looking.Looking.version` stay.
        """
        wanted = jobs.c.id.in_(sorted(set(chosen)))
        emptied = {"timings": (), "notes": (), "changed": jobs.c.changed, "revision": jobs.c.revision}
        with self.writing() as connection:
            # The jobs first: somebody who retries one at this moment has its attempts to wait for, or they stay.
            update = sql.update(jobs).where(wanted, _is_old(before)).values(emptied).returning(jobs.c.id)
            old = list(connection.execute(update).scalars())
            connection.execute(sql.delete(attempts).where(attempts.c.job.in_(old)))
        return len(old)


def _is_old(before: float) -> Any:
    return sql.and_(jobs.c.state.in_(PRUNED_STATES), jobs.c.finished > 0, jobs.c.finished < before)
