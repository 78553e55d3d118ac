"""Rectangles of pixels, as FITS headers write them (``[x0:x1,y0:y1]``, 1-based and inclusive), and amplifiers."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from .errors import ImageError
from .header import card_value

if TYPE_CHECKING:
    from astropy.io import fits

STRIP = re.compile(r"(?:BIASSEC|BSEC)([1-9A-D]{1,2})")
"""Cards with the overscan strip of one of several amplifiers; the number names the amplifier."""

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
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda value: str(value) if isinstance(value, cls) else value  # in a union, it is asked first for True
            ),
        )


def header_section(header: "fits.Header", keyword: str) -> Section | None:
    """The section that a header card holds, or None where there is no such card.

    Raises
    ------
    ImageError
        The card is malformed.
    """
    value = card_value(header, keyword)
    if value is None or not str(value).strip():
        return None
    try:
        return Section.parse(str(value))
    except ValueError as error:
        raise ImageError(f"header card {keyword}: {error}") from None


@dataclass(frozen=True, slots=True)
class Amplifier:
    """One readout channel of a detector.

    In a configuration: ``{data: "[1:1024,1:350]", overscan: "[2049:2080,1:350]", gain: 1.27, read_noise: 3.6}``.

    Attributes
    ----------
    data : Section
        Pixels that it read.
    overscan : Section or None
        Strip of pixels that it read after them, which saw no light.
    gain : float or None
        Electrons per count [electron/adu]; None takes that of the whole frame.
    read_noise : float or None
        Standard deviation of a pixel that saw no light [electron]; None takes that of the whole frame.

    Raises
    ------
    ValueError
        The gain is not positive, or the read noise is negative.
    """

    data: Section
    overscan: Section | None = None
    gain: float | None = None
    read_noise: float | None = None

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        if self.gain is not None and not self.gain > 0:
            raise ValueError(f"the gain of an amplifier must be positive, not {self.gain}")
        if self.read_noise is not None and not self.read_noise >= 0:
            raise ValueError(f"the read noise of an amplifier cannot be negative, but is {self.read_noise}")


def amplifiers(header: "fits.Header", configured: Sequence[Amplifier] | None = None) -> tuple[Amplifier, ...]:
    """The amplifiers of a frame: the configured ones, else those of the header, else a single one.

    Several are recognised by numbered cards: BIASSEC1 with DATASEC1 or TRIMSEC1, or IRAF's BSEC11 with DSEC11 or
    TSEC11 (only those in AMPLIST, if it exists), and GAIN1, GTGAIN11, RDNOISE1, GTRON11. A single one has its
    overscan in BIASSEC, and its data in DATASEC, TRIMSEC, or the whole frame.

    Parameters
    ----------
    header : astropy.io.fits.Header
        Header of the frame, with its NAXIS1 and NAXIS2.
    configured : sequence of Amplifier
        What a configuration says; the header is not asked then.

    Raises
    ------
    ImageError
        A section is malformed or reaches outside the frame, or an overscan strip has no data section.
    """
    shape = (int(header.get("NAXIS2", 0)), int(header.get("NAXIS1", 0)))
    found = tuple(configured or ()) or _numbered(header) or (_single(header, shape),)
    for amplifier in found:
        for section in (amplifier.data, amplifier.overscan):
            if section is not None and not section.fits_in(shape):
                raise ImageError(
                    f"the section {section} reaches outside the frame of {shape[1]} x {shape[0]} pixels; "
                    "give the sections in the configuration if the header is wrong"
                )
    return found


def overscan_sections(header: "fits.Header", configured: Sequence[Amplifier] | None = None) -> tuple[Amplifier, ...]:
    """Those of the :func:`amplifiers` that have an overscan strip."""
    return tuple(amplifier for amplifier in amplifiers(header, configured) if amplifier.overscan is not None)


def _single(header: "fits.Header", shape: tuple[int, int]) -> Amplifier:
    data = header_section(header, "DATASEC") or header_section(header, "TRIMSEC") or Section(0, shape[1], 0, shape[0])
    return Amplifier(data, header_section(header, "BIASSEC"))


def _numbered(header: "fits.Header") -> tuple[Amplifier, ...]:
    names = [found[1] for key in dict.fromkeys(header) if (found := STRIP.fullmatch(key))]
    listed = re.split(r"[,\s]+", str(header.get("AMPLIST", "")).strip())
    if listed != [""]:
        names = [name for name in names if name in listed]
    found = []
    for name in names:
        overscan = _first_section(header, (f"BIASSEC{name}", f"BSEC{name}"))
        data = _first_section(header, (f"DATASEC{name}", f"DSEC{name}", f"TRIMSEC{name}", f"TSEC{name}"))
        if overscan is None:
            continue
        if data is None:
            raise ImageError(
                f"the header has an overscan strip {overscan} of amplifier {name}, but neither DATASEC{name} nor "
                f"DSEC{name} with its pixels; give the amplifiers in the configuration"
            )
        gain = _first_number(header, (f"EGAIN{name}", f"GTGAIN{name}", f"GAIN{name}"))
        read_noise = _first_number(header, (f"RDNOISE{name}", f"GTRON{name}", f"RON{name}"))
        found.append(Amplifier(data, overscan, gain, read_noise))
    return tuple(found)


def _first_section(header: "fits.Header", keys: Sequence[str]) -> Section | None:
    return next((section for key in keys if (section := header_section(header, key)) is not None), None)


def _first_number(header: "fits.Header", keys: Sequence[str]) -> float | None:
    """A positive number from the first card that holds one; a blank or a zero stands for "not known"."""
    for key in keys:
        value = header.get(key)
        if isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
            return float(value)
    return None
