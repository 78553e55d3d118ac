"""Where products go: a folder, or anything that fsspec writes."""

from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO, Protocol
from urllib.parse import unquote, urlsplit

from ..settings import DestinationSettings
from .folders import FolderDestination
from .stores import StoreDestination


class Destination(Protocol):
    """A place for products. All names are relative to it, with ``/`` between folders.

    Its methods wait for disks and networks: they are called in threads.

    Attributes
    ----------
    name : str
        What the configuration calls it.
    url : str
        Where it is.
    folder : Path or None
        The folder, if it is one.
    staging_root : Path
        Folder in which each job has one for its unfinished products.
    identity : str
        What it is known by after a restart: another one means another disk.
    """

    name: str
    url: str
    folder: Path | None
    staging_root: Path
    identity: str

    def check(self) -> None:
        """Raise StorageError if it is not there."""

    def put(self, staged: Path, name: str, size: int) -> None:
        """Put a staged product into its place, complete or not at all; if it is there already, nothing happens."""

    def size(self, name: str) -> int | None:
        """Size of a product that is in its place [byte]; None if there is none."""

    def written(self, name: str) -> tuple[int, float | None] | None:
        """Size of a product and when its file was last changed [byte, s since 1970]; None if there is none.

        The time is None where it is not known.
        """

    def remove(self, name: str) -> None:
        """Remove a product, durably; if it is not there, nothing happens."""

    def open(self, name: str) -> BinaryIO:
        """A product that is in its place, open for reading."""
        ...

    def local(self, name: str, cache: Path) -> Path:
        """A file of this machine with the product; a copy in the folder `cache` where that is needed."""
        ...

    def location(self, name: str) -> str:
        """Where a product is, for people."""
        ...

    def space(self) -> tuple[int | None, int | None]:
        """Free and total space [byte]; None for unknown."""
        ...


def make_destination(
    name: str, settings: DestinationSettings, state: Path, known: Mapping[str, str] | None = None
) -> Destination:
    """A destination, ready for products.

    Parameters
    ----------
    name : str
        What the configuration calls it.
    settings : DestinationSettings
        A folder, or an address that fsspec knows.
    state : Path
        The daemon's own folder: products for a store wait there until they are uploaded.
    known : mapping
        `url` and `identity` of the destination of this name when it was last used.

    Raises
    ------
    StorageError
        It cannot be reached or written to, and never was before.
    """
    url = settings.url
    if "://" not in url or urlsplit(url).scheme == "file":
        folder = Path(unquote(urlsplit(url).path) if "://" in url else url)
        known = known or {}
        return FolderDestination(name, folder, known.get("identity", "") if known.get("url") == str(folder) else "")
    return StoreDestination(name, url, dict(settings.options), state / "staging" / name)
