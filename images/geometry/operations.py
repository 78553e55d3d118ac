"""The operations: pixels, mask, uncertainty, raw pixels, catalogue and header in, all of them moved out."""

import dataclasses
import math
from collections.abc import Callable
from typing import Literal

import numpy as np

from ..arithmetic import flagged
from ..errors import ImageError
from ..flags import PixelFlag
from ..header import as_header
from ..planes import Planes
from ..sections import Section, header_section
from .header import change_readout, cut_detector_section, moved_header, multiply_binning
from .mapping import PixelMap, move_catalog
from .pixels import block_sums, shifted


def trim(planes: Planes) -> Planes:
    """Cut to the header's TRIMSEC, which is removed together with DATASEC and BIASSEC; without it nothing happens.

    Raw pixels are cut alike if they have the size of the data before; raw pixels of another size stay whole.

    Raises
    ------
    ImageError
        TRIMSEC is malformed, or reaches outside the image.
    """
    header = as_header(planes.header)
    section = header_section(header, "TRIMSEC")
    if section is None:
        return planes
    shape = _shape(planes)
    if not section.fits_in(shape):
        raise ImageError(f"header card TRIMSEC {section} reaches outside the image of {_size(shape)} pixels")
    trimmed = crop(planes, section)
    header = as_header(trimmed.header)
    for key in ("TRIMSEC", "DATASEC", "BIASSEC"):
        header.remove(key, ignore_missing=True, remove_all=True)
    return dataclasses.replace(trimmed, header=header)


def crop(planes: Planes, section: Section) -> Planes:
    """Cut out a section; sources outside are dropped.

    Raises
    ------
    ImageError
        The section reaches outside the image.
    """
    shape = _shape(planes)
    if not section.fits_in(shape):
        raise ImageError(f"section {section} reaches outside the image of {_size(shape)} pixels")
    if section.shape == shape:
        return planes
    move = PixelMap(shift_x=-section.x0, shift_y=-section.y0)
    header = as_header(planes.header)
    cut_detector_section(header, section, shape)
    planes = dataclasses.replace(planes, header=header)
    return _moved(planes, move, section.shape, lambda values: values[..., *section.slices].copy())


def flip(planes: Planes, *, x: bool = False, y: bool = False) -> Planes:
    """Mirror: `x` exchanges left and right, `y` exchanges bottom and top."""
    if not x and not y:
        return planes
    height, width = _shape(planes)
    move = PixelMap(
        scale_x=-1.0 if x else 1.0,
        shift_x=width - 1.0 if x else 0.0,
        scale_y=-1.0 if y else 1.0,
        shift_y=height - 1.0 if y else 0.0,
    )
    order = (slice(None, None, -1 if y else 1), slice(None, None, -1 if x else 1))
    return _moved(planes, move, (height, width), lambda values: np.ascontiguousarray(values[..., *order]))


def shift(planes: Planes, dx: int, dy: int) -> Planes:
    """Move the content by whole pixels, `dx` to larger columns and `dy` to larger rows; the size stays.

    What comes in from outside is NaN (0 in integer pixels) and masked: True in a mask of bool, otherwise
    :attr:`PixelFlag.NO_DATA`. Sources that leave the image are dropped.

    Raises
    ------
    ImageError
        The shift is not a whole number of pixels.
    """
    if not (math.isfinite(dx) and math.isfinite(dy) and int(dx) == dx and int(dy) == dy):
        raise ImageError(f"images are shifted by whole pixels, not by ({dx}, {dy})")
    dx, dy = int(dx), int(dy)
    if not dx and not dy:
        return planes
    shape = _shape(planes)

    def move_pixels(values: np.ndarray) -> np.ndarray:
        return shifted(values, dx, dy, np.nan if values.dtype.kind == "f" else 0)

    moved = _moved(planes, PixelMap(shift_x=dx, shift_y=dy), shape, move_pixels)
    outside = shifted(np.zeros(shape, dtype=bool), dx, dy, True)
    moved.mask = flagged(moved.mask, outside, PixelFlag.NO_DATA)
    return moved


