"""Light curves from the catalogues of a night: of the stars that were asked for, and of those that vary most."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from astropy.table import Table

from ...images.catalog.files import write_table
from ...processors.photometry.ensemble import Ensemble, ensemble_photometry, variability
from .stars import Series, make_series

FEWEST_FRAMES = 8
"""A shorter series has no light curves."""

BRIGHT = 30.0
"""Least signal-to-noise ratio, on a typical frame, of a comparison star and of a star that is looked at."""

LEAST_CHI2, LEAST_STEADINESS = 6.0, 1.8
"""A star that differs from a constant one by less than this is not called variable."""

MATCH_RADIUS = 4.0
"""Largest distance of a target from the star that it is taken for [arcsec; px where there are no coordinates]."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A reduced frame of a series: when it was taken (middle of the exposure) and what was found on it."""

    name: str
    time: datetime
    filter: str
    object_name: str
    catalog: Table


@dataclass(frozen=True, slots=True)
class LightCurve:
    """A star over the night, relative to an ensemble of comparison stars.

    Attributes
    ----------
    name, filter : str
        Of the star, and of the frames.
    is_target : bool
        It was asked for; the others are here because they vary.
    x, y : float
        On the reference frame, which is the one with the most sources [px].
    ra, dec : float or None
        On the sky [deg].
    times : list of datetime
        Middle of each exposure (UTC).
    magnitude, error : (T,) arrays
        Difference from the median [mag]; NaN where it was not measured.
    check : (T,) array
        The same of a constant star of about the same brightness.
    comparisons : int
        Number of comparison stars.
    chi2, steadiness : float
        See :func:`etendue.processors.photometry.ensemble.variability`.
    flux : float
        Median flux, in the unit of the catalogues.
    """

    name: str
    filter: str
    is_target: bool
    x: float
    y: float
    ra: float | None
    dec: float | None
    times: list[datetime]
    magnitude: np.ndarray
    error: np.ndarray
    check: np.ndarray
    comparisons: int
    chi2: float
    steadiness: float
    flux: float

    @property
    def amplitude(self) -> float:
        """From the faintest to the brightest twentieth [mag]."""
        known = self.magnitude[np.isfinite(self.magnitude)]
        return float(np.subtract(*np.percentile(known, (95, 5)))) if known.size else float("nan")

    def table(self) -> Table:
        """One row for each frame: time, mjd, magnitude, error."""
        from astropy.time import Time

        table = Table()
        table["time"] = [
            time.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") for time in self.times
        ]
        table["mjd"] = Time([time.astimezone(UTC).replace(tzinfo=None) for time in self.times], scale="utc").mjd
        for name, values in (("magnitude", self.magnitude), ("error", self.error), ("check", self.check)):
            table[name] = values
            table[name].unit = "mag"
        table["time"].description = "middle of the exposure (UTC)"
        table["mjd"].unit, table["mjd"].description = "d", "the same as modified Julian date (UTC)"
        table["magnitude"].description = "difference from the median, relative to the comparison stars"
        table["error"].description = "standard deviation of magnitude"
        table["check"].description = "the same as magnitude, of a constant star of similar brightness"
        table.meta |= {
            key: value
            for key, value in (
                ("star", self.name), ("filter", self.filter), ("ra", self.ra), ("dec", self.dec), ("x", self.x),
                ("y", self.y), ("comparison_stars", self.comparisons), ("reduced_chi2", self.chi2),
            )
            if value is not None
        }  # fmt: skip
        return table


def light_curves(
    frames: Sequence[Frame], targets: Mapping[str, tuple[float, float]] | None = None, *, variables: int = 4
) -> tuple[list[LightCurve], list[str]]:
    """Light curves of targets and of the most variable stars, for each object and filter.

    Parameters
    ----------
    frames : sequence of Frame
        What was found on the frames of a night.
    targets : mapping of str to (float, float)
        Name, right ascension and declination [deg] of stars that are wanted in any case; for frames without celestial
        coordinates, column and row on the first frame [px].
    variables : int
        How many of the most variable stars are added.

    Returns
    -------
    curves : list of LightCurve
        Targets first, then by how much they vary.
    notes : list of str
        What could not be done, and why.
    """
    series: dict[tuple[str, str], list[Frame]] = {}
    for frame in sorted(frames, key=lambda frame: frame.time):
        series.setdefault((frame.object_name, frame.filter), []).append(frame)
    curves: list[LightCurve] = []
    notes: list[str] = []
    measured: list[Measured] = []
    for (object_name, filter_name), members in series.items():
        if len(members) < FEWEST_FRAMES:
            continue
        try:
            measured.append(_measure(members))
        except ValueError as error:
            what = " ".join(part for part in (object_name, filter_name) if part) or "the frames"
            notes.append(f"no light curves of {what}: {error}")
    wanted = dict(targets or {})
    found = sorted((star for m in measured for star in _variable_stars(m)), key=lambda star: -star[0])
    on_sky = all(m.stars.ra is not None for m in measured)
    others: dict[str, tuple[float, float]] = {}
    for _, name, place in found:
        known = (*wanted.values(), *others.values())
        if len(others) < variables and not any(_is_near(place, other, on_sky=on_sky) for other in known):
            others[name] = place
    for m in measured:
        for name, place in (wanted | others).items():
            star = _star_at(m.stars, *place)
            if star is not None:
                curves.append(_curve(name, name in wanted, star, m))
            elif name in wanted:
                notes.append(f"{name} was not found on the frames in {m.frames[0].filter or 'any filter'}")
    order = {name: number for number, name in enumerate((*wanted, *others))}
    return sorted(curves, key=lambda curve: (order[curve.name], -len(curve.times))), notes


