"""Products: how to show an image, its header, provenance and catalogue."""

from typing import Any, Literal

from pydantic import Field

from .base import Number, Shape


class Card(Shape):
    """A card of a header."""

    key: str
    value: str | float | int | bool | None
    comment: str = ""


class Header(Shape):
    """A header, in order."""

    name: str = Field(description="the file")
    cards: list[Card]


class Levels(Shape):
    """Values to be shown black and white."""

    low: Number
    high: Number


class ImageInfo(Shape):
    """What is needed to show an image."""

    id: int
    name: str
    width: int = Field(description="columns [px]")
    height: int = Field(description="rows [px]; row 0 is at the bottom of a picture")
    channels: int = Field(description="1, or 3 for a colour image")
    frames: int = Field(description="1, or the number of frames of a movie; its mean is shown")
    planes: list[str] = Field(description="data, mask, uncertainty, raw, catalog")
    unit: str
    object: str
    filter: str
    levels: dict[str, Levels] = Field(description="good limits of each stretch: asinh, linear, log, sqrt, zscale")
    lowest: Number
    highest: Number
    median: Number
    masked: int = Field(description="pixels that are excluded")
    sources: int = Field(description="rows of the catalogue; 0 without one")
    pixel_scale: Number = Field(description="[arcsec/px]")


class Pixel(Shape):
    """A pixel, and where on the sky a position in it is."""

    id: int
    x: float = Field(description="position [px]")
    y: float
    column: int = Field(description="the pixel that the position is in, from 0")
    row: int
    plane: str = Field(description="data, raw, uncertainty, mask")
    values: list[Number] = Field(description="of the pixel: one, or three of a colour image; null: no number")
    unit: str = Field(description="of the values; empty where it is not known")
    excluded: bool = Field(description="whether the mask excludes the pixel")
    flags: list[str] = Field(description="why: SATURATED, COSMIC_RAY …; empty where the mask does not say")
    ra: Number = Field(description="right ascension of the position [deg]; null without coordinates")
    dec: Number = Field(description="declination [deg]")
    frame: str = Field(description="what these refer to: icrs, fk5, fk4; empty without coordinates")


class TableColumn(Shape):
    """A column of a catalogue."""

    name: str
    unit: str
    description: str
    type: Literal["number", "integer", "text", "boolean"]


class Sources(Shape):
    """A catalogue, with what is needed to draw it."""

    id: int
    columns: list[TableColumn]
    rows: list[list[Any]] = Field(description="values in the order of the columns")
    total: int = Field(description="sources in the catalogue; `rows` are the brightest of them")
    x: list[Number]
    y: list[Number]
    a: list[Number] = Field(description="semi-axes of the outline [px]")
    b: list[Number]
    theta: list[Number] = Field(description="angle from the x axis towards the y axis [deg]")
    flagged: list[bool]
    row: list[int] = Field(description="number of each row in the whole catalogue, from 0")


class UsedFile(Shape):
    """A file that a step has used."""

    path: str
    size: int
    sha256: str
    role: str


class ProvenanceStep(Shape):
    """A step that an image went through."""

    step: str
    processor: str
    version: str
    parameters: dict[str, Any]
    inputs: list[UsedFile]
    started: str
    seconds: Number
    outcome: str
    message: str


class Provenance(Shape):
    """What was done to an image, oldest first."""

    id: int
    steps: list[ProvenanceStep]
