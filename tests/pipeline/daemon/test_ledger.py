"""The daemon's access to its queue: many changes at once, none lost while the database is locked."""

import asyncio
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from etendue.pipeline.daemon.ledger import Ledger
from etendue.pipeline.daemon.queue import JobQueue, NewJob, QueueBusyError, UnknownDaemon


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "queue.db"


@pytest.fixture
def queue(database: Path) -> Iterator[JobQueue]:
    queue = JobQueue.open(f"sqlite:///{database}")
    yield queue
    queue.close()


def a_job(number: int) -> NewJob:
    return NewJob(key=str(number), source="s", chain="c", label=f"{number}.fits", path=Path(f"/raw/{number}.fits"))


def test_changes_are_there_when_they_have_been_made(queue: JobQueue):
    async def work() -> list[int]:
        ledger = Ledger(queue)
        added = await asyncio.gather(*(ledger.write(queue.add, [a_job(number)]) for number in range(200)))
        counts = await ledger.read(queue.counts)
        await ledger.close()
        assert sum(counts.values()) == 200
        return [one.id for (one,) in added]

    assert len(set(asyncio.run(work()))) == 200


def test_a_change_that_fails_does_not_undo_its_neighbours(queue: JobQueue):
    async def work() -> None:
        ledger = Ledger(queue)
        first = ledger.write(queue.add, [a_job(1)])
        wrong = ledger.write(queue.beat, "nobody")
        last = ledger.write(queue.add, [a_job(2)])
        results = await asyncio.gather(first, wrong, last, return_exceptions=True)
        assert isinstance(results[1], UnknownDaemon)
        assert sum((await ledger.read(queue.counts)).values()) == 2
        await ledger.close()

    asyncio.run(work())


def test_a_locked_database_delays_changes_and_says_so(queue: JobQueue, database: Path):
    async def work() -> None:
        ledger = Ledger(queue)
        other = sqlite3.connect(database, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        change = asyncio.create_task(ledger.write(queue.add, [a_job(1)]))
        async with asyncio.timeout(60):
            while not ledger.trouble:  # noqa: ASYNC110 - the ledger tells nobody
                await asyncio.sleep(0.05)
        assert not change.done()
        other.execute("ROLLBACK")
        other.close()
        async with asyncio.timeout(60):
            ((added),) = await change
        assert added.new
        assert not ledger.trouble
        await ledger.close()

    asyncio.run(work())


def test_what_was_asked_for_before_the_end_is_still_done(queue: JobQueue, database: Path):
    async def work() -> None:
        ledger = Ledger(queue)
        changes = [asyncio.create_task(ledger.write(queue.add, [a_job(number)])) for number in range(50)]
        await asyncio.sleep(0)
        await ledger.close()
        await asyncio.gather(*changes)

    asyncio.run(work())
    with sqlite3.connect(database) as connection:
        assert connection.execute("SELECT count(*) FROM jobs").fetchone() == (50,)


def test_what_nobody_wants_any_more_is_not_done(queue: JobQueue, database: Path):
    """A claim whose asker has gone would take jobs that nobody works on."""

    async def work() -> None:
        ledger = Ledger(queue)
        other = sqlite3.connect(database, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        changes = [asyncio.create_task(ledger.write(queue.add, [a_job(number)])) for number in range(3)]
        await asyncio.sleep(0)
        changes[1].cancel()
        await asyncio.wait([changes[1]])
        other.execute("ROLLBACK")
        other.close()
        await asyncio.gather(changes[0], changes[2])
        await ledger.close()

    asyncio.run(work())
    with sqlite3.connect(database) as connection:
        assert connection.execute("SELECT key FROM jobs ORDER BY id").fetchall() == [("0",), ("2",)]


def test_a_database_that_stays_locked_does_not_prevent_the_end(queue: JobQueue, database: Path):
    async def work() -> None:
        ledger = Ledger(queue)
        change = asyncio.create_task(ledger.write(queue.add, [a_job(1)]))
        await asyncio.sleep(0)
        assert not await ledger.close(patience=0.1)
        with pytest.raises(QueueBusyError):
            await change

    other = sqlite3.connect(database, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        asyncio.run(work())
    finally:
        other.close()
