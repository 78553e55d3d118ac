"""Opening a queue, and what happens when it cannot be used."""

import os
import shutil
import signal
import sqlite3
import subprocess
from pathlib import Path

import pytest
import sqlalchemy as sql

from etendue.pipeline.daemon.queue import (
    DaemonFacts,
    JobQueue,
    JobState,
    QueueBusyError,
    QueueStorageError,
    Record,
)
from etendue.pipeline.daemon.queue.database import engines
from etendue.pipeline.errors import ConfigError


@pytest.fixture
def file(tmp_path):
    return tmp_path / "queue.db"


@pytest.fixture
def impatient(monkeypatch):
    """Nobody waits long for a lock."""
    monkeypatch.setattr(engines, "BUSY_TIMEOUT", 0.2)


def test_what_was_added_is_there_after_closing(queue_url, new_job):
    with JobQueue.open(queue_url) as queue:
        queue.add([new_job(1)])

    with JobQueue.open(queue_url, create=False) as queue:
        assert queue.search().total == 1


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("nonsense", "no address"),
        ("mysql://host/database", "kept in sqlite or postgresql"),
        ("sqlite://", "would lose everything"),
        ("sqlite:///:memory:", "would lose everything"),
    ],
)
def test_other_addresses_are_refused(url, message):
    with pytest.raises(ConfigError, match=message):
        JobQueue.open(url)


def test_looking_at_a_queue_that_is_not_there_makes_none(file):
    with pytest.raises(ConfigError, match="there is no queue"):
        JobQueue.open(file, create=False)

    assert not file.exists()


def test_an_empty_database_is_no_queue(queue_url):
    if queue_url.startswith("sqlite"):
        sqlite3.connect(queue_url.removeprefix("sqlite:///")).close()
    with pytest.raises(ConfigError, match="there is no queue"):
        JobQueue.open(queue_url, create=False)


def test_a_queue_of_a_newer_version_is_refused(queue_url):
    with JobQueue.open(queue_url) as queue, queue.writing() as connection:
        connection.execute(sql.text("UPDATE settings SET value = '999' WHERE key = 'schema'"))

    with pytest.raises(ConfigError, match=r"newer version of Etendue .*version 999.*update Etendue"):
        JobQueue.open(queue_url)


def test_tokens_tell_of_which_queue_they_are(queue_url, tmp_path, new_job):
    with JobQueue.open(queue_url) as queue, JobQueue.open(tmp_path / "other.db") as other:
        queue.add([new_job(1)])
        (job,) = queue.claim("a daemon", limit=1)
        mark = queue.mark

        assert mark
        assert other.mark != mark
        assert job.token.startswith(mark)
    with JobQueue.open(queue_url, create=False) as queue:
        assert queue.mark == mark


def test_a_queue_of_the_time_before_marks_gets_one(queue_url):
    with JobQueue.open(queue_url) as queue, queue.writing() as connection:
        connection.execute(sql.text("DELETE FROM settings WHERE key = 'mark'"))

    with JobQueue.open(queue_url) as queue:
        assert queue.mark


@pytest.mark.parametrize("name", ["a folder/queue.db", "what?.db", "100%.db", "grün.db"])
def test_any_name_of_the_file_will_do(tmp_path, name, new_job):
    with JobQueue.open(tmp_path / name) as queue:
        queue.add([new_job(1)])

    assert (tmp_path / name).is_file()


def test_another_file_is_no_queue(file):
    file.write_bytes(b"SIMPLE  =                    T" * 100)

    with pytest.raises(ConfigError, match="damaged: file is not a database"):
        JobQueue.open(file)


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "state").write_text("a file")

    with pytest.raises(ConfigError, match="the folder cannot be made"):
        JobQueue.open(tmp_path / "state" / "queue.db")


def test_network_file_systems_are_refused(file, monkeypatch):
    monkeypatch.setattr(engines, "file_system", lambda folder: "nfs4")

    with pytest.raises(ConfigError, match="network file system"):
        JobQueue.open(file)


def test_the_type_of_a_file_system_is_known():
    assert engines.file_system(Path("/proc/self")) == "proc"


