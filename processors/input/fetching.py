"""Fetch a file by HTTP without trusting who sends it: bounded in size and time, and only from where it may come."""

import asyncio
import contextlib
import zlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from ...images import ImageError, TransientError
from ..computing import off_loop

if TYPE_CHECKING:
    import ssl

    import httpx

CHUNK = 1 << 16
MOST_REDIRECTS = 5
CONNECT = 15.0
"""Longest time for making a connection [s]."""

MAY_WORK_LATER = (408, 425, 429)
"""Answers below 500 that do not mean that the file is not there."""

Allowed = Callable[["httpx.URL"], str]
"""Why an address may not be asked, or nothing."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file on its way.

    Attributes
    ----------
    url : str
        Where it comes from in the end, without a password.
    name : str
        The last part of the address; empty if there is none.
    length : int or None
        Its size, if that was announced [byte].
    pieces : asynchronous iterator of bytes
        The file.
    """

    url: str
    name: str
    length: int | None
    pieces: AsyncIterator[bytes]


def web_address(text: str) -> "httpx.URL":
    """An address that can be asked.

    Raises
    ------
    ImageError
        It is no address of http or https, or holds a password.
    """
    import httpx

    try:
        url = httpx.URL(text)
    except (httpx.InvalidURL, ValueError, TypeError) as error:
        raise ImageError(f"{text!r} is no address: {error}") from None
    if url.scheme not in ("http", "https") or not url.host:
        raise ImageError(f"{text!r} is no address of http or https")
    if url.userinfo:
        raise ImageError(f"the address of {url.host} holds a user or password; they would be seen in logs and products")
    return url


@contextlib.asynccontextmanager
async def fetch(
    url: str,
    *,
    limit: int,
    timeout: float,  # noqa: ASYNC109 - the whole download, with all its redirects
    allowed: Allowed | None = None,
    verify: bool = True,
    auth: Any = None,
) -> AsyncIterator[Fetched]:
    """Begin to fetch a file.

    Parameters
    ----------
    url : str
        The address, of http or https.
    limit : int
        Largest size, after unpacking [byte].
    timeout : float
        Longest time for everything [s]; it also ends what the block does with the pieces.
    allowed : callable
        Says of the address, and of each one to which it redirects, why it may not be asked.
    verify : bool
        Whether certificates are checked.
    auth : object
        Who asks, as httpx knows it; not told to other hosts.

    Yields
    ------
    Fetched
        The file on its way.

    Raises
    ------
    ImageError
        There is no such file, it is too large, or it may not be fetched from there.
    TransientError
        The server cannot be reached, is too slow, or breaks off.
    """
    import httpx

    here = web_address(url)
    label = str(here)
    trust = await off_loop(_trust, verify)
    try:
        async with (
            asyncio.timeout(timeout),
            httpx.AsyncClient(
                verify=trust,
                follow_redirects=False,
                timeout=httpx.Timeout(timeout, connect=min(timeout, CONNECT)),
                headers={"Accept-Encoding": "identity", "User-Agent": "etendue"},
            ) as client,
            contextlib.AsyncExitStack() as stack,
        ):
            response = await _ask(client, here, allowed, auth, stack)
            length = _announced(response)
            if length is not None and length > limit:
                raise ImageError(f"{label}: the file has {length} bytes; at most {limit} are taken")
            encoding = response.headers.get("content-encoding", "identity").strip().lower()
            packed = here.path.lower().endswith((".gz", ".fz"))
            plain = encoding in ("", "identity") or packed
            pieces = response.aiter_raw(CHUNK) if plain else _unpacked(response, encoding, label)
            name = unquote(response.url.path.rpartition("/")[2])
            yield Fetched(label, name, length if plain else None, _bounded(pieces, limit, label))
    except TimeoutError:
        raise TransientError(f"{label}: not complete after {timeout:g} s") from None
    except httpx.HTTPError as error:
        raise TransientError(f"{label}: {str(error) or type(error).__name__}") from error


@cache
def _trust(verify: bool) -> "ssl.SSLContext":
    """Whom we believe; it takes longer to read the certificates than an event loop has time for."""
    import httpx

    return httpx.create_ssl_context(verify=verify)


async def _ask(
    client: "httpx.AsyncClient", url: "httpx.URL", allowed: Allowed | None, auth: Any, stack: contextlib.AsyncExitStack
) -> "httpx.Response":
    """The answer with the file, wherever it is redirected to."""
    first = url
    for _ in range(MOST_REDIRECTS + 1):
        if allowed is not None and (refusal := allowed(url)):
            raise ImageError(f"{url}: {refusal}")
        mine = auth if (url.scheme, url.host, url.port) == (first.scheme, first.host, first.port) else None
        response = await stack.enter_async_context(client.stream("GET", url, auth=mine))
        if not response.has_redirect_location:
            return _checked(response)
        before, url = url, _joined(url, response.headers["location"])
        if before.scheme == "https" and url.scheme == "http":
            raise ImageError(f"{before}: redirects to {url}, which is not encrypted")
    raise ImageError(f"{first}: redirects more than {MOST_REDIRECTS} times")


def _joined(url: "httpx.URL", location: str) -> "httpx.URL":
    import httpx

    try:
        return web_address(str(url.join(location)))
    except (httpx.InvalidURL, ImageError) as error:
        raise ImageError(f"{url}: redirects to where nothing can be fetched: {error}") from None


def _checked(response: "httpx.Response") -> "httpx.Response":
    status = response.status_code
    if status == 200:
        return response
    said = f"{response.url}: the server answers {status} {response.reason_phrase}".rstrip()
    if status >= 500 or status in MAY_WORK_LATER:
        raise TransientError(said)
    raise ImageError(said)


def _announced(response: "httpx.Response") -> int | None:
    text = response.headers.get("content-length", "")
    return int(text) if text.isascii() and text.isdigit() else None


async def _unpacked(response: "httpx.Response", encoding: str, label: str) -> AsyncIterator[bytes]:
    """What a server has packed though it was asked not to; never more than a piece of it at a time."""
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise ImageError(f"{label}: the server packs the file by {encoding}, which was not asked for")
    unpacker = zlib.decompressobj(47)
    async for piece in response.aiter_raw(CHUNK):
        while piece:
            try:
                yield unpacker.decompress(piece, CHUNK)
            except zlib.error as error:
                raise ImageError(f"{label}: what the server has packed is damaged: {error}") from None
            piece = unpacker.unconsumed_tail
    if not unpacker.eof:
        raise TransientError(f"{label}: what the server has packed ends in the middle")
    yield unpacker.flush()


async def _bounded(pieces: AsyncIterator[bytes], limit: int, label: str) -> AsyncIterator[bytes]:
    size = 0
    async for piece in pieces:
        size += len(piece)
        if size > limit:
            raise ImageError(f"{label}: the file has more than {limit} bytes, the most that is taken")
        if piece:
            yield piece
