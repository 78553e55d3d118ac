"""How good a frame is: the width of its stars, its sky, and how faint it goes."""

from dataclasses import dataclass

import numpy as np
from astropy.table import Table
from pydantic import Field, PositiveFloat, PositiveInt

from ...images import Image
from ..background import background
from ..pixels import electrons_per_unit, plain_pixels, unusable_pixels
from ..processor import Processor

PROFILE_RADIUS = 15
"""Of the cut-outs from which the profile of the stars is made [px]."""

FEWEST_STARS = 3
FEWEST_POINTS = 30
INSTRUMENTAL = 25.0
"""Zero point of instrumental magnitudes: that of one electron per second."""


@dataclass(frozen=True, slots=True)
class StarProfile:
    """The mean radial profile of a frame's stars: a Moffat function of width `fwhm` [px] and slope `beta`."""

    fwhm: float
    beta: float
    n_stars: int


def star_profile(
    data: np.ndarray, x: np.ndarray, y: np.ndarray, bad: np.ndarray | None = None, *, radius: int = PROFILE_RADIUS
) -> StarProfile | None:
    """Fit a Moffat function to the radial profile of several stars together.

    Each star is scaled by its flux within twice its half-light radius; the profile is the median of all stars in rings
    of half a pixel, so that a neighbour or a cosmic ray beside one of them does not count.

    Parameters
    ----------
    data : (H, W) array
        Pixels without sky.
    x, y : (N,) arrays
        Positions of isolated, unsaturated stars [px], 0-based.
    bad : (H, W) bool array
        Pixels that are left out.
    radius : int
        Half the side of the cut-outs [px].

    Returns
    -------
    StarProfile or None
        None if fewer than three stars lie far enough from the border, or no profile fits.

    References
    ----------
    Moffat, A. F. J. 1969, A&A 3, 455.
    """
    from scipy.optimize import curve_fit

    height, width = data.shape
    distances, heights = [], []
    for x0, y0 in zip(np.asarray(x, float), np.asarray(y, float), strict=True):
        column, row = round(x0), round(y0)
        if not (radius <= column < width - radius and radius <= row < height - radius):
            continue
        box = np.s_[row - radius : row + radius + 1, column - radius : column + radius + 1]
        cut = data[box]
        usable = np.isfinite(cut) if bad is None else np.isfinite(cut) & ~bad[box]
        rows, columns = np.nonzero(usable)
        distance = np.hypot(columns + column - radius - x0, rows + row - radius - y0)
        pixels = cut[usable]
        core = distance < 2.5
        total = pixels[distance < radius / 2].sum()
        if usable.mean() < 0.9 or core.sum() < 12 or not total > 0:
            continue
        distances.append(distance)
        heights.append(pixels / total)
    if len(distances) < FEWEST_STARS:
        return None
    r, i = _rings(np.concatenate(distances), np.concatenate(heights), radius)
    if r.size < 6:
        return None
    peak = float(i[0])
    half = float(np.interp(-peak / 2, -i, r)) if peak > 0 else 2.0
    try:
        fitted, _ = curve_fit(
            _moffat, r, i, p0=(peak, max(half, 0.7), 3.0), bounds=([0, 0.2, 1.1], [np.inf, 4.0 * radius, 30.0])
        )
    except (RuntimeError, ValueError):
        return None
    _, half_width, beta = fitted
    return StarProfile(2 * float(half_width), float(beta), len(distances))


def _rings(r: np.ndarray, i: np.ndarray, radius: int) -> tuple[np.ndarray, np.ndarray]:
    """Median distance and height in rings of half a pixel."""
    ring = (r / 0.5).astype(int)
    order = np.argsort(ring, kind="stable")
    ring, r, i = ring[order], r[order], i[order]
    starts = np.flatnonzero(np.r_[True, np.diff(ring) > 0])
    groups = [
        (float(np.median(ri)), float(np.median(ii)))
        for ri, ii in zip(np.split(r, starts[1:]), np.split(i, starts[1:]), strict=True)
        if ri.size >= 3 and np.median(ri) <= radius
    ]
    return np.array([g[0] for g in groups]), np.array([g[1] for g in groups])


