"""Why an image failed, in the few kinds that decide what is done next."""

import errno
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

from ...images import ImageError, TransientError

Cause = Literal["", "image", "transient", "storage", "missing", "replaced", "time", "died", "memory", "other"]
"""Kinds of failure.

``image``: it is wrong with this image, and trying again does not help. ``transient``: a service or network may work
later. ``storage``: the disk of the products is full, read-only or gone, which is no image's fault. ``missing``: the
input file cannot be reached. ``replaced``: while the file was read it became another one. ``time``: it took too long.
``died``: the worker process ended. ``memory``: it took too much. ``other``: everything else, mostly a defect of a step.
"""

FULL_OR_BROKEN = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ESTALE})
"""What a disk says that has no room or does not work."""

UNREACHABLE = frozenset({errno.ESTALE, errno.ENODEV, errno.ENXIO, errno.ENOTCONN, errno.EHOSTDOWN, errno.EHOSTUNREACH})
"""What the system says of a file on a disk that has gone."""

CLOSED_TO_US = frozenset({errno.EACCES, errno.EPERM, errno.ENOENT, errno.ENOTDIR})
"""What a step may have brought about itself, unless one of our own folders is really gone or closed."""


class ReplacedError(ImageError):
    """The file that was read is not the one that was meant."""


def cause_of(error: BaseException, *, source: Path | None = None, folders: Iterable[Path | None] = ()) -> Cause:
    """What kind of failure an error is.

    Parameters
    ----------
    error : exception
        What was raised. The errors from which it was raised count as well.
    source : Path
        The input file.
    folders : paths
        Where products are written.
    """
    ours = [folder for folder in folders if folder is not None]
    for each in _line_of(error):
        match each:
            case ReplacedError():
                return "replaced"
            case MemoryError():
                return "memory"
            case OSError() if found := _of_the_system(each, source, ours):
                return found
    match error:
        case TimeoutError():
            return "time"
        case TransientError() | ConnectionError():
            return "transient"
        case ImageError():
            return "image"
    return "other"


def _line_of(error: BaseException) -> Iterator[BaseException]:
    """The error, the one that it was raised from, and so on."""
    current: BaseException | None = error
    while current is not None:
        yield current
        current = current.__cause__


def _of_the_system(error: OSError, source: Path | None, folders: list[Path]) -> Cause:
    """What an error of the operating system means, if that does not depend on who raised it."""
    code = error.errno or 0
    if code == errno.ENOMEM:
        return "memory"
    if error.filename is None or not isinstance(error.filename, str | bytes):
        return "storage" if code in FULL_OR_BROKEN else ""
    path = Path(os.path.abspath(os.fsdecode(error.filename)))  # noqa: PTH100 - links may lead to a disk that is gone
    if source is not None and path == source.absolute():
        if isinstance(error, FileNotFoundError | NotADirectoryError) or code in UNREACHABLE:
            return "missing"
        return "transient" if code in FULL_OR_BROKEN | CLOSED_TO_US else ""
    for folder in folders:
        if path.is_relative_to(folder.absolute()):
            gone = code in CLOSED_TO_US and not (folder.is_dir() and os.access(folder, os.W_OK))
            return "storage" if gone or code in FULL_OR_BROKEN | UNREACHABLE else ""
    return "transient" if code in FULL_OR_BROKEN | UNREACHABLE else ""
