"""What an observer does in a simulated night: which frames are taken when."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import numpy as np

from .conditions import LENGTH, START

Kind = Literal["bias", "dark", "flat", "object"]

READOUT = 9.0
"""Time between the end of an exposure and the start of the next [s]."""

LONGEST = 120.0
"""Exposure time of science frames and darks; shorter if the night has no room for as many [s]."""


@dataclass(frozen=True, slots=True)
class PlannedFrame:
    """One exposure to be taken.

    Attributes
    ----------
    name : str
        Name of the file, without its suffix.
    kind : {"bias", "dark", "flat", "object"}
        What it shows.
    number : int
        Its place in the night, from 0.
    time : datetime
        Start of the exposure (UTC).
    exposure_time : float
        [s]
    filter : str
        Name of the filter; empty where the shutter stays closed.
    """

    name: str
    kind: Kind
    number: int
    time: datetime
    exposure_time: float
    filter: str = ""

    @property
    def middle(self) -> datetime:
        """Middle of the exposure (UTC)."""
        return self.time + timedelta(seconds=self.exposure_time / 2)


def science_exposure_time(frames: int) -> float:
    """Exposure time with which a night has room for so many frames [s].

    Raises
    ------
    ValueError
        There are too many.
    """
    seconds = min(LONGEST, float(np.floor(LENGTH * 3600 / max(frames, 1) - READOUT)))
    if seconds < 1:
        raise ValueError(f"a night of {LENGTH:g} hours has no room for {frames} frames; ask for less than 2000")
    return seconds


def plan(
    frames: int, *, biases: int, darks: int, flats: int, filters: tuple[str, ...], seed: int
) -> list[PlannedFrame]:
    """All frames of a night in the order in which they are taken.

    Biases and darks come first, then twilight flats of one filter after the other, with exposures that grow as it gets
    dark. In science frames, the last of the filters is used three times as often as each of the others: the light
    curves are followed in it.

    Parameters
    ----------
    frames : int
        Number of science frames; they are spread over the whole night.
    biases, darks, flats : int
        Number of calibration frames; `flats` for each filter.
    filters : tuple of str
        Names of the filters.
    seed : int
        Start of the random numbers.
    """
    seconds = science_exposure_time(frames)
    rng = np.random.default_rng([seed, 4])
    planned: list[PlannedFrame] = []

    def add(name: str, kind: Kind, time: datetime, exposure_time: float, band: str = "") -> datetime:
        planned.append(PlannedFrame(name, kind, len(planned), time, exposure_time, band))
        return time + timedelta(seconds=exposure_time + READOUT)

    time = START - timedelta(hours=3)
    for k in range(biases):
        time = add(f"bias_{k + 1:04d}", "bias", time, 0.0)
    for k in range(darks):
        time = add(f"dark_{k + 1:04d}", "dark", time, seconds)
    time = max(time, START - timedelta(seconds=1500 + 35 * flats * len(filters)))
    for place, band in enumerate(filters):
        for k in range(flats):
            bright = (place * flats + k) / max(1, len(filters) * flats - 1)
            exposure_time = round(2.0 * 12**bright * rng.uniform(0.95, 1.05), 2)
            time = add(f"flat_{band}_{k + 1:04d}", "flat", time, exposure_time, band)
    turn = [filters[-1]] * 3 + list(filters[:-1]) if len(filters) > 1 else list(filters)
    cadence = timedelta(hours=LENGTH) / max(frames - 1, 1)
    for k in range(frames):
        add(f"science_{k + 1:04d}", "object", START + k * cadence, seconds, turn[k % len(turn)])
    return planned
