"""A folder as a destination: renamed into place, durable, and never out of it by a link."""

import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from ....images import ImageError
from ....processors.context import OWN_FOLDER
from .storage import StorageError

IDENTITY = "id"
"""File in our own folder by which the destination is known again after its disk was away."""

ADVICE = "if it is meant to be a new one, remove destinations.json in the folder `state` and restart the daemon"


class FolderDestination:
    """A folder. Its unfinished products are within it, so that a rename puts each of them into its place.

    Parameters
    ----------
    name : str
        What the configuration calls it.
    folder : Path
        The folder; made if it does not exist.
    identity : str
        What it was known by when it was last used. Then nothing is made: if it is not there, or another one,
        :meth:`check` refuses it until its disk is back.

    Raises
    ------
    StorageError
        It is a new one, and cannot be made or written to.
    """

    def __init__(self, name: str, folder: Path, identity: str = "") -> None:
        self.name = name
        self.folder: Path | None = folder
        self.url = str(folder)
        self.staging_root = folder / OWN_FOLDER / "staging"
        self._root = folder
        self._identity = folder / OWN_FOLDER / IDENTITY
        self.identity = identity
        if identity:
            return
        try:
            self.staging_root.mkdir(parents=True, exist_ok=True)
            if not self._identity.exists():
                _write_once(self._identity, secrets.token_hex(8))
            self.identity = self._identity.read_text()
        except OSError as error:
            raise StorageError(f"{folder} cannot be written to: {error.strerror or error}") from error

    def check(self) -> None:
        """Whether the folder is still the one that it was: one whose disk was unmounted is another one.

        Raises
        ------
        StorageError
            It is not.
        """
        try:
            same = self._identity.read_text() == self.identity
        except OSError as error:
            raise StorageError(
                f"{self._root} is not there any more, or its disk is not mounted ({error.strerror or error}); {ADVICE}"
            ) from error
        if not same:
            raise StorageError(f"{self._root} is another folder than before: is its disk mounted? Otherwise {ADVICE}")

    def put(self, staged: Path, name: str, size: int) -> None:
        """Rename a staged product into its place, durably. What is there already stays.

        Raises
        ------
        StorageError
            The disk is full, read-only or gone.
        FileNotFoundError
            The product is neither where it was staged nor in its place.
        ImageError
            The name leads out of the folder, or is that of a folder.
        """
        self.check()
        path = PurePosixPath(checked_name(name))
        with _naming(self._root / name), self._opened(path.parent) as parent:
            try:
                _move(staged, parent, path.name)
            except FileNotFoundError:
                if self._size_at(parent, path.name) != size:
                    raise
            flush(parent)

    def size(self, name: str) -> int | None:
        """Size of a product that is in its place [byte]; None if there is none."""
        try:
            return self._inside(name).stat().st_size
        except (FileNotFoundError, NotADirectoryError):
            return None

    def written(self, name: str) -> tuple[int, float] | None:
        """Size of a product and when its file was last changed [byte, s since 1970]; None if there is none.

        Raises
        ------
        StorageError
            The folder cannot be looked into.
        ImageError
            It is no file any more, or the name leads out of the folder.
        """
        path = PurePosixPath(checked_name(name))
        with _reaching(self._root / name):
            try:
                with self._opened(path.parent, make=False) as parent:
                    facts = os.stat(path.name, dir_fd=parent, follow_symlinks=False)
            except (FileNotFoundError, NotADirectoryError):
                return None
        if not stat.S_ISREG(facts.st_mode):
            raise ImageError(f"{self._root / name} is no file any more, but a folder or a link")
        return facts.st_size, facts.st_mtime

    def remove(self, name: str) -> None:
        """Remove a product, durably; if it is not there, nothing happens.

        Raises
        ------
        StorageError
            It cannot be removed, or the folder is not the one that it was.
        ImageError
            The name leads out of the folder.
        """
        self.check()
        path = PurePosixPath(checked_name(name))
        with _reaching(self._root / name), self._opened(path.parent, make=False) as parent:
            with suppress(FileNotFoundError):
                os.unlink(path.name, dir_fd=parent)
            flush(parent)

    def open(self, name: str) -> BinaryIO:
        """A product that is in its place, open for reading.

        Raises
        ------
        FileNotFoundError
            It is not there any more.
        ImageError
            The name leads out of the folder.
        """
        return self._inside(name).open("rb")

    def local(self, name: str, cache: Path) -> Path:
        """A file with the product; `cache` is not needed here."""
        return self._inside(name)

    def location(self, name: str) -> str:
        """Where a product is, for people."""
        return str(self._root / name)

    def space(self) -> tuple[int | None, int | None]:
        """Free and total space [byte]; None for unknown."""
        try:
            usage = shutil.disk_usage(self._root)
        except OSError:
            return None, None
        return usage.free, usage.total

    def _inside(self, name: str) -> Path:
        path = (self._root / checked_name(name)).resolve()
        if not path.is_relative_to(self._root.resolve()):
            raise ImageError(f"{name} leads out of {self._root} by a symbolic link")
        return path

    @contextmanager
    def _opened(self, inner: PurePosixPath, *, make: bool = True) -> Iterator[int]:
        """A folder within this one, made if it is missing, unless `make` forbids it.

        Links are followed only if they stay within. It is walked down step by step from its resolved place, so that a
        link which appears meanwhile is refused.
        """
        root = self._root.resolve()
        place = (root / inner).resolve()
        if not place.is_relative_to(root):
            raise ImageError(f"{inner} leads out of {self._root} by a symbolic link")
        handle = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for part in place.relative_to(root).parts:
                inside = _folder_in(handle, part, make=make)
                os.close(handle)
                handle = inside
            yield handle
        finally:
            os.close(handle)

    @staticmethod
    def _size_at(parent: int, name: str) -> int | None:
        try:
            return os.stat(name, dir_fd=parent, follow_symlinks=False).st_size
        except FileNotFoundError:
            return None