def bin_blocks(planes: Planes, factor: int, *, method: Literal["mean", "sum"] = "mean") -> Planes:
    """Combine blocks of `factor` × `factor` pixels; incomplete blocks at the upper and right end are cut off.

    Masked and NaN pixels are left out. The sum of a block with pixels left out is scaled to the whole block, as if
    they were like the others. A block with no pixel left is NaN and masked, with all the flags of its pixels and
    :attr:`PixelFlag.NO_DATA`; any other block is not masked. Errors of pixels are taken as uncorrelated:
    sqrt(Σ σ²) / n for the mean of n pixels. Raw pixels are combined in the same way, but without the mask.

    XBINNING and YBINNING (or their synonyms) are multiplied; gain, read noise, saturation, pedestal and zero point
    become those of the new pixels (see :func:`.header.change_readout`). Fluxes in the catalogue remain as measured.

    Raises
    ------
    ImageError
        The image is smaller than one block.
    ValueError
        The factor is not a positive integer, or the method is unknown.
    """
    if not (math.isfinite(factor) and factor >= 1 and int(factor) == factor):
        raise ValueError(f"the binning factor must be a positive integer, not {factor}")
    if method not in ("mean", "sum"):
        raise ValueError(f"blocks can be combined by 'mean' or 'sum', not {method!r}")
    factor = int(factor)
    if factor == 1:
        return planes
    height, width = (length // factor for length in _shape(planes))
    if not height or not width:
        raise ImageError(f"an image of {_size(_shape(planes))} pixels cannot be binned by {factor}")
    whole = crop(planes, Section(0, width * factor, 0, height * factor))
    data, mask, uncertainty = _combined(_pixels(whole), whole.mask, whole.uncertainty, factor, method)
    move = PixelMap.binning(factor)
    header = moved_header(whole.header, move, (height, width))
    multiply_binning(header, factor)
    change_readout(header, factor * factor, method=method)
    raw = whole.raw
    if raw is not None and _follows(planes.raw, planes.data):
        raw = _combined(raw, None, None, factor, method)[0]
    return dataclasses.replace(
        whole,
        data=data,
        header=header,
        mask=mask,
        uncertainty=uncertainty,
        catalog=None if whole.catalog is None else move_catalog(whole.catalog, move, (height, width)),
        raw=raw,
    )


def _combined(
    data: np.ndarray, mask: np.ndarray | None, uncertainty: np.ndarray | None, factor: int, method: str
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
    """Data, mask and uncertainty of blocks."""
    dtype = np.float64 if data.dtype == np.float64 else np.float32
    size = factor * factor
    good = np.isfinite(data) if data.dtype.kind == "f" else np.ones(data.shape, dtype=bool)
    if mask is not None:
        good &= mask == 0
    if good.ndim == 3 and (good == good[:1]).all():
        good = good[0]  # the same in all planes, so that mask and uncertainty keep one plane
    whole = bool(good.all())
    count = np.full((), size, dtype=np.float64) if whole else block_sums(good, factor, factor)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where(count > 0, (1 if method == "mean" else size) / count, np.nan)
        total = block_sums(data if whole else np.where(good, data, 0), factor, factor)
        combined = (total * share).astype(dtype)
        error = None
        if uncertainty is not None:
            variance = np.square(uncertainty, dtype=np.float64)
            total = block_sums(variance if whole else np.where(good, variance, 0), factor, factor)
            error = (np.sqrt(total) * share).astype(uncertainty.dtype if uncertainty.dtype.kind == "f" else dtype)
    return combined, _mask_of_blocks(mask, count == 0, factor, combined.shape), error


def _mask_of_blocks(
    mask: np.ndarray | None, empty: np.ndarray, factor: int, shape: tuple[int, ...]
) -> np.ndarray | None:
    if mask is None:
        return empty if empty.any() else None
    if empty.ndim == 0:
        return np.zeros((*mask.shape[:-2], *shape[-2:]), dtype=mask.dtype)
    if mask.dtype == bool:
        return empty
    lead, (height, width) = mask.shape[:-2], shape[-2:]
    reasons = np.bitwise_or.reduce(mask.reshape(*lead, height, factor, width, factor), axis=(-3, -1))
    return flagged(np.where(empty, reasons, 0).astype(mask.dtype), empty, PixelFlag.NO_DATA)


def _moved(
    planes: Planes, move: PixelMap, shape: tuple[int, int], move_pixels: Callable[[np.ndarray], np.ndarray]
) -> Planes:
    """All planes through the same move; `shape` is (H, W) of the result."""

    def moved_plane(values: np.ndarray | None) -> np.ndarray | None:
        return None if values is None else move_pixels(values)

    return dataclasses.replace(
        planes,
        data=moved_plane(planes.data),
        header=moved_header(planes.header, move, shape),
        mask=moved_plane(planes.mask),
        uncertainty=moved_plane(planes.uncertainty),
        catalog=None if planes.catalog is None else move_catalog(planes.catalog, move, shape),
        raw=moved_plane(planes.raw) if _follows(planes.raw, planes.data) else planes.raw,
    )


def _follows(raw: np.ndarray | None, data: np.ndarray | None) -> bool:
    """Whether raw pixels are those of the same part of the detector."""
    return raw is not None and data is not None and raw.shape[-2:] == data.shape[-2:]


def _pixels(planes: Planes) -> np.ndarray:
    if planes.data is None:
        raise ImageError("the image has no data: there is nothing to move")
    return planes.data


def _shape(planes: Planes) -> tuple[int, int]:
    height, width = _pixels(planes).shape[-2:]
    return height, width


def _size(shape: tuple[int, int]) -> str:
    return f"{shape[1]} x {shape[0]}"