def _moffat(r: np.ndarray, peak: float, half_width: float, beta: float) -> np.ndarray:
    return peak * (1 + (2 ** (1 / beta) - 1) * (r / half_width) ** 2) ** -beta


def noise_area(fwhm: float, beta: float) -> float:
    """Noise-equivalent area of a Moffat profile [px²]: the sky pixels whose noise an optimal measurement has.

    References
    ----------
    King, I. R. 1983, PASP 95, 163.
    """
    alpha = fwhm / (2 * np.sqrt(2 ** (1 / beta) - 1))
    return float(np.pi * alpha**2 * (2 * beta - 1) / (beta - 1) ** 2)


def faintest_flux(noise: float, area: float, limit: float = 5.0) -> float:
    """Flux of a point source at the limiting signal-to-noise ratio [electron].

    ``f² = limit² (f + area noise²)``: photon noise of the source, and noise of the sky and the detector.

    Parameters
    ----------
    noise : float
        Standard deviation of a sky pixel [electron].
    area : float
        Noise-equivalent area of the profile [px²].
    limit : float
        Signal-to-noise ratio.
    """
    return limit**2 / 2 + limit * float(np.sqrt(limit**2 / 4 + area * noise**2))


def good_stars(catalog: Table, most: int) -> np.ndarray:
    """Rows of the brightest clean, point-like sources of a catalogue, at most `most` of them.

    Clean means: no flags, and no neighbour that is anywhere near as bright within :data:`PROFILE_RADIUS`.
    """
    from scipy.spatial import KDTree

    if not len(catalog) or not {"x", "y", "flux"} <= set(catalog.colnames):
        return np.zeros(0, dtype=int)
    x, y, flux = (np.ma.filled(np.ma.asarray(catalog[name], float), np.nan) for name in ("x", "y", "flux"))
    usable = np.isfinite(x) & np.isfinite(y) & (flux > 0)
    if "flags" in catalog.colnames:
        usable &= np.asarray(catalog["flags"]) == 0
    rows = np.flatnonzero(usable)
    rows = rows[np.argsort(-flux[rows], kind="stable")][: 6 * most]
    if not rows.size:
        return rows
    if "flux_radius_50" in catalog.colnames:
        size = np.asarray(catalog["flux_radius_50"], float)[rows]
        middle = np.nanmedian(size)
        rows = rows[np.abs(size - middle) < 0.25 * middle]
    place = np.column_stack([x, y])
    known = np.flatnonzero(np.isfinite(place).all(axis=1))
    near = KDTree(place[known]).query_ball_point(place[rows], PROFILE_RADIUS)
    alone = [np.nansum(flux[known[others]]) < 1.1 * flux[row] for row, others in zip(rows, near, strict=True)]
    return rows[alone][:most]


