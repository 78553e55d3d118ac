"""The columns of catalogues: names, types, units and meaning.

Every detector and photometer uses the columns of :data:`COLUMNS`, so that a step can be exchanged for another.
Lengths are in pixels, positions are 0-based with the centre of the first pixel at (0, 0), angles are in degrees
from the x axis towards the y axis.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from astropy.table import Column as TableColumn
from astropy.table import MaskedColumn, Table

Role = Literal["x", "y", "length", "angle", "ra", "dec", "flux", "magnitude", "other"]


@dataclass(frozen=True, slots=True)
class Column:
    """What a catalogue column holds.

    Attributes
    ----------
    unit : str
        Its unit; ``"flux"`` stands for the unit of the image's pixels.
    dtype : str
        Its numpy type.
    description : str
        One line.
    role : str
        What geometry does to it: positions are moved, lengths scaled, angles mirrored; all else stays.
    """

    unit: str
    dtype: str
    description: str
    role: Role = "other"


COLUMNS: dict[str, Column] = {
    "id": Column("", "int32", "number of the source in this catalogue, from 1"),
    "x": Column("pix", "float64", "column of the centroid, 0-based", "x"),
    "y": Column("pix", "float64", "row of the centroid, 0-based", "y"),
    "x_err": Column("pix", "float64", "standard deviation of x", "length"),
    "y_err": Column("pix", "float64", "standard deviation of y", "length"),
    "xwin": Column("pix", "float64", "column of the Gaussian-windowed centroid, 0-based", "x"),
    "ywin": Column("pix", "float64", "row of the Gaussian-windowed centroid, 0-based", "y"),
    "xpeak": Column("pix", "int32", "column of the brightest pixel, 0-based", "x"),
    "ypeak": Column("pix", "int32", "row of the brightest pixel, 0-based", "y"),
    "xmin": Column("pix", "int32", "first column of the source's pixels, 0-based", "x"),
    "xmax": Column("pix", "int32", "last column of the source's pixels, 0-based", "x"),
    "ymin": Column("pix", "int32", "first row of the source's pixels, 0-based", "y"),
    "ymax": Column("pix", "int32", "last row of the source's pixels, 0-based", "y"),
    "ra": Column("deg", "float64", "right ascension, ICRS", "ra"),
    "dec": Column("deg", "float64", "declination, ICRS", "dec"),
    "flux": Column("flux", "float64", "best estimate of the total flux", "flux"),
    "flux_err": Column("flux", "float64", "standard deviation of flux", "flux"),
    "snr": Column("", "float64", "signal-to-noise ratio of flux"),
    "mag": Column("mag", "float64", "magnitude of flux", "magnitude"),
    "mag_err": Column("mag", "float64", "standard deviation of mag", "magnitude"),
    "peak": Column("flux", "float64", "brightest pixel, above the background", "flux"),
    "background": Column("flux", "float64", "background at the source, per pixel", "flux"),
    "sharpness": Column("", "float64", "brightest pixel above its neighbours, relative to the fitted peak"),
    "roundness": Column("", "float64", "difference of the widths along x and y, relative to their mean; 0 is round"),
    "a": Column("pix", "float64", "semi-major axis: the larger standard deviation of the profile", "length"),
    "b": Column("pix", "float64", "semi-minor axis: the smaller standard deviation of the profile", "length"),
    "theta": Column("deg", "float64", "angle of the major axis from x towards y, -90 to 90", "angle"),
    "ellipticity": Column("", "float64", "1 - b / a"),
    "elongation": Column("", "float64", "a / b"),
    "fwhm": Column("pix", "float64", "full width at half maximum", "length"),
    "npix": Column("", "int32", "number of pixels above the threshold"),
    "kron_radius": Column("", "float64", "Kron radius in units of a and b"),
    "flux_auto": Column("flux", "float64", "flux in the Kron ellipse", "flux"),
    "flux_auto_err": Column("flux", "float64", "standard deviation of flux_auto", "flux"),
    "mag_auto": Column("mag", "float64", "magnitude of flux_auto", "magnitude"),
    "mag_auto_err": Column("mag", "float64", "standard deviation of mag_auto", "magnitude"),
    "flux_radius_25": Column("pix", "float64", "radius of the circle that holds 25 % of flux_auto", "length"),
    "flux_radius_50": Column("pix", "float64", "radius of the circle that holds half of flux_auto", "length"),
    "flux_radius_75": Column("pix", "float64", "radius of the circle that holds 75 % of flux_auto", "length"),
    "flags": Column("", "int32", "bits of the detection or measurement; 0 is clean"),
}
"""The columns of catalogues, in the order in which they are written."""

FAMILIES: dict[str, Column] = {
    "flux_aper": Column("flux", "float64", "flux in aperture {k}, background subtracted", "flux"),
    "flux_err_aper": Column("flux", "float64", "standard deviation of flux_aper_{k}", "flux"),
    "background_aper": Column("flux", "float64", "background around aperture {k}, per pixel", "flux"),
    "area_aper": Column("", "float64", "unmasked pixels in aperture {k}"),
    "flags_aper": Column("", "int32", "bits of the measurement in aperture {k}; 0 is clean"),
    "mag_aper": Column("mag", "float64", "magnitude of flux_aper_{k}", "magnitude"),
    "mag_err_aper": Column("mag", "float64", "standard deviation of mag_aper_{k}", "magnitude"),
}
"""Columns that exist once for each aperture: ``flux_aper_1``, ``flux_aper_2`` …; the number comes last.

