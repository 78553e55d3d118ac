"""What messages say: "there is a new image", by a path or an address. Common to all brokers."""

import asyncio
import hashlib
import json
import logging
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .....images import ImageError, TransientError
from .....images.io.registry import format_by_content
from .....processors.input.fetching import fetch
from ....errors import ConfigError
from ....web.service import Refused
from ...settings import MqttSource, NatsSource
from ..incoming import split_name, store
from ..inspect import Inspected, spelled
from ..source import Ended, Found, Hand, Inspect, Known
from ..stranded import hand_over_stranded
from .addresses import beginnings, is_address, place_below

log = logging.getLogger(__name__)

LARGEST_MESSAGE = 64 * 1024
"""Bytes of a message; one that names an image is much shorter."""

SHOWN = 200
"""Characters of a message that are shown."""

PATIENCE = 60.0
"""How long a message may be ahead of its file [s]; so long after its job has ended, a file is still looked at."""

MOST_AT_ONCE = 50
"""Files that are looked at together."""

LONGEST_TRY = 600.0
"""After this time, what may work later is given up [s]."""

TRY_AGAIN = (1.0, 30.0)
"""First and longest wait between two attempts [s]."""


class MessageReader:
    """Makes inputs of messages.

    Parameters
    ----------
    settings : MqttSource or NatsSource
        Where messages may point to.
    name : str
        Name of the source.
    folder : Path
        Where downloads go.
    known : callable
        Asks the queue which files have had a job.
    ended : callable
        Asks the queue which files have had a job that ended of late.
    inspect : callable
        Looks at files, in another process.

    Raises
    ------
    ConfigError
        One of `urls` is no address.
    """

    def __init__(
        self,
        settings: MqttSource | NatsSource,
        *,
        name: str,
        folder: Path,
        known: Known,
        ended: Ended,
        inspect: Inspect,
    ) -> None:
        self._settings = settings
        self._known = known
        self._ended = ended
        self._swept = False
        self._asked = False
        self._owed: set[Path] = set()
        self.name = name
        self._folder = folder
        self._inspect = inspect
        try:
            self._allowed = beginnings(settings.urls)
        except ImageError as error:
            raise ConfigError(f"source {name}: urls: {error}") from None

    async def sweep(self, hand: Hand) -> int:
        """Hand over downloads that have no job because the daemon was ended; once, the number is returned."""
        if self._swept:
            return 0
        count = await hand_over_stranded(self._folder, self.name, known=self._known, inspect=self._inspect, hand=hand)
        self._swept = True
        return count

    async def found(self, payload: bytes, topic: str) -> Found:
        """What a message points to, once it is there. Whatever is wrong with the message is said in the answer.

        Raises
        ------
        OSError
            A download cannot be written to our own disk; the message is to be taken up again later.
        """
        origin = f"{topic}: {shown(payload)}"
        try:
            text = self._text(payload)
            if is_address(text):
                path = await self._downloaded(text)
                looked = await self._ready(lambda: path)
            else:
                looked = await self._ready(lambda: place_below(text, self._settings.roots))
        except (ImageError, TransientError, Refused) as error:
            return Found(source=self.name, origin=origin, problem=f"message: {error}")
        return self._as_found(looked, origin)

    def _as_found(self, looked: Inspected, origin: str) -> Found:
        return Found(
            source=self.name,
            path=looked.path,
            size=looked.size,
            mtime_ns=looked.mtime_ns,
            origin=origin,
            problem=looked.why if looked.hostile or looked.whole is False else "",
            facts=looked.facts,
        )

    async def look_again(self, hand: Hand) -> int:
        """Hand over newer versions of files that were replaced after their message; their number is returned.

        What was replaced before it was read has a job that was given up, and is owed one however long that takes.
        What was replaced shortly after its job had ended is noticed, too.
        """
        ended = await self._ended(self.name, PATIENCE, not self._asked)
        self._asked = True
        self._owed |= {path for path, was_replaced in ended.items() if was_replaced}
        paths = [*{*ended, *self._owed}]
        there = await asyncio.to_thread(_identities, paths)
        known = await self._known(self.name, paths)
        newer = [path for path, identity in there.items() if path in self._owed or known.get(path) != identity]
        looked = await asyncio.gather(*(self._newer(path) for path in newer[:MOST_AT_ONCE]))
        found = [one for one in looked if one is not None]
        if found:
            await hand(found)
            self._owed -= {one.path for one in found if one.path is not None}
        return len(found)

    async def _newer(self, path: Path) -> Found | None:
        """The file when it is complete; None if it has gone, which says nothing."""
        try:
            return self._as_found(await self._ready(lambda: self._still_allowed(path)), "replaced after its message")
        except ImageError as error:
            log.info("source %s: %s is not taken anew: %s", self.name, spelled(str(path)), error)
            return None

    def _still_allowed(self, path: Path) -> Path:
        if path.parent == self._folder:
            return path
        if place_below(str(path), self._settings.roots) != path:
            raise ImageError("it leads somewhere else than before")
        return path

    def _text(self, payload: bytes) -> str:
        """The path or address in a message: the value of a key of JSON, or all of it."""
        if len(payload) > LARGEST_MESSAGE:
            raise ImageError(f"it has {len(payload)} bytes; one that names an image has at most {LARGEST_MESSAGE}")
        try:
            text = payload.decode().strip()
        except UnicodeDecodeError:
            raise ImageError("it is no text in UTF-8") from None
        if text[:1] not in ("{", "[", '"'):
            return text
        try:
            plain: Any = json.loads(text)
        except (ValueError, RecursionError):
            raise ImageError("it begins like JSON, and is none") from None
        key = self._settings.path_key
        found = plain.get(key) if isinstance(plain, dict) else plain
        if not isinstance(found, str):
            raise ImageError(f"it has no text under the key '{key}'; path_key says which key holds the path")
        return found

    async def _downloaded(self, url: str) -> Path:
        """The file of an address, in our own folder."""
        if not self._settings.urls:
            raise ImageError("addresses are not allowed here; 'urls' of the source lists beginnings that are")
        end, wait = time.monotonic() + LONGEST_TRY, TRY_AGAIN[0]
        while True:
            try:
                return await self._download(url)
            except TransientError as error:
                if time.monotonic() + wait > end:
                    raise
                log.warning("source %s: %s; trying again in %g s", self.name, error, wait)
            await asyncio.sleep(wait)
            wait = min(2 * wait, TRY_AGAIN[1])

    async def _download(self, url: str) -> Path:
        settings = self._settings
        async with fetch(url, limit=settings.limit, timeout=settings.timeout, allowed=self._allowed) as download:
            return await store(
                download.pieces,
                lambda head: name_for(url, download.name, head),
                self._folder,
                limit=settings.limit,
                length=download.length,
                idle=settings.timeout,
                total=settings.timeout,
            )

    async def _ready(self, place: Callable[[], Path]) -> Inspected:
        """The file when it is complete, or as it is when patience has an end."""
        end, wait = time.monotonic() + PATIENCE, 0.2
        while True:
            path = await asyncio.to_thread(place)  # anew each time: it may have become a link meanwhile
            (looked,) = await self._inspect([path])
            is_late = time.monotonic() > end
            if looked.exists and (is_late or (looked.whole is not False and looked.closed is not False)):
                return looked
            if is_late:
                raise ImageError(f"there is no file {spelled(str(path))}")
            await asyncio.sleep(wait)
            wait = min(2 * wait, 2.0)


