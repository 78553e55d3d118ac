"""Nights: groups, masters, quality."""

from typing import Any

from pydantic import ConfigDict, Field

from .base import Number, Shape


class NightRow(Shape):
    """A night in the list."""

    night: str
    instruments: list[str]
    counts: dict[str, int] = Field(description="jobs by state")
    kinds: dict[str, int] = Field(description="jobs by kind")


class Nights(Shape):
    """The last nights, newest first."""

    nights: list[NightRow]


class NightGroup(Shape):
    """Raw frames that make a master."""

    model_config = ConfigDict(extra="ignore")

    instrument: str
    kind: str = Field(description="bias, dark or flat")
    label: str = Field(description="flat R")
    setup: dict[str, Any] = Field({}, description="what its frames have in common: size, binning, readout mode")
    frames: int = Field(description="how many there are")
    needed: int | None = Field(None, description="how many make it complete; null: only the deadline does")
    state: str = Field(description="collecting, building, done, failed …")
    reason: str = ""
    job: int | None = Field(None, description="that builds, or has built, the master")
    jobs: list[int] = Field([], description="of the frames")


class MasterInfo(Shape):
    """What became of a master."""

    model_config = ConfigDict(extra="ignore")

    instrument: str
    kind: str
    label: str
    status: str = Field(description="accepted, candidate (not used before a person accepts it), not built")
    path: str | None = Field(None, description="its name in the library")
    frames: int = Field(0, description="how many raw frames it is made of")
    reasons: list[str] = Field([], description="why it was not built, or what the comparison with the last one found")
    compared_with: str | None = None
    numbers: dict[str, Number] = Field({}, description="level, noise … of the master")
    seconds: float = 0.0
    job: int | None = None
    finished: float = 0.0


class QualityPoint(Shape):
    """How good a frame is."""

    model_config = ConfigDict(extra="ignore")

    job: int
    label: str
    time: float = Field(description="middle of the exposure")
    instrument: str = ""
    object: str = ""
    filter: str = ""
    seeing: Number = Field(None, description="[arcsec]")
    fwhm: Number = Field(None, description="[px]")
    ellipticity: Number = None
    sky: Number = Field(None, description="background per pixel, in the unit of the image")
    sky_noise: Number = Field(None, description="its standard deviation")
    n_sources: Number = None
    limiting_magnitude: Number = Field(None, description="[mag]")
    zero_point: Number = Field(None, description="[mag]")
    airmass: Number = None


class NightDetail(Shape):
    """One night."""

    night: str
    instruments: list[str]
    counts: dict[str, int] = Field(description="jobs by state")
    groups: list[NightGroup]
    masters: list[MasterInfo]
    science: dict[str, int] = Field(description="science frames by state")
    lacking: dict[str, int] = Field({}, description="what science frames wait for, and how many do")
    series: list[QualityPoint] = Field(description="one point for each science frame that is done, by time")
