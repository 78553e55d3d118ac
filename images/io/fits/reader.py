"""Read an image from a FITS file: Etendue's own, or what the world has."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ... import provenance
from ...errors import ImageError
from ...flags import PixelFlag
from ...header import Header
from ...planes import Planes
from ...provenance import Activity
from ..content import Content, opened
from .header import Hdu, image_header, scan
from .pixels import EXACT, PixelType, read_pixels
from .table import read_table

if TYPE_CHECKING:
    from .layout import MaskPart, UncertaintyPart

MASK_NAMES = ("MASK", "DQ")
UNCERTAINTY_NAMES = {"UNCERT": "standard_deviation", "ERR": "standard_deviation", "VAR": "variance"}
CCDDATA_KINDS = {"VarianceUncertainty": "variance", "InverseVariance": "inverse_variance"}
"""What astropy's CCDData notes as UTYPE of its UNCERT extension."""

NOT_DATA = {*MASK_NAMES, *UNCERTAINTY_NAMES, "RAW"}
"""Images with these names are not taken for the data unless they are asked for."""


def read_fits(
    source: Path | bytes,
    *,
    name: str | None = None,
    dtype: PixelType = EXACT,
    layout: Any = None,
    data: Any = None,
    mask: Any = None,
    uncertainty: Any = None,
) -> Planes:
    """Read an image from a FITS file.

    The data are the primary image of a file that Etendue wrote, else the extension SCI, else the first image
    with pixels, compressed ones included; of several chips the first, unless `data` says which. Mask and uncertainty
    are the extensions MASK or DQ, and UNCERT, ERR or VAR, with the EXTVER of the data. The table CAT, the image RAW
    and Etendue's PROVENANCE are read if they are there.

    NaN stays NaN and is not added to the mask. A mask of somebody else becomes bool (non-zero is excluded), as their
    bits are not ours; `mask` can say what they mean. Leading axes of length one are left out. Rows are in
    the order of the file: FITS calls the first one the bottom. An image in an extension inherits the cards of
    the primary header.

    Parameters
    ----------
    source : path or bytes
        The file, or its content. gzip, bzip2 and xz around it are unpacked.
    name : str
        What error messages call it.
    dtype : dtype, optional
        Type of data and uncertainty. By default float32, and for files that Etendue wrote the types that were written.
        None keeps the type of the physical values in the file.
    layout : str, mapping or FitsLayout
        What is where: the name of one of :data:`~etendue.images.io.fits.layout.LAYOUTS`, or a description.
    data, mask, uncertainty : int, str, mapping or False
        Parts of the layout: number or name of an extension (``"SCI"``, ``("SCI", 2)``), or a mapping as in
        :mod:`~etendue.images.io.fits.layout`. False leaves mask or uncertainty out.

    Raises
    ------
    ImageError
        The file is not FITS, is damaged or truncated, holds no image, or a mask or uncertainty has another shape.
        The message names the file and the HDU.
    FileNotFoundError
        The file, or a companion file that the layout names, does not exist.
    """
    with opened(source, name) as content:
        hdus = scan(content)
        described = _described(layout, data=data, mask=mask, uncertainty=uncertainty)
        where = data_unit(content, hdus, described.data.extension if described else None)
        pixels = read_pixels(content, where, dtype, squeeze="ETDTYPE" not in where.values)
        if pixels.ndim not in (2, 3):
            raise ImageError(
                f"{content.name}: {where.label} is {pixels.ndim}-dimensional {pixels.shape}; "
                "an image has two axes, a colour image or a movie three"
            )
        planes = Planes(data=pixels, header=image_header(where, hdus[0]), axes=_axes(where, pixels.ndim))
        _restore_axis_card(planes)
        mask_part = described.mask if described else None
        uncertainty_part = described.uncertainty if described else None
        if mask_part is not False:
            planes.mask = _read_mask(content, hdus, where, mask_part, pixels.shape)
        if uncertainty_part is not False:
            _read_uncertainty(planes, content, hdus, where, uncertainty_part, dtype)
        for hdu in hdus:
            if hdu.name == "CAT" and hdu.is_table and planes.catalog is None:
                planes.catalog = read_table(content, hdu)
            elif hdu.name == "RAW" and hdu.has_pixels and hdu is not where:
                planes.raw = read_pixels(content, hdu, EXACT, squeeze="ETDTYPE" not in hdu.values)
        planes.provenance = _read_provenance(content, hdus)
    return planes


