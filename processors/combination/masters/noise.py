"""How much a single raw frame scatters, and what that says about the errors of a master."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from ....images.sections import Section
from ..combine import Combined
from ..frames import Frame
from ..preparation import region_of

PRIOR_VALUES = 10.0
"""How many values the noise that all pixels of an amplifier share is worth, against the scatter of a single pixel."""


def single_frame_noise(frames: Sequence[Frame], region: Section) -> float:
    """Noise of a pixel of one frame: from the differences of frames that follow each other, free of structure.

    Parameters
    ----------
    frames : sequence of Frame
        At least two for a result; at most four are looked at.
    region : Section
        The part to look at.

    Returns
    -------
    float
        Standard deviation, without the outliers; 0 if nothing can be said.
    """
    height = region.y1 - region.y0
    rows = max(1, min(height, 4))
    starts = sorted({region.y0 + round(k * (height - rows) / 31) for k in range(32)})
    found = []
    for one, other in pairwise(frames[:4]):
        differences = []
        for start in starts:
            pair = [_usable(frame, start, start + rows)[:, region.x0 : region.x1] for frame in (one, other)]
            differences.append((pair[0] - pair[1]).ravel())
        found.append(robust_deviation(np.concatenate(differences)) / np.sqrt(2))
    found = [value for value in found if np.isfinite(value)]
    return float(np.median(found)) if found else 0.0


def robust_deviation(values: np.ndarray, limit: float = 5.0) -> float:
    """Standard deviation of the values within `limit` of it around their mean; NaN if there are fewer than two.

    It starts from quantiles. Integers have those in coarse steps, so they are not taken themselves.
    """
    kept = values[np.isfinite(values)].astype(np.float64)
    if kept.size < 2:
        return float("nan")
    lowest, low, centre, high, highest = np.quantile(kept, (0.02, 0.16, 0.5, 0.84, 0.98))
    spread = (high - low) / 2 or (highest - lowest) / 4 or float(np.std(kept))
    for _ in range(10):
        inside = kept[np.abs(kept - centre) <= limit * spread]
        if inside.size < 2:
            break
        before, centre, spread = spread, float(inside.mean()), float(inside.std(ddof=1))
        if abs(spread - before) <= 1e-4 * before:
            break
    return float(spread)


def _usable(frame: Frame, first: int, last: int) -> np.ndarray:
    data, bad, _ = frame.rows(first, last)
    values = data.astype(np.float64)
    if bad is not None:
        values[bad != 0] = np.nan
    return values


def moderated(
    combined: Combined, noise: Sequence[float], regions: Sequence[Section], *, photon: bool = False
) -> np.ndarray:
    """Errors of the pixels: their scatter, drawn towards the noise of the amplifier.

    With n values of scatter s and the amplifier's noise s0: ((n - 1) s² + 10 s0²) / (n + 9) / n. Of flats, s0² goes
    with the light that a pixel gets.
    """
    count = combined.count.astype(np.float32)
    numbers = region_of(regions, combined.data.shape)
    common = np.array([*noise, max(noise)], dtype=np.float32)[numbers] ** 2  # -1, outside all, is the last one
    if photon:
        common *= np.clip(np.nan_to_num(combined.data, nan=1.0), 0.05, None)
    with np.errstate(divide="ignore", invalid="ignore"):
        own = np.where(count > 1, combined.uncertainty**2 * count, 0)
        freedom = np.maximum(count - 1, 0)
        variance = (freedom * own + np.float32(PRIOR_VALUES) * common) / (freedom + np.float32(PRIOR_VALUES))
        return np.where(count > 0, np.sqrt(variance / count), np.nan).astype(np.float32)
