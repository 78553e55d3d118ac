"""Several frames of one shape into one: mean, median, or mean of what clipping leaves, with errors and counts."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ...images import Image, ImageError
from . import kernels
from .frames import MEGABYTE, Frame, common_shape, held, level, open_frames
from .reduction import Reducer
from .rule import Rule

Scale = Literal["median", "mean"] | Sequence[float] | None

TILE = 4 * MEGABYTE
"""Bytes of the stack that is worked on at a time: it stays in the processor's caches."""

NO_MASK = np.empty(0, dtype=np.uint8)
NO_ERRORS = np.empty((0, 0), dtype=np.float32)


@dataclass(slots=True)
class Combined:
    """What becomes of several frames.

    Attributes
    ----------
    data : (H, W) float32 array
        NaN where no frame has a usable value.
    uncertainty : (H, W) float32 array
        One standard deviation of `data`; NaN where it is not known (scatter of a single value).
    count : (H, W) int32 array
        Values that contributed to each pixel.
    factors : tuple of float
        What each frame was multiplied by.
    """

    data: np.ndarray
    uncertainty: np.ndarray
    count: np.ndarray
    factors: tuple[float, ...]

    @property
    def mask(self) -> np.ndarray:
        """Pixels without any value, (H, W) bool."""
        return self.count == 0


