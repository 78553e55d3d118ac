"""Sums over circular apertures by our own kernel, by sep and by photutils: three ways to the same numbers."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

SMALLEST_FOR_SEP = 0.75
"""sep counts pixels in the middle of circles with a radius below sqrt(1/2) as a whole [px]."""


@dataclass(frozen=True, slots=True)
class ApertureSums:
    """What N apertures of one radius hold; each attribute is an (N,) float64 array.

    Attributes
    ----------
    total : array
        Sum of the usable pixels.
    variance : array
        Sum of the squared errors of the usable pixels; zero without errors.
    area : array
        Area of the usable pixels [px].
    inside : array
        Area within the frame, usable or not [px].
    """

    total: np.ndarray
    variance: np.ndarray
    area: np.ndarray
    inside: np.ndarray


class SumsApertures(Protocol):
    """A function that sums the pixels within `radius` [px] of each position."""

    def __call__(
        self,
        data: np.ndarray,
        error: np.ndarray | None,
        bad: np.ndarray | None,
        x: np.ndarray,
        y: np.ndarray,
        radius: float,
    ) -> ApertureSums: ...


def exact_sums(
    data: np.ndarray, error: np.ndarray | None, bad: np.ndarray | None, x: np.ndarray, y: np.ndarray, radius: float
) -> ApertureSums:
    """Sums with the kernel of :mod:`.circles`.

    Parameters
    ----------
    data : (H, W) array
        Pixels.
    error : (H, W) array or None
        Their standard deviation.
    bad : (H, W) bool array or None
        Pixels that are left out.
    x, y : (N,) float64 arrays
        Centres, 0-based.
    radius : float
        Radius [px].
    """
    from .circles import circle_sums

    nothing = np.empty((0, 0), dtype=np.uint8)
    sums = np.empty((4, len(x)))
    circle_sums(
        data,
        np.empty((0, 0), dtype=np.float32) if error is None else error,
        nothing if bad is None else np.ascontiguousarray(bad).view(np.uint8),
        x,
        y,
        radius,
        *sums,
    )
    return ApertureSums(*sums)


def areas(shape: tuple[int, int], bad: np.ndarray | None, x: np.ndarray, y: np.ndarray, radius: float) -> np.ndarray:
    """Usable area and area within the frame of circular apertures, (2, N) [px]."""
    zeros = np.broadcast_to(np.float32(0), shape)
    sums = exact_sums(zeros, None, bad, x, y, radius)
    return np.stack([sums.area, sums.inside])


def sep_sums(
    data: np.ndarray, error: np.ndarray | None, bad: np.ndarray | None, x: np.ndarray, y: np.ndarray, radius: float
) -> ApertureSums:
    """Sums with sep (exact overlap); parameters as for :func:`exact_sums`.

    References
    ----------
    Barbary, K. 2016, JOSS 1(6), 58.
    """
    import sep

    from ..pixels import for_sep

    if radius < SMALLEST_FOR_SEP:
        return exact_sums(data, error, bad, x, y, radius)

    flux, deviation, flags = sep.sum_circle(
        for_sep(data),
        x,
        y,
        radius,
        err=None if error is None else for_sep(error),
        mask=None if bad is None else for_sep(bad),
        subpix=0,
    )
    area = np.full(len(x), np.pi * radius**2)
    inside = area.copy()
    # sep's own flag misses circles that reach over the left or lower border by less than a pixel.
    reach = radius - 0.5
    partly = (flags != 0) | ~(
        (x >= reach) & (y >= reach) & (x <= data.shape[1] - 1 - reach) & (y <= data.shape[0] - 1 - reach)
    )
    area[partly], inside[partly] = areas(data.shape, bad, x[partly], y[partly], radius)
    # sep scales the sums up to the masked area.
    part = np.divide(area, inside, out=np.zeros_like(area), where=inside > 0)
    variance = np.zeros(len(x)) if error is None else np.nan_to_num(deviation) ** 2 * part
    return ApertureSums(np.nan_to_num(flux) * part, variance, area, inside)


def photutils_sums(
    data: np.ndarray, error: np.ndarray | None, bad: np.ndarray | None, x: np.ndarray, y: np.ndarray, radius: float
) -> ApertureSums:
    """Sums with photutils (exact overlap); parameters as for :func:`exact_sums`.

    References
    ----------
    Bradley, L. et al., photutils, doi:10.5281/zenodo.596036.
    """
    from photutils.aperture import CircularAperture

    total, variance = np.zeros(len(x)), np.zeros(len(x))
    known = np.isfinite(x) & np.isfinite(y)
    if known.any():
        apertures = CircularAperture(np.column_stack([x[known], y[known]]), radius)
        sums, deviations = apertures.do_photometry(data, error=error, mask=bad, method="exact")
        total[known] = np.nan_to_num(sums)
        if error is not None:
            variance[known] = np.nan_to_num(deviations) ** 2
    return ApertureSums(total, variance, *areas(data.shape, bad, x, y, radius))
