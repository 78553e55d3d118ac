"""Which part of which file is data, mask and uncertainty, where a FITS file does not follow a custom we know.

In YAML, or as the options of :func:`~etendue.images.io.fits.reader.read_fits`::

    data: {extension: "SCI,2"}
    mask: {file: {replace: _ooi_, by: _ood_}, codes: {1: BAD, 3: SATURATED}}
    uncertainty: {file: {replace: _ooi_, by: _oow_}, kind: inverse_variance}
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails

from ...errors import ImageError
from ...flags import PixelFlag


def _flag(value: Any) -> Any:
    if isinstance(value, str):
        try:
            return PixelFlag[value.strip().upper()]
        except KeyError:
            raise ValueError(f"unknown flag {value!r}; the flags are {', '.join(PixelFlag.__members__)}") from None
    return value


def _extension(value: Any) -> Any:
    if isinstance(value, str) and "," in value:
        name, version = value.split(",", 1)
        return name.strip(), version.strip()
    return value


Flag = Annotated[PixelFlag, BeforeValidator(_flag)]
Extension = Annotated[int | str | tuple[str, int], BeforeValidator(_extension)]
"""Number of an HDU (the primary is 0), its EXTNAME, or EXTNAME and EXTVER (``("SCI", 2)`` or ``"SCI,2"``)."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        """``mask: DQ`` is short for ``mask: {extension: DQ}``."""
        return {"extension": value} if isinstance(value, int | str | tuple) and not isinstance(value, bool) else value


class CompanionFile(BaseModel):
    """A file beside the image, whose name differs from the image's in one place."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    replace: str = Field(min_length=1, description="text in the name of the image")
    by: str = Field(description="what stands there in the name of the companion")

    @field_validator("by")
    @classmethod
    def _stays_in_the_folder(cls, by: str) -> str:
        if any(character in by for character in "/\\\0") or by == "..":
            raise ValueError("a companion lies in the folder of the image: its name has no slash")
        return by

    def beside(self, image: Path) -> Path:
        """Path of the companion of an image.

        Raises
        ------
        ImageError
            The name of the image does not contain the text to replace, or would not change.
        """
        name = image.name.replace(self.replace, self.by)
        if name == image.name or name in ("", ".", ".."):
            raise ImageError(
                f"{image}: no companion file: its name does not contain {self.replace!r} to be replaced by {self.by!r}"
            )
        return image.with_name(name)

    def belongs_to_an_image(self, path: Path) -> bool:
        """Whether a file is the companion of an image that lies beside it."""
        name = path.name.replace(self.by, self.replace) if self.by else path.name
        return name != path.name and path.with_name(name).exists()


class DataPart(_Part):
    """Where the pixels are."""

    extension: Extension | None = Field(None, description="HDU; by default the first image")


class MaskPart(_Part):
    """Where the mask is, and what its values mean.

    Without `bits` and `codes` the result is a bool mask; with one of them it holds :class:`PixelFlag` bits.
    """

    extension: Extension | None = Field(
        None, description="HDU; in another file by default the one named like the data's"
    )
    file: CompanionFile | None = Field(None, description="file it is in; by default the image's own")
    required: bool = Field(True, description="whether it is an error if the companion file does not exist")
    good: Literal["zero", "nonzero"] = Field("zero", description="which values mark pixels that can be used")
    bits: dict[int, Flag] | None = Field(None, description="flag for each bit (1, 2, 4 …) of the values")
    codes: dict[int, Flag] | None = Field(None, description="flag for each value; one value means one thing")
    unlisted: Flag | None = Field(
        PixelFlag.OTHER, description="flag for non-zero bits or codes that are not listed; null ignores them"
    )

    @model_validator(mode="after")
    def _one_meaning(self) -> Self:
        if self.bits is not None and self.codes is not None:
            raise ValueError("values are either bits or codes, not both")
        if self.good == "nonzero" and (self.bits is not None or self.codes is not None):
            raise ValueError("bits and codes mark bad pixels: they go with good: zero")
        if wrong := [bit for bit in self.bits or () if bit <= 0 or bit & (bit - 1)]:
            raise ValueError(f"bits are powers of two: 1, 2, 4, 8 …; not {wrong[0]}")
        return self

    def decode(self, values: np.ndarray) -> np.ndarray:
        """A mask from the values in the file; NaN is excluded."""
        unknown = np.isnan(values) if values.dtype.kind == "f" else None
        if self.good == "nonzero":
            return values == 0 if unknown is None else (values == 0) | unknown
        listed = self.bits if self.bits is not None else self.codes
        if listed is None:
            return values != 0  # NaN is not zero
        if unknown is not None:
            mask = self._translated(np.where(unknown, 0, values).astype(np.int64), listed)
            mask[unknown] |= np.uint8(PixelFlag.NO_DATA)
            return mask
        return self._translated(values, listed)

    def _translated(self, values: np.ndarray, listed: dict[int, PixelFlag]) -> np.ndarray:
        """Flags from integers that are bits or codes."""
        if self.bits is not None and values.dtype.kind == "i":
            values = values.view(f"u{values.dtype.itemsize}")  # the highest bit is a flag like the others
        limits = np.iinfo(values.dtype)
        mask = np.zeros(values.shape, np.uint8)
        rest = values.copy()
        for number, flag in listed.items():
            if not limits.min <= number <= limits.max:
                continue
            if self.bits is not None:
                hit = (values & values.dtype.type(number)) != 0
                rest &= values.dtype.type(limits.max - number)
            else:
                hit = values == number
                rest[hit] = 0
            mask[hit] |= np.uint8(flag)
        if self.unlisted is not None:
            mask[rest != 0] |= np.uint8(self.unlisted)
        return mask


