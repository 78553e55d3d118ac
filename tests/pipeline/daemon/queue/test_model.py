"""Any sequence of events leaves the queue as a few lines of Python say it should be."""

from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from etendue.pipeline.daemon.queue import (
    DaemonFacts,
    Job,
    JobQueue,
    JobState,
    LostLease,
    NameTaken,
    NewJob,
    Piece,
    Record,
)

FILES = st.integers(0, 4)
NAMES = st.lists(st.sampled_from(["a.fits", "b.fits", "c.fits"]), max_size=2, unique=True)
DAEMONS = st.integers(0, 1)


@dataclass
class Expected:
    """What should be known of a job."""

    file: int
    size: int
    state: JobState = JobState.QUEUED
    attempts: int = 0
    interruptions: int = 0
    listed: list[str] = field(default_factory=list)
    replaced: bool = False


class QueueMachine(RuleBasedStateMachine):
    """A queue with two daemons and five files, and what should have become of it."""

    def __init__(self, url: str | Path) -> None:
        super().__init__()
        self.queue = JobQueue.open(url)
        self.daemons = [self._daemon(), self._daemon()]
        self.model: dict[int, Expected] = {}
        self.held: list[Job] = []
        self.owners: dict[str, int] = {}

    def _daemon(self) -> str:
        return self.queue.register(DaemonFacts("elsewhere", 1, "x", 1.0))

    def _current(self, job: Job) -> bool:
        """Whether a daemon that believes to have a job has it still."""
        return any(job is one for one in self.held)

    @rule(file=FILES, size=st.integers(1, 3))
    def add(self, file: int, size: int) -> None:
        path = Path(f"/night/{file}.fits")
        new = NewJob(key=f"{file} {size}", source="s", chain="c", label=str(file), path=path, size=size, mtime_ns=file)
        versions = [number for number, job in self.model.items() if job.file == file]
        (added,) = self.queue.add([new])
        latest = self.model[max(versions)] if versions else None
        known = any(self.model[number].size == size for number in versions)
        assert added.new == (not known or (latest is not None and latest.size != size))
        if added.new:
            self.model[added.id] = Expected(file, size)
        newest = max(number for number, job in self.model.items() if job.file == file)
        for number, job in self.model.items():
            waits = job.state is JobState.QUEUED and job.file == file
            if waits and number != newest and job.size != self.model[newest].size:
                job.state, job.replaced, job.listed = JobState.SKIPPED, True, []

    @rule(daemon=DAEMONS, limit=st.integers(1, 3))
    def claim(self, daemon: int, limit: int) -> None:
        jobs = self.queue.claim(self.daemons[daemon], limit=limit)
        busy = {job.file for job in self.model.values() if job.state is JobState.RUNNING}
        waiting = {job.file for job in self.model.values() if job.state is JobState.QUEUED} - busy
        assert len({self.model[job.id].file for job in jobs} - busy) == len(jobs)
        assert bool(jobs) == bool(waiting)
        for job in jobs:
            expected = self.model[job.id]
            assert expected.state is JobState.QUEUED
            expected.state, expected.attempts = JobState.RUNNING, expected.attempts + 1
            self.held.append(job)

    @precondition(lambda self: self.held)
    @rule(data=st.data(), names=NAMES)
    def commit(self, data: st.DataObject, names: list[str]) -> None:
        job = data.draw(st.sampled_from(self.held))
        expected = self.model[job.id]
        others = {number: other for number, other in self.model.items() if number != job.id}
        newer = any(
            number > job.id
            and other.file == expected.file
            and other.size != expected.size
            and other.state is JobState.DONE
            for number, other in others.items()
        )
        clash = any(
            (owner := self.owners.get(name)) is not None and self.model[owner].file != expected.file for name in names
        ) or any(
            set(other.listed) & set(names) for other in others.values()
        )  # fmt: skip
        try:
            self.queue.commit_manifest(job.id, job.token, [Piece(f"/s/{name}", "p", name, 1) for name in names], "c")
        except NameTaken:
            assert names
            assert newer or clash
            return
        assert not names or not (newer or clash)
        expected.listed = names

    @precondition(lambda self: self.held)
    @rule(data=st.data(), state=st.sampled_from([JobState.DONE, JobState.SKIPPED, JobState.FAILED]))
    def finish(self, data: st.DataObject, state: JobState) -> None:
        job = data.draw(st.sampled_from(self.held))
        self.queue.finish(job.id, job.token, state, Record(error="" if state is JobState.DONE else "x"))
        expected = self.model[job.id]
        expected.state = state
        if state is JobState.DONE:
            self.owners |= dict.fromkeys(expected.listed, job.id)
        expected.listed = []
        self._lose(job)

    @precondition(lambda self: self.held)
    @rule(data=st.data(), attempts=st.integers(1, 3))
    def retry_later(self, data: st.DataObject, attempts: int) -> None:
        job = data.draw(st.sampled_from(self.held))
        expected = self.model[job.id]
        state = JobState.FAILED if expected.attempts >= attempts else JobState.QUEUED
        assert self.queue.retry_later(job.id, job.token, Record(error="x"), delay=0.0, attempts=attempts) is state
        expected.state, expected.listed = state, []
        self._lose(job)

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def give_back(self, data: st.DataObject) -> None:
        job = data.draw(st.sampled_from(self.held))
        self.queue.give_back(job.id, job.token, "full")
        expected = self.model[job.id]
        expected.state, expected.attempts = JobState.QUEUED, expected.attempts - 1
        self._lose(job)

    @rule(daemon=DAEMONS)
    def die(self, daemon: int) -> None:
        """A daemon ends; the other one recovers its jobs."""
        dead, heir = self.daemons[daemon], self.daemons[1 - daemon]
        mine = [job for job in self.held if job.owner == dead]
        recovered = self.queue.recover(dead, heir)
        assert {job.id for job in recovered.publishing} == {job.id for job in mine if self.model[job.id].listed}
        for job in mine:
            self._lose(job)
            expected = self.model[job.id]
            if not expected.listed:
                expected.attempts, expected.interruptions = expected.attempts - 1, expected.interruptions + 1
                expected.state = JobState.QUEUED if expected.interruptions <= 10 else JobState.FAILED
            with pytest.raises(LostLease):
                self.queue.finish(job.id, job.token, JobState.DONE, Record())
        self.held += recovered.publishing
        self.daemons[daemon] = self._daemon()

    @rule()
    def retry(self) -> None:
        self.queue.retry(list(self.model))
        for job in self.model.values():
            if job.state in (JobState.FAILED, JobState.SKIPPED, JobState.DROPPED) and not job.replaced:
                job.state, job.attempts, job.interruptions = JobState.QUEUED, 0, 0

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def drop(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.model)))
        possible = self.model[number].state in (JobState.QUEUED, JobState.FAILED)
        assert self.queue.drop([number]) == possible
        if possible:
            self.model[number].state, self.model[number].listed = JobState.DROPPED, []

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def requeue(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.model)))
        job = self.model[number]
        ended = job.state in (JobState.DONE, JobState.SKIPPED, JobState.FAILED, JobState.DROPPED)
        made = self.queue.requeue([number])
        assert len(made) == ended
        for new in made:
            if new not in self.model:
                self.model[new] = Expected(job.file, job.size)
            assert self.model[new].state in (JobState.QUEUED, JobState.RUNNING)
            assert (self.model[new].file, self.model[new].size) == (job.file, job.size)

    def _lose(self, job: Job) -> None:
        self.held = [one for one in self.held if one.id != job.id]

    @invariant()
    def as_expected(self) -> None:
        jobs = {job.id: job for job in self.queue.search(limit=1000).jobs}
        assert {number: job.state for number, job in jobs.items()} == {n: job.state for n, job in self.model.items()}
        for number, job in jobs.items():
            expected = self.model[number]
            assert (job.attempts, job.interruptions) == (expected.attempts, expected.interruptions)
            assert [piece.name for piece in job.manifest] == expected.listed
        listed = {name for job in self.model.values() for name in job.listed}
        products = {product.name: number for number in jobs for product in self.queue.products(number)}
        assert {name: job for name, job in self.owners.items() if name not in listed} == {
            name: job for name, job in products.items() if name not in listed
        }
        assert self.queue.check() == []

    def teardown(self) -> None:
        self.queue.close()


def test_any_sequence_of_events_on_sqlite():
    with TemporaryDirectory() as folder:
        numbers = iter(range(10**6))
        run_state_machine_as_test(
            lambda: QueueMachine(Path(folder) / f"{next(numbers)}.db"),
            settings=settings(
                max_examples=25, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
            ),
        )


def test_any_sequence_of_events_on_postgresql(postgresql):
    run_state_machine_as_test(
        lambda: QueueMachine(postgresql.new_database()),
        settings=settings(
            max_examples=8, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
