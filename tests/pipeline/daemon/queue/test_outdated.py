"""Outdated products: of earlier runs of an image, which its newest run has not made again."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from etendue.pipeline.daemon.queue import Job, JobQueue, JobState, NameTaken, NewJob, Piece, Record


def piece(name: str) -> Piece:
    return Piece(f"x/{name}", "products", name, 3)


def finish(queue: JobQueue, job: Job, *names: str, fingerprint: str = "f1", checksum: str = "c") -> None:
    if names:
        queue.commit_manifest(job.id, job.token, [piece(name) for name in names], checksum)
    queue.finish(job.id, job.token, JobState.DONE, Record(fingerprint=fingerprint))


@pytest.fixture
def run(queue: JobQueue, daemon: str, new_job: Callable[..., NewJob]) -> Callable[..., Job]:
    """``run("a.fits", size=…)``: a run of the image 0001.fits, with its products; `again` without a newer file."""

    def make(*names: str, again: Job | None = None, fingerprint: str = "f1", **given: object) -> Job:
        if again is not None:
            queue.requeue([again.id])
        else:
            queue.add([new_job(1, **given)])
        (job,) = queue.claim(daemon, limit=1)
        finish(queue, job, *names, fingerprint=fingerprint)
        return job

    return make


def told(queue: JobQueue, job: int | None = None) -> list[tuple[int, str, int]]:
    return [(one.product.job, one.product.name, one.newest) for one in queue.outdated(job)]


def test_what_a_newer_version_of_the_file_has_not_made_again(queue: JobQueue, run: Callable[..., Job]):
    old = run("a.fits", "a.png")
    new = run("a.fits", "b.fits", size=5760)

    assert told(queue) == told(queue, new.id) == told(queue, old.id) == [(old.id, "a.png", new.id)]
    assert queue.outdated()[0].reason == f"job {new.id} has done a newer version of the file"
    assert queue.outdated()[0].label == "0001.fits"


@pytest.mark.parametrize(
    ("fingerprint", "reason"),
    [("f2", "has done the image with a changed chain"), ("f1", "has done the image again, and has not made it")],
)
def test_what_a_changed_chain_has_not_made_again(
    queue: JobQueue, run: Callable[..., Job], fingerprint: str, reason: str
):
    old = run("a.fits", "a_cat.fits")
    new = run("a.fits", again=old, fingerprint=fingerprint)

    assert told(queue) == [(old.id, "a_cat.fits", new.id)]
    assert queue.outdated()[0].reason == f"job {new.id} {reason}"


def test_of_several_runs_the_newest_counts(queue: JobQueue, run: Callable[..., Job]):
    first = run("a.fits", "1.fits")
    second = run("a.fits", "2.fits", again=first)
    third = run("a.fits", again=second)

    assert told(queue) == [(first.id, "1.fits", third.id), (second.id, "2.fits", third.id)]


def test_a_run_without_products_outdates_nothing(queue: JobQueue, run: Callable[..., Job]):
    old = run("a.fits")
    run(again=old)

    assert told(queue) == []


@pytest.mark.parametrize("state", [JobState.FAILED, JobState.SKIPPED])
def test_a_run_that_came_to_nothing_outdates_nothing(
    queue: JobQueue, daemon: str, run: Callable[..., Job], state: JobState
):
    old = run("a.fits")
    queue.requeue([old.id])
    (job,) = queue.claim(daemon, limit=1)
    queue.commit_manifest(job.id, job.token, [piece("a.fits"), piece("b.fits")], "c")
    assert told(queue) == []

    queue.finish(job.id, job.token, state, Record(error="no"))

    assert told(queue) == []


def test_what_an_older_job_has_made_later_is_not_outdated(
    queue: JobQueue, daemon: str, run: Callable[..., Job], claimed: Callable[..., Job]
):
    failed = claimed(1)
    queue.finish(failed.id, failed.token, JobState.FAILED, Record(error="no"))
    run("a.fits", again=failed)
    assert queue.retry([failed.id]) == 1
    (retried,) = queue.claim(daemon, limit=1)

    finish(queue, retried, "b.fits", fingerprint="f2")

    assert retried.id == failed.id
    assert told(queue) == told(queue, failed.id) == []


def test_other_images_and_chains_are_not_touched(queue: JobQueue, run: Callable[..., Job]):
    run("a.fits")
    run("b.fits", chain="quick")
    run("c.fits", path=Path("/night/0002.fits"))

    assert told(queue) == []


# --- forgetting ---------------------------------------------------------------------------------------------------


def test_a_name_that_was_forgotten_is_free(queue: JobQueue, run: Callable[..., Job], claimed: Callable[..., Job]):
    old = run("a.fits", "a.png")
    run("a.fits", again=old)
    (outdated,) = queue.outdated()
    seen = queue.version()

    with queue.forgetting(outdated.product) as is_ours:
        assert is_ours

    assert told(queue) == []
    assert [job.id for job in queue.changed_since(seen)] == [old.id], "its page is to show it"
    with queue.forgetting(outdated.product) as is_ours:
        assert not is_ours, "it is gone already"
    finish(queue, claimed(2), "a.png", checksum="other")


def test_what_cannot_be_removed_is_not_forgotten(queue: JobQueue, run: Callable[..., Job], claimed: Callable[..., Job]):
    old = run("a.fits", "a.png")
    run("a.fits", again=old)
    (outdated,) = queue.outdated()

    with pytest.raises(PermissionError), queue.forgetting(outdated.product):
        raise PermissionError

    assert told(queue) != []
    other = claimed(2)
    with pytest.raises(NameTaken):
        finish(queue, other, "a.png", checksum="other")
    queue.finish(other.id, other.token, JobState.FAILED, Record(error="taken"))


def test_a_product_that_was_made_again_meanwhile_is_not_forgotten(queue: JobQueue, run: Callable[..., Job]):
    old = run("a.fits", "a.png")
    new = run("a.fits", again=old)
    (outdated,) = queue.outdated()
    newest = run("a.fits", "a.png", again=new)

    with queue.forgetting(outdated.product) as is_ours:
        assert not is_ours

    assert [product.name for product in queue.products(newest.id)] == ["a.fits", "a.png"]


def test_who_makes_it_again_at_this_moment_waits(queue: JobQueue, queue_url: str, daemon: str, run: Callable[..., Job]):
    """The file is removed before the name is anybody's: the new product is never the one that is removed."""
    old = run("a.fits", "a.png")
    new = run("a.fits", again=old)
    (outdated,) = queue.outdated()
    queue.requeue([new.id])
    (newest,) = queue.claim(daemon, limit=1)
    happened: list[str] = []
    begins = threading.Event()

    def make_again() -> None:
        with JobQueue.open(queue_url) as other:
            begins.set()
            other.commit_manifest(newest.id, newest.token, [piece("a.fits"), piece("a.png")], "c")
            happened.append("made again")

    maker = threading.Thread(target=make_again)
    with queue.forgetting(outdated.product) as is_ours:
        maker.start()
        assert begins.wait(60)
        maker.join(0.5)
        happened.append("removed")
    maker.join(60)

    assert is_ours
    assert happened == ["removed", "made again"]
    queue.finish(newest.id, newest.token, JobState.DONE, Record())
    assert [product.name for product in queue.products(newest.id)] == ["a.fits", "a.png"]