def _identities(paths: list[Path]) -> dict[Path, tuple[int, int]]:
    """Size [byte] and time of change [ns] of those files that are there."""
    found = {}
    for path in paths:
        try:
            facts = path.stat()
        except OSError:  # nothing is concluded from the absence of a file
            continue
        found[path] = facts.st_size, facts.st_mtime_ns
    return found


def name_for(url: str, last: str, head: bytes) -> str:
    """What the file of an address is called: its last part, if that is the name of an image, else one that is made up.

    Parameters
    ----------
    url : str
        The address.
    last : str
        Its last part.
    head : bytes
        The beginning of the file, whose format gives the suffix.
    """
    found = format_by_content(head)
    if found is None:
        raise ImageError(f"what {url} gives is no image: it begins with {head[:16]!r}")
    if found.suffix_of(last) is not None and "?" not in url:
        return last
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", split_name(last)[0]).strip(".-_")[:80] or "image"
    suffix = found.suffix_of(last) or found.suffixes[0]
    if found.name == "FITS" and head.startswith(b"\x1f\x8b") and not suffix.endswith(".gz"):
        suffix = ".fits.gz"
    return f"{stem}-{hashlib.sha256(url.encode()).hexdigest()[:8]}{suffix}"


def shown(payload: bytes) -> str:
    """A message as people may see it."""
    text = spelled(payload[: 4 * SHOWN].decode(errors="replace"))
    if len(text) <= SHOWN:
        return text
    return f"{text[:SHOWN]}… ({len(payload)} bytes, {hashlib.sha256(payload).hexdigest()[:8]})"
