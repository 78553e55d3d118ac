"""Whether the queue is in order, and everything in it as plain data."""

import math
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import sqlalchemy as sql

from .database.paths import to_text
from .database.tables import jobs, products
from .job import JobState
from .looking import Looking
from .records import Filter

PAGE = 200


class Integrity(Looking):
    """The whole queue."""

    def check(self) -> list[str]:
        """What is wrong with the queue, in sentences; empty if it is in order."""
        problems: list[str] = []
        with self.reading() as connection:
            if self.is_sqlite:
                said = connection.exec_driver_sql("PRAGMA integrity_check").scalars().all()
                problems += [f"SQLite: {line}" for line in said if line != "ok"]
                broken = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
                problems += [f"SQLite: row {row[1]} of {row[0]} belongs to a job that is not there" for row in broken]
            for sentence, query in _contradictions():
                problems += [sentence.format(*row) for row in connection.execute(query.limit(100))]
        return problems

    def export(self, wanted: Filter | None = None) -> Iterator[dict[str, Any]]:
        """Jobs with their attempts and products as plain JSON data, oldest first; what is not finite becomes None."""
        page = self.search(wanted, order="oldest", limit=PAGE)
        while True:
            for job in page.jobs:
                plain = asdict(self.get(job.id))
                plain["path"] = None if job.path is None else to_text(job.path)
                plain["attempts_made"] = [asdict(attempt) for attempt in self.attempts(job.id)]
                plain["products"] = [asdict(product) for product in self.products(job.id)]
                yield _finite(plain)
            if page.next is None:
                return
            page = self.search(wanted, order="oldest", limit=PAGE, before=page.next)


def _contradictions() -> list[tuple[str, sql.Select[*tuple[Any, ...]]]]:
    """What can never be, as queries that find it."""
    job, product = jobs.c, products.c
    unpublished = sql.select(product.id).where(product.job == job.id, product.published == 0).exists()
    open_states = (JobState.RUNNING, JobState.QUEUED, JobState.WAITING)
    return [
        (
            "job {0} is {1}, but products of it are still on their way",
            sql.select(job.id, job.state).where(
                job.state.not_in(open_states), sql.or_(job.manifest != "", unpublished)
            ),
        ),
        (
            "product {0} of job {1} is on its way, but the job does not list any",
            sql.select(product.id, product.job)
            .join_from(products, jobs, product.job == job.id)
            .where(product.published == 0, job.manifest == ""),
        ),
        (
            "job {0} is {1}, but has no time at which it ended",
            sql.select(job.id, job.state).where(job.state.not_in(open_states), job.finished <= 0),
        ),
        (
            "job {0} is {1}, but has a time at which it ended",
            sql.select(job.id, job.state).where(job.state.in_(open_states), job.finished > 0),
        ),
        (
            "jobs {0} and {1} for the same file and chain are running at once",
            _twice(),
        ),
    ]


def _twice() -> sql.Select[*tuple[Any, ...]]:
    one, other = jobs.alias("one"), jobs.alias("two")
    same = sql.and_(one.c.place == other.c.place, one.c.chain == other.c.chain, one.c.id < other.c.id)
    running = sql.and_(one.c.state == JobState.RUNNING, other.c.state == JobState.RUNNING)
    return sql.select(one.c.id, other.c.id).join_from(one, other, same).where(running)


def _finite(value: Any) -> Any:
    match value:
        case float() if not math.isfinite(value):
            return None
        case dict():
            return {str(key): _finite(item) for key, item in value.items()}
        case list() | tuple():
            return [_finite(item) for item in value]
    return value
