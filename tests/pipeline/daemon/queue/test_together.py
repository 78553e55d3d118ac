"""Several threads, processes and daemons on one queue."""

import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from etendue.pipeline.daemon.queue import (
    DaemonFacts,
    JobQueue,
    JobState,
    LostLease,
    NameTaken,
    Piece,
    QueueBusyError,
    Record,
)

WORK = """
me = JobQueue.open(url).register(DaemonFacts.of_this_process())
with JobQueue.open(url) as queue:
    while jobs := queue.claim(me, limit=3):
        for job in jobs:
            queue.commit_manifest(job.id, job.token, [Piece("/s", "products", job.label, 3)])
            queue.finish(job.id, job.token, JobState.DONE, Record())
            say(job.id)
"""


def piece(name):
    return Piece("/s", "products", name, 3)


def test_processes_never_get_the_same_job(queue, queue_url, new_job, in_processes):
    queue.add([new_job(number) for number in range(90)])

    ends = in_processes(WORK, queue_url, 3)

    assert [end for end, _ in ends] == [0, 0, 0]
    done = [int(job) for _, said in ends for job in said.split()]
    assert sorted(done) == list(range(1, 91)), "each was done once"
    assert queue.counts()[JobState.DONE] == 90


def test_threads_claim_different_jobs(queue, daemon, new_job):
    queue.add([new_job(number) for number in range(60)])

    def work():
        mine = []
        while jobs := queue.claim(daemon, limit=2):
            for job in jobs:
                queue.finish(job.id, job.token, JobState.DONE, Record())
                mine.append(job.id)
        return mine

    with ThreadPoolExecutor(4) as threads:
        done = [future.result() for future in [threads.submit(work) for _ in range(4)]]

    assert sorted(job for some in done for job in some) == list(range(1, 61))


def test_the_same_files_from_two_daemons_are_one_job_each(queue, queue_url, new_job):
    jobs = [new_job(number) for number in range(300)]

    def add(some):
        with JobQueue.open(queue_url) as other:
            return [added for start in range(0, 300, 50) for added in other.add(some[start : start + 50])]

    with ThreadPoolExecutor(2) as threads:
        first, second = threads.map(add, (jobs, jobs))

    assert [one.id for one in first] == [one.id for one in second]
    assert all(one.new != other.new for one, other in zip(first, second, strict=True)), "new for exactly one of them"
    assert queue.search(limit=1).total == 300


def test_one_name_for_two_jobs_at_the_same_moment(queue, queue_url, daemon, new_job):
    queue.add([new_job(1), new_job(2)])
    first, second = queue.claim(daemon, limit=2)
    held, told = threading.Event(), threading.Event()

    def be_first():
        with JobQueue.open(queue_url) as other, other.batch():
            other.commit_manifest(first.id, first.token, [piece("a.fits")])
            held.set()
            told.wait(1.0)  # not set: the second one waits for the end of this transaction

    with ThreadPoolExecutor(1) as threads:
        future = threads.submit(be_first)
        held.wait(60)
        with pytest.raises(NameTaken):
            queue.commit_manifest(second.id, second.token, [piece("b.fits"), piece("a.fits")])
        told.set()
        future.result(60)

    queue.finish(first.id, first.token, JobState.DONE, Record())
    queue.finish(second.id, second.token, JobState.FAILED, Record())


def test_a_claimed_job_that_was_not_committed_yet_is_passed_over(postgresql, new_job):
    url = postgresql.new_database()
    with JobQueue.open(url) as queue, JobQueue.open(url) as other:
        queue.add([new_job(1), new_job(2)])
        with other.batch():
            (theirs,) = other.claim("them", limit=1)
            (ours,) = queue.claim("us", limit=5)

        assert (theirs.label, ours.label) == ("0001.fits", "0002.fits")


# --- batches ------------------------------------------------------------------------------------------------------


def test_a_batch_is_made_whole_or_not_at_all(queue, new_job):
    def broken():
        with queue.batch():
            queue.add([new_job(1)])
            queue.add([new_job(2)])
            raise KeyError

    with pytest.raises(KeyError):
        broken()
    assert queue.search().total == 0
    with queue.batch():
        queue.add([new_job(1)])
        assert queue.search().total == 1, "a batch sees its own changes"
        queue.add([new_job(2)])
    assert queue.search().total == 2