@dataclass(frozen=True, slots=True)
class Measured:
    """The stars of one series, compared with each other.

    Attributes
    ----------
    frames : list of Frame
        In the order of time.
    stars : Series
        All stars.
    ensemble : Ensemble
        Their relative light curves in the best aperture.
    column : int
        Number of that aperture.
    chi2, steadiness : (N,) arrays
        How much they vary.
    """

    frames: Sequence[Frame]
    stars: Series
    ensemble: Ensemble
    column: int
    chi2: np.ndarray
    steadiness: np.ndarray

    @property
    def flux(self) -> np.ndarray:
        """Median flux of each star."""
        return _median(self.stars.flux[self.column])


def _measure(frames: Sequence[Frame]) -> Measured:
    """Compare the stars of a series.

    Raises
    ------
    ValueError
        The catalogues have no fluxes in common, or there are too few comparison stars.
    """
    stars = make_series([frame.catalog for frame in frames])
    ensemble, column = _best_aperture(stars)
    chi2, steadiness = variability(_without_outliers(ensemble.relative), _with_floor(ensemble))
    return Measured(frames, stars, ensemble, column, chi2, steadiness)


def _without_outliers(relative: np.ndarray) -> np.ndarray:
    """The curves without the few points that are farthest from the middle: one spoiled point is no variation."""
    deviation = np.nan_to_num(np.abs(relative - _median(relative)[:, None]), nan=-1.0)
    worst = np.argsort(deviation, axis=1)[:, -(1 + relative.shape[1] // 20) :]
    kept = relative.copy()
    np.put_along_axis(kept, worst, np.nan, axis=1)
    return kept


def _variable_stars(m: Measured) -> list[tuple[float, str, tuple[float, float]]]:
    """Stars that vary: how much, what they are called, and where they are."""
    seen = np.isfinite(m.ensemble.relative).mean(axis=1) >= 0.8
    bright = m.flux > BRIGHT * _median(m.stars.error[m.column])
    varies = bright & seen & ~m.stars.saturated & (m.chi2 > LEAST_CHI2) & (m.steadiness > LEAST_STEADINESS)
    return [
        (float(m.chi2[star] * m.steadiness[star]), _name(m.stars, star), _place(m.stars, star))
        for star in map(int, np.flatnonzero(varies))
    ]


def _curve(name: str, is_target: bool, star: int, m: Measured) -> LightCurve:
    relative, error = m.ensemble.relative[star], m.ensemble.error[star]
    check = m.ensemble.relative[_check_star(star, m)]
    x, y, ra, dec = m.stars.x, m.stars.y, m.stars.ra, m.stars.dec
    return LightCurve(
        name=name,
        filter=m.frames[0].filter,
        is_target=is_target,
        x=float(x[star]),
        y=float(y[star]),
        ra=None if ra is None else float(ra[star]),
        dec=None if dec is None else float(dec[star]),
        times=[frame.time for frame in m.frames],
        magnitude=_magnitude(relative),
        error=2.5 / np.log(10) * error / np.maximum(relative, 1e-9),
        check=_magnitude(check),
        comparisons=int(m.ensemble.comparison.sum()),
        chi2=float(m.chi2[star]),
        steadiness=float(m.steadiness[star]),
        flux=float(m.flux[star]),
    )


def _magnitude(relative: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        return -2.5 * np.log10(np.where(relative > 0, relative, np.nan))


def _best_aperture(stars: Series) -> tuple[Ensemble, int]:
    """The ensemble in the aperture in which comparison stars scatter least.

    Raises
    ------
    ValueError
        There are too few comparison stars.
    """
    found: list[tuple[float, int, Ensemble]] = []
    refused: ValueError | None = None
    for k in range(len(stars.apertures)):
        flux, error = stars.flux[k], stars.error[k]
        bright = (_median(flux) > BRIGHT * _median(error)) & ~stars.saturated
        try:
            ensemble = ensemble_photometry(flux, error, bright)
        except ValueError as reason:
            refused = reason  # wide apertures hold masked pixels on most frames
            continue
        spread = 1.4826 * _median(np.abs(ensemble.relative - 1))[ensemble.comparison]
        found.append((float(np.median(np.sort(spread)[: max(5, spread.size // 2)])), k, ensemble))
    if not found:
        raise refused or ValueError("there are no fluxes")
    _, k, ensemble = min(found, key=lambda one: one[:2])
    return ensemble, k


def _with_floor(ensemble: Ensemble) -> np.ndarray:
    """Errors with what bright comparison stars scatter beyond theirs: flat field, seeing, clouds."""
    stars = ensemble.comparison
    formal = _median(ensemble.error)[stars]
    real = 1.4826 * _median(np.abs(ensemble.relative - 1))[stars]
    brightest = np.argsort(formal)[: max(5, stars.sum() // 4)]
    floor2 = float(np.median(np.maximum(real**2 - formal**2, 0)[brightest]))
    return np.sqrt(ensemble.error**2 + floor2)


def _check_star(star: int, m: Measured) -> int:
    """A comparison star of about the same brightness, and no more variable than others."""
    candidates = np.flatnonzero(m.ensemble.comparison)
    candidates = candidates[candidates != star]
    brightness = np.abs(np.log(m.flux[candidates] / m.flux[star]))
    return int(candidates[np.argmin(brightness + 0.2 * m.chi2[candidates] / np.median(m.chi2[candidates]))])


def _place(stars: Series, star: int) -> tuple[float, float]:
    """Right ascension and declination [deg]; where they are not known, the pixel on the first frame."""
    if stars.ra is None or stars.dec is None:
        return float(stars.x[star] + stars.shifts[0, 0]), float(stars.y[star] + stars.shifts[0, 1])
    return float(stars.ra[star]), float(stars.dec[star])


def _is_near(place: tuple[float, float], other: tuple[float, float], *, on_sky: bool) -> bool:
    if not on_sky:
        return float(np.hypot(place[0] - other[0], place[1] - other[1])) <= MATCH_RADIUS
    east = (place[0] - other[0] + 180) % 360 - 180
    return 3600 * float(np.hypot(east * np.cos(np.radians(other[1])), place[1] - other[1])) <= MATCH_RADIUS


def _star_at(stars: Series, ra: float, dec: float) -> int | None:
    """The star at a position on the sky; without coordinates, at a pixel of the first frame."""
    if stars.ra is None or stars.dec is None:
        distance = np.hypot(stars.x + stars.shifts[0, 0] - ra, stars.y + stars.shifts[0, 1] - dec)
    else:
        east = (stars.ra - ra + 180) % 360 - 180
        distance = 3600 * np.hypot(east * np.cos(np.radians(dec)), stars.dec - dec)
    if not np.isfinite(distance).any():
        return None
    nearest = int(np.nanargmin(distance))
    return nearest if distance[nearest] <= MATCH_RADIUS else None


def _name(stars: Series, star: int) -> str:
    """``J100023.4+021203``, or the pixel where there are no coordinates."""
    if stars.ra is None or stars.dec is None:
        x, y = _place(stars, star)
        return f"x{x:.0f}y{y:.0f}"
    tenths = round(float(stars.ra[star]) % 360 / 15 * 36000)
    seconds = round(abs(float(stars.dec[star])) * 3600)
    hours, minutes = divmod(tenths // 600, 60)
    degrees, arcminutes = divmod(seconds // 60, 60)
    sign = "-" if stars.dec[star] < 0 else "+"
    return f"J{hours:02d}{minutes:02d}{tenths % 600 / 10:04.1f}{sign}{degrees:02d}{arcminutes:02d}{seconds % 60:02d}"


def _median(values: np.ndarray) -> np.ndarray:
    """Along the frames, without NaN."""
    return np.ma.filled(np.ma.median(np.ma.masked_invalid(values), axis=-1), np.nan)


def write_light_curves(curves: Sequence[LightCurve], folder: Path) -> list[Path]:
    """Write each curve as a table ``NAME_FILTER.ecsv``; tables of an earlier run that are not made again are removed.

    Raises
    ------
    OSError
        One cannot be written.
    """
    written = []
    for curve in curves:
        name = "_".join(part for part in (curve.name, curve.filter) if part)
        path = folder / f"{re.sub(r'[^A-Za-z0-9.+_-]+', '-', name)}.ecsv"
        folder.mkdir(parents=True, exist_ok=True)
        write_table(curve.table(), path, overwrite=True)
        written.append(path)
    for path in set(folder.glob("*.ecsv")) - set(written):
        path.unlink()
    return written
