"""Claims of jobs by where their products go: what goes to a destination that is held stays where it is."""

import random

from etendue.pipeline.daemon.queue import JobState, Record

WORK = """
me = JobQueue.open(url).register(DaemonFacts.of_this_process())
with JobQueue.open(url) as queue:
    while jobs := queue.claim(me, limit=3, destinations=["products", "web", "archive"]):
        for job in jobs:
            queue.finish(job.id, job.token, JobState.DONE, Record())
            say(job.id)
"""


def test_only_jobs_for_the_named_destinations_are_claimed(queue, daemon, new_job):
    queue.add([new_job(number, destination=("products", "web", "gone")[number % 3]) for number in range(9)])

    assert queue.claim(daemon, limit=9, destinations=[]) == []
    assert {job.destination for job in queue.claim(daemon, limit=9, destinations=["web"])} == {"web"}
    assert {job.destination for job in queue.claim(daemon, limit=9, destinations=["products", "web"])} == {"products"}
    assert queue.counts()[JobState.QUEUED] == 3


def test_what_nobody_here_can_do_says_why(queue, daemon, new_job):
    given = [{}, {"destination": "gone"}, {"chain": "old"}, {"chain": "old", "destination": "gone"}]
    numbers = [one.id for one in queue.add([new_job(number, **more) for number, more in enumerate(given)])]

    assert queue.note_strays(["photometry"], ["products"]) == 3
    assert queue.note_strays(["photometry"], ["products"]) == 0, "it is no news any more"

    no_chain = "there is no chain 'old' in the configuration any more"
    reasons = ["", "there is no destination 'gone' in the configuration any more", no_chain, no_chain]
    assert [queue.get(number).reason for number in numbers] == reasons
    claimed = queue.claim(daemon, limit=9, chains=["photometry", "old"], destinations=["products", "gone"])
    assert [job.reason for job in claimed] == [""] * 4, "it is known again"


def test_jobs_of_all_destinations_come_in_one_order(queue, daemon, new_job):
    """Whether one asks for each of them or for all; the order is told by sorting what was put in."""
    rng = random.Random(4)
    jobs = [
        new_job(number, destination=rng.choice(["products", "web", "archive"]), priority=rng.choice([0, 0, 5]))
        for number in rng.sample(range(60), 60)
    ]
    queue.add(jobs)
    expected = [job.label for job in sorted(jobs, key=lambda job: (-job.priority, job.mtime_ns))]

    claimed = []
    while some := queue.claim(daemon, limit=7, destinations=["web", "products", "archive", "nothing"]):
        claimed += [job.label for job in some]

    assert claimed == expected


def test_what_was_held_comes_in_its_order_when_the_destination_is_back(queue, daemon, new_job):
    queue.add([new_job(number, destination="web" if number % 2 else "products") for number in range(6)])
    others = queue.claim(daemon, limit=6, destinations=["products"])
    queue.add([new_job(6, destination="products")])

    back = queue.claim(daemon, limit=6, destinations=["products", "web"])

    assert [job.label for job in others] == ["0000.fits", "0002.fits", "0004.fits"]
    assert [job.label for job in back] == ["0001.fits", "0003.fits", "0005.fits", "0006.fits"]


def test_two_jobs_for_one_file_and_chain_do_not_run_at_once_wherever_they_go(queue, daemon, new_job):
    queue.add([new_job(1, key="one", destination="products")])
    (first,) = queue.claim(daemon, limit=1, destinations=["products", "web"])
    queue.finish(first.id, first.token, JobState.DONE, Record())
    queue.requeue([first.id])
    queue.add([new_job(1, key="two", destination="web")])

    (second,) = queue.claim(daemon, limit=5, destinations=["products", "web"])

    assert queue.claim(daemon, limit=5, destinations=["products", "web"]) == []
    queue.finish(second.id, second.token, JobState.DONE, Record())
    assert len(queue.claim(daemon, limit=5, destinations=["products", "web"])) == 1


def test_other_conditions_hold_as_well(queue, daemon, new_job):
    queue.add([
        new_job(1, destination="web", source="gone"), new_job(2, destination="web", chain="b"),
        new_job(3, destination="products", memory=10**9), new_job(4, destination="products", chain="c"),
        new_job(5, destination="web"),
    ])  # fmt: skip
    queue.pause("b")

    claimed = queue.claim(
        daemon, limit=9, fits=10**8, except_sources=["gone"], except_chains=["c"],
        chains=["photometry", "b", "c"], destinations=["web", "products"],
    )  # fmt: skip

    assert [job.label for job in claimed] == ["0005.fits"]


def test_queued_jobs_are_counted_by_destination(queue, daemon, new_job):
    queue.add([new_job(number, destination="web" if number < 3 else "products") for number in range(5)])
    queue.add([new_job(9, destination="web", state=JobState.WAITING)])
    queue.claim(daemon, limit=1, destinations=["web"])

    assert queue.queued_for(["web", "nothing"]) == {"web": 2}
    assert queue.queued_for(["web", "products"]) == {"web": 2, "products": 2}
    assert queue.queued_for([]) == {}


def test_processes_never_get_the_same_job_of_several_destinations(queue, queue_url, new_job, in_processes):
    queue.add([new_job(number, destination=("products", "web", "archive")[number % 3]) for number in range(90)])

    ends = in_processes(WORK, queue_url, 3)

    assert [end for end, _ in ends] == [0, 0, 0]
    done = [int(job) for _, said in ends for job in said.split()]
    assert sorted(done) == list(range(1, 91)), "each was done once"
