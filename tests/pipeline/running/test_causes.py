"""What kind of failure an error is."""

import errno
from pathlib import Path

import pytest

from etendue.images import ImageError, TransientError
from etendue.pipeline.running.causes import ReplacedError, cause_of


def system(code: int, path: Path | None = None) -> OSError:
    return OSError(code, "", None if path is None else str(path))


def raised_from(error: Exception, cause: BaseException) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (ImageError("every pixel is masked"), "image"),
        (TransientError("the service is busy"), "transient"),
        (ConnectionResetError(), "transient"),
        (TimeoutError("not finished within 3 s"), "time"),
        (MemoryError(), "memory"),
        (system(errno.ENOMEM), "memory"),
        (ReplacedError("another file"), "replaced"),
        (KeyError("x"), "other"),
        (SystemExit(3), "other"),
        (system(errno.ENOSPC), "storage"),
        (raised_from(TransientError("the disk is full"), system(errno.ENOSPC)), "storage"),
        (raised_from(ImageError("no model"), TimeoutError()), "image"),
    ],
)
def test_the_error_or_what_it_was_raised_from_tells(error, cause):
    assert cause_of(error) == cause


def test_where_it_happened_matters(tmp_path):
    source, staging = tmp_path / "raw" / "a.fits", tmp_path / "out"
    staging.mkdir()

    def cause(code: int, path: Path) -> str:
        return cause_of(system(code, path), source=source, folders=(staging, None))

    assert cause(errno.ENOENT, source) == "missing"
    assert cause(errno.ESTALE, source) == "missing"
    assert cause(errno.EIO, source) == "transient"  # a bad sector stays bad: it must not be tried for ever
    assert cause(errno.EACCES, source) == "transient"
    assert cause(errno.EROFS, staging / "b.fits") == "storage"
    assert cause(errno.ENOSPC, tmp_path / "elsewhere") == "transient"
    assert cause(errno.ENOENT, staging / "not there") == "other"
    staging.rmdir()
    assert cause(errno.ENOENT, staging / "b.fits") == "storage"
