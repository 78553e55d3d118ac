"""Claim, list the products, finish; and nothing is changed by those who have lost a job."""

import time

import pytest

from etendue.pipeline.daemon.queue import (
    DaemonFacts,
    JobKind,
    JobState,
    LostLease,
    NameTaken,
    NewJob,
    Piece,
    Record,
)


def piece(name: str, size: int = 3) -> Piece:
    return Piece(f"/products/.etendue/staging/{name}", "products", name, size)


def finish(queue, job, *names, checksum="", state=JobState.DONE):
    queue.commit_manifest(job.id, job.token, [piece(name) for name in names], checksum)
    queue.finish(job.id, job.token, state, Record())


def names_of(queue, job_id):
    return [product.name for product in queue.products(job_id)]


# --- claim --------------------------------------------------------------------------------------------------------


def test_a_claimed_job_is_ours_and_nobody_elses(queue, daemon, new_job):
    queue.add([new_job(1), new_job(2)])
    other = queue.register(DaemonFacts("elsewhere", 1, "x", 1.0))

    (ours,) = queue.claim(daemon, limit=1)
    theirs = queue.claim(other, limit=5)

    assert (ours.state, ours.owner, ours.attempts) == (JobState.RUNNING, daemon, 1)
    assert ours.token
    assert [job.id for job in theirs] == [ours.id + 1]
    assert queue.claim(daemon, limit=5) == []
    assert [job.id for job in queue.running(daemon)] == [ours.id]
    assert queue.running_tokens() == {(job.id, job.token) for job in (ours, *theirs)}


def test_priority_first_then_the_order_of_the_files(queue, daemon, new_job):
    queue.add([
        new_job(3), new_job(1), new_job(2),
        new_job(12, priority=5, order="newest"), new_job(11, priority=5), new_job(13, priority=5, order="newest"),
        new_job(0, chain="late", priority=-1),
    ])  # fmt: skip

    claimed = [job.label for job in queue.claim(daemon, limit=10)]

    assert claimed == ["0013.fits", "0012.fits", "0011.fits", "0001.fits", "0002.fits", "0003.fits", "0000.fits"]


def test_claims_leave_alone_what_they_are_told_to(queue, daemon, new_job):
    queue.add([
        new_job(1, chain="a"), new_job(2, chain="b"), new_job(3, chain="c", memory=10**9),
        new_job(4, source="gone", chain="c"), new_job(5, chain="", kind=JobKind.MASTERS),
        new_job(6, state=JobState.WAITING),
    ])  # fmt: skip

    claimed = queue.claim(
        daemon, limit=10, fits=10**8, except_sources=["gone"], except_chains=["b"], chains=["a", "b", "c"]
    )

    assert [job.label for job in claimed] == ["0001.fits", "0005.fits"]
    assert [job.label for job in queue.claim(daemon, limit=10, fits=10**8, except_sources=["gone"])] == ["0002.fits"]


def test_a_job_is_not_tried_before_its_time(queue, daemon, claimed):
    job = claimed(1)
    assert queue.retry_later(job.id, job.token, Record(error="no network"), delay=60.0, attempts=3) is JobState.QUEUED

    assert queue.claim(daemon, limit=1) == []


def test_a_clock_that_was_set_back_holds_nothing_up(queue, daemon, claimed, monkeypatch):
    job = claimed(1)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 3600.0)
    queue.retry_later(job.id, job.token, Record(error="no network"), delay=60.0, attempts=3)
    monkeypatch.undo()

    assert [again.id for again in queue.claim(daemon, limit=1)] == [job.id]


def test_nothing_is_claimed_while_all_is_paused(queue, daemon, new_job):
    queue.add([new_job(1), new_job(2, chain="guiding")])
    queue.pause(reason="clouds", who="night assistant")
    assert queue.claim(daemon, limit=5) == []

    queue.resume()
    queue.pause("guiding")
    assert [job.chain for job in queue.claim(daemon, limit=5)] == ["photometry"]
    queue.resume("guiding")
    assert [job.chain for job in queue.claim(daemon, limit=5, chains=["guiding"])] == ["guiding"]


