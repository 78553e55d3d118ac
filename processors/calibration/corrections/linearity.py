"""Linearity correction: make counts proportional to light."""

from typing import Self

import numpy as np
from pydantic import Field, model_validator

from ....images import Image
from ...processor import Processor
from ..units import in_counts


def polynomial_correction(counts: np.ndarray, coefficients: list[float]) -> tuple[np.ndarray, np.ndarray]:
    """Counts x (c0 + c1 counts + c2 counts² + …), and its derivative.

    Parameters
    ----------
    counts : array
        Counts above the bias level [adu].
    coefficients : list of float
        c0, c1, c2 … in powers of 1 / adu; ``[1]`` changes nothing.

    Returns
    -------
    corrected, slope : arrays of float64
        Counts that are proportional to light, and how fast they change with the measured ones.
    """
    polynomial = np.polynomial.Polynomial([0.0, *coefficients])
    values = counts.astype(np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        return polynomial(values), polynomial.deriv()(values)


def table_correction(counts: np.ndarray, table: list[tuple[float, float]]) -> tuple[np.ndarray, np.ndarray]:
    """True counts by linear interpolation in a table, and their derivative.

    Below the first and above the last entry the line of the nearest two entries goes on.

    Parameters
    ----------
    counts : array
        Counts above the bias level [adu].
    table : list of (measured, true)
        At least two entries, measured counts increasing [adu].
    """
    measured, true = np.array(table, dtype=np.float64).T
    slopes = np.diff(true) / np.diff(measured)
    values = counts.astype(np.float64)
    interval = np.clip(np.searchsorted(measured, values, side="right") - 1, 0, len(slopes) - 1)
    slope = slopes[interval]
    with np.errstate(invalid="ignore", over="ignore"):
        return true[interval] + (values - measured[interval]) * slope, slope


class Linearity(Processor):
    """Make counts proportional to light, by a polynomial or a table.

    Both are of counts above the bias level, as linearity is measured: put it after Overscan or Bias, and before Dark.
    The uncertainty is multiplied by the slope of the correction. Saturated pixels cannot be corrected; they are to be
    flagged before (:class:`FlagSaturated`).

    References
    ----------
    Janesick, J. R. 2001, Scientific Charge-Coupled Devices, section 2.2.
    """

    reads = {"data", "uncertainty?"}
    writes = {"data", "uncertainty?", "header.CALLIN"}

    coefficients: list[float] | None = Field(
        None, description="c0, c1, c2 … of: true counts = counts x (c0 + c1 counts + c2 counts² …)", min_length=1
    )
    table: list[tuple[float, float]] | None = Field(
        None, description="pairs of measured and true counts [adu], measured ones increasing", min_length=2
    )

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.coefficients is not None and self.table is not None:
            raise ValueError("give either coefficients or a table, not both")
        if self.table is not None and not (np.diff([measured for measured, _ in self.table]) > 0).all():
            raise ValueError("the measured counts in the table must increase")
        return self

    @property
    def changes_nothing(self) -> bool:
        """Whether neither coefficients nor a table is given."""
        return self.coefficients is None and self.table is None

    def corrected(self, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """True counts, and the slope of the correction, both float64."""
        if self.table is not None:
            return table_correction(counts, self.table)
        return polynomial_correction(counts, self.coefficients or [1.0])

    def process(self, image: Image) -> Image:
        in_counts(image, "Linearity")
        if self.changes_nothing:
            return image
        counts, slope = self.corrected(image.data)
        dtype = np.float64 if image.data.dtype == np.float64 else np.float32
        uncertainty = image.safe_uncertainty
        if uncertainty is not None:
            uncertainty = (uncertainty * np.abs(slope)).astype(dtype)
        linear = image.replace(data=counts.astype(dtype), uncertainty=uncertainty)
        linear.header["CALLIN"] = ("table" if self.table is not None else "polynomial", "linearity correction")
        return linear