def combine_frames(
    frames: Sequence[Frame],
    rule: Rule | None = None,
    *,
    factors: Sequence[float] | None = None,
    weights: Sequence[float] | None = None,
    memory: float = 1000.0,
) -> Combined:
    """Combine frames that are handed out by bands of rows; see :func:`combine_images` and :func:`combine_files`.

    Memory: 12 bytes for each pixel of the result, and one tile of the stack.

    Parameters
    ----------
    frames : sequence of Frame
        Frames of one shape.
    rule : Rule
        How; by default clipped by the median absolute deviation.
    factors : sequence of float
        What each frame is multiplied by.
    weights : sequence of float
        Weight of each frame, for mean and clipped.
    memory : float
        Limit for the tiles [MB].

    Raises
    ------
    ImageError
        There are no frames, they differ in shape, or uncertainties are needed and a frame has none.
    ValueError
        Factors or weights are not as many as frames or are not positive, or a median is to be weighted.
    """
    rule = rule or Rule()
    height, width = common_shape(frames)
    scales = _numbers(factors, len(frames), "factors")
    shares = _numbers(weights, len(frames), "weights")
    if weights is not None and rule.method == "median":
        raise ValueError("a median takes no weights; choose method mean or clipped")
    with_errors = _with_errors(frames, rule)
    out = Combined(
        np.empty((height, width), dtype=np.float32),
        np.empty((height, width), dtype=np.float32),
        np.empty((height, width), dtype=np.int32),
        tuple(float(scale) for scale in scales),
    )
    row = 4 * len(frames) * width * (2 if with_errors else 1)
    rows = max(1, min(height, int(min(TILE, memory * MEGABYTE / 4) // row)))
    cube = np.empty((len(frames), rows * width), dtype=np.float32)
    variances = np.empty_like(cube) if with_errors else NO_ERRORS
    reducer = Reducer(rule, len(frames), shares if weights is not None else None, rows * width)
    for first in range(0, height, rows):
        last = min(first + rows, height)
        pixels = (last - first) * width
        for i, (frame, scale) in enumerate(zip(frames, scales, strict=True)):
            data, bad, error = frame.rows(first, last)
            excluded = NO_MASK if bad is None else np.ascontiguousarray(bad).reshape(-1)
            kernels.load(np.ascontiguousarray(data).reshape(-1), excluded, scale, cube[i, :pixels])
            if with_errors and error is not None:
                kernels.load_variance(np.ascontiguousarray(error).reshape(-1), scale, variances[i, :pixels])
        planes = (plane[first:last].reshape(-1) for plane in (out.data, out.uncertainty, out.count))
        reducer(cube[:, :pixels], variances[:, :pixels] if with_errors else variances, *planes)
    if rule.uncertainty == "none":
        out.uncertainty.fill(np.nan)
    return out


def combine_images(
    images: Sequence[Image],
    *,
    scale: Scale = None,
    weights: Sequence[float] | None = None,
    **rule: Any,
) -> Combined:
    """Combine images pixel by pixel. Masked pixels and those that are not finite are left out.

    Parameters
    ----------
    images : sequence of Image
        Frames (H, W) of one shape.
    scale : {"median", "mean"}, sequence of float or None
        Multiply each frame so that all have the same level, the mean of their medians or means; or by given numbers.
    weights : sequence of float
        Weight of each frame, for mean and clipped.
    **rule
        Attributes of :class:`Rule`: ``method="clipped", sigma_low=3.0, sigma_high=3.0, center="median",
        deviation="mad", rounds=5, floor=0.0, uncertainty="auto", inverse_variance=False``.

    Returns
    -------
    Combined
        Pixels, errors and counts.

    Raises
    ------
    ImageError
        There are no images, they differ in shape, uncertainties are needed and one has none, or one that is to be
        scaled has no positive level.
    ValueError
        The rule makes no sense.
    """
    frames = [held(image) for image in images]
    return combine_frames(frames, Rule(**rule), factors=scale_factors(frames, scale), weights=weights)


def combine_files(
    paths: Iterable[str | Path],
    *,
    scale: Scale = None,
    weights: Sequence[float] | None = None,
    memory: float = 1000.0,
    prepare: Callable[[Image], Image] | None = None,
    **rule: Any,
) -> Combined:
    """Combine images in files without having them all in memory. Each file is opened once.

    Of plain FITS files bands of rows are read where they are needed: 30 frames of 4096 x 4096 take less than 300 MB.
    Compressed files, other formats, and frames that are to be prepared are read one after the other, and those that
    do not fit into `memory` wait in a temporary file.

    Parameters
    ----------
    paths : iterable of path
        Files of images (H, W) of one shape.
    scale, weights, **rule
        See :func:`combine_images`.
    memory : float
        How much memory may be used for the frames [MB].
    prepare : callable
        Is given each image and returns what is combined of it: ``lambda image: image.trim()``.

    Returns
    -------
    Combined
        Pixels, errors and counts.

    Raises
    ------
    ImageError
        A file is damaged, or see :func:`combine_images`.
    FileNotFoundError
        A file does not exist.
    TransientError
        There is no space for a temporary file.
    ValueError
        The rule makes no sense.
    """
    how = Rule(**rule)
    with ExitStack() as stack:
        frames = open_frames([Path(path) for path in paths], stack, memory=memory / 2, prepare=prepare)
        common_shape(frames)
        factors = scale_factors(frames, scale)
        return combine_frames(frames, how, factors=factors, weights=weights, memory=memory / 2)


def scale_factors(frames: Sequence[Frame], scale: Scale) -> list[float] | None:
    """What each frame is multiplied by to have the mean level of all.

    Raises
    ------
    ImageError
        A frame has no positive level.
    ValueError
        `scale` is not understood.
    """
    if scale is None:
        return None
    if not isinstance(scale, str):
        return [float(factor) for factor in scale]
    if scale not in ("median", "mean"):
        raise ValueError(f"scale must be median, mean, or a number for each frame, not {scale!r}")
    levels = [level(frame, scale) for frame in frames]
    for frame, found in zip(frames, levels, strict=True):
        if not found > 0:
            raise ImageError(f"{frame.name} has the level {found:.4g} and cannot be scaled; leave it out")
    reference = sum(levels) / len(levels)
    return [reference / found for found in levels]


def _numbers(given: Sequence[float] | None, count: int, what: str) -> np.ndarray:
    if given is None:
        return np.ones(count, dtype=np.float32)
    numbers = np.asarray(given, dtype=np.float32)
    if numbers.shape != (count,):
        raise ValueError(f"{what}: {numbers.size} numbers for {count} frames; give one for each")
    if not (np.isfinite(numbers).all() and (numbers > 0).all()):
        raise ValueError(f"{what} must be positive numbers")
    return numbers


def _with_errors(frames: Sequence[Frame], rule: Rule) -> bool:
    """Whether the uncertainties of the frames are needed and there."""
    used = rule.inverse_variance or (rule.method == "clipped" and rule.floor == "uncertainty")
    if rule.uncertainty in ("scatter", "none") and not used:
        return False
    missing = [frame.name for frame in frames if not frame.has_uncertainty]
    if missing and (rule.uncertainty == "propagated" or used):
        raise ImageError(
            f"{missing[0]} has no uncertainty; add the step Uncertainty before, or take the errors from the scatter"
        )
    return not missing