def test_runs_without_a_file_are_claimed_together(queue, daemon):
    ticks = [NewJob(kind=JobKind.TICK, key=f"t{n}", source="every 5 s", chain="webcam", label=str(n)) for n in range(3)]
    queue.add(ticks)

    assert len(queue.claim(daemon, limit=3)) == 3


def test_two_jobs_for_one_file_and_chain_do_not_run_at_once(queue, daemon, claimed):
    first = claimed(1)
    finish(queue, first, "a.fits")
    queue.requeue([first.id])
    (again,) = queue.claim(daemon, limit=5)
    queue.retry_later(again.id, again.token, Record(error="x"), delay=0, attempts=1)
    queue.requeue([again.id])
    queue.retry([again.id])

    assert len(queue.claim(daemon, limit=5)) == 1
    assert queue.counts()[JobState.QUEUED] == 1


# --- finish -------------------------------------------------------------------------------------------------------


def test_what_an_attempt_was_like_is_kept(queue, claimed):
    job = claimed(1, facts={"object_name": "M 31"})
    record = Record(
        fingerprint="abc",
        step="Save",
        error="no name",
        traceback="Traceback …",
        log="WARNING hot",
        seconds=1.5,
        timings=[("read", 0.25, "done"), ("Save", 1.25, "failed")],
        facts={"fwhm": 3.5, "nan": float("nan")},
        notes=["second try"],
        checksum="0123",
        cause="image",
    )

    queue.finish(job.id, job.token, JobState.FAILED, record)

    found = queue.get(job.id)
    assert found.state is JobState.FAILED
    assert (found.step, found.error, found.cause, found.checksum) == ("Save", "no name", "image", "0123")
    assert (found.traceback, found.log, found.seconds) == ("Traceback …", "WARNING hot", 1.5)
    assert found.timings == (("read", 0.25, "done"), ("Save", 1.25, "failed"))
    assert found.notes == ("second try",)
    assert found.facts["object_name"] == "M 31"
    assert found.facts["fwhm"] == 3.5
    assert found.facts["nan"] != found.facts["nan"]
    assert found.finished >= found.started >= found.created > 0
    (attempt,) = queue.attempts(job.id)
    assert (attempt.number, attempt.outcome, attempt.step, attempt.log) == (1, "failed", "Save", "WARNING hot")


def test_attempts_are_counted_and_then_it_has_failed(queue, daemon, new_job):
    (added,) = queue.add([new_job(1)])
    states = []
    for _ in range(3):
        (job,) = queue.claim(daemon, limit=1)
        states.append(queue.retry_later(job.id, job.token, Record(error="no network"), delay=0.0, attempts=3))

    assert states == [JobState.QUEUED, JobState.QUEUED, JobState.FAILED]
    assert queue.get(added.id).attempts == 3
    assert [(one.number, one.outcome) for one in queue.attempts(added.id)] == [(n, "failed") for n in (1, 2, 3)]


def test_the_running_attempt_is_shown(queue, daemon, claimed):
    job = claimed(1)
    queue.retry_later(job.id, job.token, Record(error="no network"), delay=0.0, attempts=3)
    queue.claim(daemon, limit=1)

    _, running = queue.attempts(job.id)

    assert (running.number, running.daemon, running.ended, running.outcome) == (2, daemon, 0.0, "")


def test_a_job_that_is_given_back_was_not_tried(queue, daemon, claimed):
    job = claimed(1)

    queue.give_back(job.id, job.token, "the disk is full")

    again = queue.get(job.id)
    assert (again.state, again.attempts, again.reason) == (JobState.QUEUED, 0, "the disk is full")
    (claimed_again,) = queue.claim(daemon, limit=1)
    assert (claimed_again.attempts, claimed_again.reason) == (1, "")
    queue.give_back(job.id, claimed_again.token, "waits for a flat", state=JobState.WAITING)
    assert queue.claim(daemon, limit=1) == []


