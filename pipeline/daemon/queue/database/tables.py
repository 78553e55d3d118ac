"""The tables of the queue, alike in SQLite and PostgreSQL."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import sqlalchemy as sql
from sqlalchemy import BigInteger, Column, Double, ForeignKey, Index, Integer, MetaData, Table, Text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from ..job import JobKind, JobState, Piece
from .paths import from_text, to_text

SCHEMA = 2
"""Version of the tables; it grows with each change of them, which :mod:`.migrations` makes in a queue that there is."""

metadata = MetaData()

Number = BigInteger().with_variant(Integer, "sqlite")
"""SQLite numbers rows by itself only where the type is INTEGER; its integers have 64 bits all the same."""


def clean(text: str) -> str:
    """Text without what a database cannot keep: NUL, and halves of surrogate pairs."""
    if text.isascii():
        return text.replace("\0", "\N{SYMBOL FOR NULL}") if "\0" in text else text
    return text.replace("\0", "\N{SYMBOL FOR NULL}").encode("utf-8", "backslashreplace").decode("utf-8")


class Words(sql.TypeDecorator[str]):
    """Text for people, who may have put anything into it."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: sql.Dialect) -> str | None:
        return value if value is None else clean(value)


class FileName(sql.TypeDecorator[str]):
    """Name of a file: any bytes, given back exactly."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: sql.Dialect) -> str | None:
        return value if value is None else to_text(value)

    def process_result_value(self, value: str | None, dialect: sql.Dialect) -> str | None:
        return value if value is None else from_text(value)


class FilePath(FileName):
    """Path of a file, as a :class:`~pathlib.Path`."""

    cache_ok = True

    def process_result_value(self, value: str | None, dialect: sql.Dialect) -> Any:
        return value if value is None else Path(from_text(value))


class Choice(sql.TypeDecorator[Any]):
    """A member of an enumeration of texts."""

    impl = Text
    cache_ok = True

    def __init__(self, members: type[JobKind] | type[JobState]) -> None:
        super().__init__()
        self.members = members

    def process_bind_param(self, value: Any, dialect: sql.Dialect) -> str | None:
        return value if value is None else str(value)

    def process_result_value(self, value: str | None, dialect: sql.Dialect) -> Any:
        return value if value is None else self.members(value)


class Json(sql.TypeDecorator[Any]):
    """A mapping as JSON text. Numbers that are not finite are kept, which JSON types of databases refuse."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: sql.Dialect) -> str:
        return written(value if isinstance(value, dict) else dict(value)) if value else ""

    def process_result_value(self, value: str | None, dialect: sql.Dialect) -> dict[str, Any]:
        return json.loads(value) if value else {}


class Tuples(Json):
    """A tuple of tuples or texts as JSON text."""

    cache_ok = True

    def process_bind_param(self, value: Any, dialect: sql.Dialect) -> str:
        return written(list(value)) if value else ""

    def process_result_value(self, value: str | None, dialect: sql.Dialect) -> Any:
        if not value:
            return ()
        return tuple(tuple(item) if isinstance(item, list) else item for item in json.loads(value))


class Manifest(Json):
    """Products on their way, as JSON text."""

    cache_ok = True

    def process_bind_param(self, value: Any, dialect: sql.Dialect) -> str:
        pieces = [(piece.staged, piece.destination, piece.name, piece.size) for piece in value or ()]
        return json.dumps(pieces) if pieces else ""

    def process_result_value(self, value: str | None, dialect: sql.Dialect) -> Any:
        return tuple(Piece(*piece) for piece in json.loads(value)) if value else ()


