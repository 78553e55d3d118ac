"""Pixels and the sky: the one place where 0-based and FITS's 1-based coordinates meet.

Everywhere in Etendue the centre of the first pixel is (0, 0); in FITS headers it is (1, 1).
"""

import functools
import math
import re
from typing import TYPE_CHECKING, Any, TypeVar

from .errors import ImageError
from .header import card_value
from .quiet import quiet

if TYPE_CHECKING:
    import numpy as np
    from astropy.io import fits
    from astropy.wcs import WCS

Number = TypeVar("Number", float, "np.ndarray")

ARCSEC = {"deg": 3600.0, "degree": 3600.0, "arcmin": 60.0, "arcsec": 1.0, "rad": math.degrees(1) * 3600, "mas": 1e-3}
"""Length of a CUNIT [arcsec]."""

LONGITUDES = ("RA--", "GLON", "ELON", "HLON", "SLON")
LATITUDES = ("DEC-", "GLAT", "ELAT", "HLAT", "SLAT")

WCS_CARD = re.compile(
    r"WCSAXES|(CTYPE|CRPIX|CRVAL|CDELT|CUNIT|CROTA)\d|(CD|PC)\d_\d|(PV|PS)\d_\d+|LONPOLE|LATPOLE|RADESYS|RADECSYS"
    r"|EQUINOX|EPOCH|MJD-OBS|DATE-OBS|(A|B|AP|BP)_(\d+_\d+|ORDER)|WAT\d_\d{3}|NAXIS[123]?|CTYPE\d"
)


def from_fits(position: Number) -> Number:
    """0-based pixel coordinates of FITS's 1-based ones."""
    return position - 1


def to_fits(position: Number) -> Number:
    """FITS's 1-based pixel coordinates of 0-based ones."""
    return position + 1


def celestial_wcs(header: "fits.Header") -> "WCS | None":
    """The celestial coordinate system that a header describes, or None.

    Sloppy headers are read as far as they make sense, without warnings. The result is the caller's own.
    Its high-level methods (``pixel_to_world``) count pixels from 0, like everything here.

    Raises
    ------
    ImageError
        The header describes celestial coordinates that cannot be computed (a singular matrix, an unknown projection).

    References
    ----------
    Calabretta, M. R. & Greisen, E. W. 2002, A&A 395, 1077.
    Shupe, D. L. et al. 2005, ASP Conf. Ser. 347, 491 (SIP).
    """
    if not has_celestial_wcs(header):
        return None
    cards = tuple((key, card_value(header, key)) for key in header if WCS_CARD.fullmatch(key))
    with quiet():  # astropy, too, changes the warnings of the process while it copies
        return _parsed(cards).deepcopy()


def has_celestial_wcs(header: "fits.Header") -> bool:
    """Whether two axes of the header are celestial and have a reference value; costs microseconds."""
    kinds = set()
    for axis in "123":
        ctype = card_value(header, f"CTYPE{axis}")
        if isinstance(ctype, str) and isinstance(card_value(header, f"CRVAL{axis}"), int | float):
            start = ctype.strip().upper()[:4]
            kinds |= {"longitude"} if start in LONGITUDES or start[1:] == "LON" or start == "RA" else set()
            kinds |= {"latitude"} if start in LATITUDES or start[1:] == "LAT" or start == "DEC" else set()
    return len(kinds) == 2


@functools.lru_cache(maxsize=64)
def _parsed(cards: tuple[tuple[str, Any], ...]) -> "WCS":
    from astropy.io import fits
    from astropy.wcs import WCS

    header = fits.Header()
    for key, value in cards:
        if value is not None:
            header[key] = value
    _refuse_singular(header)
    if "A_ORDER" in header and "B_ORDER" in header:
        for key in ("CTYPE1", "CTYPE2"):
            if str(header.get(key, "")).strip().endswith("-TAN"):
                header[key] = f"{header[key].strip()}-SIP"
    try:
        with quiet():
            wcs = WCS(header, fix=True).celestial
            wcs.wcs.set()
            return wcs
    except Exception as error:  # wcslib's and astropy's errors have no common class
        raise ImageError(f"the header's celestial coordinates cannot be used: {_first_line(error)}") from error


def _refuse_singular(header: "fits.Header") -> None:
    """wcslib quietly replaces what is 0 by 1, which is right for absent axes only."""
    matrix = _pixel_matrix(header)
    if matrix is not None and matrix[0][0] * matrix[1][1] == matrix[0][1] * matrix[1][0]:
        raise ImageError(
            "the header's celestial coordinates cannot be used: the CD or PC matrix is singular, or CDELT is 0; "
            "remove CTYPE1 and CTYPE2, or solve the field again"
        )


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


def pixel_scale(header: "fits.Header") -> float | None:
    """Side of a pixel on the sky [arcsec/px]: the square root of its area, so that it does not depend on rotation.

    A CD matrix goes before PC and CDELT. Where the header speaks of the first axis only, pixels are taken as square.
    None where the header says nothing, or its axes are not celestial; also where CDELT is 1 or more without a CTYPE,
    as in many raw frames: that counts pixels, not degrees.

    Raises
    ------
    ImageError
        A card that is needed holds no number.
    """
    ctype = str(card_value(header, "CTYPE1") or "").strip().upper()
    if ctype and not has_axes_on_sky(ctype):
        return None
    matrix = _pixel_matrix(header)
    if matrix is None:
        return None
    (a, b), (c, d) = matrix
    area = abs(a * d - b * c)
    scale = math.sqrt(area) if area > 0 else max(math.hypot(a, c), math.hypot(b, d))
    if not ctype and scale >= 1 and not any(key.startswith(("CD1_", "CD2_", "CUNIT")) for key in header):
        return None
    unit = ARCSEC.get(str(card_value(header, "CUNIT1") or "deg").strip().lower(), 3600.0)
    return scale * unit or None


def _pixel_matrix(header: "fits.Header") -> tuple[tuple[float, float], tuple[float, float]] | None:
    """World coordinates per pixel of the first two axes; None where the header says nothing."""
    if any(f"CD{i}_{j}" in header for i in "12" for j in "12"):
        return (
            (_number(header, "CD1_1", 0.0), _number(header, "CD1_2", 0.0)),
            (_number(header, "CD2_1", 0.0), _number(header, "CD2_2", 0.0)),
        )
    if "CDELT1" not in header and "CDELT2" not in header and "PC1_1" not in header:
        return None
    first = _number(header, "CDELT1", _number(header, "CDELT2", 1.0))
    second = _number(header, "CDELT2", first)
    return (
        (first * _number(header, "PC1_1", 1.0), first * _number(header, "PC1_2", 0.0)),
        (second * _number(header, "PC2_1", 0.0), second * _number(header, "PC2_2", 1.0)),
    )


def has_axes_on_sky(ctype: str) -> bool:
    """Whether a CTYPE names a celestial longitude or latitude (equatorial, galactic, helioprojective …)."""
    start = ctype.strip().upper()[:4]
    return start in ("RA", "DEC", "RA--", "DEC-") or start[1:] in ("LON", "LAT") or start[2:] in ("LN", "LT")


def _number(header: "fits.Header", key: str, default: float) -> float:
    value = card_value(header, key)
    if value is None:
        return default
    try:
        return float(value)
    except (TypeError, ValueError):
        raise ImageError(f"header card {key} must be a number, not {value!r}") from None
