"""The value of one pixel, and where on the sky it is: asked for again and again while a pointer moves."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.io import fits

from ....images import ImageError, PixelFlag
from ....images.coordinates import celestial_wcs
from ....images.io.fits.bands import FitsBands, open_bands
from ..shapes import Pixel
from .opened import PLANES, open_image

if TYPE_CHECKING:
    from astropy.wcs import WCS

EQUATORIAL = ("icrs", "fk5", "fk4")
NOWHERE = (None, None, "")

Value = tuple[list[float | None], int, bool]
"""Values, value of the mask (0: not excluded), and whether the bits of that are ours."""


def image_pixel(*, path: str, id: int, x: float, y: float, plane: str = "data") -> dict[str, bytes]:
    """The value at a position: :class:`Pixel`.

    Parameters
    ----------
    path : str
        The image. Of a plain FITS file one row is read, others are opened as a whole, and remembered.
    id : int
        Its number.
    x, y : float
        The position [px], 0-based.
    plane : {"data", "raw", "uncertainty", "mask"}
        What of the image is told.

    Raises
    ------
    ImageError
        The position is beside the image, or there is no such plane.
    """
    if plane not in PLANES:
        raise ImageError(f"there is no plane '{plane}'")
    column, row = math.floor(x + 0.5), math.floor(y + 0.5)
    header, (values, mask, has_flags) = _looked_up(path, plane, column, row)
    ra, dec, frame = on_the_sky(header, x, y)
    answer = Pixel(
        id=id,
        x=x,
        y=y,
        column=column,
        row=row,
        plane=plane,
        values=values,
        unit=_unit(header) if plane in ("data", "uncertainty") else "",
        excluded=mask != 0,
        flags=[str(flag.name) for flag in PixelFlag if mask & flag] if has_flags else [],
        ra=ra,
        dec=dec,
        frame=frame,
    )
    return {"json": answer.model_dump_json().encode()}


# --- the value ----------------------------------------------------------------------------------------------------


def _looked_up(path: str, plane: str, column: int, row: int) -> tuple[fits.Header, Value]:
    """Header and value. Reading a row is cheap; to open an image as a whole may push out one that others look at."""
    if plane != "raw" and (bands := open_bands(Path(path))) is not None:
        with bands:
            return bands.header, _from_bands(bands, plane, column, row)
    return _from_image(path, plane, column, row)


def _from_bands(bands: FitsBands, plane: str, column: int, row: int) -> Value:
    _check(column, row, bands.shape)
    mask = bands.mask(row, row + 1)
    flags = 0 if mask is None else _flags(mask[0, column], bands.has_flags)
    found = {"data": bands.data, "uncertainty": bands.uncertainty, "mask": bands.mask}[plane](row, row + 1)
    if found is None:
        raise ImageError(f"the image has no {plane}")
    value = flags if plane == "mask" else float(found[0, column])
    return [_finite(value)], flags, bands.has_flags


def _from_image(path: str, plane: str, column: int, row: int) -> tuple[fits.Header, Value]:
    image = open_image(path)
    shown = image.shown(plane)
    _check(column, row, shown.shape)
    mask, header = image.planes.mask, image.planes.header
    if shown.shape[-2:] != image.shown().shape[-2:]:  # raw pixels before they were trimmed: neither is about them
        mask = header = None
    has_flags = mask is not None and mask.dtype.kind in "iu"
    flags = 0 if mask is None else _flags(mask[..., row, column].max(), has_flags)
    values = [flags] if plane == "mask" else [float(value) for value in np.ravel(shown[..., row, column])]
    return fits.Header() if header is None else header, ([*map(_finite, values)], flags, has_flags)


def _check(column: int, row: int, shape: tuple[int, ...]) -> None:
    rows, columns = shape[-2:]
    if not (0 <= column < columns and 0 <= row < rows):
        raise ImageError(
            f"there is no pixel at column {column} and row {row}: the image has {columns} columns and {rows} rows"
        )


def _flags(value: Any, has_flags: bool) -> int:
    return int(value) if has_flags else int(value != 0)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _unit(header: fits.Header) -> str:
    try:
        return str(header.get("BUNIT") or "adu").strip().lower()
    except fits.VerifyError:
        return ""


# --- the sky ------------------------------------------------------------------------------------------------------


def on_the_sky(header: fits.Header, x: float, y: float) -> tuple[float | None, float | None, str]:
    """Right ascension and declination of a position [deg], and what they refer to.

    Coordinates of other systems (galactic) are told as ICRS. Where there are none, or nobody understands them, or the
    projection does not reach the position, there is nothing.

    Parameters
    ----------
    header : Header
        Of the image.
    x, y : float
        The position [px], 0-based.
    """
    try:
        wcs = celestial_wcs(header)
    except ImageError:
        return NOWHERE  # the picture is shown without coordinates
    if wcs is None:
        return NOWHERE
    ra, dec, frame = next(_positions(wcs, x, y), NOWHERE)
    if ra is None or dec is None or not (math.isfinite(ra) and math.isfinite(dec)):
        return NOWHERE
    return ra % 360.0, dec, frame


def _positions(wcs: "WCS", x: float, y: float) -> Iterator[tuple[float, float, str]]:
    from astropy.coordinates import SkyCoord
    from astropy.wcs.utils import wcs_to_celestial_frame

    world = wcs.all_pix2world(x, y, 0)
    longitude, latitude = float(world[wcs.wcs.lng]), float(world[wcs.wcs.lat])
    try:
        frame = wcs_to_celestial_frame(wcs)
    except ValueError:  # of the Sun or a planet
        return
    if frame.name in EQUATORIAL:
        yield longitude, latitude, frame.name
        return
    if math.isfinite(longitude) and math.isfinite(latitude):
        place = SkyCoord(longitude, latitude, unit="deg", frame=frame).icrs
        yield float(place.ra.deg), float(place.dec.deg), "icrs"
