"""Searching, paging, counting, and noticing what has changed."""

import json
import time
from pathlib import Path

import pytest

from etendue.pipeline.daemon.queue import Filter, JobKind, JobState, Piece, Record, UnknownJob, UnknownProduct


def labels(jobs):
    return [int(job.label[:4]) for job in jobs]


def test_what_is_not_there_is_said_so(queue):
    for question in (queue.get, queue.attempts):
        with pytest.raises(UnknownJob, match="there is no job 7"):
            question(7)
    with pytest.raises(UnknownProduct, match="there is no product 7"):
        queue.product(7)


@pytest.mark.parametrize("order", ["newest", "oldest"])
def test_pages_have_every_job_once_while_others_are_added(queue, new_job, order):
    queue.add([new_job(number) for number in range(25)])
    seen, before = [], None
    while True:
        page = queue.search(order=order, limit=10, before=before)
        seen += labels(page.jobs)
        if page.next is None:
            break
        before = page.next
        if order == "newest":
            queue.add([new_job(1000 + len(seen))])

    assert seen == sorted(range(25), reverse=order == "newest")


def test_the_last_page_is_known_to_be_the_last(queue, new_job):
    queue.add([new_job(number) for number in range(10)])

    page = queue.search(limit=10)

    assert (len(page.jobs), page.total, page.next) == (10, 10, None)
    assert queue.search(Filter(chain="nobody's")) == type(page)([], 0, None)


def test_filters(queue, daemon, new_job):
    queue.add([
        new_job(1, night="2026-03-20", instrument="a", facts={"object_name": "M 31"}),
        new_job(2, night="2026-03-20", instrument="b", chain="guiding"),
        new_job(3, source="upload", kind=JobKind.FRAME),
        new_job(4, state=JobState.FAILED, reason="It ends after 100 of 2880 bytes"),
        new_job(5, label="percent%_.fits", path=None, key="p"),
        new_job(6, label="GRÖSSE", path=None, key="g"),
    ])  # fmt: skip

    def found(**wanted):
        return [job.id for job in queue.search(Filter(**wanted), order="oldest").jobs]

    assert found(night="2026-03-20") == [1, 2]
    assert found(night="2026-03-20", instrument="b") == [2]
    assert found(chain="guiding") == [2]
    assert found(source="upload") == [3]
    assert found(kind=JobKind.FRAME) == [3]
    assert found(states=(JobState.FAILED,)) == [4]
    assert found(states=(JobState.FAILED, JobState.QUEUED), text="fits") == [1, 2, 3, 4, 5]
    assert found(text="m 31") == [1]
    assert found(text="ends AFTER 100") == [4]
    assert found(text="%_") == [5]
    assert found(text="größe") == [6]
    assert found(text="/night/") == [1, 2, 3, 4]
    assert found(since=time.time() + 60) == []


def test_names_of_chains_and_sources_that_any_job_has(queue, new_job):
    queue.add([new_job(1, chain="night", source="b"), new_job(2, chain="night", source="a"), new_job(3, chain="")])

    assert queue.names("chain") == ["night"]
    assert queue.names("source")[:2] == ["a", "b"]


def test_pages_come_without_tracebacks(queue, claimed):
    job = claimed(1)
    queue.finish(job.id, job.token, JobState.FAILED, Record(traceback="long", log="longer"))

    assert queue.search().jobs[0].traceback == ""
    assert queue.get(job.id).log == "longer"


def test_statistics_of_the_last_hour(queue, daemon, new_job):
    queue.add([new_job(number) for number in range(23)])
    for number, job in enumerate(queue.claim(daemon, limit=23)):
        state = JobState.DONE if number < 20 else (JobState.FAILED, JobState.SKIPPED, JobState.FAILED)[number - 20]
        queue.finish(job.id, job.token, state, Record(timings=[("read", 0.1 * (number + 1), "done")]))

    found = queue.statistics(time.time() - 3600.0)

    assert (found.done, found.failed, found.skipped) == (20, 2, 1)
    assert found.per_hour == pytest.approx(20.0, rel=0.01)
    (step,) = found.steps
    assert (step.chain, step.step, step.n) == ("photometry", "read", 20)
    assert step.median == pytest.approx(1.05)
    assert step.p95 == pytest.approx(1.9)
    assert queue.statistics(time.time() + 60.0).done == 0


def test_nights_and_their_jobs(queue, new_job):
    queue.add([
        new_job(3, night="2026-03-20", instrument="a"), new_job(1, night="2026-03-20", instrument="a"),
        new_job(2, night="2026-03-20", instrument="b", kind=JobKind.FRAME, state=JobState.WAITING),
        new_job(4, night="2026-03-21", instrument="a"), new_job(5),
    ])  # fmt: skip

    nights = queue.nights()

    assert [(one.night, one.instrument, one.total) for one in nights] == [
        ("2026-03-21", "a", 1),
        ("2026-03-20", "a", 2),
        ("2026-03-20", "b", 1),
    ]
    assert nights[2].states == {JobState.WAITING: 1}
    assert nights[1].kinds == {JobKind.IMAGE: {JobState.QUEUED: 2}}
    assert [one.night for one in queue.nights(limit=1)] == ["2026-03-21"]


