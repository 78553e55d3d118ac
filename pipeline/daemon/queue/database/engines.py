"""Connections to SQLite and PostgreSQL that lose nothing, and what their errors mean."""

import sqlite3
import time
from pathlib import Path
from typing import Any

import sqlalchemy as sql
from sqlalchemy import Engine, event, exc
from sqlalchemy.engine import URL, make_url

from ....errors import ConfigError
from ..errors import Collision, QueueBusyError, QueueError, QueueStorageError

BUSY_TIMEOUT = 5.0
"""How long to wait for somebody who has locked the queue [s]."""

NETWORK = (
    "nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "lustre", "ceph", "glusterfs", "fuse.sshfs", "fuse.glusterfs",
)  # fmt: skip
"""File systems on which SQLite's shared memory and locks do not work between machines."""

SQLITE_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL}
SQLITE_STORAGE = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN}
SQLITE_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}

POSTGRESQL_BUSY = ("08", "40", "53", "55P03", "57")
"""Beginnings of SQLSTATE: connection, deadlock, resources, lock, intervention of the operator."""

POSTGRESQL_STORAGE = ("53100", "58", "25006")


def make_engine(url: str | Path, *, create: bool) -> Engine:
    """An engine for the address of a queue.

    Raises
    ------
    ConfigError
        The address is no address, its kind is not known, or there is no file and none is to be made.
    """
    if isinstance(url, Path):
        return _sqlite(url, create=create)
    try:
        parsed = make_url(url)
    except exc.ArgumentError as error:
        raise ConfigError(
            f"queue.url: '{url}' is no address; write postgresql://user@host/database or sqlite:////folder/queue.db"
        ) from error
    kind = parsed.get_backend_name()
    if kind == "sqlite":
        if not parsed.database or parsed.database == ":memory:":
            raise ConfigError(
                "queue.url: a queue in memory would lose everything; name a file: sqlite:////folder/queue.db"
            )
        return _sqlite(Path(parsed.database), create=create)
    if kind in ("postgresql", "postgres"):
        return _postgresql(parsed)
    raise ConfigError(f"queue.url: '{kind}' is not supported; the queue is kept in sqlite or postgresql")


def _sqlite(file: Path, *, create: bool) -> Engine:
    file = file.absolute()
    if not create and not file.exists():
        raise ConfigError(f"there is no queue at {file}: the daemon makes it when it starts for the first time")
    if create:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"{file.parent}: the folder cannot be made: {error.strerror or error}") from error
    kind = file_system(file.parent)
    if kind in NETWORK:
        raise ConfigError(
            f"{file}: SQLite cannot keep a queue on a network file system ({kind}): put `state` on a local disk, "
            "or give the address of a PostgreSQL server in queue.url"
        )
    engine = sql.create_engine(
        URL.create("sqlite", database=str(file)),
        connect_args={"timeout": BUSY_TIMEOUT, "check_same_thread": False},
        pool_size=4,
        max_overflow=12,
        pool_timeout=30,
        insertmanyvalues_page_size=500,
    )

    @event.listens_for(engine, "connect")
    def connected(connection: sqlite3.Connection, _record: Any) -> None:
        connection.isolation_level = None  # transactions are begun below, not guessed by the driver
        _use_wal(connection, file)
        for setting in ("synchronous=FULL", "foreign_keys=ON", "trusted_schema=OFF", "journal_size_limit=67108864"):
            connection.execute(f"PRAGMA {setting}")

    return engine


def _use_wal(connection: sqlite3.Connection, file: Path) -> None:
    """Write-ahead logging. Two processes that open a new file at once hinder each other: SQLite does not wait here."""
    give_up = time.monotonic() + 2 * BUSY_TIMEOUT
    while True:
        try:
            mode = connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in SQLITE_BUSY or time.monotonic() > give_up:
                raise
        else:
            if mode == "wal":
                return
            if time.monotonic() > give_up:
                raise ConfigError(f"{file}: SQLite cannot use a write-ahead log here (it uses '{mode}')")
        time.sleep(0.02)


