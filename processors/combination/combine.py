"""Several frames of one shape into one: mean, median, or mean of what clipping leaves, with errors and counts."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ...images import Image, ImageError
from . import kernels, networks
from .frames import MEGABYTE, Frame, common_shape, held, level, open_frames

Method = Literal["mean", "median", "clipped"]
Center = Literal["median", "mean"]
Deviation = Literal["mad", "std"]
ErrorSource = Literal["auto", "scatter", "propagated", "none"]
Scale = Literal["median", "mean"] | Sequence[float] | None

TILE = 4 * MEGABYTE
"""Bytes of the stack that is worked on at a time: it stays in the processor's caches."""

NO_MASK = np.empty(0, dtype=np.uint8)
NOTHING = np.empty(0, dtype=np.float32)

MAD_FACTORS = np.array([np.nan, np.nan, 1.196, 1.495, 1.363, 1.206, 1.200, 1.140, 1.129, 1.107])
"""By what 1.4826 times the median absolute deviation of 0, 1, 2 … 9 values must be multiplied to be unbiased."""


@dataclass(frozen=True, slots=True)
class Rule:
    """How the values of a pixel become one.

    Attributes
    ----------
    method : {"clipped", "median", "mean"}
        "clipped" is the mean of the values near the centre of all.
    sigma_low, sigma_high : float
        Values below and above the centre by more than so many standard deviations are clipped.
    center : {"median", "mean"}
        What they are measured from.
    deviation : {"mad", "std"}
        What a standard deviation is: 1.4826 times the median absolute deviation from the median, or the root mean
        square deviation from the mean, which one hit among few frames makes too large to clip anything.
    rounds : int
        How often clipping is repeated, at most.
    floor : float
        Least standard deviation for clipping. The deviation of few values is often much too small by chance; the
        known noise of a single frame keeps good values from being lost then.
    uncertainty : {"auto", "scatter", "propagated", "none"}
        Where the errors come from: the scatter of the values, the uncertainties of the frames, or (auto) the latter
        if every frame has one, else the former. "none" saves their time; they are NaN then.
    inverse_variance : bool
        Whether values are weighted by 1 / uncertainty²; for mean and clipped.

    Raises
    ------
    ValueError
        A number is out of its range, or a median is to be weighted.
    """

    method: Method = "clipped"
    sigma_low: float = 3.0
    sigma_high: float = 3.0
    center: Center = "median"
    deviation: Deviation = "mad"
    rounds: int = 5
    floor: float = 0.0
    uncertainty: ErrorSource = "auto"
    inverse_variance: bool = False

    def __post_init__(self) -> None:
        known = {
            "method": ("mean", "median", "clipped"),
            "center": ("median", "mean"),
            "deviation": ("mad", "std"),
            "uncertainty": ("auto", "scatter", "propagated", "none"),
        }
        for name, values in known.items():
            if getattr(self, name) not in values:
                raise ValueError(f"{name} must be one of {', '.join(values)}, not {getattr(self, name)!r}")
        if not (self.sigma_low > 0 and self.sigma_high > 0):
            raise ValueError(f"clipping limits must be positive, not {self.sigma_low} and {self.sigma_high}")
        if self.rounds < 1 or not self.floor >= 0:
            raise ValueError("clipping takes at least one round, and a floor that is not negative")
        if self.method == "median" and self.inverse_variance:
            raise ValueError("a median takes no weights; choose method mean or clipped")


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
    variances = np.empty_like(cube) if with_errors else kernels.NO_ERRORS
    reducer = _Reducer(rule, len(frames), shares if weights is not None else None, rows * width)
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