def test_whatever_changes_a_job_changes_the_version(queue, daemon, new_job):
    pieces = [Piece("/s", "products", "a.fits", 3)]
    (added,) = queue.add([new_job(1)])
    number, seen = added.id, [queue.version()]
    job = None

    def claim():
        nonlocal job
        (job,) = queue.claim(daemon, limit=1)

    steps = [
        claim,
        lambda: queue.commit_manifest(number, job.token, pieces),
        lambda: queue.give_back(number, job.token, "full"),
        lambda: queue.hold([number], "waits"),
        lambda: queue.release([number]),
        claim,
        lambda: queue.retry_later(number, job.token, Record(), delay=0.0, attempts=3),
        claim,
        lambda: queue.recover(daemon, "another"),
        claim,
        lambda: queue.finish(number, job.token, JobState.FAILED, Record()),
        lambda: queue.retry([number]),
        lambda: queue.drop([number]),
        lambda: queue.set_facts(number, {"a": 1}),
        lambda: queue.pause("photometry"),
        lambda: queue.resume("photometry"),
    ]
    for step in steps:
        before = queue.version()
        step()
        now = queue.version()
        assert now not in seen
        seen.append(now)
        if step not in steps[-2:]:
            assert [one.id for one in queue.changed_since(before)] == [number]
        assert queue.changed_since(now) == []


def test_changes_of_a_transaction_that_ends_late_are_not_missed(postgresql, new_job):
    from etendue.pipeline.daemon.queue import JobQueue

    url = postgresql.new_database()
    with JobQueue.open(url) as early, JobQueue.open(url) as late:
        early.add([new_job(1), new_job(2)])
        with late.batch():
            late.set_facts(1, {"a": 1})
            early.set_facts(2, {"a": 1})
            version = early.version()
            assert early.changed_since(version) == []
        assert [job.id for job in early.changed_since(version)] == [1]


def test_everything_as_json_lines(queue, daemon, new_job):
    queue.add([new_job(number, facts={"fwhm": float("nan")}) for number in range(3)])
    (job,) = queue.claim(daemon, limit=1)
    queue.commit_manifest(job.id, job.token, [Piece("/s", "products", "a.fits", 3)])
    queue.finish(job.id, job.token, JobState.DONE, Record(log="hot", timings=[("read", 0.5, "done")]))

    lines = [json.dumps(plain, allow_nan=False) for plain in queue.export()]

    first = json.loads(lines[0])
    assert len(lines) == 3
    assert (first["state"], first["path"], first["facts"]) == ("done", "/night/0000.fits", {"fwhm": None})
    assert [product["name"] for product in first["products"]] == ["a.fits"]
    assert first["attempts_made"][0]["log"] == "hot"
    assert len(list(queue.export(Filter(states=(JobState.QUEUED,))))) == 2


def test_a_contradiction_in_the_tables_is_found(queue, claimed):
    import sqlalchemy as sql

    job = claimed(1)
    with queue.writing() as connection:
        connection.execute(sql.text("UPDATE jobs SET manifest = '[]', state = 'done' WHERE id = :job"), {"job": job.id})

    problems = queue.check()

    assert any("products of it are still on their way" in problem for problem in problems)
    assert any("no time at which it ended" in problem for problem in problems)
    with queue.writing() as connection:
        connection.execute(sql.text("UPDATE jobs SET manifest = '', finished = 1.0"))


def test_files_whose_jobs_have_ended_of_late_and_those_that_are_owed_one(queue, daemon, new_job, monkeypatch):
    now = time.time()

    def end(number, ago, state, cause="", **given):
        queue.add([new_job(number, **given)])
        (job,) = queue.claim(daemon, limit=1)
        with monkeypatch.context() as patch:
            patch.setattr(time, "time", lambda: now - ago)
            queue.finish(job.id, job.token, state, Record(cause=cause))

    def path(number):
        return Path(f"/night/{number:04d}.fits")

    end(1, 5000, JobState.SKIPPED, "replaced")
    end(2, 4000, JobState.SKIPPED, "replaced")
    end(2, 3900, JobState.DONE, mtime_ns=7)
    end(3, 100, JobState.DONE)
    end(4, 50, JobState.FAILED)
    end(5, 50, JobState.DONE, source="another")
    end(6, 40, JobState.SKIPPED, "replaced")
    queue.add([new_job(7)])

    assert queue.ended("camera", 60) == {path(4): False, path(6): True}
    assert queue.ended("camera", 20) == {}
    # After a start: from the last end on, and whatever is owed.
    assert queue.ended("camera", 20, first=True) == {path(1): True, path(4): False, path(6): True}
    assert queue.ended("nobody", 60, first=True) == {}