def read_fits_header(source: Path | bytes, *, name: str | None = None) -> Header:
    """The header that :func:`read_fits` gives the image of a file, with its NAXIS cards, without reading the pixels.

    Parameters
    ----------
    source : path or bytes
        The file, or its content.
    name : str
        What error messages call it.

    Raises
    ------
    ImageError
        The file is not FITS, is damaged or truncated, or holds no image.
    FileNotFoundError
        There is no such file.
    """
    with opened(source, name) as content:
        hdus = scan(content)
        where = data_unit(content, hdus, None)
    header = image_header(where, hdus[0])
    header["NAXIS"] = len(where.shape)
    for axis, length in enumerate(reversed(where.shape), start=1):
        header[f"NAXIS{axis}"] = length
    return header


# --- which part is where ------------------------------------------------------------------------------------------


def _described(layout: Any, **parts: Any) -> Any:
    if layout is None and all(part is None for part in parts.values()):
        return None
    from .layout import fits_layout

    return fits_layout(layout, **parts)


def data_unit(content: Content, hdus: list[Hdu], extension: int | str | tuple[str, int] | None) -> Hdu:
    if extension is not None:
        return _chosen(content, hdus, extension)
    images = [hdu for hdu in hdus if hdu.has_pixels]
    if not images:
        held = ", ".join(f"{hdu.label}: {hdu.kind}" for hdu in hdus)
        raise ImageError(f"{content.name}: holds no image ({held})")
    if images[0].index == 0 and "ETDTYPE" in images[0].values:
        return images[0]
    named = [hdu for hdu in images if hdu.name == "SCI"]
    others = [hdu for hdu in images if hdu.name not in NOT_DATA]
    return (named or others or images)[0]


def _chosen(content: Content, hdus: list[Hdu], extension: int | str | tuple[str, int]) -> Hdu:
    if isinstance(extension, int):
        found = hdus[extension : extension + 1] if extension >= 0 else []
    else:
        wanted, version = extension if isinstance(extension, tuple) else (extension, None)
        wanted = wanted.strip().upper()
        named = [hdu for hdu in hdus if hdu.name == wanted or (wanted == "PRIMARY" and hdu.index == 0)]
        found = [hdu for hdu in named if version in (None, hdu.version)]
    if not found:
        present = ", ".join(hdu.label for hdu in hdus)
        raise ImageError(f"{content.name}: there is no extension {extension!r}; the file has {present}")
    if not found[0].has_pixels:
        raise ImageError(f"{content.name}: {found[0].label} holds {found[0].kind} and no pixels")
    return found[0]


def customary(hdus: list[Hdu], data: Hdu, names: tuple[str, ...]) -> Hdu | None:
    """The image with one of these names that goes with the data: of several chips, that of the same EXTVER."""
    for name in names:
        for hdu in hdus:
            if hdu.name == name and hdu.has_pixels and hdu is not data and hdu.version == data.version:
                return hdu
    return None


def _read_part(
    content: Content,
    hdus: list[Hdu],
    data: Hdu,
    part: "MaskPart | UncertaintyPart",
    names: tuple[str, ...],
    dtype: PixelType,
    shape: tuple[int, ...],
) -> np.ndarray | None:
    """Values of a part that a layout describes, from this file or from one beside it; None if they may be missing."""
    if part.file is None:
        hdu = _chosen(content, hdus, part.extension) if part.extension is not None else customary(hdus, data, names)
        if hdu is None:
            return None
        return _fitting(content, hdu, dtype, shape)
    if content.path is None:
        raise ImageError(f"{content.name}: the file beside it cannot be found, as it was not read from a file")
    path = part.file.beside(content.path)
    if not path.exists():
        if not part.required:
            return None
        raise FileNotFoundError(f"{path}: the companion file of {content.path.name} does not exist")
    with opened(path) as companion:
        found = scan(companion)
        if part.extension is not None:
            hdu = _chosen(companion, found, part.extension)
        else:
            alike = [hdu for hdu in found if hdu.has_pixels and hdu.name == data.name]
            hdu = alike[0] if alike else data_unit(companion, found, None)
        return _fitting(companion, hdu, dtype, shape)


