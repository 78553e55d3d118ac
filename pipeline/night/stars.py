"""The same stars on all frames of a series."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from astropy.table import Table

from ...images.flags import SourceFlag

BRIGHTEST = 150
"""Sources from which the shift between two frames is found."""

LARGEST_SHIFT = 400.0
"""Between two frames of a series, beyond what their coordinates say [px]."""

BIN = 3.0
"""Side of the cells in which differences of positions are counted [px]."""

SPOILED = int(SourceFlag.SATURATED | SourceFlag.TRUNCATED)
SPOILED_APERTURE = int(SourceFlag.APERTURE_TRUNCATED | SourceFlag.APERTURE_MASKED | SourceFlag.APERTURE_EMPTY)
"""Flags of sources, and of apertures, whose flux is not that of the whole star."""


@dataclass(frozen=True, slots=True)
class Series:
    """N stars measured on T frames.

    Attributes
    ----------
    x, y : (N,) arrays
        Positions on the reference frame [px].
    ra, dec : (N,) arrays or None
        Positions on the sky [deg].
    flux, error : (K, N, T) arrays
        Fluxes in K apertures and their standard deviations; NaN where a star was not measured, or is spoiled.
    apertures : tuple of str
        The K columns that the fluxes are from.
    saturated : (N,) bool array
        Stars that are saturated on a frame.
    shifts : (T, 2) array
        By how much each frame is shifted against the reference, beyond what coordinates on the sky say [px].
    """

    x: np.ndarray
    y: np.ndarray
    ra: np.ndarray | None
    dec: np.ndarray | None
    flux: np.ndarray
    error: np.ndarray
    apertures: tuple[str, ...]
    saturated: np.ndarray
    shifts: np.ndarray


def make_series(catalogs: Sequence[Table], *, tolerance: float = 2.5) -> Series:
    """Find the stars of one catalogue in all others.

    Frames may be shifted against each other; where all catalogues have celestial coordinates, they may be rotated and
    mirrored as well. The catalogue with the most sources among those of median length or more is the reference.

    Parameters
    ----------
    catalogs : sequence of T Table
        With x, y, and flux_aper_1 … or flux with its error.
    tolerance : float
        Largest distance between positions of one star [px].

    Raises
    ------
    ValueError
        There are no catalogues, or they have no fluxes in common.
    """
    from scipy.spatial import KDTree

    apertures = flux_columns(catalogs)
    reference = catalogs[int(np.argmax([len(catalog) for catalog in catalogs]))]
    places = _places(catalogs, reference)
    base = places[next(i for i, catalog in enumerate(catalogs) if catalog is reference)]
    count, frames = len(reference), len(catalogs)
    flux = np.full((len(apertures), count, frames), np.nan)
    error = np.full_like(flux, np.nan)
    saturated = np.zeros(count, dtype=bool)
    shifts = np.zeros((frames, 2))
    order = np.argsort(-_brightness(reference))[:BRIGHTEST]
    for t, (catalog, place) in enumerate(zip(catalogs, places, strict=True)):
        if not len(catalog):
            continue
        own = np.argsort(-_brightness(catalog))[:BRIGHTEST]
        shifts[t] = shift_between(base[order], place[own])
        distance, near = KDTree(place - shifts[t]).query(base, distance_upper_bound=tolerance)
        claimed = np.bincount(near, minlength=len(catalog) + 1)[: len(catalog)]
        for source in np.flatnonzero(claimed > 1):  # of two stars that claim one source, the nearer has it
            claims = np.flatnonzero(near == source)
            near[np.setdiff1d(claims, claims[np.argmin(distance[claims])])] = len(catalog)
        found = np.flatnonzero(near < len(catalog))
        rows = near[found]
        flags = _flags(catalog)[rows]
        saturated[found] |= (flags & int(SourceFlag.SATURATED)) != 0
        for k, column in enumerate(apertures):
            good = (flags & SPOILED) == 0
            number = column.rpartition("_")[2]
            if f"flags_aper_{number}" in catalog.colnames:
                good &= (np.asarray(catalog[f"flags_aper_{number}"])[rows] & SPOILED_APERTURE) == 0
            flux[k, found, t] = np.where(good, _values(catalog, column)[rows], np.nan)
            error[k, found, t] = np.where(good, _values(catalog, error_column(column))[rows], np.nan)
    sky = {"ra", "dec"} <= set(reference.colnames)
    return Series(
        _values(reference, "x"),
        _values(reference, "y"),
        _values(reference, "ra") if sky else None,
        _values(reference, "dec") if sky else None,
        flux,
        error,
        apertures,
        saturated,
        shifts,
    )


def flux_columns(catalogs: Sequence[Table]) -> tuple[str, ...]:
    """Columns of fluxes with errors that all catalogues have: those of apertures, else that of the Kron ellipse.

    Raises
    ------
    ValueError
        There are none.
    """
    if not catalogs:
        raise ValueError("there are no catalogues")
    common = set.intersection(*(set(catalog.colnames) for catalog in catalogs))
    apertures = sorted(
        (name for name in common if name.startswith("flux_aper_") and error_column(name) in common),
        key=lambda name: int(name.rpartition("_")[2]),
    )
    if apertures:
        return tuple(apertures)
    for name in ("flux_auto", "flux"):
        if {name, error_column(name)} <= common:
            return (name,)
    raise ValueError("the catalogues have no fluxes with errors in common; add a step for photometry to the chain")


def error_column(flux: str) -> str:
    """The column of the standard deviation that belongs to a column of fluxes."""
    return flux.replace("flux_aper", "flux_err_aper") if flux.startswith("flux_aper") else f"{flux}_err"


def shift_between(reference: np.ndarray, moved: np.ndarray) -> np.ndarray:
    """By how much the second set of positions is shifted against the first; both are (N, 2) arrays [px].

    Differences of all pairs are counted in cells; that of stars with themselves is by far the most frequent one.
    A cell counts with its neighbours, for the difference may lie at its border.
    """
    if not len(reference) or not len(moved):
        return np.zeros(2)
    differences = (moved[None, :, :] - reference[:, None, :]).reshape(-1, 2)
    differences = differences[(np.abs(differences) <= LARGEST_SHIFT).all(axis=1)]
    if not len(differences):
        return np.zeros(2)
    edges = np.arange(-LARGEST_SHIFT - BIN, LARGEST_SHIFT + 2 * BIN, BIN)
    counts, _, _ = np.histogram2d(*differences.T, bins=(edges, edges))
    blocks = np.sum([np.roll(counts, (i, j), axis=(0, 1)) for i in (0, 1) for j in (0, 1)], axis=0)
    i, j = np.unravel_index(int(np.argmax(blocks)), blocks.shape)
    corner = np.array([edges[i], edges[j]])
    shift = np.median(differences[(np.abs(differences - corner) <= BIN).all(axis=1)], axis=0)
    for _ in range(3):
        near = (np.abs(differences - shift) <= 1.5).all(axis=1)
        if near.any():
            shift = np.median(differences[near], axis=0)
    return shift


def _places(catalogs: Sequence[Table], reference: Table) -> list[np.ndarray]:
    """Positions in pixels of the reference, as far as coordinates on the sky tell; else each frame's own pixels."""
    own = [np.column_stack([_values(c, "x"), _values(c, "y")]) for c in catalogs]
    with_sky = all({"ra", "dec"} <= set(catalog.colnames) for catalog in catalogs) and len(reference) >= 3
    if not with_sky:
        return own
    ra, dec = _values(reference, "ra"), _values(reference, "dec")
    x, y = _values(reference, "x"), _values(reference, "y")
    good = np.isfinite(ra) & np.isfinite(dec)
    if good.sum() < 3:
        return own
    center = ra[good][0], dec[good][0]
    plane = _tangent_plane(ra[good], dec[good], *center)
    design = np.column_stack([plane, np.ones(len(plane))])
    solution, *_ = np.linalg.lstsq(design, np.column_stack([x, y])[good], rcond=None)
    placed = []
    for catalog, pixels in zip(catalogs, own, strict=True):
        plane = _tangent_plane(_values(catalog, "ra"), _values(catalog, "dec"), *center)
        there = np.column_stack([plane, np.ones(len(plane))]) @ solution
        known = np.isfinite(there).all(axis=1)
        placed.append(np.where(known.reshape(-1, 1), there, pixels))
    return placed


def _tangent_plane(ra: np.ndarray, dec: np.ndarray, ra0: float, dec0: float) -> np.ndarray:
    """Gnomonic projection about a point; (N, 2) array."""
    difference, d, d0 = np.radians(ra - ra0), np.radians(dec), np.radians(dec0)
    cosine = np.sin(d0) * np.sin(d) + np.cos(d0) * np.cos(d) * np.cos(difference)
    xi = np.cos(d) * np.sin(difference) / cosine
    eta = (np.cos(d0) * np.sin(d) - np.sin(d0) * np.cos(d) * np.cos(difference)) / cosine
    return np.column_stack([xi, eta])


def _brightness(catalog: Table) -> np.ndarray:
    name = "flux" if "flux" in catalog.colnames else flux_columns([catalog])[-1]
    return np.nan_to_num(_values(catalog, name), nan=-np.inf)


def _values(catalog: Table, name: str) -> np.ndarray:
    return np.ma.filled(np.ma.asarray(catalog[name], dtype=float), np.nan)


def _flags(catalog: Table) -> np.ndarray:
    if "flags" in catalog.colnames:
        return np.asarray(catalog["flags"], dtype=int)
    return np.zeros(len(catalog), dtype=int)
