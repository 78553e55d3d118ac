"""Lengths on the detector, in pixels or in seconds of arc."""

import math
import re
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from ...images import Image, ImageError

LENGTH = re.compile(
    r"\s*(?P<value>[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?)\s*(?P<unit>px|pix|pixels?|arcsec|\"|'')?\s*", re.I
)
ARCSEC = ("arcsec", '"', "''")


@dataclass(frozen=True, slots=True)
class Length:
    """A positive length: ``3``, ``"3 px"`` or ``"2.5 arcsec"`` in YAML.

    Attributes
    ----------
    value : float
        The number.
    unit : {"px", "arcsec"}
        Its unit.
    """

    value: float
    unit: Literal["px", "arcsec"] = "px"

    @classmethod
    def parse(cls, text: Any) -> "Length":
        """A length from a number of pixels or from text with a unit.

        Raises
        ------
        ValueError
            It is neither, or not positive.
        """
        if isinstance(text, Length):
            return text
        if isinstance(text, int | float) and not isinstance(text, bool):
            value, unit = float(text), "px"
        else:
            found = LENGTH.fullmatch(text) if isinstance(text, str) else None
            if found is None:
                raise ValueError(f"{text!r} is not a length: write a number of pixels, or '2.5 arcsec'")
            value = float(found["value"])
            unit = "arcsec" if (found["unit"] or "").lower() in ARCSEC else "px"
        if not (value > 0 and math.isfinite(value)):
            raise ValueError(f"a length must be positive and finite, not {text!r}")
        return cls(value, unit)

    def pixels(self, image: Image) -> float:
        """The length in pixels of an image.

        Raises
        ------
        ImageError
            It is in seconds of arc, and the image has no pixel scale.
        """
        if self.unit == "px":
            return self.value
        scale = image.pixel_scale
        if not scale:
            raise ImageError(
                f"{image.label} has no pixel scale (no celestial coordinates in its header), so {self} cannot be "
                "converted; give the length in px, or solve the field first"
            )
        return self.value / scale

    def __str__(self) -> str:
        return f"{self.value:g} {self.unit}"

    def plain(self) -> float | str:
        """What :meth:`parse` reads back: a number for pixels, else text."""
        return self.value if self.unit == "px" else f"{self.value!r} {self.unit}"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls.parse, serialization=core_schema.plain_serializer_function_ser_schema(cls.plain)
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {
            "anyOf": [
                {"type": "number", "exclusiveMinimum": 0},
                {"type": "string", "pattern": r"^[\d. ]+ *(px|arcsec)$"},
            ],
            "description": "a length: a number of pixels, or text with a unit such as '2.5 arcsec'",
        }