def _fitting(content: Content, hdu: Hdu, dtype: PixelType, shape: tuple[int, ...]) -> np.ndarray:
    values = read_pixels(content, hdu, dtype, squeeze=hdu.shape != shape)
    if values.shape not in (shape, shape[-2:]):
        raise ImageError(f"{content.name}: {hdu.label} has shape {values.shape}, the data have {shape}")
    return values


# --- mask, uncertainty, provenance, axes --------------------------------------------------------------------------


def _read_mask(
    content: Content, hdus: list[Hdu], data: Hdu, part: "MaskPart | None", shape: tuple[int, ...]
) -> np.ndarray | None:
    if part is not None and part.model_fields_set:
        values = _read_part(content, hdus, data, part, MASK_NAMES, None, shape)
        return None if values is None else part.decode(values)
    hdu = customary(hdus, data, MASK_NAMES)
    if hdu is None:
        return None
    own = "ETDTYPE" in hdu.values
    values = _fitting(content, hdu, EXACT if own else None, shape)
    return values if own and values.dtype.kind != "f" else values != 0


def _read_uncertainty(
    planes: Planes,
    content: Content,
    hdus: list[Hdu],
    data: Hdu,
    part: "UncertaintyPart | None",
    dtype: PixelType,
) -> None:
    assert planes.data is not None
    shape = planes.data.shape
    if part is not None and part.model_fields_set:
        kind = part.kind
        values = _read_part(content, hdus, data, part, tuple(UNCERTAINTY_NAMES), dtype, shape)
    else:
        hdu = customary(hdus, data, tuple(UNCERTAINTY_NAMES))
        if hdu is None:
            return
        kind = CCDDATA_KINDS.get(str(hdu.values.get("UTYPE", "")).strip(), UNCERTAINTY_NAMES[hdu.name])
        values = _fitting(content, hdu, dtype, shape)
    if values is None:
        return
    if kind == "standard_deviation":
        planes.uncertainty = values
        return
    planes.uncertainty, unknown = standard_deviation(values, kind)
    if unknown.any():
        planes.mask = _flagged(planes.mask, unknown)


def standard_deviation(values: np.ndarray, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Standard deviation from variances or inverse variances (weights).

    Parameters
    ----------
    values : array
        What the file holds.
    kind : {"variance", "inverse_variance"}
        What it is.

    Returns
    -------
    uncertainty, unknown : arrays
        1 / sqrt(w) or sqrt(v); infinite where the pixel says nothing (weight zero, negative values, NaN), which
        `unknown` marks.
    """
    values = values if values.dtype.kind == "f" else values.astype(np.float32)
    unknown = ~(values > 0) if kind == "inverse_variance" else ~(values >= 0)
    safe = np.where(unknown, values.dtype.type(1), values)
    sigma = np.sqrt(safe)
    if kind == "inverse_variance":
        np.divide(1, sigma, out=sigma)
    sigma[unknown] = np.inf
    return sigma, unknown


def _flagged(mask: np.ndarray | None, unknown: np.ndarray) -> np.ndarray:
    """The mask with NO_DATA where nothing is known."""
    if mask is None:
        return np.where(unknown, np.uint8(PixelFlag.NO_DATA), np.uint8(0))
    if mask.dtype == bool:
        return mask | unknown
    return mask | np.where(unknown, mask.dtype.type(PixelFlag.NO_DATA), mask.dtype.type(0))


def _read_provenance(content: Content, hdus: list[Hdu]) -> tuple[Activity, ...]:
    for hdu in hdus:
        if hdu.name == "PROVENANCE" and "ETTABLE" in hdu.values:
            try:
                return provenance.from_table(read_table(content, hdu))
            except (ValueError, TypeError) as error:
                raise ImageError(f"{content.name}: the provenance in {hdu.label} is damaged: {error}") from error
    return ()


AXIS_CODE = "FRAME"
AXIS_COMMENT = "etendue: the planes are frames in time"
"""Comment of a CTYPE3 card that the writer added, by which it is recognised and taken away again."""


def _axes(hdu: Hdu, dimensions: int) -> str | None:
    axes = str(hdu.values.get("ETAXES", "")).strip()
    return axes if axes in ("YX", "CYX", "TYX") and len(axes) == dimensions else None


def _restore_axis_card(planes: Planes) -> None:
    header = planes.header
    assert isinstance(header, Header)
    if planes.axes == "TYX" and "CTYPE3" in header and header.comments["CTYPE3"] == AXIS_COMMENT:
        del header["CTYPE3"]
