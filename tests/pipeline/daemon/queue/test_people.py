"""What people and nights decide: retry, drop, requeue, pause, hold, release."""

import pytest

from etendue.pipeline.daemon.queue import Filter, JobKind, JobState, Piece, Record, UnknownJob


@pytest.fixture
def one_of_each(queue, daemon, new_job):
    """A job in each state, by state."""
    queue.add([new_job(number) for number in range(4)])
    done, failed, skipped, running = (job.id for job in queue.claim(daemon, limit=4))
    for number, state in ((done, JobState.DONE), (failed, JobState.FAILED), (skipped, JobState.SKIPPED)):
        queue.finish(number, queue.get(number).token, state, Record(step="Detect", error="dark"))
    queued, waiting, dropped = (
        added.id for added in queue.add([new_job(5), new_job(6, state=JobState.WAITING), new_job(7)])
    )
    queue.drop([dropped])
    return {
        JobState.DONE: done, JobState.FAILED: failed, JobState.SKIPPED: skipped, JobState.RUNNING: running,
        JobState.QUEUED: queued, JobState.WAITING: waiting, JobState.DROPPED: dropped,
    }  # fmt: skip


def states(queue, jobs):
    return {before: queue.get(number).state for before, number in jobs.items()}


def changed(queue, jobs):
    return {before: after for before, after in states(queue, jobs).items() if before is not after}


def test_each_is_where_it_should_be(queue, one_of_each):
    assert changed(queue, one_of_each) == {}
    assert queue.counts() == dict.fromkeys(JobState, 1)


def test_retry(queue, one_of_each):
    assert queue.retry(one_of_each.values()) == 3

    assert changed(queue, one_of_each) == dict.fromkeys(
        (JobState.FAILED, JobState.SKIPPED, JobState.DROPPED), JobState.QUEUED
    )
    job = queue.get(one_of_each[JobState.FAILED])
    assert (job.attempts, job.error, job.step, job.finished) == (0, "", "", 0.0)
    assert len(queue.attempts(job.id)) == 1, "what happened before is not forgotten"


def test_drop(queue, one_of_each):
    assert queue.drop(one_of_each.values()) == 3

    assert changed(queue, one_of_each) == dict.fromkeys(
        (JobState.FAILED, JobState.QUEUED, JobState.WAITING), JobState.DROPPED
    )


def test_release_hold_fail_complete(queue, one_of_each):
    everything = list(one_of_each.values())
    assert queue.release(everything) == 1
    assert changed(queue, one_of_each) == {JobState.WAITING: JobState.QUEUED}

    assert queue.hold(everything, "waits for flat R", 2e9) == 2
    assert changed(queue, one_of_each) == {JobState.QUEUED: JobState.WAITING}
    job = queue.get(one_of_each[JobState.QUEUED])
    assert (job.reason, job.deadline) == ("waits for flat R", 2e9)

    assert queue.fail(everything[:5], "no flat R") == 1
    job = queue.get(one_of_each[JobState.QUEUED])
    assert (job.state, job.error) == (JobState.FAILED, "no flat R")
    assert queue.search(Filter(text="NO FLAT")).total == 1

    assert queue.complete(everything, "in masters/bias.fits") == 3
    assert queue.get(one_of_each[JobState.WAITING]).reason == "in masters/bias.fits"
    assert queue.get(one_of_each[JobState.RUNNING]).state is JobState.RUNNING


def test_a_filter_says_which(queue, one_of_each):
    assert queue.retry(Filter(states=(JobState.FAILED,), text="dark")) == 1
    assert queue.retry(Filter(states=(JobState.FAILED,))) == 0
    assert queue.drop(Filter(source="upload")) == 0
    assert queue.drop(Filter(states=(JobState.QUEUED,))) == 2
    assert queue.retry([]) == 0
    assert queue.retry([10**6]) == 0


def test_raw_frames_wait_for_their_group_again(queue, new_job):
    (frame,) = queue.add([new_job(1, kind=JobKind.FRAME, state=JobState.WAITING)])
    queue.fail([frame.id], "3 flats R, and it takes 5")

    queue.retry([frame.id])

    assert queue.get(frame.id).state is JobState.WAITING
    queue.fail([frame.id], "3 flats R, and it takes 5")
    assert queue.hold([frame.id], "collecting: flat R 4 of 5") == 1
    assert queue.get(frame.id).error == ""


def test_what_is_done_again_has_a_job_of_its_own(queue, daemon, claimed):
    first = claimed(1, priority=3, order="newest", facts={"object_name": "M 31"}, payload={"a": 1}, night="2026-03-20")
    queue.commit_manifest(first.id, first.token, [Piece("/s", "products", "a.fits", 3)], "0123")
    queue.finish(first.id, first.token, JobState.DONE, Record(facts={"fwhm": 3.0}))

    (number,) = queue.requeue([first.id])

    assert queue.requeue([first.id]) == [number], "it is open already"
    (again,) = queue.claim(daemon, limit=1)
    assert again.id == number
    assert (again.generation, again.attempts, again.reason) == (1, 1, "")
    for same in ("path", "size", "mtime_ns", "chain", "source", "priority", "night", "payload", "label", "destination"):
        assert getattr(again, same) == getattr(first, same), same
    assert again.facts["object_name"] == "M 31"
    queue.commit_manifest(again.id, again.token, [Piece("/s", "products", "a.fits", 4)], "0123")
    queue.finish(again.id, again.token, JobState.DONE, Record())
    assert queue.products(first.id) == []
    assert [product.size for product in queue.products(again.id)] == [4]
    assert queue.get(queue.requeue([again.id])[0]).generation == 2


def test_only_what_has_ended_is_done_again(queue, one_of_each):
    made = queue.requeue(one_of_each.values())

    assert len(made) == 4
    assert changed(queue, one_of_each) == {}


def test_adding_a_file_again_does_not_repeat_what_was_requeued(queue, claimed, new_job):
    job = claimed(1)
    queue.finish(job.id, job.token, JobState.DONE, Record())
    queue.requeue([job.id])

    (added,) = queue.add([new_job(1)])

    assert (added.id, added.new) == (job.id, False)
    assert queue.search().total == 2


def test_pauses_say_who_and_why(queue):
    queue.pause("guiding", "clouds", "Ann")
    queue.pause("guiding", "rain", "Bob")
    queue.pause()

    everything, guiding = queue.paused()

    assert (guiding.chain, guiding.reason, guiding.who) == ("guiding", "rain", "Bob")
    assert everything.chain is None
    queue.resume()
    assert [pause.chain for pause in queue.paused()] == ["guiding"]


def test_requests_to_reload_are_counted(queue):
    assert queue.reload_requested() == 0
    assert [queue.request_reload("Ann") for _ in range(3)] == [1, 2, 3]
    assert queue.reload_requested() == 3


def test_facts_are_added(queue, new_job):
    (added,) = queue.add([new_job(1, facts={"filter": "R", "exposure_time": 1.0})])

    queue.set_facts(added.id, {"exposure_time": 2.0, "object_name": "NGC 7331"})

    expected = {"filter": "R", "exposure_time": 2.0, "object_name": "NGC 7331"}
    assert queue.get(added.id).facts == expected
    assert queue.search(Filter(text="ngc 7331")).total == 1
    with pytest.raises(UnknownJob, match="no job 99"):
        queue.set_facts(99, {})