@pytest.mark.parametrize("change", ["commit", "finish", "retry", "give back"])
@pytest.mark.parametrize("lost", ["to another daemon", "given back", "ended", "wrong token"])
def test_who_has_lost_a_job_changes_nothing(queue, daemon, claimed, change, lost):
    job = claimed(1)
    token = job.token
    other = queue.register(DaemonFacts("elsewhere", 1, "x", 1.0))
    match lost:
        case "to another daemon":
            queue.recover(daemon, other)
            queue.claim(other, limit=1)
        case "given back":
            queue.recover(daemon, other)
        case "ended":
            queue.finish(job.id, token, JobState.SKIPPED, Record())
        case "wrong token":
            token = "0123"
    before, attempts = queue.get(job.id), queue.attempts(job.id)

    changes = {
        "commit": lambda: queue.commit_manifest(job.id, token, [piece("a.fits")]),
        "finish": lambda: queue.finish(job.id, token, JobState.DONE, Record(error="late")),
        "retry": lambda: queue.retry_later(job.id, token, Record(error="late"), delay=0.0, attempts=3),
        "give back": lambda: queue.give_back(job.id, token, "late"),
    }
    with pytest.raises(LostLease, match=f"job {job.id} is not ours"):
        changes[change]()

    assert queue.get(job.id) == before
    assert queue.attempts(job.id) == attempts
    assert queue.products(job.id) == []


def test_a_job_that_is_not_there_is_nobodys(queue):
    with pytest.raises(LostLease, match="no such job"):
        queue.finish(99, "token", JobState.DONE, Record())


@pytest.mark.parametrize("again", ["commit", "finish", "retry", "give back"])
def test_a_change_may_be_made_again_when_its_answer_was_lost(queue, claimed, again):
    job = claimed(1)
    pieces = [piece("a.fits")]
    for _ in range(2):
        match again:
            case "commit":
                queue.commit_manifest(job.id, job.token, pieces, "c")
            case "finish":
                queue.finish(job.id, job.token, JobState.DONE, Record(seconds=1.0))
            case "retry":
                queue.retry_later(job.id, job.token, Record(error="x"), delay=0.0, attempts=3)
            case "give back":
                queue.give_back(job.id, job.token, "full")

    found = queue.get(job.id)
    match again:
        case "commit":
            assert found.manifest == tuple(pieces)
            queue.finish(job.id, job.token, JobState.DONE, Record())
            assert names_of(queue, job.id) == ["a.fits"]
        case "finish" | "retry":
            assert len(queue.attempts(job.id)) == 1
        case "give back":
            assert found.attempts == 0


# --- products -----------------------------------------------------------------------------------------------------


def test_products_are_there_when_the_job_is_done(queue, claimed):
    job = claimed(1)
    pieces = [piece("sub/a.fits"), piece("sub/\udcff.fits", 5)]

    queue.commit_manifest(job.id, job.token, pieces, "0123")

    assert queue.products(job.id) == []
    found = queue.get(job.id)
    assert (found.manifest, found.staging, found.checksum) == (tuple(pieces), job.token, "0123")
    queue.finish(job.id, job.token, JobState.DONE, Record())
    products = queue.products(job.id)
    assert [(one.destination, one.name, one.size) for one in products] == [
        ("products", "sub/a.fits", 3),
        ("products", "sub/\udcff.fits", 5),
    ]
    assert queue.product(products[1].id) == products[1]
    assert queue.get(job.id).manifest == ()


def test_a_name_that_another_input_has_is_refused(queue, daemon, new_job):
    queue.add([new_job(1), new_job(2)])
    first, second = queue.claim(daemon, limit=2)
    queue.commit_manifest(first.id, first.token, [piece("a.fits")], "c1")

    with pytest.raises(NameTaken, match=r"a\.fits exists already: it was made of 0001\.fits") as taken:
        queue.commit_manifest(second.id, second.token, [piece("b.fits"), piece("a.fits")], "c2")

    assert (taken.value.name, taken.value.job, taken.value.label) == ("a.fits", first.id, "0001.fits")
    assert not taken.value.same_content
    assert queue.get(second.id).manifest == ()
    queue.finish(first.id, first.token, JobState.DONE, Record())
    queue.finish(second.id, second.token, JobState.FAILED, Record(error=str(taken.value)))
    assert names_of(queue, first.id) == ["a.fits"]
    assert names_of(queue, second.id) == []