The radius [pix] of the aperture is in the column's meta, under ``radius``.
"""

FAMILY_MEMBER = re.compile(r"(?P<family>[a-z_]+)_(?P<k>[1-9]\d*)")


def column_named(name: str) -> Column | None:
    """What the table of columns says about a name, members of families included; None if it does not know it."""
    if name in COLUMNS:
        return COLUMNS[name]
    found = FAMILY_MEMBER.fullmatch(name)
    if found is None or found["family"] not in FAMILIES:
        return None
    family = FAMILIES[found["family"]]
    return Column(family.unit, family.dtype, family.description.format(k=found["k"]), family.role)


def aperture_column(family: str, k: int) -> str:
    """Name of a family's column for aperture `k` = 1, 2, …: ``aperture_column("flux_aper", 1)`` is ``flux_aper_1``.

    Raises
    ------
    ValueError
        There is no such family, or `k` is not positive.
    """
    if family not in FAMILIES:
        raise ValueError(f"no family of aperture columns is called {family!r}; there are {', '.join(FAMILIES)}")
    if k < 1:
        raise ValueError(f"apertures are counted from 1, not {k}")
    return f"{family}_{k}"


def make_catalog(
    columns: Mapping[str, Any] | None = None,
    /,
    *,
    unit: str = "adu",
    units: Mapping[str, str] | None = None,
    radii: Mapping[int, float] | None = None,
    **more: Any,
) -> Table:
    """A catalogue whose known columns have their type, unit, description and place.

    Parameters
    ----------
    columns, **more : sequences of N values
        The columns, by name; None leaves one out. Names that :data:`COLUMNS` does not know come last.
    unit : str
        Unit of fluxes: that of the pixels.
    units : mapping
        Units of columns that are not in :data:`COLUMNS`.
    radii : mapping of int to float
        Radius of each aperture [pix], by its number from 1.

    Returns
    -------
    astropy.table.Table
        N rows.

    Raises
    ------
    ValueError
        The columns have different lengths.
    """
    given = {name: values for name, values in {**(columns or {}), **more}.items() if values is not None}
    if len({len(values) for values in given.values()}) > 1:
        lengths = ", ".join(f"{name} {len(values)}" for name, values in given.items())
        raise ValueError(f"the columns of a catalogue must have the same length: {lengths}")
    table = Table()
    for name in sorted(given, key=_place):
        values, known = given[name], column_named(name)
        if known is None:
            table[name] = values
            if units and name in units:
                table[name].unit = units[name]
            continue
        masked = isinstance(values, np.ma.MaskedArray)
        kind = MaskedColumn if masked else TableColumn
        values = np.ma.asarray(values).astype(known.dtype) if masked else np.asarray(values).astype(known.dtype)
        column = kind(values, name=name, unit=_unit(known, unit), description=known.description)
        found = FAMILY_MEMBER.fullmatch(name)
        if radii and name not in COLUMNS and found and int(found["k"]) in radii:
            column.meta["radius"] = float(radii[int(found["k"])])
        table.add_column(column, copy=False)
    return table


def _unit(column: Column, flux_unit: str) -> str | None:
    return flux_unit if column.unit == "flux" else (column.unit or None)


def _place(name: str) -> tuple[int, int]:
    """Where a column stands: known ones in their order, then apertures one after the other, then the rest."""
    if name in COLUMNS:
        return 0, list(COLUMNS).index(name)
    found = FAMILY_MEMBER.fullmatch(name)
    if found and found["family"] in FAMILIES:
        return 1, int(found["k"]) * len(FAMILIES) + list(FAMILIES).index(found["family"])
    return 2, 0