def checked_name(name: str) -> str:
    """The name of a product within its destination, if it is one.

    Raises
    ------
    ImageError
        It leads out of the destination, or into our own folder.
    """
    parts = name.split("/")
    if not name or "\0" in name or any(part in ("", ".", "..") for part in parts):
        raise ImageError(f"{name!r} is no name for a product: it leads out of its destination")
    if parts[0] == OWN_FOLDER:
        raise ImageError(f"{name!r} is no name for a product: {OWN_FOLDER} is our own folder")
    if any(len(os.fsencode(part)) > 255 for part in parts):
        raise ImageError(f"{name!r} is no name for a product: it is too long")
    return name


def _folder_in(parent: int, name: str, *, make: bool) -> int:
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(name, flags, dir_fd=parent)
    except FileNotFoundError:
        if not make:
            raise
        try:
            os.mkdir(name, dir_fd=parent)
        except FileExistsError:  # somebody else has made it meanwhile
            return os.open(name, flags, dir_fd=parent)
        flush(parent)
        return os.open(name, flags, dir_fd=parent)


def flush(folder: int) -> None:
    """Make the names in an open folder survive a power failure."""
    try:
        os.fsync(folder)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # network file systems refuse, and keep names safe
            raise


def _move(staged: Path, parent: int, name: str) -> None:
    """Rename a file into an open folder, also one in which another disk is mounted."""
    try:
        os.replace(staged, name, dst_dir_fd=parent)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        with staged.open("rb") as content:
            _copy(content, parent, name)
        staged.unlink(missing_ok=True)


def _copy(content: BinaryIO, parent: int, name: str) -> None:
    """Copy a file into an open folder, durably: it appears there complete.

    The temporary name is another one each time: two daemons, one of which thinks the other dead, may do this at once.
    """
    temporary = f".{secrets.token_hex(8)}.part"
    target = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644, dir_fd=parent)
    try:
        with os.fdopen(target, "wb") as output:
            shutil.copyfileobj(content, output, 1 << 20)
            output.flush()
            os.fsync(output.fileno())
        os.replace(temporary, name, src_dir_fd=parent, dst_dir_fd=parent)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(temporary, dir_fd=parent)
        raise
    flush(parent)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Errors name the product, and tell a disk that cannot be written to from a name that cannot be used."""
    try:
        yield
    except FileNotFoundError as error:
        raise FileNotFoundError(
            errno.ENOENT, "neither the unfinished product nor the finished one is there", str(path)
        ) from error
    except OSError as error:
        if error.errno in (errno.EISDIR, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENOTEMPTY):
            raise ImageError(f"{path} cannot be written: {error.strerror}; choose another file name") from error
        raise StorageError(f"{path} cannot be written: {error.strerror or error}") from error


@contextmanager
def _reaching(path: Path) -> Iterator[None]:
    """Errors name the product that is looked at or removed."""
    try:
        yield
    except OSError as error:
        raise StorageError(f"{path} cannot be reached or removed: {error.strerror or error}") from error


def _write_once(path: Path, text: str) -> None:
    """Write a small file that appears complete, and only if nobody else has written it meanwhile."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    temporary.write_text(text)
    try:
        os.link(temporary, path)
    except FileExistsError:
        return
    except OSError:  # a file system without hard links
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
