"""Rectangles of pixels, as FITS headers write them: ``[x0:x1,y0:y1]``, 1-based and inclusive."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .errors import ImageError

if TYPE_CHECKING:
    from astropy.io import fits

SECTION = re.compile(r"\s*\[\s*([+-]?\d+)\s*:\s*([+-]?\d+)\s*,\s*([+-]?\d+)\s*:\s*([+-]?\d+)\s*\]\s*")


@dataclass(frozen=True, slots=True)
class Section:
    """A rectangle of pixels: columns `x0` to `x1`, rows `y0` to `y1`, 0-based, the end not included.

    ``data[section.slices]`` cuts it out of an image, ``data[..., *section.slices]`` out of any stack of images.
    In configurations and headers it is written in the FITS way: ``Section(1, 4, 2, 5)`` is ``[2:4,3:5]``.

    Raises
    ------
    ValueError
        The rectangle is empty, or begins before the first pixel.
    """

    x0: int
    x1: int
    y0: int
    y1: int

    def __post_init__(self) -> None:
        if self.x0 < 0 or self.y0 < 0:
            raise ValueError(f"section {self} begins before the first pixel, which is number 1 in FITS notation")
        if self.x1 <= self.x0 or self.y1 <= self.y0:
            raise ValueError(f"section {self} is empty or reversed: write the smaller number first")

    @classmethod
    def parse(cls, text: str) -> "Section":
        """The section that ``[x0:x1,y0:y1]`` names, 1-based and inclusive.

        Raises
        ------
        ValueError
            The text is no section.
        """
        found = SECTION.fullmatch(text)
        if found is None:
            raise ValueError(f"{text!r} is no section: write [x0:x1,y0:y1], counted from 1, like [1:2048,1:1024]")
        x0, x1, y0, y1 = map(int, found.groups())
        return cls(x0 - 1, x1, y0 - 1, y1)

    @property
    def slices(self) -> tuple[slice, slice]:
        """Index of the last two axes of an array: rows, columns."""
        return slice(self.y0, self.y1), slice(self.x0, self.x1)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns (H, W)."""
        return self.y1 - self.y0, self.x1 - self.x0

    def fits_in(self, shape: tuple[int, ...]) -> bool:
        """Whether all of it lies inside an array whose last two axes are (H, W)."""
        return self.y1 <= shape[-2] and self.x1 <= shape[-1]

    def overlap(self, other: "Section") -> "Section | None":
        """The common part of two sections, or None."""
        x0, x1 = max(self.x0, other.x0), min(self.x1, other.x1)
        y0, y1 = max(self.y0, other.y0), min(self.y1, other.y1)
        return Section(x0, x1, y0, y1) if x0 < x1 and y0 < y1 else None

    def __str__(self) -> str:
        return f"[{self.x0 + 1}:{self.x1},{self.y0 + 1}:{self.y1}]"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        from pydantic_core import core_schema

        from_text = core_schema.no_info_after_validator_function(
            cls.parse,
            core_schema.str_schema(
                pattern=r"^\s*\[\s*\d+\s*:\s*\d+\s*,\s*\d+\s*:\s*\d+\s*\]\s*$",
                metadata={
                    "pydantic_js_updates": {
                        "examples": ["[1:2048,1:1024]"],
                        "description": "section of the frame in FITS notation, counted from 1, both ends included",
                    }
                },
            ),
        )
        return core_schema.json_or_python_schema(
            json_schema=from_text,
            python_schema=core_schema.union_schema([core_schema.is_instance_schema(cls), from_text]),
            serialization=core_schema.to_string_ser_schema(),
        )


def header_section(header: "fits.Header", keyword: str) -> Section | None:
    """The section that a header card holds, or None where there is no such card.

    Raises
    ------
    ImageError
        The card is malformed.
    """
    value = header.get(keyword)
    if value is None or not str(value).strip():
        return None
    try:
        return Section.parse(str(value))
    except ValueError as error:
        raise ImageError(f"header card {keyword}: {error}") from None
