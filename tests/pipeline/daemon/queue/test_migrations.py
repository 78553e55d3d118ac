"""A queue of an earlier version: it is brought up to date by whoever opens it first, with all that is in it."""

import os
import signal
import sqlite3
from collections.abc import Callable
from pathlib import Path
from string import Template

import pytest
import sqlalchemy as sql

from etendue.pipeline.daemon.places import LIBRARY
from etendue.pipeline.daemon.queue import DaemonFacts, JobQueue, JobState, NameTaken, Piece
from etendue.pipeline.daemon.queue.database import migrations
from etendue.pipeline.daemon.queue.database.paths import digest_of
from etendue.pipeline.daemon.queue.database.tables import SCHEMA
from etendue.pipeline.errors import ConfigError

VERSION_1 = (Path(__file__).parent / "version_1.sql").read_text()

TYPES = {
    "sqlite": {"id": "INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT", "number": "INTEGER", "seconds": "DOUBLE"},
    "postgresql": {"id": "BIGSERIAL NOT NULL PRIMARY KEY", "number": "BIGINT", "seconds": "DOUBLE PRECISION"},
}
OPTIONS = " WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02)"


@pytest.fixture
def old_url(queue_url: str) -> str:
    """A queue as the first version has left it: one job done, one failed, one queued."""
    if queue_url.startswith("sqlite"):
        words = Template(VERSION_1).substitute(TYPES["sqlite"], storage="", digest=digest_of("a.fits"))
        connection = sqlite3.connect(queue_url.removeprefix("sqlite:///"))
        connection.executescript(words)
        connection.close()
        return queue_url
    words = Template(VERSION_1).substitute(TYPES["postgresql"], storage=OPTIONS, digest=digest_of("a.fits"))
    engine = sql.create_engine(queue_url.replace("postgresql", "postgresql+psycopg"))
    with engine.begin() as connection:
        connection.exec_driver_sql(words)
        for table, last in (("jobs", 3), ("attempts", 2), ("products", 1)):
            connection.exec_driver_sql(f"SELECT setval('{table}_id_seq', {last})")
    engine.dispose()
    return queue_url


def definitions(queue: JobQueue) -> set[tuple[str, ...]]:
    """What the tables are made of, as the database tells it."""
    if queue.is_sqlite:
        asked = ["SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"]
    else:
        asked = [
            "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'",
            "SELECT table_name || '.' || column_name, data_type || is_nullable FROM information_schema.columns "
            "WHERE table_schema = 'public'",
            "SELECT conrelid::regclass::text, pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = "
            "'public'::regnamespace",
        ]
    with queue.reading() as connection:
        rows = [row for words in asked for row in connection.exec_driver_sql(words).all()]
    return {tuple("".join(str(word).split()).replace('"', "") for word in row) for row in rows}


def version_of(queue: JobQueue) -> int:
    with queue.reading() as connection:
        return int(connection.execute(sql.text("SELECT value FROM settings WHERE key = 'schema'")).scalar_one())


def test_everything_is_there_afterwards(old_url: str):
    with JobQueue.open(old_url) as queue:
        assert version_of(queue) == SCHEMA
        assert queue.mark == "01234567"
        assert [queue.get(number).state for number in (1, 2, 3)] == [JobState.DONE, JobState.FAILED, JobState.QUEUED]
        done = queue.get(1)
        assert (done.path, done.facts, done.timings) == (
            Path("/night/0001.fits"),
            {"fwhm": 2.5},
            (("read", 0.5, "done"),),
        )
        assert (done.log, queue.get(2).traceback) == ("all is well", "Traceback")
        assert [product.name for product in queue.products(1)] == ["a.fits"]
        assert queue.check() == []


def test_work_goes_on(old_url: str):
    with JobQueue.open(old_url) as queue:
        (job,) = queue.claim(queue.register(DaemonFacts.of_this_process()), limit=5)

        assert job.label == "0003.fits"
        with pytest.raises(NameTaken, match=r"made of 0001\.fits"):
            queue.commit_manifest(job.id, job.token, [Piece("x/a.fits", "products", "a.fits", 3)])


def test_masters_that_are_queued_are_built(old_url: str):
    """They had no destination of their own, and are claimed by it now."""
    engine = sql.create_engine(old_url.replace("postgresql", "postgresql+psycopg"))
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE jobs SET kind = 'masters' WHERE id = 3")
    engine.dispose()

    with JobQueue.open(old_url) as queue:
        (job,) = queue.claim(queue.register(DaemonFacts.of_this_process()), limit=5, destinations=[LIBRARY])

        assert job.id == 3


def test_the_tables_are_those_of_a_new_queue(old_url: str, tmp_path: Path, request: pytest.FixtureRequest):
    """Who changes a table without saying how old ones are changed is told so here."""
    if old_url.startswith("sqlite"):
        new_url = f"sqlite:///{tmp_path / 'new.db'}"
    else:
        new_url = request.getfixturevalue("postgresql").new_database()
    with JobQueue.open(old_url) as old, JobQueue.open(new_url) as new:
        assert definitions(old) == definitions(new)


def test_there_is_a_way_from_every_version():
    assert sorted(migrations.STEPS) == list(range(1, SCHEMA))


def test_several_may_open_it_at_once(old_url: str, in_processes: Callable[..., list[tuple[int, str]]]):
    ends = in_processes("JobQueue.open(url).register(DaemonFacts.of_this_process())", old_url, 4)

    assert ends == [(0, "")] * 4
    with JobQueue.open(old_url) as queue:
        assert (version_of(queue), len(queue.daemons())) == (SCHEMA, 4)
        assert queue.check() == []


def test_it_may_be_killed_in_the_middle(old_url: str, in_processes: Callable[..., list[tuple[int, str]]]):
    body = """
    from etendue.pipeline.daemon.queue.database import migrations, transactions

    def killed(connection, version, wanted):
        connection.exec_driver_sql(migrations.STEPS[version][0])
        os.kill(os.getpid(), signal.SIGKILL)

    transactions.migrate = killed
    JobQueue.open(url)
    """
    ((end, _),) = in_processes(body, old_url, 1)
    assert os.WTERMSIG(end) == signal.SIGKILL

    with JobQueue.open(old_url) as queue:
        assert version_of(queue) == SCHEMA
        assert queue.get(1).state is JobState.DONE
        assert queue.check() == []


def test_an_earlier_etendue_refuses_what_this_one_has_changed(old_url: str, monkeypatch: pytest.MonkeyPatch):
    JobQueue.open(old_url).close()
    monkeypatch.setattr("etendue.pipeline.daemon.queue.database.transactions.SCHEMA", 1)

    with pytest.raises(ConfigError, match="newer version of Etendue"):
        JobQueue.open(old_url)
