"""Working on jobs: list the products, finish. Whoever has lost a job changes nothing of it any more.

========  ====================================================================================================
claim     the job is RUNNING, with an owner and a new token; every further change of it asks for this token
manifest  its products and their names are listed; from now on they will be put into their places, by whomever
finish    DONE, SKIPPED or FAILED; or QUEUED again by retry_later and give_back
========  ====================================================================================================
"""

import time
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sql
from sqlalchemy import Connection, bindparam
from sqlalchemy.dialects import postgresql, sqlite

from .claiming import LONGEST_BACKOFF, Claiming
from .database.rows import search_text
from .database.tables import RUNNING, attempts, chains, jobs
from .errors import LostLease
from .job import JobState, Piece
from .names import publish_names, refuse_outdated, take_names, withdraw_names
from .records import Record

MOST_NOTES = 50

KNOWN = (
    "state", "token", "owner", "started", "attempts", "label", "path", "place", "chain", "size", "mtime_ns", "facts",
    "notes", "manifest", "checksum",
)  # fmt: skip

HELD = sql.select(*jobs.c[KNOWN]).where(jobs.c.id == bindparam("job")).with_for_update()
"""What must be known of a job to change it."""

CHANGE = sql.update(jobs).where(jobs.c.id == bindparam("job"), RUNNING, jobs.c.token == bindparam("held"))

INSERT_ATTEMPT = attempts.insert()


