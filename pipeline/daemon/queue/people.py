"""What people and nights decide about jobs that nobody works on at the moment."""

import time
from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sql
from sqlalchemy import Connection
from sqlalchemy.dialects import postgresql, sqlite

from .adding import NOT_BEGUN, REPLACED, Adding, numbered
from .claiming import EVERYTHING
from .database.rows import AT_ONCE, chosen, first_state, search_text
from .database.tables import jobs, pauses, settings
from .errors import UnknownJob
from .job import OPEN_STATES, JobKind, JobState
from .names import withdraw_names
from .records import Filter, Pause

RETRIED = (JobState.FAILED, JobState.DROPPED, JobState.SKIPPED)
DROPPED = (*NOT_BEGUN, JobState.FAILED)
DONE_AGAIN = (JobState.DONE, JobState.SKIPPED, JobState.FAILED, JobState.DROPPED)

COPIED = (
    "kind", "source", "chain", "label", "path", "place", "size", "mtime_ns", "destination", "priority", "rank",
    "night", "instrument", "facts", "payload", "memory", "checksum",
)  # fmt: skip
"""What a job that is done again has of the earlier one."""


class People(Adding):
    """Decisions."""

    def retry(self, wanted: Iterable[int] | Filter) -> int:
        """Queue jobs again that failed, were dropped or skipped, with all their attempts; gives how many.

        A job whose file was replaced by a newer one stays as it is: the newer one has its own.
        """
        frame = jobs.c.kind == JobKind.FRAME
        fresh = {
            "state": sql.case((frame, str(JobState.WAITING)), else_=str(JobState.QUEUED)),
            "attempts": 0,
            "interruptions": 0,
            "not_before": 0.0,
            "deadline": 0.0,
            "finished": 0.0,
            "token": "",
            "reason": "",
            "error": "",
            "step": "",
            "cause": "",
        }
        possible = sql.and_(jobs.c.state.in_(RETRIED), jobs.c.cause != REPLACED)
        return self._change(wanted, possible, fresh)

    def drop(self, wanted: Iterable[int] | Filter) -> int:
        """Decide that nothing is to be done about jobs that have not begun, or failed; gives how many."""
        values = {"state": JobState.DROPPED, "finished": time.time(), "token": "", "reason": ""}
        return self._change(wanted, jobs.c.state.in_(DROPPED), values)

    def requeue(self, wanted: Iterable[int] | Filter) -> list[int]:
        """Do jobs again that have come to an end. Each gets a new job, whose products replace the earlier ones.

        Returns
        -------
        list of int
            Numbers of the new jobs; of the one that is open already, where there is one.
        """
        made: list[int] = []
        with self.writing() as connection:
            for some in chosen(wanted):
                query = sql.select(jobs).where(*some, jobs.c.state.in_(DONE_AGAIN)).order_by(jobs.c.id)
                for row in connection.execute(query).all():
                    number = self._again(connection, row)
                    if number not in made:
                        made.append(number)
        return made

    def pause(self, chain: str | None = None, reason: str = "", who: str = "") -> None:
        """Start no more jobs of a chain, or of any chain."""
        dialect = sqlite if self.is_sqlite else postgresql
        row = {"chain": chain or EVERYTHING, "reason": reason, "who": who, "since": time.time()}
        statement = dialect.insert(pauses)
        with self.writing() as connection:
            connection.execute(
                statement.on_conflict_do_update(index_elements=["chain"], set_=dict(statement.excluded)), row
            )
            self._count(connection, "changes")

    def resume(self, chain: str | None = None) -> None:
        """Start jobs of a chain again. Without a chain: those of chains that are not paused themselves."""
        with self.writing() as connection:
            connection.execute(sql.delete(pauses).where(pauses.c.chain == (chain or EVERYTHING)))
            self._count(connection, "changes")

    def paused(self) -> list[Pause]:
        """What is paused."""
        with self.reading() as connection:
            rows = connection.execute(sql.select(pauses).order_by(pauses.c.chain)).all()
        return [Pause(None if row.chain == EVERYTHING else row.chain, row.reason, row.who, row.since) for row in rows]

    def request_reload(self, who: str = "") -> int:
        """Ask all daemons to read their configuration anew; gives the number of the request."""
        with self.writing() as connection:
            return self._count(connection, "reload")

    def reload_requested(self) -> int:
        """Number of the latest request; 0 before the first one."""
        with self.reading() as connection:
            return int(connection.execute(sql.select(settings.c.value).where(settings.c.key == "reload")).scalar() or 0)

    # --- what nights decide ---------------------------------------------------------------------------------------

    def release(self, wanted: Iterable[int] | Filter, reason: str = "") -> int:
        """Let jobs that wait be done; gives how many."""
        values = {"state": JobState.QUEUED, "reason": reason, "deadline": 0.0}
        return self._change(wanted, jobs.c.state == JobState.WAITING, values)

    def hold(self, wanted: Iterable[int] | Filter, reason: str, deadline: float = 0.0) -> int:
        """Let jobs wait that have not begun, and raw frames that failed; gives how many.

        Parameters
        ----------
        wanted : iterable of int or Filter
            The jobs.
        reason : str
            What they wait for.
        deadline : float
            When waiting ends [s since 1970]; 0 for never. It is for whoever made them wait to look at it.
        """
        values = {"state": JobState.WAITING, "reason": reason, "deadline": deadline, "error": "", "finished": 0.0}
        failed_frame = sql.and_(jobs.c.state == JobState.FAILED, jobs.c.kind == JobKind.FRAME)
        return self._change(wanted, sql.or_(jobs.c.state.in_(NOT_BEGUN), failed_frame), values)

    def fail(self, wanted: Iterable[int] | Filter, error: str) -> int:
        """Let jobs fail that have not begun; gives how many."""
        values = {"state": JobState.FAILED, "error": error, "reason": "", "finished": time.time(), "token": ""}
        return self._change(wanted, jobs.c.state.in_(NOT_BEGUN), values, said=error)

    def complete(self, wanted: Iterable[int] | Filter, reason: str = "") -> int:
        """Jobs that nobody works on are done, since others have done what was to be done; gives how many."""
        values = {"state": JobState.DONE, "reason": reason, "error": "", "finished": time.time(), "token": ""}
        return self._change(wanted, jobs.c.state.in_(DROPPED), values, said=reason)

    def set_facts(self, job_id: int, facts: Mapping[str, Any]) -> None:
        """Add facts to a job.

        Raises
        ------
        UnknownJob
            There is none of this number.
        """
        with self.writing() as connection:
            query = sql.select(*jobs.c["label", "path", "facts", "error"]).where(jobs.c.id == job_id).with_for_update()
            row = connection.execute(query).one_or_none()
            if row is None:
                raise UnknownJob(job_id)
            whole = {**row.facts, **facts}
            words = search_text(row.label, row.path, whole, row.error)
            connection.execute(sql.update(jobs).where(jobs.c.id == job_id), {"facts": whole, "search": words})

    # --- parts of a transaction -----------------------------------------------------------------------------------

    def _change(self, wanted: Iterable[int] | Filter, possible: Any, values: dict[str, Any], *, said: str = "") -> int:
        if values["state"] in DONE_AGAIN:
            values = {**values, "manifest": (), "staging": ""}
        if said:
            values = {**values, "search": jobs.c.search + f"\n{said}".casefold()}
        with self.writing() as connection:
            count = 0
            for some in chosen(wanted):
                if "manifest" in values:
                    listed = sql.select(jobs.c.id).where(*some, possible, jobs.c.staging != "")
                    for job_id in connection.execute(listed).scalars().all():
                        withdraw_names(connection, job_id)
                count += connection.execute(sql.update(jobs).where(*some, possible).values(values)).rowcount
            return count

    def _again(self, connection: Connection, row: Any) -> int:
        """A new job like one that has ended; the open one of those, if there is one."""
        numbers = {*range(AT_ONCE // 2), *range(row.generation, row.generation + AT_ONCE // 2)}
        kin = jobs.c.key.in_([numbered(row.key, number) for number in sorted(numbers)])
        query = sql.select(jobs.c.id, jobs.c.state, jobs.c.generation).where(kin).order_by(jobs.c.id.desc())
        found = connection.execute(query).all()
        for other in found:
            if other.state in OPEN_STATES:
                return other.id
        generation = max(other.generation for other in found) + 1
        now = time.time()
        values = {name: getattr(row, name) for name in COPIED}
        values |= {
            "key": numbered(row.key, generation),
            "state": first_state(row.kind),
            "reason": f"once more after job {row.id}",
            "generation": generation,
            "created": now,
            "search": search_text(row.label, row.path, row.facts),
        }
        return connection.execute(jobs.insert().returning(jobs.c.id), values).scalar_one()

    def _count(self, connection: Connection, what: str) -> int:
        dialect = sqlite if self.is_sqlite else postgresql
        one_more = sql.cast(sql.cast(settings.c.value, sql.BigInteger) + 1, sql.Text)
        statement = dialect.insert(settings).values(key=what, value="1")
        statement = statement.on_conflict_do_update(index_elements=["key"], set_={"value": one_more})
        return int(connection.execute(statement.returning(settings.c.value)).scalar_one())