def test_what_is_committed_is_on_the_disk(queue):
    with queue.reading() as connection:
        if queue.is_sqlite:
            settings = ("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1)
            assert all(connection.exec_driver_sql(f"PRAGMA {name}").scalar() == value for name, value in settings)
        else:
            assert connection.exec_driver_sql("SHOW synchronous_commit").scalar() == "on"


def test_a_server_that_would_not_wait_for_its_disk_is_told_to(postgresql):
    url = postgresql.new_database()
    engine = sql.create_engine(url.replace("postgresql", "postgresql+psycopg"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sql.text(f"ALTER DATABASE {url.rpartition('/')[2]} SET synchronous_commit = off"))
    engine.dispose()

    with JobQueue.open(url) as queue, queue.reading() as connection:
        assert connection.exec_driver_sql("SHOW synchronous_commit").scalar() == "on"


def test_a_database_that_is_not_there_can_be_waited_for(postgresql):
    with pytest.raises((ConfigError, QueueBusyError), match=r'database "nobodys" does not exist'):
        JobQueue.open(postgresql.url("nobodys"))


def test_a_password_is_not_shown():
    with pytest.raises(QueueBusyError) as busy:
        JobQueue.open("postgresql://etendue:secret@127.0.0.1:9/etendue")

    assert "cannot be reached" in str(busy.value)
    assert "secret" not in str(busy.value)


def test_several_daemons_may_open_a_new_queue_at_once(queue_url, in_processes):
    ends = in_processes("JobQueue.open(url).register(DaemonFacts.of_this_process())", queue_url, 4)

    assert ends == [(0, "")] * 4
    with JobQueue.open(queue_url) as queue:
        assert len(queue.daemons()) == 4
        assert queue.check() == []


def test_a_queue_that_somebody_has_locked_is_busy(file, impatient, new_job):
    with JobQueue.open(file) as queue:
        other = sqlite3.connect(file, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(QueueBusyError, match="locked by another program"):
            queue.add([new_job(1)])
        assert queue.search().total == 0, "reading goes on"
        other.close()

        assert queue.add([new_job(1)])[0].new


def test_a_table_that_somebody_has_locked_is_busy(postgresql, impatient, new_job):
    url = postgresql.new_database()
    with JobQueue.open(url) as queue, JobQueue.open(url) as other:
        with other.writing() as connection:
            connection.execute(sql.text("LOCK TABLE jobs"))
            with pytest.raises(QueueBusyError, match="cannot be used now"):
                queue.add([new_job(1)])

        assert queue.add([new_job(1)])[0].new


def test_a_server_that_fell_over_is_busy_until_it_is_back(postgresql, new_job):
    with JobQueue.open(postgresql.new_database()) as queue:
        queue.add([new_job(1)])
        postgresql.stop(signal.SIGQUIT)  # as if its machine had lost power
        try:
            with pytest.raises(QueueBusyError, match=r"cannot be (used|reached)"):
                queue.add([new_job(2)])
            with pytest.raises(QueueBusyError, match="cannot be reached"):
                queue.counts()
        finally:
            postgresql.start()

        assert queue.search().total == 1
        assert queue.add([new_job(2)])[0].new


def test_a_file_that_was_removed_is_noticed(file, new_job):
    with JobQueue.open(file) as queue:
        queue.add([new_job(1)])
        shutil.move(file, file.with_suffix(".moved"))
        with pytest.raises(QueueStorageError, match="the queue's file is gone"):
            queue.add([new_job(2)])
        file.write_bytes(b"")
        with pytest.raises(QueueStorageError, match="replaced by another one"):
            queue.add([new_job(2)])


def test_a_damaged_file_is_said_to_be_damaged(file, new_job):
    with JobQueue.open(file) as queue:
        queue.add([new_job(number) for number in range(500)])
    with file.open("r+b") as damaged:
        damaged.seek(4096)
        damaged.write(os.urandom(file.stat().st_size - 4096))

    with pytest.raises(ConfigError, match=r"damaged: .*; restore it from a backup"):
        JobQueue.open(file)


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 1 MB."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    folder = tmp_path / "small"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"a small disk cannot be mounted here: {done.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def payload(number):
    return {"x": f"{number:04d}" * 500}


def test_a_full_disk_leaves_the_queue_as_it_was(small_disk, new_job):
    with JobQueue.open(small_disk / "queue.db") as queue:
        daemon = queue.register(DaemonFacts.of_this_process())
        (small_disk / "ballast").write_bytes(bytes(300_000))
        added = []

        def add_for_ever():
            while True:
                numbers = range(len(added), len(added) + 10)
                added.extend(queue.add([new_job(number, payload=payload(number)) for number in numbers]))

        with pytest.raises(QueueStorageError, match="cannot be written or read: database or disk is full"):
            add_for_ever()

        assert queue.search(limit=1).total == len(added), "each call added all of its jobs, or none"
        assert queue.check() == []
        (small_disk / "ballast").unlink()
        (job,) = queue.claim(daemon, limit=1)
        queue.finish(job.id, job.token, JobState.DONE, Record())
        assert queue.counts()[JobState.QUEUED] == len(added) - 1


def test_a_full_disk_undoes_a_whole_batch(small_disk, new_job):
    """SQLite itself undoes the transaction, and what follows must not be kept piece by piece."""
    with JobQueue.open(small_disk / "queue.db") as queue:
        (small_disk / "ballast").write_bytes(bytes(300_000))
        refused = []

        def add_many():
            with queue.batch():
                for number in range(1000):
                    try:
                        queue.add([new_job(number, payload=payload(number))])
                    except QueueStorageError:
                        refused.append(number)

        with pytest.raises(QueueStorageError):
            add_many()

        assert refused == list(range(refused[0], 1000)), "once the transaction is undone, nothing can be added to it"
        assert queue.search().total == 0
        assert queue.check() == []
