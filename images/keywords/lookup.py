"""Properties of an image from its header, under any of the names that headers use."""

import contextlib
import difflib
from collections.abc import Iterable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ..errors import ImageError
from ..header import card_value
from .table import IN_ELECTRONS, KEYWORDS, Keyword
from .values import READERS, is_blank

if TYPE_CHECKING:
    from astropy.io import fits

_extra: ContextVar[Mapping[str, tuple[str, ...]]] = ContextVar("extra_keywords", default=MappingProxyType({}))


@contextlib.contextmanager
def extra_keywords(cards: Mapping[str, Iterable[str]]) -> Iterator[None]:
    """Within this context, more header cards are understood; they go before the known ones.

    ``with extra_keywords({"exposure_time": ["XPOSURE"]}): …``. It holds for this task and the threads that
    :func:`asyncio.to_thread` starts from it, not for anything else in the process.

    Parameters
    ----------
    cards : mapping of str to sequence of str
        Property name -> cards in order.

    Raises
    ------
    ValueError
        There is no property of that name.
    """
    added = dict(_extra.get())
    for name, synonyms in cards.items():
        keyword_named(name)
        words = (synonyms,) if isinstance(synonyms, str) else tuple(synonyms)
        added[name] = (*words, *added.get(name, ()))
    token = _extra.set(MappingProxyType(added))
    try:
        yield
    finally:
        _extra.reset(token)


def keyword_named(name: str) -> Keyword:
    """The entry of a property, with the extra cards of this context.

    Raises
    ------
    ValueError
        There is no property of that name.
    """
    if name not in KEYWORDS:
        near = difflib.get_close_matches(name, KEYWORDS, n=1)
        hint = f", did you mean {near[0]!r}?" if near else f"; there are {', '.join(KEYWORDS)}"
        raise ValueError(f"unknown property {name!r}{hint}")
    keyword = KEYWORDS[name]
    extra = _extra.get().get(name)
    if not extra:
        return keyword
    return replace(keyword, cards=(*extra, *keyword.cards))


def keyword_for(header: "fits.Header", name: str) -> str | None:
    """The header card that holds a property, or None. Of two cards that belong together, ``x+y``.

    Raises
    ------
    ValueError
        There is no property of that name.
    ImageError
        A card that may hold it is damaged.
    """
    keyword = keyword_named(name)
    return next((card for card in keyword.cards if _holds(header, card)), None)


def header_value(header: "fits.Header", name: str, *, label: str = "image") -> Any:
    """A property of an image, in the unit of :data:`KEYWORDS`; None if no card holds it.

    Parameters
    ----------
    header : astropy.io.fits.Header
        Where to look.
    name : str
        A key of :data:`KEYWORDS`.
    label : str
        What messages call the image.

    Raises
    ------
    ImageError
        The card's value is not understood.
    ValueError
        There is no property of that name.
    """
    card = None
    try:
        card = keyword_for(header, name)
        if card is None:
            return None
        value = READERS[KEYWORDS[name].kind](header, card)
    except ValueError as error:
        if card is None or isinstance(error, ImageError):
            raise ImageError(f"{label}: {error}") from None
        text = ", ".join(repr(card_value(header, key)) for key in card.split("+"))
        raise ImageError(f"{label}: header card {card} = {text} gives no {name}: {error}") from None
    if card in IN_ELECTRONS and name == "saturation":
        gain = header_value(header, "gain", label=label)
        if not gain > 0:
            raise ImageError(
                f"{label}: header card {card} is in electrons, and a gain of {gain:g} makes no counts of them"
            )
        return value / gain
    return value


def _holds(header: "fits.Header", card: str) -> bool:
    if any(is_blank(card_value(header, key)) for key in card.split("+")):
        return False
    if card in ("CRVAL1", "CRVAL2"):
        return str(card_value(header, f"CTYPE{card[-1]}")).startswith(("RA", "DEC"))
    return card not in IN_ELECTRONS or keyword_for(header, "gain") is not None
