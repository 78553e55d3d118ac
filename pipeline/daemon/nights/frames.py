"""What the nights must know of a raw frame: of which type, night and setup it is, and its exposure time and filter."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from ...night.frame_types import FrameType
from ...night.groups import TYPES
from ...night.sorting import RawFrame, Setup
from ..queue import Job, JobState

PLACED = "frame"
"""Key of a job's payload under which :class:`Placed` stands."""

NOTES = "nights"
"""Key of a job's facts for what the nights note in it."""


@dataclass(frozen=True, slots=True)
class Placed:
    """Where a frame belongs, as its job keeps it.

    Attributes
    ----------
    type : FrameType
        What it was taken for.
    night : str
        Date on which its night began; empty if its header does not tell.
    setup : tuple
        Camera, size, binning, readout mode.
    exposure_time : float or None
        [s]
    filter : str
        Name of the filter; empty if there is none.
    """

    type: FrameType
    night: str
    setup: Setup
    exposure_time: float | None = None
    filter: str = ""

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Self | None:
        """From what an inspection has found; None if the type is not known."""
        if (kind := known_type(facts)) is None:
            return None
        return cls(
            kind,
            str(facts.get("night") or ""),
            setup_of(facts),
            _number(facts.get("exposure_time")),
            str(facts.get("filter") or ""),
        )

    @property
    def instrument(self) -> str:
        """The camera."""
        return self.setup[0]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON data; :meth:`from_json` makes the same of it."""
        instrument, size, binning, mode = self.setup
        return {
            "type": str(self.type),
            "night": self.night,
            "setup": [instrument, list(size), list(binning), mode],
            "exposure_time": self.exposure_time,
            "filter": self.filter,
        }

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Self:
        """What :meth:`to_json` described."""
        return cls(
            FrameType(plain["type"]),
            plain["night"],
            setup_from(plain["setup"]),
            plain["exposure_time"],
            plain["filter"],
        )


def known_type(facts: Mapping[str, Any]) -> FrameType | None:
    """The type of a frame that an inspection has told; None if it could not."""
    word = facts.get("frame_type")
    if not word or word == FrameType.UNKNOWN:
        return None
    return FrameType(word)


def setup_of(facts: Mapping[str, Any]) -> Setup:
    """Camera, size (x, y), binning and readout mode, as :attr:`etendue.pipeline.night.sorting.RawFrame.setup`."""
    size = facts.get("size") or ()  # rows and columns, as the shape of an array
    return setup_from(
        [
            str(facts.get("instrument") or ""),
            list(reversed(size))[:2],
            list(facts.get("binning") or (1, 1)),
            str(facts.get("readout_mode") or ""),
        ]
    )


def setup_from(plain: Any) -> Setup:
    """A setup from its JSON data."""
    instrument, size, binning, mode = plain
    return (instrument, tuple(size), tuple(binning), mode)


@dataclass(frozen=True, slots=True)
class QueuedFrame(RawFrame):
    """A raw calibration frame that is in the queue. What its header says is known from its job.

    Attributes
    ----------
    job : Job
        Its job.
    placed : Placed
        Where it belongs.
    """

    job: Job = field(kw_only=True)
    placed: Placed = field(kw_only=True)

    @classmethod
    def of(cls, job: Job) -> Self | None:
        """The frame of a job; None if the nights have nothing to do with it."""
        plain = job.payload.get(PLACED)
        if plain is None or job.path is None:
            return None
        placed = Placed.from_json(plain)
        return cls(job.path, placed.type, job=job, placed=placed) if placed.type in TYPES else None

    @property
    def id(self) -> int:
        """Number of its job."""
        return self.job.id

    @property
    def counts(self) -> bool:
        """Whether it may become part of a master: a person may have dropped it, a newer file replaced it."""
        return self.job.state not in (JobState.DROPPED, JobState.SKIPPED)

    def value(self, name: str) -> Any:
        """A property, as far as the job knows it."""
        match name:
            case "exposure_time":
                return self.placed.exposure_time
            case "filter":
                return self.placed.filter
            case "instrument":
                return self.placed.instrument
            case _:
                return None

    @property
    def setup(self) -> Setup:
        """Camera, size, binning and readout mode."""
        return self.placed.setup


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
