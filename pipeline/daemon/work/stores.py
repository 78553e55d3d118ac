"""Anything that fsspec writes, as a destination: object stores, servers, other file systems."""

import errno
import hashlib
import os
import secrets
import time
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, cast

from ....images import EtendueError
from ....processors.context import OWN_FOLDER
from .folders import checked_name
from .storage import StorageError

WHOLE_OBJECTS = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "oss", "oci", "memory"})
"""Stores in which an object appears complete or not at all, so that it is written under its own name at once."""

PROBE = f"{OWN_FOLDER}/probe"
"""Object that is written to see whether the store takes anything."""

LONGEST_PROBE = 20.0
"""A store that has not taken it within this time does not answer [s]: drivers try again for minutes."""

PROBE_AGAIN = 10.0
"""A store that has taken something so lately is believed to take more [s]."""


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
        self._options = options
        try:
            self._system, root = self._connected()
        except (ImportError, ValueError) as error:
            raise StorageError(f"destination {name}: {url} cannot be used: {error}") from error
        self._root = str(root).rstrip("/")
        protocol = self._system.protocol
        protocols = (protocol,) if isinstance(protocol, str) else tuple(protocol)
        self._whole = not WHOLE_OBJECTS.isdisjoint(protocols)
        self._took_at = -PROBE_AGAIN
        try:
            staging_root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"{staging_root} cannot be made: {error.strerror or error}") from error

    def check(self) -> None:
        """Whether the store takes products, tried out by writing a small one of our own, always the same.

        Whether something exists tells less: drivers answer "no" when they have no connection, or no right to know.

        Raises
        ------
        StorageError
            It does not: it cannot be reached, has no such bucket, or refuses us.
        """
        if time.monotonic() - self._took_at < PROBE_AGAIN:
            return
        key = f"{self._root}/{PROBE}"
        try:
            if not self._whole:
                self._write("makedirs", key.rpartition("/")[0], exist_ok=True)
            self._write("pipe_file", key, b"written by etendue, to see whether it can\n")
        except StorageError:
            self._system, _ = self._connected()  # a driver looks for credentials once: they may have been put right
            raise
        self._took_at = time.monotonic()

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
            self._require(staged, name, size)
            return
        if not self._whole:
            self._write("makedirs", key.rpartition("/")[0], exist_ok=True)
        temporary = key if self._whole else f"{key.rpartition('/')[0]}/.{secrets.token_hex(8)}.part"
        try:
            self._write("put_file", str(staged), temporary)
        except StorageError:
            if staged.exists():
                raise
            self._require(staged, name, size)  # another daemon has done it at this moment
            return
        self._system.invalidate_cache()
        if self._asked("size", temporary) != size:
            raise StorageError(f"{self.location(name)} did not arrive complete")
        if temporary != key:
            self._rename(temporary, key)
        self._took_at = time.monotonic()
        staged.unlink(missing_ok=True)

    def _require(self, staged: Path, name: str, size: int) -> None:
        """Believe that a product, which is not staged any more, is in its place.

        Only on the machine that had it staged: elsewhere, what is there may be an earlier product of the same size.
        """
        folder = self.staging_root / staged.relative_to(self.staging_root).parts[0]
        if not folder.is_dir() or self.size(name) != size:
            text = "neither the unfinished product nor the finished one is there"
            raise FileNotFoundError(errno.ENOENT, text, self.location(name))

    def size(self, name: str) -> int | None:
        """Size of a product that is in its place [byte]; None if there is none."""
        self._system.invalidate_cache()
        try:
            return self._asked("size", self._key(name))
        except FileNotFoundError:
            return None

    def written(self, name: str) -> tuple[int, float | None] | None:
        """Size of a product and when it was written [byte, s since 1970]; None if there is none.

        The time is None where the store does not tell it.
        """
        size = self.size(name)
        if size is None:
            return None
        try:
            when: datetime = self._asked("modified", self._key(name))
        except FileNotFoundError:
            return None
        except StorageError as error:
            if isinstance(error.__cause__, NotImplementedError):
                return size, None
            raise
        return size, (when if when.tzinfo is not None else when.replace(tzinfo=UTC)).timestamp()

    def remove(self, name: str) -> None:
        """Remove a product; if it is not there, nothing happens."""
        with suppress(FileNotFoundError):
            self._asked("rm_file", self._key(name))
        self._system.invalidate_cache()

    def open(self, name: str) -> BinaryIO:
        """A product that is in its place, open for reading.

        Raises
        ------
        FileNotFoundError
            It is not there any more.
        StorageError
            The store cannot be reached.
        """
        return cast(BinaryIO, self._read(name, "open", "rb"))

    def local(self, name: str, cache: Path) -> Path:
        """A file with the product: a copy, made in the folder `cache` unless one of this version is there.

        Raises
        ------
        FileNotFoundError, StorageError
            As for :meth:`open`.
        """
        self._system.invalidate_cache()
        version = f"{self.location(name)}\n{self._read(name, 'ukey')}"  # a later product may have the same size
        path = cache / f"{hashlib.sha256(os.fsencode(version)).hexdigest()[:24]}-{Path(name).name[-80:]}"
        if not path.exists():
            cache.mkdir(parents=True, exist_ok=True)
            temporary = path.with_name(f".{secrets.token_hex(4)}.part")
            try:
                self._read(name, "get_file", str(temporary))
                temporary.replace(path)
            finally:
                temporary.unlink(missing_ok=True)
        return path

    def location(self, name: str) -> str:
        """Where a product is, for people."""
        return f"{self.url.rstrip('/')}/{name}"

    def space(self) -> tuple[int | None, int | None]:
        """Free and total space [byte]; a store does not tell."""
        return None, None

    def _connected(self) -> tuple[Any, str]:
        """The file system, and our place in it."""
        import fsspec

        return fsspec.core.url_to_fs(self.url, skip_instance_cache=True, **self._options)

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

    def _read(self, name: str, what: str, *arguments: Any) -> Any:
        """Ask for something of a product."""
        try:
            return self._asked(what, self._key(name), *arguments)
        except FileNotFoundError as error:
            raise FileNotFoundError(errno.ENOENT, "it is not in its place any more", self.location(name)) from error

    def _write(self, what: str, *arguments: Any, **options: Any) -> None:
        """Write something. What is not there then is a bucket or a folder, not a product."""
        try:
            self._asked(what, *arguments, **options)
        except (FileNotFoundError, FileExistsError) as error:
            self._took_at = -PROBE_AGAIN
            raise StorageError(f"{self.url}: {error}") from error

    def _asked(self, what: str, *arguments: Any, **options: Any) -> Any:
        """Let the file system do something; whatever its driver raises is a problem of the store."""
        system = self._system
        function = getattr(system, what)
        if system.async_impl and what == "pipe_file":
            from fsspec.asyn import sync

            function = partial(sync, system.loop, system._pipe_file, timeout=LONGEST_PROBE)
        try:
            return function(*arguments, **options)
        except (FileNotFoundError, FileExistsError, EtendueError):
            raise
        except Exception as error:  # drivers raise errors of their own classes
            self._took_at = -PROBE_AGAIN
            if type(error).__name__ == "FSTimeoutError":
                raise StorageError(f"{self.url} has not answered for {LONGEST_PROBE:g} s") from error
            raise StorageError(f"{self.url}: {type(error).__name__}: {error}") from error
