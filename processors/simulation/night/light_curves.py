"""Stars that do not shine steadily: one that pulsates, and one with a planet that passes before it.

References
----------
Mandel, K. & Agol, E. 2002, ApJ 580, L171 (transits).
Petersen, J. O. & Christensen-Dalsgaard, J. 1996, A&A 312, 463 (high-amplitude delta Scuti stars).
"""

import math

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, PositiveFloat

NODES = 48
"""Nodes of the quadrature over the covered part of the star; the error of the flux is below 1e-6."""


HARMONICS = (1.0, 0.38, 0.14)
"""Amplitudes of the waves that make up a pulse; all rise at phase 0, hence the steep rise."""


def _pulse(phase: np.ndarray) -> np.ndarray:
    """Brightness of a pulsating star; the mean is 0."""
    return sum((a * np.sin(2 * np.pi * k * phase) for k, a in enumerate(HARMONICS, start=1)), np.zeros_like(phase))


PULSE_HEIGHT = float(np.ptp(_pulse(np.linspace(0, 1, 4096))))
"""From minimum to maximum."""


class PulsatingStar(BaseModel):
    """A high-amplitude delta Scuti star: a fast rise, a slow decline, the same again every few hours."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mag: float = Field(15.8, description="mean magnitude in R [mag]")
    color: float = Field(0.2, description="V - R [mag]")
    period: PositiveFloat = Field(0.118, description="period [day]")
    amplitude: NonNegativeFloat = Field(0.45, description="difference between minimum and maximum [mag]")
    phase: float = Field(0.55, description="phase at the start of the night; 0 is mid-rise")

    def magnitude(self, days: np.ndarray | float) -> np.ndarray:
        """Difference from the mean magnitude [mag], `days` after the start of the night."""
        return -self.amplitude * _pulse(np.asarray(days, dtype=float) / self.period + self.phase) / PULSE_HEIGHT


class TransitingPlanet(BaseModel):
    """A star with a planet on a circular orbit that hides a part of it for some hours."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mag: float = Field(15.4, description="magnitude of the star in R [mag]")
    color: float = Field(0.42, description="V - R [mag]")
    radius_ratio: float = Field(0.125, gt=0, lt=1, description="radius of the planet / radius of the star")
    period: PositiveFloat = Field(3.1, description="orbital period [day]")
    distance: float = Field(9.2, gt=1, description="radius of the orbit / radius of the star")
    impact: float = Field(0.25, ge=0, lt=1, description="least distance of the centres / radius of the star")
    middle: float = Field(0.115, description="middle of the transit after the start of the night [day]")
    limb_darkening: dict[str, tuple[float, float]] = Field(
        {"B": (0.65, 0.15), "V": (0.47, 0.22), "R": (0.38, 0.24), "I": (0.30, 0.24)},
        description="linear and quadratic coefficient in each filter; those of R elsewhere",
    )

    def flux(self, days: np.ndarray | float, band: str = "R") -> np.ndarray:
        """Flux relative to that outside transit, `days` after the start of the night."""
        angle = 2 * np.pi * (np.asarray(days, dtype=float) - self.middle) / self.period
        across, along = self.impact * np.cos(angle), self.distance * np.sin(angle)
        # Half an orbit later the planet is behind the star and hides nothing.
        separation = np.where(np.cos(angle) > 0, np.hypot(across, along), np.inf)
        darkening = self.limb_darkening.get(band, self.limb_darkening.get("R", (0.0, 0.0)))
        return transit_flux(separation, self.radius_ratio, *darkening)

    @property
    def duration(self) -> float:
        """From first to last contact [day]."""
        chord = math.sqrt((1 + self.radius_ratio) ** 2 - self.impact**2)
        return self.period / math.pi * math.asin(chord / math.sqrt(self.distance**2 - self.impact**2))


def transit_flux(
    separation: np.ndarray | float, radius_ratio: float, linear: float = 0.0, quadratic: float = 0.0
) -> np.ndarray:
    """Light that is left of a limb-darkened star when a dark disk lies before it.

    Parameters
    ----------
    separation : array_like
        Distance between the centres, in radii of the star.
    radius_ratio : float
        Radius of the disk, in radii of the star; less than 1.
    linear, quadratic : float
        Limb darkening: ``I(mu) = 1 - linear (1 - mu) - quadratic (1 - mu)²``.

    Returns
    -------
    array
        Relative flux; 1 outside transit.

    Notes
    -----
    The covered light is integrated over rings of the star, of each of which the disk covers a known arc.
    The sine makes the integrand smooth at both ends. Cost: 48 evaluations for each separation.
    """
    z = np.abs(np.asarray(separation, dtype=float))[..., None]
    p = radius_ratio
    inner, outer = np.abs(z - p), np.minimum(1, z + p)
    touches = inner < outer
    inner, outer = np.where(touches, inner, 0.5), np.where(touches, outer, 0.5)
    angle, weight = np.polynomial.legendre.leggauss(NODES)
    angle, weight = angle * np.pi / 2, weight * np.pi / 2
    half = (outer - inner) / 2
    r = (outer + inner) / 2 + half * np.sin(angle)
    near = np.where(touches & (z > 0), z, 1.0)
    arc = np.arccos(np.clip((r**2 + near**2 - p**2) / (2 * r * near), -1, 1))
    covered = 2 * np.sum(_intensity(r, linear, quadratic) * r * arc * half * np.cos(angle) * weight, axis=-1)
    covered = np.where(touches[..., 0], covered, 0.0)
    covered += np.where(z[..., 0] < p, _light_within(np.maximum(p - z[..., 0], 0), linear, quadratic), 0.0)
    return 1 - covered / _light_within(1.0, linear, quadratic)


def _intensity(radius: np.ndarray, linear: float, quadratic: float) -> np.ndarray:
    shade = 1 - np.sqrt(np.maximum(1 - radius**2, 0))
    return 1 - linear * shade - quadratic * shade**2


def _light_within(radius: np.ndarray | float, linear: float, quadratic: float) -> np.ndarray | float:
    """Integral of the intensity over the disk within a radius from the centre of the star."""
    square = np.asarray(radius, dtype=float) ** 2
    mu3 = (1 - (1 - square) ** 1.5) / 3
    return (
        2
        * np.pi
        * (
            square / 2 * (1 - linear - quadratic)
            + (linear + 2 * quadratic) * mu3
            - quadratic * (square / 2 - square**2 / 4)
        )
    )
