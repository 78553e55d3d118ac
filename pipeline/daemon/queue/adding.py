"""Adding jobs: the same one only once, and newer versions of a file in the place of older ones."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import sqlalchemy as sql
from sqlalchemy import Connection
from sqlalchemy.dialects import postgresql, sqlite

from .database import Database
from .database.paths import place_of
from .database.rows import parts, values_of
from .database.tables import jobs
from .job import JobState, NewJob
from .names import withdraw_names
from .records import Added

REPLACED = "replaced"
"""The cause of a job that was skipped since its file was replaced."""

NOT_BEGUN = (JobState.WAITING, JobState.QUEUED)

Input = tuple[str, int | None, str]
"""Source, place and chain: what a newer version of a file has in common with the older one."""


def numbered(key: str, generation: int) -> str:
    """The key of a job that is done again: that of the first one, with a number."""
    base = key.partition("#")[0]
    return f"{base}#{generation}" if generation else base


class Adding(Database):
    """What sources do."""

    def add(self, new: Sequence[NewJob]) -> list[Added]:
        """Add jobs. A key that is there already stands for the job that is there.

        An older job for another version of the same file (same path, chain and source) is skipped, unless it runs
        already. A file that has become again what it once was gets a new job, although its key is known; so does one
        whose newest job was given up because it was another file at that moment.

        Returns
        -------
        list of Added
            In the order of `new`.
        """
        with self.writing() as connection:
            return [added for some in parts(new) for added in self._add(connection, some)]

    def known(self, source: str, paths: Iterable[Path]) -> dict[Path, tuple[int, int]]:
        """The newest versions of files that have jobs: size [byte] and time of change [ns]; without unknown ones."""
        found: dict[Path, tuple[int, int]] = {}
        columns = jobs.c["id", "source", "path", "size", "mtime_ns"]
        with self.reading() as connection:
            for some in parts(paths):
                # Only the place is asked for: SQLite would rather go through all jobs of the source.
                query = sql.select(*columns).where(jobs.c.place.in_([place_of(path) for path in some]))
                wanted = set(some)
                for row in sorted(connection.execute(query), key=lambda row: row.id):
                    if row.source == source and row.path in wanted:
                        found[row.path] = row.size, row.mtime_ns
        return found

    def _add(self, connection: Connection, new: list[NewJob]) -> list[Added]:
        now = time.time()
        rows = [values_of(job, None if job.path is None else place_of(job.path), now) for job in new]
        ids = _ids(connection, [row["key"] for row in rows])
        made = self._insert(connection, [row for row in rows if row["key"] not in ids])
        ids |= made
        if len(ids) < len({row["key"] for row in rows}):  # others have added some at this moment
            ids |= _ids(connection, [row["key"] for row in rows if row["key"] not in ids])
        fresh = set(made.values())
        inputs = self._inputs(connection, rows)
        added, seen = [], set[int]()
        for job, row in zip(new, rows, strict=True):
            number = ids[row["key"]]
            is_new = number in fresh and number not in seen
            seen.add(number)
            versions = inputs.get((row["source"], row["place"], row["chain"]), [])
            if versions and number not in fresh and not _stands_for(versions[-1], job):
                number, is_new = self._add_again(connection, job, row), True
                inputs = self._inputs(connection, rows)
            added.append(Added(number, is_new))
        for versions in inputs.values():
            _skip_replaced(connection, versions)
        return added

    def _inputs(self, connection: Connection, rows: list[dict[str, Any]]) -> dict[Input, list[Any]]:
        """The jobs for each input, oldest first."""
        places = sorted({row["place"] for row in rows if row["place"] is not None})
        if not places:
            return {}
        columns = jobs.c["id", "source", "place", "chain", "size", "mtime_ns", "state", "cause", "manifest", "search"]
        found: dict[Input, list[Any]] = {}
        for row in connection.execute(sql.select(*columns).where(jobs.c.place.in_(places)).order_by(jobs.c.id)):
            found.setdefault((row.source, row.place, row.chain), []).append(row)
        return found

    def _insert(self, connection: Connection, rows: list[dict[str, Any]]) -> dict[str, int]:
        """Insert what is not there yet; numbers by key."""
        if not rows:
            return {}
        dialect = sqlite if self.is_sqlite else postgresql
        statement = dialect.insert(jobs).on_conflict_do_nothing(index_elements=["key"])
        done = connection.execute(statement.returning(jobs.c.key, jobs.c.id), rows)
        return {row.key: row.id for row in done}

    def _add_again(self, connection: Connection, job: NewJob, row: dict[str, Any]) -> int:
        """Add a job whose key is taken, as the next one of its kind."""
        generation = job.generation
        while True:
            generation += 1
            again = replace(job, key=numbered(job.key, generation), generation=generation)
            made = self._insert(connection, [values_of(again, row["place"], row["created"])])
            if made:
                return made[again.key]


def _ids(connection: Connection, keys: list[str]) -> dict[str, int]:
    query = sql.select(jobs.c.key, jobs.c.id).where(jobs.c.key.in_(keys))
    return {row.key: row.id for row in connection.execute(query)}


def _stands_for(newest: Any, job: NewJob) -> bool:
    """Whether the newest job of a file is one for this version of it, and was not given up as replaced."""
    given_up = newest.state is JobState.SKIPPED and newest.cause == REPLACED
    return _same_version(newest, job) and not given_up


def _same_version(one: Any, other: Any) -> bool:
    return (one.size, one.mtime_ns) == (other.size, other.mtime_ns)


def _skip_replaced(connection: Connection, versions: list[Any]) -> None:
    """Skip the jobs of earlier versions of a file that have not begun."""
    newest = versions[-1]
    reason = f"replaced by a newer file (job {newest.id})"
    for row in versions[:-1]:
        if row.state in NOT_BEGUN and not _same_version(row, newest):
            if row.manifest:
                withdraw_names(connection, row.id)
            listed = {"manifest": (), "staging": ""}
            values = {"state": JobState.SKIPPED, "reason": reason, "cause": REPLACED, "finished": time.time()}
            words = {"search": f"{row.search}\n{reason}"}
            # The state is asked for again: another daemon may have claimed it meanwhile.
            still = sql.update(jobs).where(jobs.c.id == row.id, jobs.c.state.in_(NOT_BEGUN))
            connection.execute(still, values | words | listed)