def test_the_same_content_under_another_name_is_told(queue, daemon, new_job):
    queue.add([new_job(1), new_job(2)])
    first, second = queue.claim(daemon, limit=2)
    finish(queue, first, "a.fits", checksum="same")

    with pytest.raises(NameTaken, match=r"the same file as 0001\.fits \(job 1\)") as taken:
        queue.commit_manifest(second.id, second.token, [piece("a.fits")], "same")

    assert taken.value.same_content
    queue.finish(second.id, second.token, JobState.SKIPPED, Record(error=str(taken.value), checksum="same"))


def test_names_of_different_destinations_do_not_collide(queue, daemon, new_job):
    queue.add([new_job(1), new_job(2)])
    first, second = queue.claim(daemon, limit=2)
    finish(queue, first, "a.fits")

    queue.commit_manifest(second.id, second.token, [Piece("/s", "archive", "a.fits", 3)])
    queue.finish(second.id, second.token, JobState.DONE, Record())

    assert names_of(queue, second.id) == ["a.fits"]


def test_a_newer_version_of_a_file_takes_over_the_products(queue, daemon, new_job, claimed):
    old = claimed(1)
    finish(queue, old, "a.fits", "old only.fits")
    queue.add([new_job(1, size=5760)])
    (new,) = queue.claim(daemon, limit=1)

    finish(queue, new, "a.fits", "b.fits")

    assert names_of(queue, new.id) == ["a.fits", "b.fits"]
    assert names_of(queue, old.id) == ["old only.fits"]


def test_an_older_version_does_not_take_products_from_a_newer_one(queue, daemon, new_job, claimed):
    old = claimed(1)
    queue.add([new_job(1, size=5760)])
    queue.retry_later(old.id, old.token, Record(error="x"), delay=0.0, attempts=1)
    (new,) = queue.claim(daemon, limit=1)
    finish(queue, new, "a.fits")
    queue.retry([old.id])
    (late,) = queue.claim(daemon, limit=1)

    with pytest.raises(NameTaken, match=f"replaced by a newer file \\(job {new.id}\\)") as taken:
        queue.commit_manifest(late.id, late.token, [piece("other.fits")])

    assert taken.value.newer
    queue.finish(late.id, late.token, JobState.SKIPPED, Record(error=str(taken.value), cause="replaced"))
    assert queue.retry([late.id]) == 0, "trying again would not help"


def test_products_of_a_failed_publication_go_back_to_the_earlier_job(queue, daemon, claimed):
    old = claimed(1)
    finish(queue, old, "a.fits")
    queue.requeue([old.id])
    (new,) = queue.claim(daemon, limit=1)
    queue.commit_manifest(new.id, new.token, [piece("a.fits"), piece("b.fits")])

    queue.finish(new.id, new.token, JobState.FAILED, Record(error="the archive refuses"))

    assert names_of(queue, old.id) == ["a.fits"]
    assert names_of(queue, new.id) == []


def test_a_manifest_survives_being_given_back(queue, daemon, claimed):
    job = claimed(1)
    queue.commit_manifest(job.id, job.token, [piece("a.fits")])
    queue.give_back(job.id, job.token, "the disk is full")
    assert queue.running_tokens() == {(job.id, job.token)}, "its staging folder is still needed"

    (again,) = queue.claim(daemon, limit=1)

    assert again.manifest == (piece("a.fits"),)
    assert again.staging == job.token
    assert queue.running_tokens() == {(job.id, job.token), (job.id, again.token)}
    finish(queue, again, "b.fits")
    assert names_of(queue, job.id) == ["b.fits"]


def test_many_products_of_one_job(queue, claimed):
    job = claimed(1)
    names = [f"{number}.fits" for number in range(1200)]

    finish(queue, job, *names)

    assert names_of(queue, job.id) == names


def test_the_chain_of_a_job_is_kept_once(queue):
    for _ in range(2):
        queue.note_chain("abc", "photometry", "steps: []")

    assert queue.chain_text("abc") == ("photometry", "steps: []")
    assert queue.chain_text("nobody's") == ("", "")
