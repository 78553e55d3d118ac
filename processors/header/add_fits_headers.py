"""Add cards to the header: fixed values, or text made from other cards."""

import re
from collections.abc import Mapping
from typing import Any, Self

from astropy.io import fits
from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictFloat, StrictInt, field_validator, model_validator

from ...images import Header, Image, ImageError
from ...images.filename import PLACEHOLDER, MissingKeyError, check_pattern, format_filename
from ...images.quiet import quiet
from ..processor import Processor

STRUCTURAL = re.compile(
    r"SIMPLE|XTENSION|BITPIX|NAXIS\d*|EXTEND|PCOUNT|GCOUNT|GROUPS|BSCALE|BZERO|BLANK|CHECKSUM|DATASUM|END|CONTINUE|"
    r"T(FORM|TYPE|DIM|FIELDS|HEAP|NULL|SCAL|ZERO)\d*|Z(IMAGE|BITPIX|NAXIS\d*|CMPTYPE|TILE\d+)"
)
"""Cards that follow from the pixels and are written with them."""

SINGLE = re.compile(r"\{([^{}|]+)\}")
"""A text that is one placeholder and nothing else keeps the type of what it stands for."""

Value = StrictBool | StrictInt | StrictFloat | str | None


class HeaderCard(BaseModel):
    """One card of a header."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")

    key: str = Field(description="keyword: up to 8 letters, digits, - and _; longer ones become HIERARCH cards")
    value: Value = Field(
        description="number, text, true or false, or nothing; text may hold placeholders like {FILTER}"
    )
    comment: str | None = Field(None, description="what the value means")

    @field_validator("key")
    @classmethod
    def _key_is_free(cls, key: str) -> str:
        key = key.strip().upper()
        if not re.fullmatch(r"[A-Z0-9_-]+( [A-Z0-9_-]+)*", key):
            raise ValueError(f"{key!r} is no header keyword: use letters, digits, - and _")
        if STRUCTURAL.fullmatch(key):
            raise ValueError(f"{key} follows from the pixels and cannot be set")
        return key

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if _has_placeholders(self.value):
            try:
                check_pattern(f"[{self.value}]")
            except ValueError as error:
                raise ValueError(f"the value of {self.key}: {error}") from None
            made_card(self.key, "", self.comment)
        else:
            made_card(self.key, self.value, self.comment)
        return self


def made_card(key: str, value: Any, comment: str | None) -> fits.Card:
    """A card that can be written.

    Raises
    ------
    ValueError
        The standard does not allow such a value or comment; the message says why.
    """
    if isinstance(value, float) and value - value != 0:
        raise ValueError(f"{key} = {value} cannot be stored in a header; leave the value empty for 'unknown'")
    for what, text in (("value", value), ("comment", comment)):
        if isinstance(text, str) and not (text.isascii() and text.isprintable()):
            raise ValueError(f"the {what} of {key} must be plain ASCII text on one line, not {text!r}")
    name = key if len(key) <= 8 and " " not in key else f"HIERARCH {key}"
    with quiet():  # astropy warns when it cuts a comment that does not fit
        try:
            card = fits.Card(name, value, comment)
            back = fits.Card.fromstring(str(card)).value
        except (ValueError, fits.VerifyError) as error:
            raise ValueError(f"{key} cannot be stored in a header: {error}") from error
    stored = (
        back.rstrip() == value.rstrip()
        if isinstance(value, str) and isinstance(back, str)
        else (value is None or back == value)
    )
    if not stored:  # astropy cuts off what has no room beside a long keyword
        raise ValueError(f"{key} cannot be stored in a header: the keyword leaves no room for the value {value!r}")
    return card


Written = dict[str, Value | tuple[Value, str]] | list[HeaderCard | tuple[str, Value] | tuple[str, Value, str]]
"""The forms in which cards can be written in a configuration."""


class AddFitsHeaders(Processor):
    """Add cards to the header.

    ``headers`` is a mapping of key to value, or to ``[value, comment]``; or a list of ``[key, value, comment]`` or of
    ``{key: …, value: …, comment: …}``. Text may hold placeholders as in file names: ``"{OBJECT} in {FILTER|lower}"``;
    they see the header as it came. A text that is one placeholder, ``"{EXPTIME}"``, copies number and type. COMMENT and
    HISTORY are added below those that are there.
    """

    reads = frozenset()
    writes = {"header"}

    headers: tuple[HeaderCard, ...] = Field(description="cards to add")
    overwrite: bool = Field(
        True, description="whether cards that are there are replaced; if not, they stay as they are"
    )

    @field_validator("headers", mode="before", json_schema_input_type=Written)
    @classmethod
    def _from_any_form(cls, given: Any) -> Any:
        if isinstance(given, Mapping):
            return tuple(_card(key, value) for key, value in given.items())
        if isinstance(given, list | tuple):
            return tuple(_card(entry[0], list(entry[1:])) if _is_triple(entry) else entry for entry in given)
        return given

    def process(self, image: Image) -> Image:
        changed = image.copy()
        for card in self.headers:
            if card.key == "COMMENT":
                changed.header.add_comment(str(_value(card, image)))
            elif card.key == "HISTORY":
                changed.header.add_history(str(_value(card, image)))
            elif self.overwrite or card.key not in image.header:
                _set(changed.header, card, _value(card, image), image.label)
        return changed


def _is_triple(entry: Any) -> bool:
    return isinstance(entry, list | tuple) and 2 <= len(entry) <= 3 and isinstance(entry[0], str)


def _card(key: Any, value: Any) -> dict[str, Any]:
    match value:
        case [only]:
            return {"key": key, "value": only}
        case [first, comment]:
            return {"key": key, "value": first, "comment": comment}
        case _:
            return {"key": key, "value": value}


def _has_placeholders(value: Any) -> bool:
    return isinstance(value, str) and ("{" in value or "}" in value)


def _value(card: HeaderCard, image: Image) -> Any:
    """The value, placeholders filled."""
    if not isinstance(card.value, str) or not _has_placeholders(card.value):
        return card.value
    if alone := SINGLE.fullmatch(card.value):
        return _found(alone[1].strip(), card, image)
    return PLACEHOLDER.sub(lambda found: _filled(found, card, image), card.value)


def _filled(placeholder: re.Match[str], card: HeaderCard, image: Image) -> str:
    if "|" not in placeholder[1]:
        return str(_found(placeholder[1].strip(), card, image)).strip()
    try:
        return format_filename(placeholder[0], image.header, label=image.label)
    except MissingKeyError as error:
        raise ImageError(str(error).replace("the file name", f"the new card {card.key}")) from None


def _found(key: str, card: HeaderCard, image: Image) -> Any:
    if key not in image.header:
        raise ImageError(f"{image.label} has no header card {key}, which the new card {card.key} needs")
    return image.header[key]


def _set(header: Header, card: HeaderCard, value: Any, label: str) -> None:
    try:
        made = made_card(card.key, value, card.comment)
    except ValueError as error:
        raise ImageError(f"{label}: {error}") from error
    key = card.key if len(card.key) <= 8 and " " not in card.key else f"HIERARCH {card.key}"
    with quiet():
        header[key] = (made.value, made.comment) if card.comment is not None else made.value
