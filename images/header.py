"""A FITS header that images share until somebody writes to it.

Copying a header of 120 cards costs a quarter of a millisecond, more than everything else that passing
an image from step to step costs. ``Header.share()`` costs a microsecond: both headers look at the same
cards, and the first one that is changed takes a copy of its own before it changes.
"""

import copy as copying
import functools
import sys
from collections.abc import Callable
from typing import Any

from astropy.io import fits

from .errors import ImageError

CHANGES = (
    "__setitem__",
    "__delitem__",
    "__iadd__",
    "_update",
    "add_blank",
    "add_comment",
    "add_history",
    "append",
    "clear",
    "extend",
    "insert",
    "pop",
    "popitem",
    "remove",
    "rename_keyword",
    "set",
    "setdefault",
    "strip",
    "update",
)


class _Owners:
    """Its reference count is the number of headers that share the same cards."""

    __slots__ = ()


class Header(fits.Header):
    """An :class:`astropy.io.fits.Header` that is copied only when it is changed."""

    def __init__(self, cards: Any = (), copy: bool = False) -> None:
        self._owners = _Owners()
        self._handed_out = False
        super().__init__(cards, copy=copy)
        self._handed_out = False

    def share(self) -> "Header":
        """A header with the same cards, at no cost; either can be changed without the other noticing.

        If somebody may still hold cards of this one (see :attr:`cards`), they are copied.
        """
        if self._handed_out:
            return self._with_own_cards()
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__)
        return twin

    @property
    def is_shared(self) -> bool:
        """Whether another header looks at the same cards."""
        return sys.getrefcount(self._owners) > 2

    @property
    def cards(self) -> Any:
        """The cards themselves. They can be changed one by one, at any time: after this, :meth:`share` must copy."""
        self._own()
        self._handed_out = True
        return super().cards

    def _own(self) -> None:
        if self.is_shared:
            self.__dict__.update(self._with_own_cards().__dict__)

    def _with_own_cards(self) -> "Header":
        twin = type(self)()
        for card in self._cards:
            fits.Header.append(twin, copying.copy(card), end=True)
        return twin

    def copy(self, strip: bool = False) -> "Header":
        """A separate header; see :meth:`share` for the cheap one."""
        twin = self.share()
        if strip:
            twin.strip()
        return twin


def _owning(name: str) -> Callable[..., Any]:
    change = getattr(fits.Header, name)

    @functools.wraps(change)
    def owning_change(self: Header, *args: Any, **kwargs: Any) -> Any:
        self._own()
        # A card that is put in belongs to somebody else, perhaps to another header.
        args = tuple(copying.copy(value) if isinstance(value, fits.Card) else value for value in args)
        if isinstance(kwargs.get("card"), fits.Card):
            kwargs["card"] = copying.copy(kwargs["card"])
        return change(self, *args, **kwargs)

    return owning_change


for _name in CHANGES:
    setattr(Header, _name, _owning(_name))


def card_value(header: fits.Header, key: str) -> Any:
    """The value of a card; None where there is no such card, or it has no value.

    Raises
    ------
    ImageError
        The card is damaged: nobody can tell its value.
    """
    try:
        value = header.get(key)
    except fits.VerifyError:
        raise ImageError(f"header card {key} is damaged: its value cannot be read") from None
    return None if isinstance(value, fits.card.Undefined) else value


def as_header(header: Any) -> Header:
    """A header of ours from a mapping, a list of cards, an astropy header, or nothing.

    The argument is never changed, and later changes to it are not seen.
    """
    if header is None:
        return Header()
    if isinstance(header, Header):
        return header.share()
    if isinstance(header, fits.Header):
        return Header(header, copy=True)
    if not hasattr(header, "items"):
        return Header(header)
    made = Header()
    for key, value in header.items():
        made[key] = value
    return made
