"""What happens now."""

from typing import Literal

from pydantic import ConfigDict, Field

from ...daemon.queue.job import JobState
from .base import Number, Shape


class Worker(Shape):
    """A worker process and what it does."""

    pid: int
    job: int | None = Field(None, description="number of its job, null while it waits")
    label: str = Field("", description="name of the image")
    step: str = Field("", description="the step that runs")
    since: float = Field(0.0, description="when its job began")
    images: int = Field(0, description="images it has done; it is replaced after a number of them")
    resident: int = Field(0, description="memory it holds [byte]")


class SourceInfo(Shape):
    """A source of images."""

    name: str
    kind: str = Field(description="watch, upload, interval, mqtt or nats")
    state: Literal["ok", "holding", "failed"] = "ok"
    message: str = Field("", description="why it holds")
    last: float = Field(0.0, description="when the last image came")
    count: int = Field(0, description="images since the daemon was started")
    where: str = Field("", description="folder, address or interval")
    waiting: int = Field(0, description="files that it has seen and that are not complete yet")
    notes: list[str] = Field([], description="what is passed over, and what files that are not complete lack")


class Disk(Shape):
    """Space where something is written."""

    name: str = Field(description="of the destination, or 'state'")
    location: str
    free: int | None = Field(None, description="[byte]; null if it cannot be known")
    total: int | None = Field(None, description="[byte]")
    reason: str = Field("", description="why nothing can be written now; empty if it can")


class HeldDestination(Shape):
    """A destination that cannot be written to: jobs for it wait, all others go on."""

    destination: str = Field(description="its name, or 'nights: library' for the library of masters")
    reason: str = Field(description="why it cannot be written to")
    since: float
    jobs: int = Field(description="how many are queued for it")


class Memory(Shape):
    """Memory of the images in work, and of the machine [byte]."""

    limit: int = Field(0, description="for all images in work")
    used: int = Field(0, description="reserved for the images in work now")
    daemon: int = Field(0, description="resident memory of the daemon itself")
    workers: int = Field(0, description="resident memory of its workers")
    available: int = Field(0, description="what the machine has left")
    total: int = Field(0, description="what the machine has")


class LoopLag(Shape):
    """How late the daemon's event loop wakes a sleeper [s], since it was started."""

    p50: float = 0.0
    p99: float = 0.0
    p999: float = 0.0
    longest: float = 0.0
    samples: int = Field(0, description="how often it was measured")


class Live(Shape):
    """What the daemon knows of itself without looking anything up: the result of ``service.now()``."""

    model_config = ConfigDict(extra="ignore")

    daemon: str = Field("", description="its identity in the queue")
    started: float = 0.0
    draining: bool = Field(False, description="it finishes what runs, and ends")
    holding: list[str] = Field([], description="why no work at all is begun; empty in good times")
    held: list[HeldDestination] = Field([], description="destinations whose jobs wait; empty in good times")
    problems: list[str] = Field([], description="what is wrong with the configuration; what was valid before goes on")
    workers: list[Worker] = []
    worker_count: int = Field(0, description="worker processes that there can be")
    sources: list[SourceInfo] = []
    disks: list[Disk] = []
    memory: Memory = Memory()
    loop_lag: LoopLag = LoopLag()


class Tally(Shape):
    """What came to an end since a time."""

    since: float
    done: int
    failed: int
    skipped: int
    per_hour: float = Field(description="images per hour, over the last hour")


class StepTime(Shape):
    """How long a step takes, over the last day."""

    chain: str
    step: str
    count: int
    median: Number = Field(description="[s]")
    p95: Number = Field(description="95 % take no longer [s]")


class PauseInfo(Shape):
    """Somebody has stopped a chain, or everything."""

    chain: str | None = Field(description="null: everything")
    reason: str
    who: str
    since: float


class DaemonInfo(Shape):
    """A daemon that works on this queue."""

    id: str
    host: str
    pid: int
    version: str
    address: str = ""
    started: float
    last_seen: float
    alive: bool
    self: bool = Field(description="it is the one that answers")


class Now(Live):
    """What happens now."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(description="of the observatory")
    version: str
    time: float
    counts: dict[JobState, int] = Field(description="jobs by state; every state is there")
    today: Tally
    steps: list[StepTime]
    paused: list[PauseInfo]
    daemons: list[DaemonInfo]
    oldest_queued: Number = Field(description="age of the oldest job that is queued [s]; null if none is")
