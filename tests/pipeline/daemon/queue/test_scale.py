"""A hundred thousand jobs hinder nobody. Work is counted, not timed."""

from contextlib import contextmanager

import pytest
import sqlalchemy as sql
from sqlalchemy import event

from etendue.pipeline.daemon.queue import Filter, JobState, Piece, Record
from etendue.pipeline.daemon.queue.database.tables import jobs

MANY = 100_000


def fill(queue, count, state=JobState.QUEUED, chain="photometry", destination="products"):
    """Add jobs faster than through the front door."""
    numbers = sql.text(
        f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) SELECT i FROM n"
    ).columns(sql.column("i", sql.BigInteger))
    i = numbers.subquery().c.i
    text = sql.cast(i, sql.Text)
    columns = {
        "kind": sql.literal("image"),
        "key": sql.literal(f"{state} {chain} ") + text,
        "state": sql.literal(str(state)),
        "source": sql.literal("camera"),
        "chain": sql.literal(chain),
        "destination": sql.literal(destination),
        "label": text,
        "path": sql.literal("/night/") + text,
        "place": i * 7919,
        "rank": i,
        "finished": i if state in (JobState.DONE, JobState.FAILED) else sql.literal(0.0),
    }
    with queue.writing() as connection:
        connection.execute(jobs.insert().from_select(list(columns), sql.select(*columns.values())))
        if not queue.is_sqlite:
            connection.execute(sql.text("ANALYZE jobs"))


@contextmanager
def statements(queue):
    """What is asked of the database meanwhile."""
    with queue.reading() as connection:
        engine = connection.engine
    asked = []

    def note(connection, cursor, statement, parameters, context, many):
        asked.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", note)
    yield asked
    event.remove(engine, "before_cursor_execute", note)


def plan_of(queue, statement, parameters):
    words = "EXPLAIN QUERY PLAN " if queue.is_sqlite else "EXPLAIN "
    with queue.reading() as connection:
        rows = connection.exec_driver_sql(words + statement, parameters).all()
    return "\n".join(str(row[-1]) for row in rows)


def test_a_claim_reads_an_index_that_is_in_its_order(queue, daemon, new_job):
    fill(queue, MANY)
    with statements(queue) as asked:
        (job,) = queue.claim(
            daemon, limit=1, chains=["photometry"], fits=10**9, except_sources=["upload"], destinations=["products"]
        )
    plan = plan_of(queue, *asked[0])

    assert job.label == "1"
    assert "jobs_to_claim" in plan
    assert "ORDER BY" not in plan, "the index should give the order"
    assert "Sort" not in plan
    assert "Seq Scan on jobs" not in plan
    queue.finish(job.id, job.token, JobState.SKIPPED, Record())


def test_a_claim_does_not_read_the_jobs_for_a_held_destination(queue, daemon, new_job):
    """In the plan: an index that begins with the destination, for each of those that are not held."""
    fill(queue, MANY)
    fill(queue, 2, chain="sky", destination="web")
    with statements(queue) as asked:
        claimed = queue.claim(daemon, limit=3, destinations=["web", "archive"])
    plan = plan_of(queue, *asked[0])

    assert [(job.label, job.chain) for job in claimed] == [("1", "sky"), ("2", "sky")]
    assert plan.count("jobs_to_claim") == 2
    assert plan.count("destination=?" if queue.is_sqlite else "(destination = ") == 2
    assert "Seq Scan on jobs" not in plan
    for job in claimed:
        queue.finish(job.id, job.token, JobState.SKIPPED, Record())


@pytest.mark.parametrize("queue_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("first", [False, True])
def test_what_was_replaced_is_not_looked_for_among_all_jobs_of_its_source(queue, first):
    with statements(queue) as asked:
        queue.ended("camera", 60.0, first=first)
    plans = [plan_of(queue, *one) for one in asked]

    assert "SEARCH newer USING INDEX jobs_place" in plans[-1]
    assert not any("jobs_source" in plan for plan in plans)


@pytest.mark.parametrize("queue_url", ["sqlite"], indirect=True)
def test_a_job_among_many_is_no_more_work(queue, daemon, new_job):
    """Instructions of SQLite's machine: the same number with a thousand times as many jobs."""

    def work():
        (job,) = queue.claim(daemon, limit=1, chains=["photometry"], destinations=["products", "web"])
        queue.commit_manifest(job.id, job.token, [Piece("/s", "products", job.label, 3)], "0123")
        queue.finish(job.id, job.token, JobState.DONE, Record(checksum="0123"))
        queue.search(Filter(states=(JobState.FAILED,)))
        queue.version()
        queue.known("camera", [job.path])
        queue.ended("camera", 60.0)
        queue.add([new_job(7)])
        queue.requeue([job.id])

    def instructions():
        count = 0

        def tick():
            nonlocal count
            count += 1
            return 0

        def watched(connection, *_):
            connection.connection.dbapi_connection.set_progress_handler(tick, 10)

        with queue.reading() as connection:
            engine = connection.engine
        event.listen(engine, "begin", watched)
        work()
        event.remove(engine, "begin", watched)
        return count

    fill(queue, MANY // 1000)
    few = instructions()
    fill(queue, MANY, JobState.DONE)
    fill(queue, MANY, chain="other")
    fill(queue, MANY, chain="third", destination="held")
    many = instructions()

    assert few > 20
    assert many < 2 * few