def plain(value: Any) -> Any:
    """What stands in JSON for something that is not of its types: numbers of NumPy, paths, sets, times."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, set | frozenset):
        return sorted(value, key=str)
    for attribute in ("tolist", "isoformat"):
        if hasattr(value, attribute):
            return getattr(value, attribute)()
    return str(value)


written = json.JSONEncoder(default=plain).encode
"""Data as JSON text; numbers that are not finite are kept."""


class next_revision(FunctionElement[int]):  # noqa: N801 - functions of SQL have small letters
    """Number of the change that is being made: whoever has seen all changes up to some number finds the later ones.

    SQLite has one writer at a time, so counting is enough. In PostgreSQL it is the number of the transaction, which
    is compared with a snapshot: of two transactions, the one with the smaller number may well end later.
    """

    type = BigInteger()
    inherit_cache = True


@compiles(next_revision, "sqlite")
def _count(*_: Any, **_options: Any) -> str:
    return "(SELECT coalesce(max(revision), 0) + 1 FROM jobs)"


@compiles(next_revision, "postgresql")
def _transaction(*_: Any, **_options: Any) -> str:
    return "CAST(CAST(pg_current_xact_id() AS TEXT) AS BIGINT)"


def _words(name: str) -> Column[str]:
    return Column(name, Words, nullable=False, default="")


def _number(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False, default=0)


def _seconds(name: str) -> Column[float]:
    return Column(name, Double, nullable=False, default=0.0)


jobs = Table(
    "jobs",
    metadata,
    Column("id", Number, primary_key=True),
    Column("kind", Choice(JobKind), nullable=False),
    Column("key", Words, nullable=False, unique=True),
    Column("state", Choice(JobState), nullable=False),
    _words("source"),
    _words("chain"),
    _words("label"),
    Column("path", FilePath),
    Column("place", BigInteger),
    _number("size"),
    _number("mtime_ns"),
    _words("destination"),
    _number("priority"),
    _number("rank"),
    _words("reason"),
    _words("night"),
    _words("instrument"),
    Column("facts", Json, nullable=False, default=dict),
    Column("payload", Json, nullable=False, default=dict),
    _number("memory"),
    _number("generation"),
    _words("fingerprint"),
    _number("attempts"),
    _number("interruptions"),
    _words("owner"),
    _words("token"),
    _seconds("not_before"),
    _seconds("deadline"),
    Column("manifest", Manifest, nullable=False, default=()),
    _words("staging"),
    Column("created", Double, nullable=False, default=time.time),
    _seconds("started"),
    _seconds("finished"),
    Column("changed", Double, nullable=False, default=time.time, onupdate=time.time),
    _words("step"),
    _words("error"),
    _words("cause"),
    _words("checksum"),
    _seconds("seconds"),
    Column("timings", Tuples, nullable=False, default=()),
    Column("notes", Tuples, nullable=False, default=()),
    _words("search"),
    Column("revision", BigInteger, nullable=False, default=next_revision(), onupdate=next_revision()),
    sql.CheckConstraint(f"state IN ({', '.join(repr(str(state)) for state in JobState)})", name="known_state"),
    sql.CheckConstraint("state <> 'running' OR (owner <> '' AND token <> '')", name="running_is_owned"),
    sql.CheckConstraint("attempts >= 0 AND interruptions >= 0", name="counts"),
    sqlite_autoincrement=True,
    postgresql_with={"autovacuum_vacuum_scale_factor": 0.02, "autovacuum_analyze_scale_factor": 0.02},
)
"""One row for each job. Tracebacks and logs are kept with the attempts."""

QUEUED = sql.text("state = 'queued'")
RUNNING = sql.text("state = 'running'")

Index(
    "jobs_to_claim",
    jobs.c.state, jobs.c.destination, jobs.c.priority.desc(), jobs.c.rank, jobs.c.id,
    jobs.c.chain, jobs.c.source, jobs.c.not_before, jobs.c.memory, jobs.c.place,
    sqlite_where=QUEUED, postgresql_where=QUEUED,
)  # fmt: skip
"""The state in front, the same in every entry, makes SQLite prefer this index to that of states. The
destination comes before the order, so that a claim does not even pass over the jobs for one that is held. The columns
after `id` let it pass over jobs of paused chains without looking at their rows."""

Index("jobs_one_running", jobs.c.place, jobs.c.chain, unique=True, sqlite_where=RUNNING, postgresql_where=RUNNING)
"""Two jobs for one file and chain never run at the same time: their products have the same names."""

Index("jobs_state", jobs.c.state, jobs.c.id)
Index("jobs_finished", jobs.c.state, jobs.c.finished)
Index("jobs_chain", jobs.c.chain, jobs.c.id)
Index("jobs_source", jobs.c.source, jobs.c.id)
Index("jobs_night", jobs.c.night, jobs.c.instrument, jobs.c.kind, jobs.c.state)
Index("jobs_place", jobs.c.place, jobs.c.chain, jobs.c.id)
Index("jobs_revision", jobs.c.revision)

attempts = Table(
    "attempts",
    metadata,
    Column("id", Number, primary_key=True),
    Column("job", Number, ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False, index=True),
    _words("daemon"),
    _seconds("started"),
    _seconds("ended"),
    _words("outcome"),
    _words("step"),
    _words("error"),
    _words("traceback"),
    _words("log"),
    _seconds("seconds"),
    sqlite_autoincrement=True,
)
"""Attempts that have ended."""

products = Table(
    "products",
    metadata,
    Column("id", Number, primary_key=True),
    Column("job", Number, ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False, index=True),
    _words("destination"),
    Column("name", FileName, nullable=False),
    Column("digest", Text, nullable=False),
    _number("size"),
    _number("position"),
    Column("published", Integer, nullable=False, default=0),
    Column("earlier", BigInteger),
    sql.UniqueConstraint("destination", "digest", name="one_owner_of_a_name"),
    sqlite_autoincrement=True,
)
"""Names of products and whose they are.

`position`: among the products of the job. `published`: it is in its place. `earlier`: the job whose product it
replaces, until it is published. Names may be longer than an index of PostgreSQL takes, hence `digest`.
"""

daemons = Table(
    "daemons",
    metadata,
    Column("id", Text, primary_key=True),
    _words("host"),
    _number("pid"),
    _words("boot_id"),
    _seconds("process_start"),
    _words("version"),
    _words("address"),
    _number("beat"),
    Column("status", Json, nullable=False, default=dict),
    _seconds("started"),
    _seconds("last_seen"),
)

chains = Table(
    "chains",
    metadata,
    Column("fingerprint", Text, primary_key=True),
    _words("name"),
    _words("text"),
)
"""Chains with all that was put into them, as jobs went through them."""

pauses = Table(
    "pauses",
    metadata,
    Column("chain", Text, primary_key=True),
    _words("reason"),
    _words("who"),
    _seconds("since"),
)
"""Paused chains; ``*`` is everything."""

settings = Table("settings", metadata, Column("key", Text, primary_key=True), _words("value"))
