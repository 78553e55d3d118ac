"""Where a message may point to: folders, and beginnings of addresses. Everything else is refused."""

import os
import re
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from .....images import ImageError
from .....processors.input.fetching import web_address

if TYPE_CHECKING:
    import httpx

SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:(?=//)")
PORTS = {"http": 80, "https": 443}

LONGEST = 4096
"""Characters of a path or address."""


def is_address(text: str) -> bool:
    """Whether a text is an address of some scheme rather than a path."""
    return SCHEME.match(text) is not None


def beginnings(addresses: Sequence[str]) -> "Callable[[httpx.URL], str]":
    """A test whether an address lies below one of some others.

    Schemes, hosts and ports are compared as such, and paths folder by folder: ``https://a.org`` is no beginning of
    ``https://a.org.evil.net/``, and ``https://a.org/data`` none of ``https://a.org/database``.

    Parameters
    ----------
    addresses : sequence of str
        What is allowed.

    Returns
    -------
    callable
        Says why an address is not allowed, or nothing.

    Raises
    ------
    ImageError
        One of them is no address of http or https.
    """
    places = [_place(web_address(address)) for address in addresses]

    def why_not(url: "httpx.URL") -> str:
        try:
            origin, folders = _place(url)
        except ImageError as error:
            return str(error)
        if any(origin == other and folders[: len(begin)] == begin for other, begin in places):
            return ""
        return "messages may not point there; 'urls' of the source lists the beginnings of addresses that are allowed"

    return why_not


def _place(url: "httpx.URL") -> tuple[tuple[str, str, int | None], list[str]]:
    """Scheme, host and port of an address, and the folders of its path."""
    segments = [unquote(segment) for segment in url.raw_path.decode("ascii").partition("?")[0].split("/")]
    for segment in segments:
        again = unquote(segment)
        if again in (".", "..") or "/" in again or "\\" in again or any(ord(letter) < 32 for letter in again):
            raise ImageError("its path leads somewhere else than it seems to")
    folders = segments[1:-1] if segments[-1] == "" else segments[1:]
    return (url.scheme, _host(url.host), url.port or PORTS.get(url.scheme)), folders


def _host(name: str) -> str:
    """A host in the one way in which it is compared."""
    try:
        return ip_address(name).compressed
    except ValueError:
        return name.lower().rstrip(".")


def place_below(text: str, roots: Sequence[Path]) -> Path:
    """The file that a text names, if it lies below one of some folders.

    A relative path is looked for in each of them. Links and ``..`` are followed before it is compared.

    Raises
    ------
    ImageError
        It lies elsewhere, or is no path.
    """
    if len(text) > LONGEST or "\0" in text or not text.strip():
        raise ImageError("this is no path of a file")
    if not roots:
        raise ImageError("paths are not allowed here; 'roots' of the source lists folders that are")
    found = []
    for root in roots:
        home = Path(os.path.realpath(root))
        path = Path(os.path.realpath(home / text))
        if path != home and path.is_relative_to(home):
            found.append(path)
    if not found:
        raise ImageError("messages may not point there; 'roots' of the source lists the folders that are allowed")
    return next((path for path in found if path.exists()), found[0])
