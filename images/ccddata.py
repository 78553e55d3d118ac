"""Exchange with :class:`astropy.nddata.CCDData`, the image of ccdproc and other packages."""

from typing import TYPE_CHECKING

import numpy as np

from .arithmetic import flagged
from .coordinates import celestial_wcs
from .errors import ImageError
from .flags import PixelFlag
from .header import as_header
from .planes import Planes
from .units import unit_name

if TYPE_CHECKING:
    from astropy.nddata import CCDData


def from_ccddata(ccd: "CCDData") -> Planes:
    """The planes of a CCDData.

    The unit goes to the card BUNIT, the WCS to its cards. Any kind of uncertainty becomes one standard deviation;
    a pixel of infinite variance (inverse variance 0) is masked. Flags (`ccd.flags`), where there are any, exclude
    like the mask: integer ones are kept as bits.

    Raises
    ------
    ImageError
        The uncertainty is of a kind without a standard deviation.
    """
    from astropy import units
    from astropy.nddata import StdDevUncertainty

    header = as_header(ccd.header)
    if ccd.unit is not None and ccd.unit != units.dimensionless_unscaled:
        header["BUNIT"] = str(ccd.unit)
    if ccd.wcs is not None:
        for card in ccd.wcs.to_header(relax=True).cards:
            if card.keyword not in ("COMMENT", "HISTORY", "WCSAXES", "DATE-OBS", "MJD-OBS", "DATEREF", "MJDREF"):
                header[card.keyword] = (card.value, card.comment)
    mask = None if ccd.mask is None else np.array(ccd.mask)
    if mask is not None and mask.ndim == 0:
        mask = np.full(ccd.shape, bool(mask))
    flags = None if ccd.flags is None else np.asarray(ccd.flags)
    if flags is not None and flags.shape == ccd.shape and flags.dtype.kind in "biu":
        mask = _with_flags(mask, flags)
    uncertainty = None
    if ccd.uncertainty is not None:
        try:
            with np.errstate(divide="ignore"):
                deviation = ccd.uncertainty.represent_as(StdDevUncertainty)
        except Exception as error:
            raise ImageError(f"the uncertainty {type(ccd.uncertainty).__name__} has no standard deviation") from error
        uncertainty = np.array(deviation.array)
        if (unknown := np.isinf(uncertainty)).any():
            uncertainty[unknown] = np.nan
            mask = flagged(mask, unknown, PixelFlag.NO_DATA)
    return Planes(data=np.array(ccd.data), header=header, mask=mask, uncertainty=uncertainty)


def _with_flags(mask: np.ndarray | None, flags: np.ndarray) -> np.ndarray:
    if flags.dtype == bool:
        return flags.copy() if mask is None else (mask != 0) | flags
    if mask is None:
        return flags.copy()
    return flagged(flags, (mask != 0) & (flags == 0), PixelFlag.OTHER)


def to_ccddata(planes: Planes) -> "CCDData":
    """A CCDData with the unit of BUNIT (adu where the header does not say), mask, standard deviation, WCS and header.

    A mask of flags becomes the CCDData's `flags`, and its non-zero pixels the `mask`.

    Raises
    ------
    ImageError
        There are no pixels, or astropy does not know the unit.
    """
    from astropy import units
    from astropy.io import fits
    from astropy.nddata import CCDData, StdDevUncertainty

    if planes.data is None:
        raise ImageError("the image has no data; a CCDData needs pixels")
    header = fits.Header() if planes.header is None else fits.Header(as_header(planes.header).cards, copy=True)
    name = str(header.get("BUNIT") or "adu").strip()
    try:
        unit = units.Unit(unit_name(name))
    except ValueError:
        raise ImageError(f"header card BUNIT: astropy does not know the unit {name!r}") from None
    mask = planes.mask
    ccd = CCDData(
        planes.data.copy(),
        unit=unit,
        uncertainty=None if planes.uncertainty is None else StdDevUncertainty(planes.uncertainty.copy()),
        mask=None if mask is None else np.broadcast_to(mask != 0, planes.data.shape).copy(),
        header=header,
        wcs=celestial_wcs(header),
    )
    if mask is not None and mask.dtype != bool:
        ccd.flags = np.broadcast_to(mask, planes.data.shape).copy()
    return ccd
