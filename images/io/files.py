"""Read and write images of any format, by suffix and content."""

import asyncio
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ..errors import ImageError
from ..planes import Planes
from .atomic import atomic_write
from .content import HEAD, refuse_packing
from .fits.writer import write_fits
from .registry import Format, format_by_content, format_by_suffix, formats


def read_file(path: Path, **options: Any) -> Planes:
    """Read an image from a file.

    The format is the one that the suffix announces if the content agrees, else the one that the content shows.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    **options
        For the reader of the format; every one of ours knows `dtype`.

    Raises
    ------
    ImageError
        The file is no image of a known format, or is damaged; the message names it and says why.
    FileNotFoundError
        There is no such file.
    TypeError
        The reader has no such option.
    """
    path = Path(path)
    if path.is_dir():
        raise ImageError(f"{path}: is a folder, not an image")
    with path.open("rb", buffering=0) as stream:
        head = stream.read(HEAD)
    form = _format_of(head, str(path), format_by_suffix(path))
    _check_options(form, "reader", form.read, options)
    return form.read(path, name=str(path), **options)


def check_read_options(options: Mapping[str, Any]) -> None:
    """Whether some reader understands these options, before there is a file to read.

    Raises
    ------
    ImageError
        No reader has such an option, or its value describes no layout or type of pixels.
    """
    known: dict[str, None] = {}
    for form in formats():
        names = _option_names(form.read)
        if names is None:  # it takes any option, and checks them itself
            return
        known |= dict.fromkeys(names)
    if unknown := [name for name in options if name not in known]:
        raise ImageError(f"no reader has an option {unknown[0]!r}; there are {', '.join(known)}")
    parts = {name: options[name] for name in ("layout", "data", "mask", "uncertainty") if name in options}
    if parts:
        from .fits.layout import fits_layout

        fits_layout(**parts)
    try:
        np.dtype(options.get("dtype", "float32"))
    except TypeError:
        raise ImageError(f"dtype: {options['dtype']!r} is no type of numbers; write for example float32") from None


async def load_planes(path: Path, **options: Any) -> Planes:
    """:func:`read_file` in a thread.

    One thread both reads and decodes: it takes the file in pieces that stay in the cache, which is faster than
    to collect its bytes first (see ``benchmarks/reading.py``).
    """
    return await asyncio.to_thread(read_file, path, **options)


def read_bytes(data: bytes, /, *, name: str | None = None, **options: Any) -> Planes:
    """Read an image from the bytes of a file, whose format is told by its content.

    Parameters
    ----------
    data : bytes
        What is in the file.
    name : str
        What error messages call it; its suffix is a hint.
    **options
        For the reader of the format.

    Raises
    ------
    ImageError
        The bytes are no image of a known format, or are damaged.
    TypeError
        The reader has no such option.
    """
    label = name or "the given bytes"
    form = _format_of(bytes(data[:HEAD]), label, format_by_suffix(Path(name)) if name else None)
    _check_options(form, "reader", form.read, options)
    return form.read(data, name=label, **options)


def write_file(planes: Planes, path: Path, *, overwrite: bool = True, **options: Any) -> None:
    """Write an image to a file of the format that its suffix says.

    The file is complete under its final name, or it is not there.

    Parameters
    ----------
    planes : Planes
        The image.
    path : pathlib.Path
        The file; missing folders are made.
    overwrite : bool
        Whether an existing file may be replaced.
    **options
        For the writer of the format.

    Raises
    ------
    ImageError
        No writer knows the suffix, or the image cannot be written in this format.
    FileExistsError
        The file exists and `overwrite` is false.
    TypeError
        The writer has no such option.
    """
    path = Path(path)
    found = format_by_suffix(path)
    if found is None or found[0].write is None:
        known = sorted(suffix for form in formats() if form.write for suffix in form.suffixes)
        raise ImageError(f"{path}: no format is written with this suffix; choose one of {' '.join(known)}")
    form, suffix = found
    write = found[0].write
    assert write is not None
    if form.write_options and suffix not in form.write_options:
        raise ImageError(f"{path}: files with this suffix are only read; choose one of {' '.join(form.write_options)}")
    options = {**form.write_options.get(suffix, {}), **options}
    _check_options(form, "writer", write, options)
    with atomic_write(path, overwrite=overwrite) as stream:
        try:
            write(planes, stream, **options)
        except ImageError as error:
            raise ImageError(f"{path}: {error}") from error


def write_stream(planes: Planes, stream: BinaryIO, **options: Any) -> None:
    """Write an image as FITS to a binary stream, which stays open.

    Raises
    ------
    ImageError
        The image cannot be written as FITS.
    TypeError
        The writer has no such option.
    """
    _check_options(formats()[0], "writer", write_fits, options)
    write_fits(planes, stream, **options)


async def save_planes(planes: Planes, path: Path, *, overwrite: bool = True, **options: Any) -> None:
    """:func:`write_file` in a thread."""
    await asyncio.to_thread(write_file, planes, path, overwrite=overwrite, **options)


def _format_of(head: bytes, label: str, announced: tuple[Format, str] | None) -> Format:
    if not head:
        raise ImageError(f"{label}: the file is empty")
    if announced is not None and announced[0].sniff(head):
        return announced[0]
    if (found := format_by_content(head)) is not None:
        return found
    if announced is not None:
        return announced[0]  # its reader can say best what is wrong
    refuse_packing(head, label)
    known = ", ".join(form.name for form in formats())
    raise ImageError(f"{label}: not an image of a known format ({known}): it begins with {head[:16]!r}")


def _check_options(form: Format, role: str, function: Callable[..., Any], options: Mapping[str, Any]) -> None:
    """Say in a sentence which option is wrong; a function that takes any option checks them itself."""
    known = _option_names(function)
    if known is None:
        return
    if unknown := [name for name in options if name not in known]:
        raise TypeError(f"the {form.name} {role} has no option {unknown[0]!r}; it has {', '.join(known) or 'none'}")


def _option_names(function: Callable[..., Any]) -> list[str] | None:
    """Options of a reader or writer; None if it takes any."""
    parameters = inspect.signature(function).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return None
    return [name for name, p in parameters.items() if p.kind is p.KEYWORD_ONLY and name != "name"]
