"""Light curves relative to an ensemble of comparison stars, and how variable a star is."""

from dataclasses import dataclass

import numpy as np

ROUNDS = 12
FEWEST_COMPARISONS = 3


@dataclass(frozen=True, slots=True)
class Ensemble:
    """N stars on T frames, freed of what is common to all.

    Attributes
    ----------
    relative : (N, T) array
        Flux relative to the star's own median and to the ensemble; about 1.
    error : (N, T) array
        Its standard deviation: of the star and of the ensemble.
    transparency : (T,) array
        What all stars have in common on a frame, relative to its median.
    comparison : (N,) bool array
        The stars of the ensemble.
    """

    relative: np.ndarray
    error: np.ndarray
    transparency: np.ndarray
    comparison: np.ndarray


def ensemble_photometry(
    flux: np.ndarray, error: np.ndarray, candidates: np.ndarray | None = None, *, completeness: float = 0.5
) -> Ensemble:
    """Relative light curves of stars: each is compared with the weighted mean of the others that are constant.

    What stars and frames have is found together, ``flux = level of the star × transparency of the frame``, so stars
    need not be measured on every frame. Weights are the inverse variance of each comparison star over the series, as
    it turns out (at least its formal error). Stars that vary more than their error and the scatter of their equals
    allow are taken out of the ensemble, and the rest is done again until nothing changes. A star is never compared
    with itself.

    Parameters
    ----------
    flux, error : (N, T) arrays
        Flux of each star on each frame, and its standard deviation; NaN where it was not measured.
    candidates : (N,) bool array
        Stars that may be comparisons; by default all.
    completeness : float
        Part of the frames on which a comparison star must have been measured.

    Returns
    -------
    Ensemble

    Raises
    ------
    ValueError
        There are fewer than three comparison stars, or fewer than three frames.

    References
    ----------
    Honeycutt, R. K. 1992, PASP 104, 435.
    Broeg, C., Fernández, M. & Neuhäuser, R. 2005, AN 326, 134.
    """
    flux, error = np.array(flux, dtype=float), np.array(error, dtype=float)
    unknown = ~(np.isfinite(flux) & (error > 0))
    flux[unknown] = error[unknown] = np.nan
    if flux.ndim != 2 or flux.shape[1] < 3:
        raise ValueError("a light curve needs three frames or more")
    middle = _median(flux, axis=1)
    often = ((~unknown).mean(axis=1) >= completeness) & (middle > 0)
    chosen = often if candidates is None else often & np.asarray(candidates, bool)
    if chosen.sum() < FEWEST_COMPARISONS:
        raise ValueError(f"{int(chosen.sum())} stars were measured on enough frames; three or more can be compared")
    formal = error / np.where(middle > 0, middle, np.nan)[:, None]
    expected = np.maximum(_median(formal, axis=1), 1e-6)
    scatter = expected
    for _ in range(ROUNDS):
        weights = _weights(chosen, scatter)
        level, _ = _levels(flux, weights)
        found = _spread(_against_others(flux / level[:, None], weights))
        kept = chosen & (found / expected < _limit((found / expected)[chosen]))
        if kept.sum() < FEWEST_COMPARISONS:
            break
        scatter = np.fmax(found, expected)
        if np.array_equal(kept, chosen):
            break
        chosen = kept
    weights = _weights(chosen, scatter)
    level, common = _levels(flux, weights)
    relative = _against_others(flux / level[:, None], weights)
    own = _median(relative, axis=1)[:, None]
    shares = weights[:, None] * np.isfinite(flux)
    with np.errstate(invalid="ignore", divide="ignore"):
        formal = error / level[:, None]
        shared = np.sqrt(np.sum(np.where(shares > 0, shares * formal, 0.0) ** 2, axis=0)) / shares.sum(axis=0)
        total = np.hypot(formal / common, shared / common * np.nan_to_num(relative, nan=1.0)) / own
        return Ensemble(relative / own, total, common / np.nanmedian(common), chosen)


def _weights(chosen: np.ndarray, scatter: np.ndarray) -> np.ndarray:
    """1 / scatter² of the stars of the ensemble, 0 for all others."""
    weights = np.zeros(len(chosen))
    weights[chosen] = 1 / scatter[chosen] ** 2
    return weights


def _levels(flux: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Level of each star (N,), and what all have in common on each frame (T,); NaN for a frame without comparisons."""
    level = _median(flux, axis=1)
    own = weights > 0
    shares = weights[own, None] * np.isfinite(flux[own])
    common = np.ones(flux.shape[1])
    with np.errstate(invalid="ignore", divide="ignore"):
        for _ in range(ROUNDS):
            before = common
            common = np.nansum(shares * flux[own] / level[own, None], axis=0) / shares.sum(axis=0)
            level = _median(flux / common, axis=1)
            if np.nanmax(np.abs(common - before)) < 1e-6:
                break
    return level, common


def _against_others(scaled: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Each star divided by the ensemble without itself."""
    shares = weights[:, None] * np.isfinite(scaled)
    own = np.where(shares > 0, shares * scaled, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return scaled / ((own.sum(axis=0) - own) / (shares.sum(axis=0) - shares))


def _spread(curves: np.ndarray) -> np.ndarray:
    """Standard deviation of each curve, with regard to few outliers only as far as they are many."""
    deviation = curves - _median(curves, axis=1)[:, None]
    with np.errstate(invalid="ignore"):
        robust = 1.4826 * _median(np.abs(deviation), axis=1)
        clipped = np.clip(deviation, -5 * robust[:, None], 5 * robust[:, None])
    return np.maximum(robust, np.sqrt(_mean(clipped**2)))


def _limit(excess: np.ndarray) -> float:
    """Above this ratio of scatter and error a star does not count as constant."""
    middle = float(np.median(excess))
    return max(middle + 4 * 1.4826 * float(np.median(np.abs(excess - middle))), 1.3 * middle)


def _median(values: np.ndarray, axis: int) -> np.ndarray:
    """Median without NaN; NaN where there is nothing, quietly."""
    masked = np.ma.masked_invalid(values)
    return np.ma.filled(np.ma.median(masked, axis=axis), np.nan)


def _mean(values: np.ndarray) -> np.ndarray:
    """Mean of each row without NaN; NaN where there is nothing, quietly."""
    return np.ma.filled(np.ma.masked_invalid(values).mean(axis=1), np.nan)


def variability(relative: np.ndarray, error: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How much, and how steadily, curves differ from constant ones.

    Parameters
    ----------
    relative, error : (N, T) arrays
        Relative flux, and its standard deviation; NaN where it was not measured.

    Returns
    -------
    chi2 : (N,) array
        Reduced χ² of each curve about its mean; 1 for noise.
    steadiness : (N,) array
        ``2 / (ratio of the mean square successive difference and the variance)``: 1 for noise, more for a curve that
        changes slowly.

    References
    ----------
    von Neumann, J. 1941, Ann. Math. Statist. 12, 367.
    """
    weights = np.where(np.isfinite(relative), 1 / error**2, 0.0)
    values = np.where(weights > 0, relative, 0.0)
    count = (weights > 0).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = (weights * values).sum(axis=1) / weights.sum(axis=1)
        chi2 = (weights * (values - mean[:, None]) ** 2).sum(axis=1) / (count - 1)
        known = np.where(weights > 0, relative, np.nan)
        variance = _mean((known - _mean(known)[:, None]) ** 2) * count / (count - 1)
        steadiness = 2 * variance / _mean(np.diff(known, axis=1) ** 2)
    return chi2, steadiness