class UncertaintyPart(_Part):
    """Where the uncertainty is, and what its values are."""

    extension: Extension | None = Field(
        None, description="HDU; in another file by default the one named like the data's"
    )
    file: CompanionFile | None = Field(None, description="file it is in; by default the image's own")
    required: bool = Field(True, description="whether it is an error if the companion file does not exist")
    kind: Literal["standard_deviation", "variance", "inverse_variance"] = Field(
        "standard_deviation", description="what the values are"
    )


class FitsLayout(BaseModel):
    """Which parts of a FITS file (and of files beside it) make up an image.

    What is not given is looked for by its customary name; false leaves it out.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    data: DataPart = Field(default_factory=lambda: DataPart(extension=None), description="the pixels")
    mask: MaskPart | Literal[False] | None = Field(None, description="excluded pixels")
    uncertainty: UncertaintyPart | Literal[False] | None = Field(None, description="standard deviation of the pixels")


COMMUNITY_PIPELINE = FitsLayout.model_validate(
    {
        "mask": {
            "file": {"replace": "_ooi_", "by": "_ood_"},
            "codes": {
                1: "BAD",
                2: "NO_DATA",
                3: "SATURATED",
                4: "SATURATED",
                5: "COSMIC_RAY",
                6: "OTHER",
                7: "OTHER",
                8: "SATELLITE",
            },
        },
        "uncertainty": {"file": {"replace": "_ooi_", "by": "_oow_"}, "kind": "inverse_variance"},
    }
)
"""DECam, Mosaic3 and 90prime from the NOIRLab Community Pipeline (versions since 3.5, whose flags are codes).

References
----------
Valdes, F. et al. 2014, ASP Conf. Ser. 485, 379; NOIRLab, DECam Community Pipeline data quality codes: 1 bad,
2 no value, 3 saturated, 4 bleed trail, 5 cosmic ray, 6 low weight, 7 differs from the other exposures, 8 streak.
"""

PARTS = ("DataPart", "MaskPart", "UncertaintyPart")
LAYOUTS = {"community_pipeline": COMMUNITY_PIPELINE}
"""Layouts that can be asked for by name."""


def fits_layout(layout: Any = None, **parts: Any) -> FitsLayout:
    """A layout from its name, a mapping or nothing, in which the given parts are exchanged.

    Raises
    ------
    ImageError
        The name is unknown or the description is wrong; the message says which entry.
    """
    if isinstance(layout, str):
        if layout not in LAYOUTS:
            raise ImageError(f"unknown FITS layout {layout!r}; there are {', '.join(LAYOUTS)}")
        layout = LAYOUTS[layout]
    if not isinstance(layout, FitsLayout | dict | None):
        raise ImageError(f"{layout!r} is no FITS layout; write a name ({', '.join(LAYOUTS)}) or a mapping of its parts")
    described = layout.model_dump() if isinstance(layout, FitsLayout) else dict(layout or {})
    described |= {part: value for part, value in parts.items() if value is not None}
    try:
        return FitsLayout.model_validate(described)
    except ValidationError as error:
        problems = "; ".join(dict.fromkeys(filter(None, map(_in_words, error.errors()))))
        raise ImageError(f"wrong description of the FITS layout: {problems}") from error


def companion_files(options: Mapping[str, Any]) -> list[CompanionFile]:
    """The files beside an image that the options of a reader speak of."""
    parts = {name: options[name] for name in ("layout", "mask", "uncertainty") if name in options}
    layout = fits_layout(**parts)
    return [part.file for part in (layout.mask, layout.uncertainty) if part and part.file is not None]


def _in_words(error: ErrorDetails) -> str:
    """The key and what is wrong with it; nothing for what is a description and is therefore not ``false``."""
    given = error["input"]
    path = [str(part) for part in error["loc"]]
    if path[-1] == "literal[False]" and isinstance(given, dict):
        return ""
    where = ".".join(part for part in path if "[" not in part and part not in ("int", "str", *PARTS))
    match error["type"]:
        case "extra_forbidden":
            return f"{where}: there is no such key"
        case "missing":
            return f"{where}: this key is missing"
        case "model_type" | "literal_error" if len(path) <= 2 and not isinstance(given, dict):
            return f"{where}: {given!r} does not describe a part of a file; write its extension, or {{extension: …}}"
    text = error["msg"].removeprefix("Value error, ")
    return f"{where}: {text.replace('Input should be', f'{given!r} should be')}"
