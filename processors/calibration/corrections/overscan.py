"""Overscan correction: take the bias level of each exposure from the pixels that saw no light."""

from typing import Literal

import numpy as np
from pydantic import Field, NonNegativeInt

from ....images import Image, ImageError
from ....images.sections import Amplifier, overscan_sections
from ...processor import Processor
from ..units import in_counts

Method = Literal["median", "mean"]


def overscan_level(strip: np.ndarray, method: Method = "median", *, axis: int = -1) -> np.ndarray:
    """Bias level of each row of an overscan strip.

    Parameters
    ----------
    strip : (..., H, W) array
        Overscan pixels of one amplifier [adu].
    method : {"median", "mean"}
        How the pixels of a row are combined; NaN is left out.
    axis : {-1, -2}
        -1 combines rows; -2 combines columns, for a strip above or below the data.

    Returns
    -------
    (..., H, 1) or (..., 1, W) array
        Levels [adu], ready to be subtracted from the amplifier's data section. float64.

    Raises
    ------
    ImageError
        A row has no usable pixel.
    """
    finite = bool(np.isfinite(strip).all())
    if not finite and not np.isfinite(strip).any(axis=axis).all():
        raise ImageError("a row of the overscan strip has no usable pixel; give another strip")
    pixels = strip.astype(np.float64)
    if method == "mean":
        return (np.mean if finite else np.nanmean)(pixels, axis=axis, keepdims=True)
    return (np.median if finite else np.nanmedian)(pixels, axis=axis, keepdims=True)


def smooth_level(level: np.ndarray, order: int, *, axis: int = -2, rounds: int = 3, limit: float = 3.0) -> np.ndarray:
    """A polynomial through the levels of all rows, without those that stand out.

    Parameters
    ----------
    level : (..., H, 1) or (..., 1, W) array
        Levels of single rows or columns.
    order : int
        Order of the polynomial; 0 is one level for all.
    axis : {-2, -1}
        The axis along which the levels change.
    rounds, limit : int, float
        How often, and beyond how many standard deviations, rows are left out.

    Returns
    -------
    array of the shape of `level`
        The polynomial.
    """
    levels = np.moveaxis(level, axis, -1)
    lines = levels.reshape(-1, levels.shape[-1])
    position = np.linspace(-1, 1, lines.shape[1]) if lines.shape[1] > 1 else np.zeros(1)
    fitted = np.empty_like(lines)
    for line, out in zip(lines, fitted, strict=True):
        used = np.ones(line.size, dtype=bool)
        for _ in range(rounds + 1):
            fit = np.polynomial.legendre.legfit(position[used], line[used], min(order, int(used.sum()) - 1))
            out[:] = np.polynomial.legendre.legval(position, fit)
            distance = np.abs(line - out)
            kept = distance <= limit * 1.4826 * np.median(distance[used]) + 1e-9
            if kept.sum() <= order or (kept == used).all():
                break
            used = kept
    return np.moveaxis(fitted.reshape(levels.shape), -1, axis)


def amplifier_level(
    data: np.ndarray, amplifier: Amplifier, *, method: Method = "median", order: int | None = None
) -> tuple[np.ndarray, float]:
    """Bias level of one amplifier, and the variance of that level.

    Parameters
    ----------
    data : (..., H, W) array
        The whole frame [adu].
    amplifier : Amplifier
        Its overscan strip stands beside its data (a level for each row), or above or below (one for each column).
    method, order
        See :func:`overscan_level` and :func:`smooth_level`; no order takes each row by itself.

    Returns
    -------
    level : (..., h, 1) or (..., 1, w) array
        What to subtract from the pixels of ``amplifier.data`` [adu].
    variance : float
        Variance of the level [adu²], from the scatter of the strip.

    Raises
    ------
    ImageError
        The strip covers neither all rows nor all columns of the data.
    """
    strip, area = amplifier.overscan, amplifier.data
    if strip is None:
        raise ImageError(f"the amplifier of the pixels {area} has no overscan strip")
    if strip.y0 <= area.y0 and strip.y1 >= area.y1:
        pixels = data[..., area.y0 : area.y1, strip.x0 : strip.x1]
        along, across = -1, -2
    elif strip.x0 <= area.x0 and strip.x1 >= area.x1:
        pixels = data[..., strip.y0 : strip.y1, area.x0 : area.x1]
        along, across = -2, -1
    else:
        raise ImageError(f"the overscan strip {strip} covers neither all rows nor all columns of the pixels {area}")
    level = overscan_level(pixels, method, axis=along)
    scatter = 1.4826 * float(np.nanmedian(np.abs(pixels - level)))
    variance = scatter**2 / pixels.shape[along] * (np.pi / 2 if method == "median" else 1.0)
    if order is not None:
        rows = level.shape[across]
        level = smooth_level(level, order, axis=across)
        variance *= min((order + 1) / rows, 1.0)
    return level, variance


class Overscan(Processor):
    """Subtract the level of the overscan strip, row by row, for each amplifier.

    The strips are found in the header (BIASSEC and DATASEC, numbered where there are several amplifiers) unless they
    are given. They are kept as they are; :class:`Trim` removes them. A strip above or below the data gives a level
    for each column. The error of the level itself (read noise / sqrt(W)) is added to the uncertainty, if there is one.

    The header gets CALOSCAN, the median level.

    References
    ----------
    Howell, S. B. 2006, Handbook of CCD Astronomy, 2nd ed., section 3.3.
    """

    reads = {"data", "uncertainty?", "header.BIASSEC?", "header.DATASEC?"}
    writes = {"data", "uncertainty?", "header.CALOSCAN"}

    amplifiers: list[Amplifier] | None = Field(None, description="data and overscan sections; None takes the header's")
    method: Method = Field("median", description="how the pixels of a row are combined")
    order: NonNegativeInt | None = Field(
        None, description="order of a polynomial through the rows' levels; None takes each row's own"
    )

    def process(self, image: Image) -> Image:
        in_counts(image, "Overscan")
        amplifiers = overscan_sections(image.header, self.amplifiers)
        if not amplifiers:
            raise ImageError(
                f"{image.label}: no overscan strip: the header has no BIASSEC and no amplifier with one is configured"
            )
        data = image.data.astype(np.float64 if image.data.dtype == np.float64 else np.float32)
        uncertainty = None if image.safe_uncertainty is None else image.uncertainty.astype(np.float32)
        levels = []
        for amplifier in amplifiers:
            level, variance = amplifier_level(image.data, amplifier, method=self.method, order=self.order)
            data[..., *amplifier.data.slices] -= level
            levels.append(float(np.median(level)))
            if uncertainty is not None:
                part = uncertainty[..., *amplifier.data.slices]
                np.sqrt(part * part + np.float32(variance), out=part)
        corrected = image.replace(data=data, uncertainty=uncertainty)
        mark_overscan(corrected, levels)
        return corrected


def mark_overscan(image: Image, levels: list[float]) -> None:
    """Write into the header that the overscan is subtracted, and how much it was."""
    image.header["CALOSCAN"] = (round(float(np.median(levels)), 3), "[adu] overscan level, subtracted")
