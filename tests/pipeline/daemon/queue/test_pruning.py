"""Pruning: details of old jobs go; what makes a file known, and whose a name is, stays."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from etendue.pipeline.daemon.queue import Job, JobQueue, JobState, NameTaken, NewJob, Piece, Record, is_pruned

PAST, FUTURE = time.time() - 3600.0, time.time() + 3600.0
"""Nothing has ended before the one, everything before the other."""

WHOLE = Record(
    fingerprint="f1",
    log="what the steps have said",
    timings=(("read", 0.1, "done"),),
    notes=("a note",),
    facts={"seeing": 1.5, "masters": {"bias": "0123"}},
    checksum="c1",
    seconds=2.0,
)


def prune(queue: JobQueue, before: float = FUTURE) -> int:
    count, after = 0, 0
    while after is not None:
        found = queue.prunable(before, after)
        count += queue.prune(found.jobs, before)
        after = found.next
    return count


@pytest.fixture
def done(queue: JobQueue, claimed: Callable[..., Job]) -> Job:
    """A job that is done, with a product."""
    job = claimed(1, payload={"x": 1}, night="2026-03-20")
    queue.commit_manifest(job.id, job.token, [Piece("x/a.fits", "products", "a.fits", 3)], "c1")
    queue.finish(job.id, job.token, JobState.DONE, WHOLE)
    return queue.get(job.id)


def test_the_details_go_and_the_job_stays(queue: JobQueue, done: Job):
    assert prune(queue) == 1

    job = queue.get(done.id)
    assert (job.log, job.timings, job.notes, queue.attempts(job.id)) == ("", (), (), [])
    kept = (
        "state", "key", "path", "size", "mtime_ns", "checksum", "facts", "payload", "fingerprint", "finished",
        "changed", "seconds", "attempts",
    )  # fmt: skip
    assert {name: getattr(job, name) for name in kept} == {name: getattr(done, name) for name in kept}
    assert [product.name for product in queue.products(job.id)] == ["a.fits"]
    assert is_pruned(job, queue.attempts(job.id))
    assert not is_pruned(done, [object()])  # type: ignore[list-item]
    assert prune(queue) == 0


def test_what_has_ended_lately_is_left_alone(queue: JobQueue, done: Job):
    assert prune(queue, PAST) == 0
    assert queue.prune([done.id], PAST) == 0

    assert queue.get(done.id) == done


def test_the_file_is_still_known(queue: JobQueue, done: Job, new_job: Callable[..., NewJob]):
    prune(queue)

    assert queue.known("camera", [Path("/night/0001.fits")]) == {Path("/night/0001.fits"): (done.size, done.mtime_ns)}
    (added,) = queue.add([new_job(1)])
    assert (added.id, added.new) == (done.id, False)


def test_its_names_are_still_its_own(queue: JobQueue, done: Job, claimed: Callable[..., Job]):
    prune(queue)
    other = claimed(2)

    with pytest.raises(NameTaken, match=r"made of 0001\.fits \(job 1\)"):
        queue.commit_manifest(other.id, other.token, [Piece("y/a.fits", "products", "a.fits", 3)], "c2")
    queue.finish(other.id, other.token, JobState.FAILED, Record(error="taken"))


def test_it_can_be_done_again(queue: JobQueue, daemon: str, done: Job):
    prune(queue)

    queue.requeue([done.id])

    (again,) = queue.claim(daemon, limit=1)
    assert (again.payload, again.facts, again.checksum) == (done.payload, done.facts, "c1")
    queue.commit_manifest(again.id, again.token, [Piece("y/a.fits", "products", "a.fits", 3)], "c1")
    queue.finish(again.id, again.token, JobState.DONE, WHOLE)
    assert not is_pruned(queue.get(again.id), queue.attempts(again.id))
    assert [product.name for product in queue.products(again.id)] == ["a.fits"]


def test_a_failure_waits_for_a_person(queue: JobQueue, claimed: Callable[..., Job]):
    job = claimed(1)
    queue.finish(job.id, job.token, JobState.FAILED, Record(error="cloudy", traceback="Traceback", log="hm"))

    assert prune(queue) == 0
    assert queue.get(job.id).traceback == "Traceback"
    queue.drop([job.id])
    assert prune(queue) == 1
    assert (queue.get(job.id).state, queue.get(job.id).error) == (JobState.DROPPED, "cloudy")


def test_a_job_that_is_tried_again_keeps_what_it_has(queue: JobQueue, claimed: Callable[..., Job]):
    job = claimed(1)
    queue.finish(job.id, job.token, JobState.SKIPPED, Record(error="clouds", log="hm"))
    found = queue.prunable(FUTURE)
    queue.retry([job.id])

    assert found.jobs == [job.id]
    assert queue.prune(found.jobs, FUTURE) == 0
    assert queue.get(job.id).log == "hm"


def test_nobody_is_told(queue: JobQueue, done: Job):
    seen = queue.version()

    prune(queue)

    assert queue.changed_since(seen) == []


@pytest.mark.parametrize("failed", [0, 7])
def test_many_are_found_bit_by_bit(
    queue: JobQueue,
    daemon: str,
    new_job: Callable[..., NewJob],
    monkeypatch: pytest.MonkeyPatch,
    failed: int,
):
    """Also where the oldest ones, whose details stay, are more than one search finds."""
    monkeypatch.setattr("etendue.pipeline.daemon.queue.pruning.AT_ONCE", 3)
    queue.add([new_job(number) for number in range(failed + 8)])
    with queue.batch():
        for number, job in enumerate(queue.claim(daemon, limit=failed + 8)):
            state = JobState.FAILED if number < failed else JobState.DONE
            queue.finish(job.id, job.token, state, Record(error="" if state is JobState.DONE else "cloudy"))

    assert prune(queue) == 8
    assert len([job for job in queue.search().jobs if queue.attempts(job.id)]) == failed


def test_a_search_ends_where_nothing_is_old(queue: JobQueue, done: Job, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("etendue.pipeline.daemon.queue.pruning.AT_ONCE", 1)

    assert queue.prunable(PAST).next is None
    assert queue.prunable(FUTURE).next is not None


def test_it_may_be_killed_at_any_point(queue_url: str, queue: JobQueue, done: Job, in_processes: Callable[..., list]):
    """Between the two changes of a transaction: the job has all its details afterwards."""
    body = """
    import sqlalchemy
    def killed(*_): os.kill(os.getpid(), signal.SIGKILL)
    queue = JobQueue.open(url)
    sqlalchemy.delete = killed
    queue.prune([1], 9e9)
    """
    ((end, _),) = in_processes(body, queue_url, 1)

    assert end == 9
    assert queue.get(done.id) == done
    assert prune(queue) == 1