class Working(Claiming):
    """What a daemon does with its jobs."""

    def commit_manifest(self, job_id: int, token: str, manifest: Sequence[Piece], checksum: str = "") -> None:
        """List the products of a job: from now on they are put into their places, even if the daemon dies.

        Products of an earlier job for the same input and chain are replaced.

        Parameters
        ----------
        job_id, token : int, str
            The job, and the proof that we have it.
        manifest : sequence of Piece
            Its products.
        checksum : str
            Of the input's content.

        Raises
        ------
        LostLease
            The job is not ours any more.
        NameTaken
            A product of another input has the same name, or a newer version of the file was done meanwhile.
        """
        with self.writing() as connection:
            row = self._ours(connection, job_id, token)
            if row.manifest:
                withdraw_names(connection, job_id)
            refuse_outdated(connection, job_id, row, manifest)
            values = {"manifest": tuple(manifest), "staging": token, "checksum": checksum or row.checksum}
            connection.execute(CHANGE, {"job": job_id, "held": token, **values})
            take_names(connection, job_id, row, manifest, checksum)

    def finish(self, job_id: int, token: str, state: JobState, record: Record) -> None:
        """End a job: DONE (its products are in their places), SKIPPED or FAILED (listed products are forgotten).

        May be repeated with the same arguments.

        Raises
        ------
        LostLease
            The job is not ours any more.
        """
        with self.writing() as connection:
            row = self._ours(connection, job_id, token, state)
            if row.state is state:
                return
            _settle_products(connection, job_id, row, state)
            reason = record.error if state is JobState.SKIPPED else ""
            self._write_record(connection, job_id, row, record, state, reason=reason, finished=time.time())

    def retry_later(self, job_id: int, token: str, record: Record, *, delay: float, attempts: int) -> JobState:
        """End an attempt that failed: the job is queued for another one, or FAILED after the last one.

        Parameters
        ----------
        job_id, token : int, str
            The job, and the proof that we have it.
        record : Record
            What happened.
        delay : float
            Time until the next attempt [s].
        attempts : int
            How often a job is tried in all.

        Returns
        -------
        JobState
            QUEUED or FAILED.

        Raises
        ------
        LostLease
            The job is not ours any more.
        """
        with self.writing() as connection:
            row = self._ours(connection, job_id, token, JobState.QUEUED, JobState.FAILED)
            if row.state is not JobState.RUNNING:
                return row.state
            state = JobState.FAILED if row.attempts >= attempts else JobState.QUEUED
            _settle_products(connection, job_id, row, state)
            now = time.time()
            if state is JobState.FAILED:
                self._write_record(connection, job_id, row, record, state, finished=now)
            else:
                reason = f"attempt {row.attempts} of {attempts} failed"
                when = now + min(delay, LONGEST_BACKOFF)
                self._write_record(connection, job_id, row, record, state, reason=reason, not_before=when)
            return state

    def give_back(
        self, job_id: int, token: str, reason: str, *, delay: float = 0.0, state: JobState = JobState.QUEUED
    ) -> None:
        """Return a job to the queue as if it had not been claimed; listed products stay listed.

        Parameters
        ----------
        job_id, token : int, str
            The job, and the proof that we have it.
        reason : str
            Why.
        delay : float
            Time until it may be claimed again [s].
        state : {QUEUED, WAITING}
            Where it goes.

        Raises
        ------
        LostLease
            The job is not ours any more.
        """
        with self.writing() as connection:
            row = self._ours(connection, job_id, token, state)
            if row.state is state:
                return
            values = {
                "state": state,
                "reason": reason,
                "attempts": max(row.attempts - 1, 0),
                "not_before": time.time() + min(delay, LONGEST_BACKOFF) if delay > 0 else 0.0,
            }
            connection.execute(CHANGE, {"job": job_id, "held": token, **values})

    def note_chain(self, fingerprint: str, name: str, text: str) -> None:
        """Keep a chain, with all that was put into it, for those who ask how a job was done."""
        dialect = sqlite if self.is_sqlite else postgresql
        with self.writing() as connection:
            row = {"fingerprint": fingerprint, "name": name, "text": text}
            connection.execute(dialect.insert(chains).on_conflict_do_nothing(), row)

    # --- parts of a transaction ---------------------------------------------------------------------------------

    def _ours(self, connection: Connection, job_id: int, token: str, *already: JobState) -> Any:
        """What is known of a job that we run, or have brought into one of these states `already`.

        Nobody else changes it before the end of the transaction.

        Raises
        ------
        LostLease
            The job is not ours any more.
        """
        row = connection.execute(HELD, {"job": job_id}).one_or_none()
        if row is None or row.token != token or row.state not in (JobState.RUNNING, *already):
            raise LostLease(job_id, _standing(row))
        return row

    def _write_record(
        self,
        connection: Connection,
        job_id: int,
        row: Any,
        record: Record,
        state: JobState,
        *,
        reason: str = "",
        finished: float = 0.0,
        not_before: float = 0.0,
    ) -> None:
        facts = {**row.facts, **record.facts}
        outcome = state if finished else JobState.FAILED
        connection.execute(
            CHANGE,
            {
                "job": job_id,
                "held": row.token,
                "state": state,
                "reason": reason,
                "fingerprint": record.fingerprint,
                "step": record.step,
                "error": record.error,
                "cause": record.cause,
                "checksum": record.checksum or row.checksum,
                "seconds": record.seconds,
                "timings": record.timings,
                "facts": facts,
                "notes": tuple(dict.fromkeys((*row.notes, *record.notes)))[-MOST_NOTES:],
                "manifest": (),
                "staging": "",
                "finished": finished,
                "not_before": not_before,
                "search": search_text(row.label, row.path, facts, f"{record.step} {record.error}".strip()),
            },
        )
        connection.execute(
            INSERT_ATTEMPT,
            {
                "job": job_id,
                "daemon": row.owner,
                "started": row.started,
                "ended": time.time(),
                "outcome": outcome,
                "step": record.step,
                "error": record.error,
                "traceback": record.traceback,
                "log": record.log,
                "seconds": record.seconds,
            },
        )


def _settle_products(connection: Connection, job_id: int, row: Any, state: JobState) -> None:
    if not row.manifest:
        return
    if state is JobState.DONE:
        publish_names(connection, job_id)
    else:
        withdraw_names(connection, job_id)


def _standing(row: Any) -> str:
    """How a job stands that was not found as it should be."""
    if row is None:
        return "there is no such job"
    return f"it is {row.state}" + (" for another daemon" if row.state is JobState.RUNNING else "")
