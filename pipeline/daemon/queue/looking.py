"""Looking at the queue."""

import statistics
import time
from pathlib import Path
from typing import Any, Literal

import sqlalchemy as sql

from .adding import REPLACED
from .database import Database
from .database.rows import SELECT_JOB, conditions, job_of
from .database.tables import attempts, chains, jobs, products, settings
from .errors import UnknownJob, UnknownProduct
from .job import Attempt, Job, JobState, Product
from .records import Filter, Found, NightCount, Statistics, StepTime

SAMPLE = 1000
"""The times of steps are those of so many jobs, the latest: more would take long, and say nothing else."""

NUMBER = sql.func.count().label("number")

ENDED = (JobState.DONE, JobState.SKIPPED, JobState.FAILED)

NEWER = jobs.alias("newer")


def _of_source(column: Any) -> Any:
    """The source of a job, by which nothing is looked up: SQLite would rather go through all jobs of the source."""
    return column.source.concat("")


GIVEN_UP = sql.and_(
    jobs.c.state == JobState.SKIPPED,
    jobs.c.cause == REPLACED,
    ~sql.exists().where(NEWER.c.place == jobs.c.place, NEWER.c.id > jobs.c.id, _of_source(NEWER.c) == jobs.c.source),
)
"""Jobs whose file was another one when it was to be read, which has no job yet."""

IN_PLACE = sql.select(*products.c["id", "job", "destination", "name", "size"]).where(products.c.published == 1)

IN_ORDER = (products.c.job, products.c.position, products.c.id)


