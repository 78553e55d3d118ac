"""A night's circumstances: airmass, seeing, clouds, the brightness of the sky, and how well the telescope follows."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType

import numpy as np

START = datetime(2026, 3, 20, 20, 30, tzinfo=UTC)
"""First science exposure (UTC)."""

LENGTH = 6.0
"""From the first to the last science exposure [hour]."""

LATITUDE, LONGITUDE = 28.76, -17.88
"""The observatory, east is positive [deg]."""

J2000 = datetime(2000, 1, 1, 12, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Band:
    """What a filter makes of stars, sky and air.

    Attributes
    ----------
    zero_point : float
        Magnitude above the atmosphere of a source that gives one electron per second [mag].
    sky : float
        Darkest sky [mag/arcsec²].
    extinction : float
        Loss in the air [mag/airmass].
    """

    zero_point: float
    sky: float
    extinction: float


BANDS: Mapping[str, Band] = MappingProxyType(
    {
        "B": Band(24.7, 22.2, 0.24),
        "V": Band(25.0, 21.4, 0.14),
        "R": Band(25.1, 20.7, 0.09),
        "I": Band(24.6, 19.5, 0.06),
    }
)
"""Filters that can be simulated."""


class Wander:
    """A smooth random function of time with mean 0 and variance 1: some waves of periods between 20 min and 5 h."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.period = np.geomspace(0.35, 5.0, 6) * rng.uniform(0.85, 1.15, 6)
        self.phase = rng.uniform(0, 2 * np.pi, 6)
        self.weight = np.sqrt(self.period / self.period.sum() * 2)

    def __call__(self, hours: float) -> float:
        """Value at a time after the start of the night."""
        return float(np.sum(self.weight * np.sin(2 * np.pi * hours / self.period + self.phase)))


@dataclass(frozen=True, slots=True)
class Conditions:
    """Circumstances of one science exposure.

    Attributes
    ----------
    airmass : float
        At its middle.
    fwhm : float
        Width of a star [px].
    ellipticity, theta : float
        Elongation by imperfect guiding, and its angle [deg].
    sky : float
        Brightness of the sky [mag/arcsec²].
    gradient : float
        Difference of the sky between opposite borders, relative to its mean.
    transparency : float
        Part of the light that reaches the telescope.
    dx, dy : float
        Drift of the stars since the start [px].
    level : float
        Wandering of the bias, in units of its standard deviation.
    """

    airmass: float
    fwhm: float
    ellipticity: float
    theta: float
    sky: float
    gradient: float
    transparency: float
    dx: float
    dy: float
    level: float


class Weather:
    """Circumstances at any time of a night; the same seed gives the same night, however many frames it has.

    Parameters
    ----------
    seed : int
        Start of the random numbers.
    center : (float, float)
        Right ascension and declination of the field [deg].
    seeing : float
        Typical width of a star at the zenith [px].
    drift : float
        How far stars move over the detector in a night [px].
    """

    def __init__(self, seed: int, center: tuple[float, float], *, seeing: float = 3.0, drift: float = 9.0) -> None:
        rng = np.random.default_rng([seed, 3])
        self.center, self.seeing, self.drift = center, seeing, drift
        self._seeing, self._clouds, self._x, self._y, self._level = (Wander(rng) for _ in range(5))
        self._direction = rng.uniform(0, 2 * np.pi)

    def at(self, time: datetime, band: Band, rng: np.random.Generator) -> Conditions:
        """Conditions at a time; `rng` gives what differs from one exposure to the next."""
        hours = (time - START).total_seconds() / 3600
        x = airmass(time, self.center)
        clouds = max(0.0, self._clouds(hours) - 0.9) * 0.22
        along = self.drift * hours / LENGTH
        shift = rng.normal(0, 0.25, 2)
        return Conditions(
            airmass=x,
            fwhm=self.seeing * x**0.6 * math.exp(0.09 * self._seeing(hours) + rng.normal(0, 0.03)),
            ellipticity=min(0.25, abs(rng.normal(0.02, 0.02))),
            theta=rng.uniform(-90, 90),
            sky=band.sky - brightening(hours, x),
            gradient=0.02 + 0.05 * _moon(hours),
            transparency=max(0.3, 10 ** (-0.4 * band.extinction * x) * (1 - clouds) * (1 - abs(rng.normal(0, 0.003)))),
            dx=along * math.cos(self._direction) + 0.15 * self.drift * self._x(hours) + shift[0],
            dy=along * math.sin(self._direction) + 0.15 * self.drift * self._y(hours) + shift[1],
            level=self._level(hours),
        )

    def level(self, time: datetime) -> float:
        """Wandering of the bias at a time, in units of its standard deviation."""
        return self._level((time - START).total_seconds() / 3600)


def brightening(hours: float, x: float) -> float:
    """How much the sky outshines the darkest one [mag]: twilight that fades, air that glows, a moon that rises."""
    return 0.9 * math.exp(-max(hours, 0.0) / 0.4) + 1.1 * math.log10(1 + 0.8 * (x - 1)) + 0.8 * _moon(hours)


def _moon(hours: float) -> float:
    """From 0 to 1 in the last third of the night."""
    up = max(0.0, hours / LENGTH - 0.64)
    return 1 - math.exp(-up / 0.12)


def airmass(time: datetime, center: tuple[float, float]) -> float:
    """Airmass of a place in the sky, seen from the observatory.

    References
    ----------
    Kasten, F. & Young, A. T. 1989, Applied Optics 28, 4735.
    """
    days = (time - J2000).total_seconds() / 86400
    sidereal = 280.46062 + 360.98564737 * days + LONGITUDE
    hour_angle, dec, latitude = (math.radians(v) for v in (sidereal - center[0], center[1], LATITUDE))
    sine = math.sin(latitude) * math.sin(dec) + math.cos(latitude) * math.cos(dec) * math.cos(hour_angle)
    altitude = math.degrees(math.asin(max(-1.0, min(1.0, sine))))
    if altitude <= 3:
        return 15.0
    return 1 / (sine + 0.50572 * (altitude + 6.07995) ** -1.6364)
