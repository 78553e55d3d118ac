"""What is handed to the queue and what it answers, besides jobs."""

import os
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .job import Job, JobKind, JobState, Product


@dataclass(frozen=True, slots=True)
class Added:
    """What became of a :class:`NewJob`: the job's number, and whether it is a new one."""

    id: int
    new: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What is to be remembered of an attempt. Fields of :class:`Job` and :class:`Attempt` mean the same here.

    Attributes
    ----------
    facts : mapping
        Added to the facts of the job.
    notes : tuple of str
        Added to the notes of the job.
    checksum : str
        Of the input's content; empty leaves what is known.
    cause : str
        Kind of failure: ``image``, ``transient``, ``storage``, ``replaced``, ``time``, ``died``, ``memory`` …
    """

    fingerprint: str = ""
    step: str = ""
    error: str = ""
    traceback: str = ""
    log: str = ""
    seconds: float = 0.0
    timings: Sequence[tuple[str, float, str]] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    notes: Sequence[str] = ()
    checksum: str = ""
    cause: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which jobs are meant; what is None or empty does not choose.

    Attributes
    ----------
    states, kinds : sequence
        Any of these.
    chain, source, night, instrument : str or None
        Exactly this one.
    kind : JobKind or None
        Exactly this one.
    text : str
        Somewhere in the name, path, object, reason or error, in capitals or not.
    since : float or None
        Added at this time or later [s since 1970].
    """

    states: Sequence[JobState] = ()
    chain: str | None = None
    source: str | None = None
    night: str | None = None
    instrument: str | None = None
    kind: JobKind | None = None
    text: str = ""
    since: float | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """A page of jobs, without their tracebacks and logs.

    Attributes
    ----------
    jobs : list of Job
        In the order that was asked for.
    total : int
        Number of all jobs that were meant.
    next : int or None
        Where the next page begins: `before` of the next search; None after the last page.
    """

    jobs: list[Job]
    total: int
    next: int | None


@dataclass(frozen=True, slots=True)
class OutdatedProduct:
    """A product that the newest run of its image has not made again.

    Attributes
    ----------
    product : Product
        With the job that has made it.
    label : str
        That job's input.
    finished : float
        When that job was done: its products were in their places before [s since 1970].
    newest : int
        The job that has done the image last.
    reason : str
        Why it is outdated.
    """

    product: Product
    label: str
    finished: float
    newest: int
    reason: str


@dataclass(frozen=True, slots=True)
class Pause:
    """A chain that is paused: None for the whole daemon."""

    chain: str | None
    reason: str
    who: str
    since: float


@dataclass(frozen=True, slots=True)
class StepTime:
    """How long a step takes: number of images, median and 95th percentile [s]."""

    chain: str
    step: str
    n: int
    median: float
    p95: float


@dataclass(frozen=True, slots=True)
class Statistics:
    """What was finished since some time, how fast (done per hour), and how long the steps took in the latest jobs."""

    done: int
    failed: int
    skipped: int
    per_hour: float
    steps: list[StepTime]


@dataclass(frozen=True, slots=True)
class NightCount:
    """Jobs of a night and instrument: by state, and by kind and state."""

    night: str
    instrument: str
    total: int
    states: dict[JobState, int]
    kinds: dict[JobKind, dict[JobState, int]]


@dataclass(frozen=True, slots=True)
class Recovered:
    """What became of the jobs of a dead daemon.

    Attributes
    ----------
    requeued, failed : list of int
        Jobs that are tried again, and jobs that were interrupted too often.
    publishing : list of Job
        Jobs whose products were about to be put into their places. They belong to the recovering daemon now, with a
        new token, and it completes them.
    """

    requeued: list[int]
    publishing: list[Job]
    failed: list[int]


@dataclass(frozen=True, slots=True)
class DaemonFacts:
    """A daemon as it presents itself.

    Attributes
    ----------
    host, pid : str, int
        Where it runs.
    boot_id : str
        Since which start of the machine, and in which namespace of process numbers.
    process_start : float
        When the process started [s since the machine's start]: no clock can change it.
    version : str
        Of Etendue.
    address : str
        Of its page.
    """

    host: str
    pid: int
    boot_id: str
    process_start: float
    version: str = ""
    address: str = ""

    @classmethod
    def of_this_process(cls, version: str = "", address: str = "") -> "DaemonFacts":
        """Facts of the running process."""
        pid = os.getpid()
        return cls(socket.gethostname(), pid, boot_id(), process_start(pid) or 0.0, version, address)


@dataclass(frozen=True, slots=True)
class DaemonRow:
    """A daemon as the queue knows it: its facts, its beats so far, and what it says of itself."""

    id: str
    host: str
    pid: int
    boot_id: str
    process_start: float
    version: str
    address: str
    beat: int
    status: Mapping[str, Any]
    started: float
    last_seen: float

    @property
    def has_ended(self) -> bool:
        """Whether its process ran on this machine, and is no more."""
        if self.host != socket.gethostname() or self.boot_id != boot_id() or self.process_start <= 0:
            return False
        return process_start(self.pid) != self.process_start


@dataclass(slots=True)
class LeaseWatch:
    """When a daemon was last seen to beat, by the clock of who watches; this clock only ever goes forward.

    Attributes
    ----------
    own : str
        The watching daemon itself, which is never found dead.
    """

    own: str = ""
    _seen: dict[str, tuple[int, float]] = field(default_factory=dict)

    def silence(self, daemon: str, beat: int) -> float:
        """For how long a daemon has been at this beat [s]."""
        now = time.monotonic()
        before = self._seen.get(daemon)
        if before is None or before[0] != beat:
            self._seen[daemon] = (beat, now)
            return 0.0
        return now - before[1]

    def keep(self, daemons: set[str]) -> None:
        """Forget all others."""
        self._seen = {daemon: seen for daemon, seen in self._seen.items() if daemon in daemons}


def boot_id() -> str:
    """Names the machine's present run and the namespace of process numbers; empty where that is not known."""
    try:
        run = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{run} {os.readlink('/proc/self/ns/pid')}"  # noqa: PTH115 - it names no path
    except OSError:
        return ""


def process_start(pid: int) -> float | None:
    """When a process started [s since the machine's start]; None if there is none of this number, or it has ended."""
    try:
        facts = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return None
    if facts[0] in (b"Z", b"X"):
        return None
    return int(facts[19]) / os.sysconf("SC_CLK_TCK")