def test_a_call_that_fails_undoes_itself_alone(queue, daemon, new_job):
    queue.add([new_job(1), new_job(2), new_job(3)])
    first, second, third = queue.claim(daemon, limit=3)
    with queue.batch():
        queue.commit_manifest(first.id, first.token, [piece("a.fits")])
        with pytest.raises(NameTaken):
            queue.commit_manifest(second.id, second.token, [piece("b.fits"), piece("a.fits")])
        with pytest.raises(LostLease):
            queue.finish(third.id, "not its token", JobState.DONE, Record())
        queue.commit_manifest(third.id, third.token, [piece("b.fits")])

    manifests = [queue.get(job.id).manifest for job in (first, second, third)]
    assert manifests == [(piece("a.fits"),), (), (piece("b.fits"),)]
    for job in (first, third):
        queue.finish(job.id, job.token, JobState.DONE, Record())


def test_other_threads_take_no_part_in_a_batch(queue, new_job):
    with ThreadPoolExecutor(1) as thread, queue.batch():
        queue.add([new_job(1)])
        assert thread.submit(queue.counts).result()[JobState.QUEUED] == 0

    assert queue.counts()[JobState.QUEUED] == 1


def test_batches_of_threads_follow_each_other(queue, new_job):
    def add(start):
        with queue.batch():
            for number in range(start, start + 20):
                queue.add([new_job(number)])

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(add, range(0, 160, 20)))

    assert queue.search().total == 160


# --- a daemon ends at any point -------------------------------------------------------------------------------------


DIE = """
point = ["claimed", "listing", "listed", "finishing", "done"][number]
queue = JobQueue.open(url)
me = queue.register(DaemonFacts.of_this_process())

def reached(here):
    if here == point:
        say(me)
        os.kill(os.getpid(), signal.SIGKILL)

(job,) = queue.claim(me, limit=1)
reached("claimed")
with queue.batch():
    queue.commit_manifest(job.id, job.token, [Piece("/s", "products", job.label, 3)])
    reached("listing")
reached("listed")
with queue.batch():
    queue.finish(job.id, job.token, JobState.DONE, Record())
    reached("finishing")
reached("done")
"""


def test_killed_daemons_lose_nothing(queue, queue_url, daemon, new_job, in_processes):
    queue.add([new_job(number) for number in range(5)])
    ends = in_processes(DIE, queue_url, 5)
    assert [end for end, _ in ends] == [signal.SIGKILL] * 5

    recovered = [until(partial(queue.recover, said.strip(), daemon)) for _, said in ends]

    assert [len(one.requeued) for one in recovered] == [1, 1, 0, 0, 0], "claimed, listing"
    assert [len(one.publishing) for one in recovered] == [0, 0, 1, 1, 0], "listed, finishing"
    for job in [job for one in recovered for job in one.publishing]:
        queue.finish(job.id, job.token, JobState.DONE, Record())
    for job in queue.claim(daemon, limit=5):
        queue.commit_manifest(job.id, job.token, [piece(job.label)])
        queue.finish(job.id, job.token, JobState.DONE, Record())
    assert queue.counts()[JobState.DONE] == 5
    assert [[product.name for product in queue.products(job)] for job in range(1, 6)] == [
        [new_job(number).label] for number in range(5)
    ]


def until(call):
    """The server notices a little later that a client has died, and undoes what it had begun."""
    give_up = time.monotonic() + 60
    while True:
        try:
            return call()
        except QueueBusyError:
            assert time.monotonic() < give_up
            time.sleep(0.05)


def test_a_daemon_that_was_taken_for_dead_and_lives_harms_nothing(queue, new_job):
    zombie = queue.register(DaemonFacts("elsewhere", 1, "x", 1.0))
    queue.add([new_job(1)])
    (old,) = queue.claim(zombie, limit=1)
    heir = queue.register(DaemonFacts("here", 1, "x", 1.0))
    queue.recover(zombie, heir)
    (new,) = queue.claim(heir, limit=1)

    with pytest.raises(LostLease):
        queue.commit_manifest(old.id, old.token, [piece("zombie.fits")])
    queue.commit_manifest(new.id, new.token, [piece("a.fits")])
    with pytest.raises(LostLease):
        queue.finish(old.id, old.token, JobState.FAILED, Record())
    queue.finish(new.id, new.token, JobState.DONE, Record())

    assert [product.name for product in queue.products(new.id)] == ["a.fits"]
