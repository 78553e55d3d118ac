"""The daemon itself: versions, health, answers to what is asked of it."""

from typing import Any, Literal

from pydantic import Field

from .base import Shape
from .now import DaemonInfo, Worker


class System(Shape):
    """Versions, configuration, machine."""

    name: str
    version: str
    python: str
    platform: str
    versions: dict[str, str] = Field(description="of the libraries that results depend on")
    configuration: dict[str, Any] = Field(description="the configuration in use, without secrets")
    configuration_file: str
    queue: str = Field(description="kind and place of the queue, without password")
    daemons: list[DaemonInfo]
    workers: list[Worker]
    rights: Literal["none", "read", "change"] = Field(description="what the one who asks may do")
    can_save_chains: bool
    who: str


class Reloaded(Shape):
    """The configuration was read again."""

    problems: list[str] = Field(description="why it was not taken over; empty if it was")


class Uploaded(Shape):
    """A file was taken."""

    job: int
    name: str


class Readiness(Shape):
    """Whether the daemon can do its work."""

    ready: bool
    reasons: list[str]


class Health(Shape):
    """The daemon lives."""

    alive: Literal[True] = True
