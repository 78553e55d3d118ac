"""A rule applied to the values of each pixel, with errors that are right for few values too."""

from collections.abc import Callable

import numpy as np

from . import kernels
from .kernels import networks
from .rule import Rule

NOTHING = np.empty(0, dtype=np.float32)

MAD_FACTORS = np.array([np.nan, np.nan, 1.196, 1.495, 1.363, 1.206, 1.200, 1.140, 1.129, 1.107])
"""By what 1.4826 times the median absolute deviation of 0, 1, 2 … 9 values must be multiplied to be unbiased."""


class Reducer:
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
        self.floors = np.full(pixels, 0.0 if rule.floor == "uncertainty" else rule.floor, dtype=np.float32)
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
        if self.rule.method == "clipped" and self.rule.floor == "uncertainty":
            kernels.typical_error(cube, variances, self.floors[: data.size])
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
        if self.rule.method == "clipped":
            kernels.mean_within(cube, bottom, top, centres, data, scatter, count)
        else:
            kernels.mean(cube, data, scatter, count)
        kernels.error_of_mean(cube, variances, bottom, top, error)

    def _mean(self, cube: np.ndarray, data: np.ndarray, scatter: np.ndarray, count: np.ndarray) -> None:
        rule = self.rule
        if rule.method == "mean" or self.nothing_to_clip:
            kernels.mean(cube, data, scatter, count)
            return
        full, _, valley, short = self.networks
        kernels.clipped_mean(
            cube, full, valley, short, rule.center == "median", rule.deviation == "mad",
            rule.sigma_low, rule.sigma_high, self.floors[: data.size], rule.rounds, data, scatter, count,
        )  # fmt: skip

    def _limits(self, cube: np.ndarray, bottom: np.ndarray, top: np.ndarray, centres: np.ndarray) -> None:
        rule = self.rule
        if rule.method == "clipped":
            full, _, valley, short = self.networks
            kernels.clip_limits(
                cube, full, valley, short, rule.center == "median", rule.deviation == "mad",
                rule.sigma_low, rule.sigma_high, self.floors[: bottom.size], rule.rounds, bottom, top, centres,
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
