"""From a staging folder into place: each product exactly once, whenever and wherever it was interrupted.

A worker writes into a folder that belongs to one attempt alone. What it has written is listed (the manifest), the list
goes into the queue, and only then are the products put into their places. From then on anybody who holds the list can
finish: a product is either still staged, or in its place.
"""

import os
import re
import shutil
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

from ....images import ImageError
from ..queue.job import Piece
from .destinations import Destination
from .folders import checked_name, flush
from .storage import StorageError

STAGED = re.compile(r"(\d+)-([0-9A-Za-z]+)")
"""Name of a staging folder: number of the job, and the token of the attempt."""


def staging_of(destination: Destination, job: int, token: str) -> Path:
    """The folder for the products of one attempt at a job."""
    return destination.staging_root / f"{job}-{token}"


def make_staging(destination: Destination, staging: Path) -> None:
    """Make an attempt's folder, empty.

    Raises
    ------
    StorageError
        The destination's disk is full, read-only or gone.
    """
    destination.check()
    try:
        staging.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"{staging.parent} cannot be written to: {error.strerror or error}") from error


def manifest_of(staging: Path, products: Iterable[Path], destination: str) -> tuple[Piece, ...]:
    """The list of what an attempt has produced; all of it is on the disk when this returns.

    Parameters
    ----------
    staging : Path
        The attempt's folder.
    products : iterable of Path
        What the worker says that it has written there.
    destination : str
        Name of the destination.

    Raises
    ------
    ImageError
        A product is no file, lies elsewhere, or has a name that leads out of its destination.
    OSError
        The disk of the staging folder has gone.
    """
    pieces: dict[str, Piece] = {}
    root = staging.resolve()
    folders = {root.parent, root}
    for product in products:
        path = product.parent.resolve() / product.name
        if not path.is_relative_to(root) or path == root:
            raise ImageError(f"{product} was written outside the folder of its job; write to product_path(name)")
        relative = path.relative_to(root)
        name = checked_name(PurePosixPath(*relative.parts).as_posix())
        handle = _opened(path)
        try:
            facts = os.fstat(handle)
            if not stat.S_ISREG(facts.st_mode):
                raise ImageError(f"the product {name} is no regular file")
            os.fsync(handle)
        finally:
            os.close(handle)
        folders.update(root.joinpath(*relative.parts[:depth]) for depth in range(1, len(relative.parts)))
        pieces[name] = Piece(f"{staging.name}/{name}", destination, name, facts.st_size)
    if pieces:
        for folder in folders:
            _flush(folder)
    return tuple(pieces.values())


def publish(manifest: Iterable[Piece], destinations: Mapping[str, Destination]) -> None:
    """Put the products of a job into their places. It can be interrupted and repeated as often as one likes.

    Raises
    ------
    StorageError
        A destination is full, read-only or gone; try again later.
    FileNotFoundError
        A product is neither staged nor in its place: somebody has removed it.
    ImageError
        A product's name cannot be used: it is that of a folder, or leads out of the destination.
    LookupError
        The configuration has no such destination.
    """
    for piece in manifest:
        destination = destinations.get(piece.destination)
        if destination is None:
            raise LookupError(f"there is no destination '{piece.destination}' in the configuration any more")
        staged = destination.staging_root / checked_name(piece.staged)
        destination.put(staged, piece.name, piece.size)


def clear_staging(staging: Path) -> None:
    """Remove an attempt's folder with everything in it. What cannot be removed is left to :func:`sweep`."""
    shutil.rmtree(staging, ignore_errors=True)


def staged_jobs(destination: Destination, mark: str = "") -> set[tuple[int, str]]:
    """The attempts that have a staging folder: job and token of each.

    Parameters
    ----------
    destination : Destination
        Daemons with other queues may have their folders there, too.
    mark : str
        What the tokens of our queue begin with.

    Raises
    ------
    OSError
        The destination's disk has gone.
    """
    found = (STAGED.fullmatch(entry.name) for entry in os.scandir(destination.staging_root))
    return {(int(match[1]), match[2]) for match in found if match and match[2].startswith(mark)}


def sweep(destination: Destination, garbage: Iterable[tuple[int, str]]) -> None:
    """Remove staging folders of attempts that nobody will finish.

    These are what :func:`staged_jobs` found *before* the queue was asked, without those that the queue then knew: an
    attempt that is begun in between, by another daemon, must not lose its folder.
    """
    for job, token in garbage:
        clear_staging(staging_of(destination, job, token))


def _opened(path: Path) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if path.is_symlink():
            raise ImageError(f"the product {path.name} is a symbolic link, not a file") from error
        raise


def _flush(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        flush(handle)
    finally:
        os.close(handle)
