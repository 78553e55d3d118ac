"""Transactions: every change of the queue is made whole or not at all."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Any, Self

import sqlalchemy as sql
from sqlalchemy import Connection, Engine
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from ....errors import ConfigError
from ..errors import NoQueueYet, QueueBusyError, QueueError, QueueStorageError
from .engines import BUSY_TIMEOUT, check_server, make_engine, meaning
from .migrations import migrate
from .tables import SCHEMA, metadata, settings

FIRST_OPENING = 4_517_032
"""Number of the lock under which a PostgreSQL server lets one daemon at a time make the tables, or change them."""


@dataclass(slots=True)
class _Transaction:
    connection: Connection
    depth: int = 0
    broken: QueueError | None = None


class Database:
    """Where the queue is kept. Methods may be called by any thread; each is one transaction.

    Parameters
    ----------
    engine : sqlalchemy.Engine
        As :func:`make_engine` makes it.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._errors = (DBAPIError, PoolTimeout, engine.dialect.loaded_dbapi.Error)
        self._thread = threading.local()
        self._turn = threading.RLock()
        self.is_sqlite = engine.dialect.name == "sqlite"
        self.where = str(engine.url.database) if self.is_sqlite else engine.url.render_as_string(hide_password=True)
        self._file: tuple[int, int] | None = None
        self.mark = ""
        """What the tokens of this queue begin with: folders of another queue's jobs are told from ours by it."""

    @classmethod
    def open(cls, url: str | Path, *, create: bool = True) -> Self:
        """Open a queue.

        Parameters
        ----------
        url : str or Path
            ``postgresql://user@host/database``, ``sqlite:////folder/queue.db``, or the file of a SQLite queue.
        create : bool
            Make the tables, and the file, where they are not there yet.

        Raises
        ------
        ConfigError
            It cannot be opened, and a person must do something about it.
        QueueBusyError
            It cannot be opened now.
        """
        queue = cls(make_engine(url, create=create))
        try:
            queue._prepare(create)
        except (QueueBusyError, ConfigError):
            queue.close()
            raise
        except QueueError as error:
            queue.close()
            raise ConfigError(str(error)) from error
        return queue

    def close(self) -> None:
        """Close all connections. The queue opens new ones when it is used again."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @contextmanager
    def batch(self) -> Iterator[None]:
        """Join all calls of this thread into one transaction.

        A call that raises (LostLease, NameTaken …) changes nothing, and the others are kept. Nothing is kept where the
        end of the batch itself raises.

        Raises
        ------
        QueueBusyError
            Nothing was changed by any of the calls.
        """
        with self.writing():
            yield

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that changes something; within another one of the same thread, a part of it.

        Raises
        ------
        QueueBusyError
            Nothing was changed; it may work later.
        """
        joined: _Transaction | None = getattr(self._thread, "transaction", None)
        if joined is not None:
            with self._part(joined):
                yield joined.connection
            return
        with self._one_writer(), self._meaning():
            self._check_file()
            with self._engine.connect() as connection:
                transaction = _Transaction(connection)
                with connection.begin():
                    self._begin(connection, "BEGIN IMMEDIATE")
                    self._thread.transaction = transaction
                    try:
                        yield connection
                    finally:
                        self._thread.transaction = None
                    if transaction.broken is not None:
                        raise transaction.broken

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that changes nothing; within :meth:`writing`, a part of that one.

        Raises
        ------
        QueueBusyError
            The queue cannot be read now.
        """
        joined: _Transaction | None = getattr(self._thread, "transaction", None)
        with self._meaning():
            if joined is not None:
                yield joined.connection
                return
            with self._engine.connect() as connection, connection.begin():
                yield connection

    @contextmanager
    def _part(self, transaction: _Transaction) -> Iterator[None]:
        if transaction.broken is not None:
            raise transaction.broken
        transaction.depth += 1
        name = f"part{transaction.depth}"
        connection = transaction.connection
        try:
            with self._meaning():
                self._say(connection, f"SAVEPOINT {name}")
                yield
                self._say(connection, f"RELEASE SAVEPOINT {name}")
        except BaseException as error:
            if not self._undo(connection, name):
                transaction.broken = error if isinstance(error, QueueError) else QueueBusyError(str(error))
            raise
        finally:
            transaction.depth -= 1

    def _undo(self, connection: Connection, savepoint: str) -> bool:
        """Go back to a savepoint, if there is still a transaction: a full disk makes SQLite undo all of it."""
        if connection.invalidated:
            return False
        if self.is_sqlite and not _driver(connection).in_transaction:
            return False
        try:
            self._say(connection, f"ROLLBACK TO SAVEPOINT {savepoint}")
            self._say(connection, f"RELEASE SAVEPOINT {savepoint}")
        except self._errors:
            return False
        return True

    def _begin(self, connection: Connection, how: str) -> None:
        """Begin a transaction of SQLite, which the driver would begin too late; that of PostgreSQL has begun."""
        if self.is_sqlite:
            _driver(connection).execute(how)

    def _say(self, connection: Connection, words: str) -> None:
        """Tell the database something about the transaction."""
        if self.is_sqlite:
            _driver(connection).execute(words)  # several times faster than by SQLAlchemy
        else:
            connection.exec_driver_sql(words)

    @contextmanager
    def _one_writer(self) -> Iterator[None]:
        """SQLite has one writer at a time: threads of one process take turns instead of asking again and again."""
        if not self.is_sqlite:
            yield
            return
        if not self._turn.acquire(timeout=6 * BUSY_TIMEOUT):
            raise QueueBusyError(f"{self.where}: the queue is in use by another thread")
        try:
            yield
        finally:
            self._turn.release()

    @contextmanager
    def _meaning(self) -> Iterator[None]:
        try:
            yield
        except self._errors as error:
            raise meaning(error, self.where) from error

    def _check_file(self) -> None:
        """SQLite goes on writing to a file that was removed, and all of it is lost at the end."""
        if self._file is None:
            return
        try:
            facts = Path(self.where).stat()
        except OSError as error:
            raise QueueStorageError(f"{self.where}: the queue's file is gone: {error.strerror or error}") from error
        if (facts.st_dev, facts.st_ino) != self._file:
            raise QueueStorageError(f"{self.where}: the queue's file was replaced by another one; restart the daemon")

    def _prepare(self, create: bool) -> None:
        with self.reading() as connection:
            if not self.is_sqlite:
                check_server(connection, self.where)
            version = self._version(connection)
        if version is None and not create:
            raise NoQueueYet(f"{self.where}: there is no queue here: the daemon makes it when it starts")
        if version is None or version < SCHEMA:
            version = self._bring_up_to_date()
        if version > SCHEMA:
            raise ConfigError(
                f"{self.where}: the queue was made by a newer version of Etendue (its tables have version {version}, "
                f"this version knows {SCHEMA}): update Etendue"
            )
        self.mark = self._made_mark()
        if self.is_sqlite:
            facts = Path(self.where).stat()
            self._file = facts.st_dev, facts.st_ino

    def _bring_up_to_date(self) -> int:
        """Make the tables, or change those of an earlier version, all at once; somebody else may have done it."""
        with self.writing() as connection:
            if not self.is_sqlite:
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({FIRST_OPENING})")
            version = self._version(connection)
            if version is None:
                metadata.create_all(connection)
                connection.execute(settings.insert().values(key="schema", value=str(SCHEMA)))
            elif version < SCHEMA:
                migrate(connection, version, SCHEMA)
                changed = sql.update(settings).where(settings.c.key == "schema").values(value=str(SCHEMA))
                connection.execute(changed)
            return max(version or 0, SCHEMA)

    def _made_mark(self) -> str:
        """The mark of this queue; made by whoever opens it first."""
        query = sql.select(settings.c.value).where(settings.c.key == "mark")
        with self.reading() as connection:
            found = connection.execute(query).scalar()
        if found is not None:
            return found
        dialect = sqlite if self.is_sqlite else postgresql
        made = dialect.insert(settings).values(key="mark", value=token_hex(4)).on_conflict_do_nothing()
        with self.writing() as connection:
            connection.execute(made)
            return connection.execute(query).scalar_one()

    def _version(self, connection: Connection) -> int | None:
        if not sql.inspect(connection).has_table("settings"):
            return None
        found = connection.execute(sql.select(settings.c.value).where(settings.c.key == "schema")).scalar()
        return None if found is None else int(found)


def _driver(connection: Connection) -> Any:
    """The connection of the driver."""
    return connection.connection.dbapi_connection
