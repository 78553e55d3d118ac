"""Daemons that live keep their jobs; those of dead ones are recovered, forward where products were listed."""

import os
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from etendue.pipeline.daemon.queue import DaemonFacts, JobState, LeaseWatch, Piece, Record, UnknownDaemon
from etendue.pipeline.daemon.queue.records import process_start

ELSEWHERE = DaemonFacts("elsewhere", 1, "another boot", 1.0, "0.1.0", "http://elsewhere:8077")


class Clock:
    """A monotonic clock that a test sets."""

    def __init__(self, monkeypatch):
        self.now = 1000.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


def test_daemons_say_who_they_are(queue):
    name = queue.register(ELSEWHERE)
    queue.beat(name, {"workers": 2, "reload": 3})

    (row,) = queue.daemons()

    assert (row.id, row.host, row.pid, row.version, row.address) == (name, "elsewhere", 1, "0.1.0", ELSEWHERE.address)
    assert (row.beat, row.status) == (1, {"workers": 2, "reload": 3})
    queue.unregister(name)
    assert queue.daemons() == []


def test_a_daemon_that_was_taken_for_dead_learns_it(queue, daemon):
    other = queue.register(ELSEWHERE)
    queue.recover(daemon, other)

    with pytest.raises(UnknownDaemon, match="taken it for dead"):
        queue.beat(daemon)


def test_a_daemon_that_beats_lives(queue, daemon, clock):
    other, watch = queue.register(ELSEWHERE), LeaseWatch(own=daemon)
    for _ in range(10):
        clock.now += 29.0
        queue.beat(other)
        assert queue.dead_daemons(watch, 30.0) == []


def test_a_daemon_that_is_silent_for_a_lease_is_dead(queue, daemon, clock):
    other, watch = queue.register(ELSEWHERE), LeaseWatch(own=daemon)

    assert queue.dead_daemons(watch, 30.0) == [], "seen for the first time: it may have beaten just now"
    clock.now += 30.0
    assert queue.dead_daemons(watch, 30.0) == []
    clock.now += 0.1
    assert queue.dead_daemons(watch, 30.0) == [other]


def test_clocks_of_the_day_decide_nothing(queue, daemon, clock, monkeypatch):
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 86400.0)
    queue.register(ELSEWHERE)
    monkeypatch.setattr(time, "time", lambda: now - 86400.0)

    assert queue.dead_daemons(LeaseWatch(own=daemon), 30.0) == []


def test_one_is_never_dead_for_oneself(queue, daemon, clock):
    watch = LeaseWatch(own=daemon)
    queue.dead_daemons(watch, 30.0)
    clock.now += 1000.0

    assert queue.dead_daemons(watch, 30.0) == []


def test_a_process_of_this_machine_that_has_ended_is_dead_at_once(queue, daemon):
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        here = DaemonFacts.of_this_process()
        other = queue.register(replace(here, pid=process.pid, process_start=process_start(process.pid)))
        watch = LeaseWatch(own=daemon)
        assert queue.dead_daemons(watch, 30.0) == []
        process.kill()
        give_up = time.monotonic() + 60
        while process_start(process.pid) is not None and time.monotonic() < give_up:
            time.sleep(0.01)

        assert queue.dead_daemons(watch, 30.0) == [other], "though its parent has not asked for it yet"


def test_another_process_with_the_same_number_is_not_the_daemon(queue, daemon):
    here = DaemonFacts.of_this_process()
    earlier = queue.register(replace(here, process_start=here.process_start - 5.0))

    assert queue.dead_daemons(LeaseWatch(own=daemon), 30.0) == [earlier]


def test_a_process_number_of_another_machine_says_nothing(queue, daemon):
    here = DaemonFacts.of_this_process()
    queue.register(replace(here, pid=2**22 + 1, boot_id="another run of the machine"))
    queue.register(replace(here, pid=2**22 + 1, host="elsewhere"))

    assert queue.dead_daemons(LeaseWatch(own=daemon), 30.0) == []


def test_the_start_of_a_process_is_known():
    assert process_start(os.getpid()) == DaemonFacts.of_this_process().process_start
    assert process_start(2**22 + 1) is None


def test_jobs_of_a_dead_daemon_are_tried_again_without_being_charged(queue, daemon, new_job, claimed):
    job = claimed(1)
    other = queue.register(ELSEWHERE)

    recovered = queue.recover(daemon, other)

    assert (recovered.requeued, recovered.publishing, recovered.failed) == ([job.id], [], [])
    found = queue.get(job.id)
    assert (found.state, found.attempts, found.interruptions) == (JobState.QUEUED, 0, 1)
    assert [attempt.outcome for attempt in queue.attempts(job.id)] == ["interrupted"]
    assert [row.id for row in queue.daemons()] == [other]


def test_a_job_during_which_daemons_keep_ending_fails_at_last(queue, new_job):
    (added,) = queue.add([new_job(1)])
    for number in range(11):
        daemon = queue.register(ELSEWHERE)
        assert len(queue.claim(daemon, limit=1)) == 1, number
        recovered = queue.recover(daemon, "another")

    assert recovered.failed == [added.id]
    job = queue.get(added.id)
    assert (job.state, job.interruptions) == (JobState.FAILED, 11)
    assert "ended while it worked on this, for the 11th time" in job.error
    assert queue.retry([added.id]) == 1
    assert queue.get(added.id).interruptions == 0


def test_products_that_were_listed_are_put_into_their_places_by_others(queue, daemon, claimed):
    job = claimed(1)
    pieces = (Piece("/staging/a", "products", "a.fits", 3),)
    queue.commit_manifest(job.id, job.token, pieces, "0123")
    other = queue.register(ELSEWHERE)

    recovered = queue.recover(daemon, other)

    (publishing,) = recovered.publishing
    assert (publishing.id, publishing.manifest, publishing.owner) == (job.id, pieces, other)
    assert publishing.token != job.token
    assert publishing.staging == job.token, "the staging folder still has its old name"
    assert (job.id, job.token) in queue.running_tokens()
    queue.finish(publishing.id, publishing.token, JobState.DONE, Record())
    assert [product.name for product in queue.products(job.id)] == ["a.fits"]


def test_who_recovers_second_finds_nothing(queue, daemon, claimed):
    claimed(1)
    first, second = queue.register(ELSEWHERE), queue.register(ELSEWHERE)

    assert len(queue.recover(daemon, first).requeued) == 1
    assert queue.recover(daemon, second).requeued == []


def test_jobs_of_a_daemon_that_does_not_take_part_are_found(queue, daemon, new_job):
    queue.add([new_job(1)])
    queue.claim("a daemon that was forgotten", limit=1)

    assert queue.dead_daemons(LeaseWatch(own=daemon), 30.0) == ["a daemon that was forgotten"]
    assert len(queue.recover("a daemon that was forgotten", daemon).requeued) == 1
    assert queue.dead_daemons(LeaseWatch(own=daemon), 30.0) == []