class _Reducer:
    """Applies a rule to one tile after the other, with buffers that are used again."""

    def __init__(self, rule: Rule, frames: int, weights: np.ndarray | None, pixels: int) -> None:
        self.rule = rule
        self.weights = np.ones(frames, dtype=np.float32) if weights is None else weights
        self.is_weighted = weights is not None or rule.inverse_variance
        self.networks = (
            networks.sorting_network(frames),
            networks.median_network(frames),
            networks.valley_network(frames),
            networks.valley_median_network(frames),
        )
        self.buffers = np.empty((4, pixels), dtype=np.float32)
        # Of n values none is further than (n - 1) / sqrt(n) standard deviations from their mean.
        self.nothing_to_clip = (
            rule.center == "mean"
            and rule.deviation == "std"
            and min(rule.sigma_low, rule.sigma_high) > (frames - 1) / np.sqrt(frames)
        )

    def __call__(
        self, cube: np.ndarray, variances: np.ndarray, data: np.ndarray, error: np.ndarray, count: np.ndarray
    ) -> None:
        propagate = variances.size > 0 and self.rule.uncertainty in ("auto", "propagated")
        if self.rule.method == "median":
            self._median(cube, variances, data, error, count, propagate)
            return
        propagated = error if propagate else NOTHING
        scatter = self.buffers[3, : data.size] if propagate or self.rule.uncertainty == "none" else error
        if not (propagate or self.is_weighted):
            self._mean(cube, data, scatter, count)
            return
        bottom, top, centres = self.buffers[:3, : data.size]
        self._limits(cube, bottom, top, centres)
        if self.is_weighted:
            kernels.weighted_mean_within(
                cube, variances, self.weights, self.rule.inverse_variance, bottom, top, centres,
                data, scatter, propagated, count,
            )  # fmt: skip
            return
        self._mean(cube, data, scatter, count)
        kernels.error_of_mean(cube, variances, bottom, top, error)

    def _mean(self, cube: np.ndarray, data: np.ndarray, scatter: np.ndarray, count: np.ndarray) -> None:
        rule = self.rule
        if rule.method == "mean" or self.nothing_to_clip:
            kernels.mean(cube, data, scatter, count)
            return
        full, _, valley, short = self.networks
        kernels.clipped_mean(
            cube, full, valley, short, rule.center == "median", rule.deviation == "mad",
            rule.sigma_low, rule.sigma_high, rule.floor, rule.rounds, data, scatter, count,
        )  # fmt: skip

    def _limits(self, cube: np.ndarray, bottom: np.ndarray, top: np.ndarray, centres: np.ndarray) -> None:
        rule = self.rule
        if rule.method == "clipped":
            full, _, valley, short = self.networks
            kernels.clip_limits(
                cube, full, valley, short, rule.center == "median", rule.deviation == "mad",
                rule.sigma_low, rule.sigma_high, rule.floor, rule.rounds, bottom, top, centres,
            )  # fmt: skip
            return
        bottom[:], top[:] = -kernels.LARGEST, kernels.LARGEST
        np.min(cube, axis=0, out=centres)
        centres[~np.isfinite(centres)] = 0

    def _median(
        self,
        cube: np.ndarray,
        variances: np.ndarray,
        data: np.ndarray,
        error: np.ndarray,
        count: np.ndarray,
        propagate: bool,
    ) -> None:
        if self.rule.uncertainty == "none":
            kernels.median(cube, *self.networks, data, count, NOTHING)
        elif propagate:
            kernels.median(cube, *self.networks, data, count, NOTHING)
            bottom, top = self.buffers[:2, : data.size]
            bottom[:], top[:] = -kernels.LARGEST, kernels.LARGEST
            kernels.error_of_mean(cube, variances, bottom, top, error)
            error *= _by_count(median_efficiency, count, len(cube))
        else:
            kernels.median(cube, *self.networks, data, count, error)
            error *= _by_count(_scatter_to_error, count, len(cube))


def median_efficiency(count: np.ndarray) -> np.ndarray:
    """Standard deviation of the median of `count` normal values, in those of their mean; within 1 % from three on.

    It tends to sqrt(pi / 2); of one or two values median and mean are the same.
    """
    number = np.asarray(count, dtype=np.float64)
    correction = np.where(number % 2 == 1, 0.93, 2.69)
    return np.where(number <= 2, 1.0, np.sqrt(np.pi * number / (2 * number + correction)))


def mad_correction(count: np.ndarray) -> np.ndarray:
    """By what 1.4826 times the median absolute deviation of `count` normal values must be multiplied to be unbiased.

    References
    ----------
    Croux, C. & Rousseeuw, P. J. 1992, Computational Statistics, vol. 1 (COMPSTAT), 411.
    """
    number = np.asarray(count)
    large = number / np.maximum(number - 0.8, 0.1)
    return np.where(number < len(MAD_FACTORS), MAD_FACTORS[np.minimum(number, len(MAD_FACTORS) - 1)], large)


def _scatter_to_error(count: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return mad_correction(count) * median_efficiency(count) / np.sqrt(count)


def _by_count(function: Callable[[np.ndarray], np.ndarray], count: np.ndarray, largest: int) -> np.ndarray:
    return function(np.arange(largest + 1)).astype(np.float32)[count]


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
    if rule.uncertainty in ("scatter", "none") and not rule.inverse_variance:
        return False
    missing = [frame.name for frame in frames if not frame.has_uncertainty]
    if missing and (rule.uncertainty == "propagated" or rule.inverse_variance):
        raise ImageError(
            f"{missing[0]} has no uncertainty; add the step Uncertainty before, or take the errors from the scatter"
        )
    return not missing
