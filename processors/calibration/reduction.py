"""One frame through the fused kernel: overscan, masters, gain, noise and flags, region by region."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ...images import PixelFlag
from .buffers import RESULTS
from .corrections.linearity import Linearity
from .folding import Folded, Region
from .kernel import NO_FLAGS, NONE, calibrate

KERNEL_TYPES = ("uint16", "int16", "int32", "float32")
"""Types of raw pixels that the kernel reads as they are; all others become float32."""


@dataclass(frozen=True, slots=True)
class Level:
    """Overscan level of one region.

    Attributes
    ----------
    rows : (N,) float32 array
        Level of each row [adu].
    variance : float
        Variance of the level [adu²].
    """

    rows: np.ndarray
    variance: float = 0.0


@dataclass(frozen=True, slots=True)
class Reduced:
    """A calibrated frame.

    Attributes
    ----------
    data : (H, W) float32 array
        [electron]
    uncertainty : (H, W) float32 array or None
        One standard deviation [electron].
    mask : (H, W) uint8 array
        Flags.
    saturated_rows, saturated_columns : (N,), (M,) arrays of int
        Rows and columns of the raw frame with pixels at or above the saturation level.
    """

    data: np.ndarray
    uncertainty: np.ndarray | None
    mask: np.ndarray
    saturated_rows: np.ndarray
    saturated_columns: np.ndarray


def reduce_frame(
    raw: np.ndarray,
    given: np.ndarray | None,
    shape: tuple[int, int],
    regions: Sequence[Region],
    levels: Sequence[Level],
    masters: Folded,
    *,
    saturation: float | None = None,
    with_uncertainty: bool = True,
    threads: int = 1,
) -> Reduced:
    """Calibrate one frame.

    Parameters
    ----------
    raw : (H, W) array
        The whole raw frame [adu].
    given : (H, W) uint8 array or None
        Its flags.
    shape : (int, int)
        Rows and columns of the result.
    regions : sequence of Region
        Which parts of the raw frame go where. What none of them covers becomes NaN with the flag NO_DATA.
    levels : sequence of Level
        Overscan level of each region.
    masters : Folded
        Folded for the same regions.
    saturation : float
        Saturation level [adu]; None flags none.
    with_uncertainty : bool
        Whether the noise is computed.
    threads : int
        How many threads share the rows. One nearly saturates the memory: it is for a single frame in a hurry.
    """
    whole = sum(region.source.shape[0] * region.source.shape[1] for region in regions) == shape[0] * shape[1]
    out = RESULTS.empty(shape, np.float32)
    error = RESULTS.empty(shape, np.float32) if with_uncertainty else NONE.copy()
    mask = RESULTS.empty(shape, np.uint8)
    if not whole:
        out.fill(np.nan)
        error.fill(np.nan)
        mask.fill(int(PixelFlag.NO_DATA))
    pixels = readable(raw)
    flags = NO_FLAGS if given is None else read_only(given)

    def run(index: int, first: int, last: int) -> tuple[np.ndarray, np.ndarray]:
        region, level = regions[index], levels[index]
        rows, columns = (np.zeros(length, dtype=np.uint8) for length in raw.shape)
        calibrate(
            pixels, read_only(level.rows), masters.offset, masters.gain_over_flat, masters.floor,
            masters.flat_variance, masters.flags, flags,
            np.float32(1 / region.gain), np.float32(masters.dark_limits[index]), np.float32(level.variance),
            np.float32(np.nan if saturation is None else saturation),
            region.source.x0, region.source.y0, first, last, region.source.shape[1], region.x, region.y,
            out, error, mask, rows, columns,
        )  # fmt: skip
        return rows, columns

    jobs = [
        (index, first, last)
        for index, region in enumerate(regions)
        for first, last in _blocks(region.source.shape[0], threads)
    ]
    if threads == 1:
        hit = [run(*job) for job in jobs]
    else:
        with ThreadPoolExecutor(threads) as pool:
            hit = list(pool.map(lambda job: run(*job), jobs))
    rows, columns = (np.flatnonzero(np.bitwise_or.reduce(found)) for found in zip(*hit, strict=True))
    return Reduced(out, error if with_uncertainty else None, mask, rows, columns)


def _blocks(rows: int, count: int) -> list[tuple[int, int]]:
    edges = np.linspace(0, rows, min(count, rows) + 1).astype(int)
    return [(int(first), int(last)) for first, last in pairwise(edges)]


def readable(raw: np.ndarray) -> np.ndarray:
    """The pixels as the kernel takes them: contiguous, read-only, of one of few types."""
    if raw.dtype.name not in KERNEL_TYPES:
        raw = raw.astype(np.float32)
    return read_only(np.ascontiguousarray(raw))


def read_only(array: np.ndarray) -> np.ndarray:
    """A view that cannot be written to: the kernel is compiled once, not for every mixture of arrays."""
    if not array.flags.writeable:
        return array
    view = array.view()
    view.flags.writeable = False
    return view


def linearised(
    raw: np.ndarray, bias: np.ndarray | None, regions: Sequence[Region], levels: Sequence[Level], linearity: Linearity
) -> np.ndarray:
    """Counts above the bias level, proportional to light, as another raw frame without overscan level and bias.

    Parameters
    ----------
    raw : (H, W) array
        The raw frame [adu].
    bias : (h, w) array or None
        Master bias, of the size of the calibrated frame.
    regions, levels
        As for :func:`reduce_frame`.
    linearity : Linearity
        The correction.
    """
    counts = np.zeros(raw.shape, dtype=np.float32)
    for region, level in zip(regions, levels, strict=True):
        pixels = raw[region.source.slices].astype(np.float64) - level.rows[:, None]
        if bias is not None:
            pixels -= bias[region.target.slices]
        counts[region.source.slices] = linearity.corrected(pixels)[0]
    return counts
