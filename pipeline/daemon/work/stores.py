"""Anything that fsspec writes, as a destination: object stores, servers, other file systems."""

import errno
import os
import secrets
from pathlib import Path
from typing import Any, BinaryIO, cast

from ....images import EtendueError
from .folders import checked_name
from .storage import StorageError

WHOLE_OBJECTS = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "oss", "oci", "memory"})
"""Stores in which an object appears complete or not at all, so that it is written under its own name at once."""


class StoreDestination:
    """A store. Unfinished products are in the daemon's own folder until they are uploaded.

    Parameters
    ----------
    name : str
        What the configuration calls it.
    url : str
        Where products go, with the protocol.
    options : mapping
        Options of the file system, as fsspec has them.
    staging_root : Path
        Folder for unfinished products; made if it does not exist.

    Raises
    ------
    StorageError
        The store cannot be reached, or its driver is not installed.
    """

    def __init__(self, name: str, url: str, options: dict[str, Any], staging_root: Path) -> None:
        self.name = name
        self.folder: Path | None = None
        self.url = url
        self.staging_root = staging_root
        self.identity = url
        try:
            import fsspec

            system, root = fsspec.core.url_to_fs(url, **options)
        except (ImportError, ValueError) as error:
            raise StorageError(f"destination {name}: {url} cannot be used: {error}") from error
        self._system = system
        self._root = str(root).rstrip("/")
        protocols = (system.protocol,) if isinstance(system.protocol, str) else tuple(system.protocol)
        self._whole = not WHOLE_OBJECTS.isdisjoint(protocols)
        try:
            staging_root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"{staging_root} cannot be made: {error.strerror or error}") from error

    def check(self) -> None:
        """Whether the store answers.

        Raises
        ------
        StorageError
            It does not.
        """
        self._asked("exists", self._root)

    def put(self, staged: Path, name: str, size: int) -> None:
        """Upload a staged product; under its own name it is complete or not there. What is there already stays.

        Raises
        ------
        StorageError
            The store cannot be reached, or refuses.
        FileNotFoundError
            The product is neither where it was staged nor in its place.
        """
        key = self._key(name)
        if not staged.exists():
            if self.size(name) != size:
                text = "neither the unfinished product nor the finished one is there"
                raise FileNotFoundError(errno.ENOENT, text, self.location(name))
            return
        if not self._whole:
            self._asked("makedirs", key.rpartition("/")[0], exist_ok=True)
        temporary = key if self._whole else f"{key.rpartition('/')[0]}/.{secrets.token_hex(8)}.part"
        self._asked("put_file", str(staged), temporary)
        self._system.invalidate_cache()
        if self._asked("size", temporary) != size:
            raise StorageError(f"{self.location(name)} did not arrive complete")
        if temporary != key:
            self._rename(temporary, key)
        staged.unlink()

    def size(self, name: str) -> int | None:
        """Size of a product that is in its place [byte]; None if there is none."""
        self._system.invalidate_cache()
        try:
            return self._asked("size", self._key(name))
        except FileNotFoundError:
            return None

    def open(self, name: str) -> BinaryIO:
        """A product that is in its place, open for reading.

        Raises
        ------
        FileNotFoundError
            It is not there any more.
        StorageError
            The store cannot be reached.
        """
        return cast(BinaryIO, self._asked("open", self._key(name), "rb"))

    def local(self, name: str, cache: Path) -> Path:
        """A file with the product: a copy, made in the folder `cache` unless it is there.

        Raises
        ------
        FileNotFoundError, StorageError
            As for :meth:`open`.
        """
        import hashlib

        path = cache / f"{hashlib.sha256(os.fsencode(self.location(name))).hexdigest()[:24]}-{Path(name).name[-80:]}"
        if not path.exists() or path.stat().st_size != self.size(name):
            cache.mkdir(parents=True, exist_ok=True)
            temporary = path.with_name(f".{secrets.token_hex(4)}.part")
            self._asked("get_file", self._key(name), str(temporary))
            temporary.replace(path)
        return path

    def location(self, name: str) -> str:
        """Where a product is, for people."""
        return f"{self.url.rstrip('/')}/{name}"

    def space(self) -> tuple[int | None, int | None]:
        """Free and total space [byte]; a store does not tell."""
        return None, None

    def _key(self, name: str) -> str:
        return f"{self._root}/{checked_name(name)}"

    def _rename(self, temporary: str, key: str) -> None:
        """Some systems refuse to rename onto what exists."""
        try:
            self._asked("mv", temporary, key)
        except (StorageError, FileExistsError):
            if not self._asked("exists", key):
                raise
            self._asked("rm_file", key)
            self._asked("mv", temporary, key)

    def _asked(self, what: str, *arguments: Any, **options: Any) -> Any:
        """Let the file system do something; whatever its driver raises is a problem of the store."""
        try:
            return getattr(self._system, what)(*arguments, **options)
        except (FileNotFoundError, FileExistsError, EtendueError):
            raise
        except Exception as error:  # drivers raise errors of their own classes
            raise StorageError(f"{self.url}: {type(error).__name__}: {error}") from error