class Looking(Database):
    """Questions; nothing is changed by them."""

    def get(self, job_id: int) -> Job:
        """A job, with traceback and log of its last attempt.

        Raises
        ------
        UnknownJob
            There is none of this number.
        """
        last = sql.select(*attempts.c["traceback", "log"]).where(attempts.c.job == job_id)
        with self.reading() as connection:
            row = connection.execute(SELECT_JOB.where(jobs.c.id == job_id)).one_or_none()
            if row is None:
                raise UnknownJob(job_id)
            said = connection.execute(last.order_by(attempts.c.id.desc()).limit(1)).one_or_none()
        return job_of(row) if said is None else job_of(row, traceback=said.traceback, log=said.log)

    def attempts(self, job_id: int) -> list[Attempt]:
        """The attempts at a job, oldest first, with the one that is running."""
        columns = [column for column in attempts.c if column.name not in ("id", "job")]
        query = sql.select(*columns).where(attempts.c.job == job_id).order_by(attempts.c.id)
        now = sql.select(*jobs.c["state", "owner", "started", "step"]).where(jobs.c.id == job_id)
        with self.reading() as connection:
            found = [Attempt(number, **row._mapping) for number, row in enumerate(connection.execute(query), 1)]
            job = connection.execute(now).one_or_none()
        if job is None:
            raise UnknownJob(job_id)
        if job.state is JobState.RUNNING:
            found.append(Attempt(len(found) + 1, job.owner, job.started, step=job.step))
        return found

    def products(self, job_id: int) -> list[Product]:
        """The products of a job that are in their places."""
        with self.reading() as connection:
            rows = connection.execute(IN_PLACE.where(products.c.job == job_id).order_by(*IN_ORDER))
            return [Product(*row) for row in rows]

    def product(self, product_id: int) -> Product:
        """A product.

        Raises
        ------
        UnknownProduct
            There is none of this number.
        """
        with self.reading() as connection:
            row = connection.execute(IN_PLACE.where(products.c.id == product_id)).one_or_none()
        if row is None:
            raise UnknownProduct(product_id)
        return Product(*row)

    def ended(self, source: str, within: float, *, first: bool = False) -> dict[Path, bool]:
        """Files of a source whose jobs have ended of late, and of each whether it was replaced and has no newer job.

        Parameters
        ----------
        source : str
            Name of the source.
        within : float
            How long ago at most [s].
        first : bool
            After a start, since nobody has asked meanwhile: count from the last end that there was, and add all files
            that were replaced and have no newer job.
        """
        column = jobs.c
        ours = (_of_source(column) == source, column.path.is_not(None), column.state.in_(ENDED))
        with self.reading() as connection:
            latest = time.time()
            if first:
                latest = connection.execute(sql.select(sql.func.max(column.finished)).where(*ours)).scalar() or 0.0
            lately = column.finished >= latest - within
            wanted = sql.or_(lately, GIVEN_UP) if first else lately
            rows = connection.execute(sql.select(column.path, GIVEN_UP).where(*ours, wanted).order_by(column.id))
            return {path: bool(given_up) for path, given_up in rows}

    def chain_text(self, fingerprint: str) -> tuple[str, str]:
        """Name and text of a chain as jobs went through it; both empty if it is not known."""
        query = sql.select(chains.c.name, chains.c.text).where(chains.c.fingerprint == fingerprint)
        with self.reading() as connection:
            row = connection.execute(query).one_or_none()
        return ("", "") if row is None else (row.name, row.text)

    def search(
        self,
        wanted: Filter | None = None,
        *,
        order: Literal["newest", "oldest"] = "newest",
        limit: int = 100,
        before: int | None = None,
    ) -> Found:
        """A page of jobs.

        Parameters
        ----------
        wanted : Filter
            Which jobs; all by default.
        order : {"newest", "oldest"}
            Those that were added last, or first, come first.
        limit : int
            Jobs on a page.
        before : int or None
            `next` of the page before; None for the first page. Jobs that are added meanwhile shift nothing.
        """
        meant = conditions(wanted or Filter())
        query = sql.select(jobs.c.id).where(*meant).limit(limit + 1)  # sorting numbers is faster than sorting rows
        if order == "newest":
            query = query.order_by(jobs.c.id.desc())
            query = query if before is None else query.where(jobs.c.id < before)
        else:
            query = query.order_by(jobs.c.id)
            query = query if before is None else query.where(jobs.c.id > before)
        with self.reading() as connection:
            total = connection.execute(sql.select(sql.func.count()).select_from(jobs).where(*meant)).scalar_one()
            ids = list(connection.execute(query).scalars())
            rows = connection.execute(SELECT_JOB.where(jobs.c.id.in_(ids[:limit]))) if ids else []
            found = {row.id: job_of(row) for row in rows}
        return Found([found[number] for number in ids[:limit]], total, ids[limit - 1] if len(ids) > limit else None)

    def counts(self) -> dict[JobState, int]:
        """How many jobs are in each state."""
        query = sql.select(jobs.c.state, NUMBER).group_by(jobs.c.state)
        with self.reading() as connection:
            found = {row.state: row.number for row in connection.execute(query)}
        return {state: found.get(state, 0) for state in JobState}

    def statistics(self, since: float) -> Statistics:
        """What has come to an end since a time [s since 1970], and how long steps took."""
        recent = jobs.c.finished >= since
        ended = jobs.c.state.in_([JobState.DONE, JobState.FAILED, JobState.SKIPPED])
        tally = sql.select(jobs.c.state, NUMBER).where(ended, recent).group_by(jobs.c.state)
        latest = (
            sql.select(jobs.c.chain, jobs.c.timings)
            .where(recent, jobs.c.state == JobState.DONE)
            .order_by(jobs.c.finished.desc())
            .limit(SAMPLE)
        )
        with self.reading() as connection:
            found = {row.state: row.number for row in connection.execute(tally)}
            rows = connection.execute(latest).all()
        done = found.get(JobState.DONE, 0)
        hours = max(time.time() - since, 1.0) / 3600.0
        failed, skipped = found.get(JobState.FAILED, 0), found.get(JobState.SKIPPED, 0)
        return Statistics(done, failed, skipped, done / hours, _step_times(rows))

    def nights(self, limit: int = 30) -> list[NightCount]:
        """The latest nights and their instruments, newest first.

        Parameters
        ----------
        limit : int
            How many nights.
        """
        some = sql.select(jobs.c.night).where(jobs.c.night != "").distinct().order_by(jobs.c.night.desc()).limit(limit)
        columns = jobs.c["night", "instrument", "kind", "state"]
        counted = sql.select(*columns, NUMBER).group_by(*columns)
        with self.reading() as connection:
            names = list(connection.execute(some).scalars())
            rows = connection.execute(counted.where(jobs.c.night.in_(names))).all() if names else []
        found: dict[tuple[str, str], NightCount] = {}
        for row in rows:
            key = row.night, row.instrument
            one = found.get(key) or NightCount(row.night, row.instrument, 0, {}, {})
            one.states[row.state] = one.states.get(row.state, 0) + row.number
            one.kinds.setdefault(row.kind, {})[row.state] = row.number
            found[key] = NightCount(one.night, one.instrument, one.total + row.number, one.states, one.kinds)
        by_instrument = sorted(found.values(), key=lambda one: one.instrument)
        return sorted(by_instrument, key=lambda one: one.night, reverse=True)

    def names(self, what: Literal["chain", "source"]) -> list[str]:
        """Names of chains, or of sources, that any job has; all jobs are looked at."""
        column = jobs.c[what]
        query = sql.select(column).where(column != "").distinct().order_by(column)
        with self.reading() as connection:
            return list(connection.execute(query).scalars())

    def version(self) -> str:
        """Changes whenever a job changes, or something is paused or resumed; it may also change without reason."""
        counter = sql.select(settings.c.value).where(settings.c.key == "changes").scalar_subquery()
        changes = sql.func.max(jobs.c.revision) if self.is_sqlite else sql.text("CAST(pg_current_snapshot() AS TEXT)")
        query = sql.select(changes, counter)
        with self.reading() as connection:
            row = connection.execute(query if not self.is_sqlite else query.select_from(jobs)).one()
        return f"{row[0] or 0}/{row[1] or 0}"

    def changed_since(self, version: str, *, limit: int = 200) -> list[Job]:
        """Jobs that have changed since :meth:`version` gave this, the earliest change first.

        Ask for the version first and for changes then: a change in between is told twice, and none is missed.
        """
        seen = version.partition("/")[0]
        if self.is_sqlite:
            query = SELECT_JOB.where(jobs.c.revision > int(seen))
        else:
            query = SELECT_JOB.where(
                jobs.c.revision >= int(seen.partition(":")[0]),
                sql.text("NOT pg_visible_in_snapshot(jobs.revision::text::xid8, CAST(:seen AS pg_snapshot))"),
            ).params(seen=seen)
        with self.reading() as connection:
            return [job_of(row) for row in connection.execute(query.order_by(jobs.c.revision, jobs.c.id).limit(limit))]


def _step_times(rows: Any) -> list[StepTime]:
    times: dict[tuple[str, str], list[float]] = {}
    for chain, timings in rows:
        for step, seconds, _ in timings:
            times.setdefault((chain, step), []).append(seconds)
    return [
        StepTime(chain, step, len(seconds), statistics.median(seconds), _p95(sorted(seconds)))
        for (chain, step), seconds in times.items()
    ]


def _p95(ordered: list[float]) -> float:
    """The smallest time that at least 95 % do not exceed."""
    return ordered[max(-(-len(ordered) * 95 // 100) - 1, 0)]
