"""Arithmetic between images: pixels, their errors and their masks together."""

from typing import Any

import numpy as np
from astropy.io import fits

from .errors import ImageError
from .flags import PixelFlag
from .header import as_header
from .planes import Planes
from .units import COUNTS, unit_name

THIRD_AXIS = {"NAXIS3", "CTYPE3", "CRPIX3", "CRVAL3", "CDELT3", "CUNIT3", "CNAME3", "CROTA3"} | {
    f"{matrix}{i}_{j}" for matrix in ("CD", "PC") for i in "123" for j in "123" if "3" in (i, j)
}


def combine(operation: np.ufunc, left: Planes, right: Planes) -> Planes:
    """The sum, difference, product or quotient of two images, or of an image and an array or a number.

    Errors are taken as Gaussian, uncorrelated between the operands, and to first order; an operand without
    uncertainty counts as free of error. What is masked in either operand is masked in the result, with the flags
    of both. A pixel that has no result (division by zero, overflow) becomes NaN and is masked: True in a mask of
    bool, :attr:`PixelFlag.NO_DATA` in one of flags. NaN pixels stay NaN.

    Parameters
    ----------
    operation : {numpy.add, numpy.subtract, numpy.multiply, numpy.divide}
        What to compute.
    left, right : Planes
        The operands; `data` of one may be a number (an array of no dimension). One of (H, W) goes with each
        plane of one of (N, H, W).

    Returns
    -------
    Planes
        `data`, `mask` and `uncertainty` of the result. Pixels are float32, or float64 if an operand's are;
        integers become float32 first, so that unsigned ones do not wrap.

    Raises
    ------
    ImageError
        An operand has no pixels, or the shapes differ.

    References
    ----------
    Bevington, P. R. & Robinson, D. K. 2003, Data Reduction and Error Analysis, 3rd ed., chapter 3.
    """
    if left.data is None or right.data is None:
        raise ImageError("arithmetic needs pixels on both sides")
    _check_shapes(left.data.shape, right.data.shape)
    dtype = np.float64 if any(_is_double(planes.data) for planes in (left, right)) else np.float32
    a, b = (np.asarray(planes.data, dtype=dtype) for planes in (left, right))
    with np.errstate(all="ignore"):
        data = operation(a, b)
        uncertainty = _propagated(operation, a, b, left.uncertainty, right.uncertainty, data)
        mask = combined_masks(left.mask, right.mask)
        if not np.isfinite(data).all():
            lost = ~np.isfinite(data) & ~np.isnan(a) & ~np.isnan(b)
            if lost.any():
                data[lost] = np.nan
                if uncertainty is not None:
                    uncertainty = np.where(lost, np.nan, uncertainty)
                mask = flagged(mask, lost, PixelFlag.NO_DATA)
    return Planes(data=data, mask=mask, uncertainty=uncertainty)


def plain_operand(value: Any) -> np.ndarray:
    """A number or an array as pixels.

    Raises
    ------
    ImageError
        It is something that would lose its meaning: a quantity with a unit, a masked array, or no real numbers.
    """
    if getattr(value, "unit", None) is not None:
        raise ImageError(f"an image has its unit in the header: use the plain number instead of {value.unit}")
    if isinstance(value, np.ma.MaskedArray):
        raise ImageError("a masked array has no place beside an image: make it an Image with its .data and its .mask")
    array = np.asarray(value)
    if array.dtype.kind not in "biuf":
        raise ImageError(f"arithmetic with images needs real numbers, not {array.dtype}")
    return array


def check_units(left: fits.Header, right: fits.Header) -> None:
    """See that counts are not added to electrons. A header without BUNIT goes with any.

    Raises
    ------
    ImageError
        The two headers name different units.
    """
    one, other = (unit_name(str(header.get("BUNIT") or "")) for header in (left, right))
    both_counts = one.lower() in COUNTS and other.lower() in COUNTS
    if one and other and one.lower() != other.lower() and not both_counts:
        raise ImageError(
            f"an image in {one} and one in {other} cannot be added or subtracted: convert one of them first"
        )


def _check_shapes(left: tuple[int, ...], right: tuple[int, ...]) -> None:
    if not left or not right or left == right:
        return
    if {len(left), len(right)} == {2, 3} and left[-2:] == right[-2:]:
        return
    raise ImageError(f"images of different shape cannot be combined: {left} and {right}")


def _is_double(data: np.ndarray | None) -> bool:
    # A number, numpy's own float64 included, does not make float32 images twice as large.
    return data is not None and data.ndim > 0 and data.dtype.kind == "f" and data.dtype.itemsize > 4