class MeasureQuality(Processor):
    """Write into the header how good a frame is: seeing, sky, number of sources, limiting magnitude.

    ``NSOURCES``; ``FWHM`` [px], that of a Moffat function fitted to the brightest clean stars together, and ``FWHMSEC``
    [arcsec] where the header has coordinates or a pixel scale; ``ELLIPT``, the median ellipticity of these stars;
    ``SKYLEVEL`` and ``SKYNOISE``, in the unit of the pixels, as a SubtractBackground before this step has found them,
    or measured here; ``LIMMAG``, the magnitude of a star that would be seen with the signal-to-noise ratio `limit`
    in an optimal measurement, with ``LIMZP``, the zero point that it refers to: that of one electron per second.

    Without a known zero point it is 25, and magnitudes are instrumental. Cards whose number cannot be measured (no
    stars, no gain) are left out, since that says something about the frame and is no fault of it.

    References
    ----------
    King, I. R. 1983, PASP 95, 163.
    """

    reads = {
        "data", "mask?", "catalog", "catalog.x?", "catalog.y?", "catalog.flux?", "catalog.flux_radius_50?",
        "catalog.ellipticity?", "catalog.flags?", "header.BKGLEVEL?", "header.BKGRMS?", "header.GAIN?",
        "header.EXPTIME?", "header.ZEROPT?", "header.PIXSCALE?",
    }  # fmt: skip
    writes = {
        "header.NSOURCES", "header.FWHM?", "header.FWHMSEC?", "header.ELLIPT?", "header.SKYLEVEL", "header.SKYNOISE",
        "header.LIMMAG?", "header.LIMZP?",
    }  # fmt: skip

    limit: PositiveFloat = Field(5.0, description="signal-to-noise ratio of the limiting magnitude")
    stars: PositiveInt = Field(60, description="most stars from which the width is measured")
    zero_point: float | None = Field(
        None, description="magnitude of one electron per second; None takes the header's, or 25 if it has none"
    )

    def process(self, image: Image) -> Image:
        data = plain_pixels(image, "measuring its quality")
        bad = unusable_pixels(data, image.safe_mask)
        catalog = image.catalog
        level, noise, left = self._sky(image, data, bad)
        chosen = good_stars(catalog, self.stars)
        profile = None
        if chosen.size:
            positions = ("xwin", "ywin") if {"xwin", "ywin"} <= set(catalog.colnames) else ("x", "y")
            x, y = (np.ma.filled(np.ma.asarray(catalog[name], float), np.nan)[chosen] for name in positions)
            known = np.isfinite(x) & np.isfinite(y)
            profile = star_profile(data - np.float32(left) if left else data, x[known], y[known], bad)

        unit = image.unit
        cards: dict[str, tuple[float | int, str]] = {
            "NSOURCES": (len(catalog), "sources in the catalogue"),
            "SKYLEVEL": (level, f"[{unit}] median sky level"),
            "SKYNOISE": (noise, f"[{unit}] noise of a sky pixel"),
        }
        if "ellipticity" in catalog.colnames and chosen.size:
            roundness = float(np.nanmedian(np.ma.filled(catalog["ellipticity"], np.nan)[chosen]))
            if np.isfinite(roundness):
                cards["ELLIPT"] = (roundness, "median ellipticity of the stars")
        if profile is not None:
            cards["FWHM"] = (profile.fwhm, f"[px] full width at half maximum of {profile.n_stars} stars")
            scale = image.pixel_scale or image.header.get("PIXSCALE")
            if isinstance(scale, int | float) and scale > 0:
                cards["FWHMSEC"] = (profile.fwhm * float(scale), "[arcsec] full width at half maximum")
            cards |= self._limiting_magnitude(image, profile, noise)
        measured = image.copy()
        for card, value in cards.items():
            measured.header[card] = value
        return measured

    def _sky(self, image: Image, data: np.ndarray, bad: np.ndarray | None) -> tuple[float, float, float]:
        """Level and noise of the sky, and what of the level is still in the pixels."""
        known = [image.header.get(card) for card in ("BKGLEVEL", "BKGRMS")]
        if all(isinstance(value, int | float) for value in known):
            level, noise = (float(value) for value in known if value is not None)
            return level, noise, 0.0
        sky = background(data, bad)
        return float(sky.global_level), float(sky.global_rms), float(sky.global_level)

    def _limiting_magnitude(
        self, image: Image, profile: StarProfile, noise: float
    ) -> dict[str, tuple[float | int, str]]:
        gain, exposure_time = electrons_per_unit(image), image.exposure_time
        if gain is None or not exposure_time or not noise > 0:
            return {}
        flux = faintest_flux(noise * gain, noise_area(profile.fwhm, profile.beta), self.limit)
        zero_point, origin = self._zero_point(image, gain, exposure_time)
        magnitude = zero_point - 2.5 * float(np.log10(flux / exposure_time))
        return {
            "LIMMAG": (magnitude, f"[mag] of a star of signal-to-noise {self.limit:g}"),
            "LIMZP": (zero_point, f"[mag] of 1 electron/s, {origin}"),
        }

    def _zero_point(self, image: Image, gain: float, exposure_time: float) -> tuple[float, str]:
        if self.zero_point is not None:
            return self.zero_point, "configured"
        if image.zero_point is not None:
            return image.zero_point - 2.5 * float(np.log10(exposure_time / gain)), "from the header"
        return INSTRUMENTAL, "instrumental"