def file_system(folder: Path) -> str:
    """Type of the file system that a folder lies on; empty where that is not known."""
    import psutil

    place = folder.resolve()
    mounts = {part.mountpoint: part.fstype for part in psutil.disk_partitions(all=True)}
    for parent in (place, *place.parents):
        if str(parent) in mounts:
            return mounts[str(parent)]
    return ""


def _postgresql(url: URL) -> Engine:
    try:
        import psycopg  # noqa: F401 - only whether it is there
    except ImportError as error:
        raise ConfigError(
            "a queue in PostgreSQL needs psycopg: install etendue with the extra 'postgresql': "
            "pip install 'etendue[postgresql]'"
        ) from error
    milliseconds = int(BUSY_TIMEOUT * 1000)
    engine = sql.create_engine(
        url.set(drivername="postgresql+psycopg"),
        connect_args={
            "application_name": "etendue",
            "connect_timeout": int(BUSY_TIMEOUT),
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": 3 * milliseconds,
            # A daemon that is stopped in the middle of a transaction must not hold the others up for ever.
            "options": f"-c lock_timeout={milliseconds} -c idle_in_transaction_session_timeout=60000",
            **url.query,
        },
        pool_size=4,
        max_overflow=12,
        pool_timeout=30,
        insertmanyvalues_page_size=500,
    )

    @event.listens_for(engine, "connect")
    def connected(connection: Any, _record: Any) -> None:
        # What was committed must be on the disk, whatever the server's settings say.
        connection.execute(
            "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
        )
        connection.commit()

    return engine


def check_server(connection: sql.Connection, where: str) -> None:
    """Whether a PostgreSQL server is one that the queue can use.

    Raises
    ------
    ConfigError
        It is too old, or its database does not keep Unicode.
    """
    version = connection.exec_driver_sql("SHOW server_version_num").scalar_one()
    encoding = connection.exec_driver_sql("SHOW server_encoding").scalar_one()
    if int(version) < 130000:
        raise ConfigError(f"{where}: the queue needs PostgreSQL 13 or newer")
    if encoding != "UTF8":
        raise ConfigError(
            f"{where}: the database keeps text as {encoding}; make one that knows all characters: "
            "CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0"
        )


def meaning(error: Exception, where: str) -> QueueError:
    """An error of the database, or of its driver, in words of the queue."""
    if isinstance(error, exc.TimeoutError):
        return QueueBusyError(f"{where}: all connections to the queue are in use")
    cause = error.orig if isinstance(error, exc.DBAPIError) else error
    lost = isinstance(error, exc.DBAPIError) and error.connection_invalidated
    said = str(cause).strip().partition("\n")[0]
    code = getattr(cause, "sqlite_errorcode", None)
    if code is not None:
        match code & 0xFF:
            case found if found in SQLITE_BUSY:
                return QueueBusyError(f"{where}: the queue is locked by another program ({said})")
            case found if found in SQLITE_STORAGE:
                return QueueStorageError(f"{where}: the queue cannot be written or read: {said}")
            case found if found in SQLITE_DAMAGED:
                return QueueError(f"{where}: the queue's file is damaged: {said}; restore it from a backup")
    state = getattr(cause, "sqlstate", None)
    if state == "23505" or code in (sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY):
        return Collision(f"{where}: somebody else has changed the same at the same time: {said}")
    if state is not None and state.startswith(POSTGRESQL_STORAGE):
        return QueueStorageError(f"{where}: the queue cannot be written: {said}")
    if lost or (state is not None and state.startswith(POSTGRESQL_BUSY)):
        return QueueBusyError(f"{where}: the queue's server cannot be used now: {said}")
    if state is None and code is None and type(cause).__name__ == "OperationalError":
        return QueueBusyError(f"{where}: the queue's server cannot be reached: {said}")
    return QueueError(f"{where}: {said}")