def _propagated(
    operation: np.ufunc,
    a: np.ndarray,
    b: np.ndarray,
    error_a: np.ndarray | None,
    error_b: np.ndarray | None,
    result: np.ndarray,
) -> np.ndarray | None:
    """One standard deviation of `operation(a, b)`, or None if both operands are free of error."""
    if error_a is None and error_b is None:
        return None
    if operation in (np.add, np.subtract):
        terms = [error for error in (error_a, error_b) if error is not None]
    elif operation is np.multiply:
        terms = [np.abs(factor) * error for factor, error in ((b, error_a), (a, error_b)) if error is not None]
    elif operation is np.divide:
        inverse = 1 / np.abs(b)
        terms = [error_a * inverse] if error_a is not None else []
        if error_b is not None:
            terms.append(np.abs(result) * inverse * error_b)
    else:
        raise ValueError(f"no rule for the errors of {operation.__name__}")
    error = np.hypot(*terms) if len(terms) == 2 else terms[0]
    return np.asarray(error, dtype=result.dtype)


def combined_masks(left: np.ndarray | None, right: np.ndarray | None) -> np.ndarray | None:
    """Masked in either is masked in the result.

    Two masks of bool give bool, two of flags give the flags of both; where one is of bool, its True becomes
    :attr:`PixelFlag.BAD`. No mask means that nothing is masked.
    """
    if left is None or right is None:
        return left if right is None else right
    if left.dtype != right.dtype:
        if left.dtype == bool:
            left = _as_flags(left, right.dtype)
        elif right.dtype == bool:
            right = _as_flags(right, left.dtype)
        elif np.result_type(left, right).kind == "f":  # uint64 with a signed type
            left, right = left.astype(np.uint64), right.astype(np.uint64)
    return left | right


def _as_flags(mask: np.ndarray, dtype: np.dtype) -> np.ndarray:
    return np.multiply(mask, int(PixelFlag.BAD), dtype=dtype)


def flagged(mask: np.ndarray | None, where: np.ndarray, flag: PixelFlag) -> np.ndarray:
    """A new mask in which the pixels `where` are excluded as well.

    Parameters
    ----------
    mask : array of bool or integer, or None
        The mask so far; without one the new one is of bool.
    where : array of bool
        Pixels to exclude.
    flag : PixelFlag
        The reason; a mask of bool cannot tell it.
    """
    if mask is None:
        return where.copy()
    if mask.dtype == bool:
        return mask | where
    return mask | np.multiply(where, int(flag), dtype=mask.dtype)


def weighted_channels(planes: Planes, weights: tuple[float, ...]) -> Planes:
    """One image from the weighted sum of the channels of a colour image.

    Masked in any channel is masked; errors of the channels are taken as uncorrelated. The header loses the cards
    of the third axis. The raw pixels keep their channels.

    Parameters
    ----------
    planes : Planes
        A colour image, `data` of shape (C, H, W).
    weights : sequence of C numbers
        Weight of each channel; they need not add up to one.

    Returns
    -------
    Planes
        All planes, with float32 `data` of shape (H, W).

    Raises
    ------
    ImageError
        The image has not as many channels as there are weights.
    """
    data = planes.data
    if data is None or data.ndim != 3 or data.shape[0] != len(weights):
        shape = None if data is None else data.shape
        raise ImageError(f"{len(weights)} weights need data of shape ({len(weights)}, H, W), not {shape}")
    shares = np.asarray(weights, dtype=np.float32)
    mask, uncertainty = planes.mask, planes.uncertainty
    if mask is not None and mask.ndim == 3:
        mask = np.bitwise_or.reduce(mask, axis=0)
    if uncertainty is not None:
        if uncertainty.ndim == 3:
            uncertainty = np.sqrt(np.einsum("c,cyx->yx", shares**2, np.square(uncertainty, dtype=np.float32)))
        else:
            uncertainty = (uncertainty * np.sqrt(np.sum(shares**2))).astype(np.float32)
    header = as_header(planes.header)
    for key in THIRD_AXIS.intersection(header):
        del header[key]
    if "WCSAXES" in header:
        header["WCSAXES"] = 2
    return Planes(
        data=np.einsum("c,cyx->yx", shares, data.astype(np.float32, copy=False)),
        header=header,
        mask=mask,
        uncertainty=uncertainty,
        catalog=planes.catalog,
        raw=planes.raw,
        axes="YX",
        provenance=planes.provenance,
    )
