"""What all steps that write files share: how a product is named, and what is said when it cannot be written."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, StringConstraints

from ...images import Image, ImageError, TransientError
from ...images.filename import PLACEHOLDER, MissingKeyError, check_pattern, format_filename
from ...images.io import image_suffixes
from ..context import current_run, product_path

ADVICE = {
    errno.ENOSPC: "the disk is full; make room and run the image again",
    errno.EDQUOT: "the disk quota is used up; make room and run the image again",
    errno.EROFS: "the file system is read-only; choose another output folder or remount it",
    errno.EACCES: "there is no permission to write there; change the folder's permissions or choose another one",
    errno.EPERM: "there is no permission to write there; change the folder's permissions or choose another one",
}
"""What to do about the errors of a disk that somebody can repair."""


def _checked(pattern: str | tuple[str, ...]) -> str | tuple[str, ...]:
    check_pattern(pattern)
    if not pattern:
        raise ValueError("there is no file name pattern")
    return pattern


Pattern = Annotated[str, StringConstraints(min_length=1)]
FilenamePattern = Annotated[Pattern | tuple[Pattern, ...], AfterValidator(_checked)]
"""A file name with placeholders, or several of which the first that can be filled is used."""


def literal_suffixes(pattern: str | tuple[str, ...]) -> Iterator[str]:
    """The end of each pattern's file name, from the first dot after the last placeholder; empty if there is none."""
    for each in (pattern,) if isinstance(pattern, str) else pattern:
        tail = PLACEHOLDER.split(each)[-1].rpartition("/")[2]
        if "." in tail or not each.endswith("}"):
            yield tail[tail.find(".") :] if "." in tail else ""


def product_name(image: Image, pattern: str | tuple[str, ...]) -> str:
    """Fill a pattern for this image; ``{stem}`` is the name of the file that it came from, without its suffix.

    Raises
    ------
    ImageError
        A header card is missing, or the image has no name for ``{stem}``.
    """
    source = current_run().source
    name = source.name if source is not None else Path(image.name or "").name
    stem = _without_suffix(name)
    try:
        return format_filename(pattern, image.header, label=image.label, extra={"stem": stem} if stem else {})
    except MissingKeyError as error:
        if stem or "stem" not in str(error).lower():
            raise
        raise ImageError(
            f"{image.label} did not come from a file that {{stem}} could be taken from: "
            "give it a name (image.name), or a filename without {stem}"
        ) from None


def _without_suffix(name: str) -> str:
    """``a.fits.gz`` becomes ``a``, and ``a.b.fits`` becomes ``a.b``."""
    known = [suffix for suffix in image_suffixes() if name.lower().endswith(suffix)]
    return name[: -len(max(known, key=len))] if known else Path(name).stem


@contextmanager
def new_product(name: str, *, overwrite: bool) -> Iterator[Path]:
    """The path of a product to be written within the block; if that fails it does not count as a product.

    Raises
    ------
    ImageError
        The name is not allowed (see :func:`~etendue.processors.product_path`), or nothing can be written under it.
    TransientError
        The disk is full, read-only or closed to us.
    """
    products = current_run().products
    earlier = list(products)
    complete = False
    path = None
    try:
        path = product_path(name, overwrite=overwrite)
        yield path
        complete = True
    except OSError as error:
        raise _explained(error, name) from error
    finally:
        # Other chains of a fork may have added theirs meanwhile, so only this one is taken back.
        if not complete and path in products and path not in earlier:
            products.remove(path)


def _explained(error: OSError, name: str) -> ImageError | TransientError:
    context = current_run()
    path = (context.destination or context.output).absolute() / name
    if isinstance(error, FileExistsError):
        return ImageError(f"{path} exists; remove it, choose another name, or allow overwriting with overwrite: true")
    if error.errno in ADVICE:
        return TransientError(f"{path.name} cannot be written to {path.parent}: {ADVICE[error.errno]}")
    return ImageError(f"{path} cannot be written: {error.strerror or error}")
