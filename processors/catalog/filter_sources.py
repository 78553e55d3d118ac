"""Keep the sources of a catalogue that are good enough for what comes next."""

import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from astropy.table import Table
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, field_validator

from ...images import Image, ImageError
from ...images.flags import SourceFlag
from ..pixels import subtracted_sky_level
from ..processor import Processor

COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "!=": operator.ne,
    "==": operator.eq,
    ">": operator.gt,
    "<": operator.lt,
}
CONDITION = re.compile(r"\s*(?P<sign>>=|<=|!=|==|>|<)\s*(?P<number>[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?)\s*", re.I)


def parse_condition(condition: str | float) -> tuple[str, float]:
    """Sign and number of a condition: ``"> 100"`` is (">", 100.0), a plain number means equality.

    Raises
    ------
    ValueError
        It is neither.
    """
    if isinstance(condition, int | float):
        return "==", float(condition)
    found = CONDITION.fullmatch(condition)
    if found is None:
        raise ValueError(f"{condition!r} is not a condition: write for example '> 100', '<= 0.3' or '!= 0'")
    return found["sign"], float(found["number"])


def distance_to_border(x: np.ndarray, y: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Distance of 0-based positions to the nearest edge of the frame [px], negative outside.

    The edges are those of the outermost pixels: the centre of the first pixel is 0.5 px away.
    """
    height, width = shape
    return np.minimum.reduce([x + 0.5, y + 0.5, width - 0.5 - x, height - 0.5 - y])


class FilterSources(Processor):
    """Keep the sources that fulfil all conditions.

    A condition that is not given is not tested. A value that is not known (NaN, masked) does not fulfil any. The
    order stays, except with `brightest`, which sorts by flux. The numbers in ``id`` stay as they were. If nothing is
    left the catalogue is empty, which is no error; `at_least` makes it one.
    """

    reads = {"data?", "catalog", "catalog.x?", "catalog.y?", "catalog.flux?", "header.BKGLEVEL?"}
    writes = {"catalog"}

    min_dist_to_border: NonNegativeFloat | None = Field(
        None, description="least distance to the edge of the frame [px]"
    )
    min_pixels: PositiveInt | None = Field(None, description="fewest pixels above the threshold (column npix)")
    max_ellipticity: float | None = Field(None, ge=0, le=1, description="largest 1 - b/a (column ellipticity)")
    min_snr: PositiveFloat | None = Field(None, description="least ratio of flux to flux_err")
    saturation: PositiveFloat | None = Field(
        None, description="level [unit of the pixels] that the brightest pixel, sky included, must stay below"
    )
    reject_flags: list[str] = Field(
        [],
        description="sources with any of these flags are dropped: BLENDED, TRUNCATED, SATURATED, APERTURE_MASKED …",
        json_schema_extra={"items": {"type": "string", "enum": list(SourceFlag.__members__)}},
    )
    where: dict[str, str | float] = Field({}, description="conditions on any columns: {flux: '> 100', flags: 0}")
    brightest: PositiveInt | None = Field(None, description="keep so many, those of the largest flux, sorted by flux")
    at_least: PositiveInt | None = Field(None, description="fewer sources than this are an error")

    @field_validator("reject_flags")
    @classmethod
    def _flags_exist(cls, names: list[str]) -> list[str]:
        names = [name.upper() for name in names]
        if unknown := [name for name in names if name not in SourceFlag.__members__]:
            raise ValueError(f"unknown flag {unknown[0]!r}; there are {', '.join(SourceFlag.__members__)}")
        return names

    @field_validator("where")
    @classmethod
    def _conditions_are_understood(cls, where: dict[str, str | float]) -> dict[str, str | float]:
        for condition in where.values():
            parse_condition(condition)
        return where

    def process(self, image: Image) -> Image:
        catalog = image.catalog
        kept = catalog[self._good(image, catalog)]
        if self.brightest is not None:
            flux = _values(image, kept, "flux", "brightest")
            kept = kept[np.argsort(-np.nan_to_num(flux, nan=-np.inf), kind="stable")[: self.brightest]]
        if self.at_least is not None and len(kept) < self.at_least:
            raise ImageError(
                f"{image.label}: {len(kept)} of {len(catalog)} sources fulfil the conditions, "
                f"{self.at_least} are needed"
            )
        return image.replace(catalog=kept)

    def _good(self, image: Image, catalog: Table) -> np.ndarray:
        def column(name: str, asked_by: str) -> np.ndarray:
            return _values(image, catalog, name, asked_by)

        good = np.ones(len(catalog), dtype=bool)
        if self.min_dist_to_border is not None:
            x, y = column("x", "min_dist_to_border"), column("y", "min_dist_to_border")
            good &= distance_to_border(x, y, image.shape) >= self.min_dist_to_border
        if self.min_pixels is not None:
            good &= column("npix", "min_pixels") >= self.min_pixels
        if self.max_ellipticity is not None:
            good &= column("ellipticity", "max_ellipticity") <= self.max_ellipticity
        if self.min_snr is not None:
            error = column("flux_err", "min_snr")
            good &= column("flux", "min_snr") >= self.min_snr * np.where(error > 0, error, np.nan)
        if self.saturation is not None:
            sky = column("background", "saturation") if "background" in catalog.colnames else 0.0
            sky = sky + subtracted_sky_level(image)
            good &= column("peak", "saturation") + sky < self.saturation
        if self.reject_flags:
            bits = int(np.bitwise_or.reduce([SourceFlag[name] for name in self.reject_flags]))
            good &= column("flags", "reject_flags").astype(np.int64) & bits == 0
        return good & _fulfilled(image, catalog, self.where)


def _fulfilled(image: Image, catalog: Table, where: Mapping[str, str | float]) -> np.ndarray:
    good = np.ones(len(catalog), dtype=bool)
    for name, condition in where.items():
        sign, number = parse_condition(condition)
        values = _values(image, catalog, name, "where")
        good &= COMPARISONS[sign](values, number) & ~np.isnan(values)
    return good


def _values(image: Image, catalog: Table, name: str, asked_by: str) -> np.ndarray:
    """A column as float64, NaN where it is masked."""
    if name not in catalog.colnames:
        raise ImageError(
            f"{image.label}: the catalogue has no column {name}, which {asked_by} needs; "
            f"it has {', '.join(catalog.colnames) or 'no columns at all'}"
        )
    try:
        return np.ma.filled(np.ma.asarray(catalog[name], dtype=np.float64), np.nan)
    except (TypeError, ValueError):
        raise ImageError(f"{image.label}: the column {name}, which {asked_by} needs, does not hold numbers") from None
