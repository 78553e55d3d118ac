"""Jobs: in a list, one of them, and what is asked of them."""

from typing import Any, Literal

from pydantic import Field

from ...daemon.queue.job import JobKind, JobState
from .base import JobNumber, Number, Shape, Words


class JobSummary(Shape):
    """A job in a list."""

    id: int
    kind: JobKind
    state: JobState
    source: str
    chain: str
    label: str
    path: str | None = Field(description="the input file")
    size: int
    night: str
    instrument: str
    object: str = Field("", description="what the telescope pointed at")
    filter: str = ""
    exposure_time: Number = Field(None, description="[s]")
    attempts: int
    created: float
    started: float
    finished: float
    changed: float
    not_before: float = Field(description="it is not tried again before; 0: at once")
    seconds: float = Field(description="of the last attempt [s]")
    step: str = Field(description="where the last attempt ended or failed")
    error: str
    reason: str = Field(description="what it waits for, or why it was skipped or dropped")


class JobPage(Shape):
    """Some jobs."""

    jobs: list[JobSummary]
    total: int = Field(description="jobs that fit the filter, at most about a hundred thousand are counted")
    next: int | None = Field(description="give it as `before` to get more; null: these were the last")


class Timing(Shape):
    """A step of the last attempt."""

    step: str
    seconds: float
    outcome: str = Field(description="done, warned, skipped, failed …")


class AttemptInfo(Shape):
    """One attempt."""

    number: int
    daemon: str
    started: float
    ended: float
    outcome: str
    step: str
    error: str
    traceback: str
    seconds: float


class ProductInfo(Shape):
    """A file that a job has made."""

    id: int
    job: int
    name: str = Field(description="within its destination")
    destination: str
    size: int
    kind: Literal["image", "picture", "table", "other"] = Field(
        description="image: /picture, /sources, /header work; picture: a PNG or JPEG; table: /sources works"
    )


class OutdatedInfo(ProductInfo):
    """A file that the newest run of its image has not made again."""

    newest: int = Field(description="the job that has done the image last")
    reason: str


class JobDetail(JobSummary):
    """Everything about one job, but its log and header."""

    key: str
    priority: int
    destination: str
    generation: int = Field(description="0; one more for each time it was done again")
    mtime: float = Field(description="when the input was last changed")
    memory: int = Field(description="memory it is thought to take [byte]")
    interruptions: int
    daemon: str = Field(description="which daemon has it, or had it last")
    deadline: float = Field(description="when waiting ends; 0: never")
    fingerprint: str = Field(description="of the chain that it was last taken through")
    traceback: str
    timings: list[Timing]
    notes: list[str]
    facts: dict[str, Any] = Field(description="from header and catalogue: n_sources, fwhm, background …")
    payload: dict[str, Any]
    attempts_made: list[AttemptInfo]
    products: list[ProductInfo]
    outdated: list[OutdatedInfo] = Field(description="of this or earlier runs of the same image and chain")
    pruned: bool = Field(description="its attempts, log and timings were removed, since it ended long ago")
    running_since: float = Field(description="0 if it does not run")
    running_step: str = Field(description="the step that runs; empty if it does not run here")
    has_log: bool
    chain_text: str = Field(description="the resolved chain that it was last taken through, as JSON or YAML")


class JobLog(Shape):
    """What the steps of the last attempt have said."""

    id: int
    log: str
    attempts: list[str] = Field(description="logs of earlier attempts, oldest first")


class JobFilter(Shape):
    """Which jobs a change is about; what is not given does not restrict."""

    ids: list[JobNumber] = Field([], max_length=10_000)
    states: list[JobState] = []
    chain: Words | None = None
    source: Words | None = None
    night: Words | None = None
    kind: JobKind | None = None
    q: Words | None = Field(None, description="text in name, path, object or error")

    def is_empty(self) -> bool:
        """Whether it would be about every job there is."""
        return not any(self.model_dump().values())


class Changed(Shape):
    """How many jobs were changed."""

    changed: int
    jobs: list[int] = Field([], description="new jobs, where some were made")


class PauseRequest(Shape):
    """What to stop, or to let go on."""

    chain: Words | None = Field(None, description="null: everything")
    reason: Words = Field("", description="shown until work goes on")
