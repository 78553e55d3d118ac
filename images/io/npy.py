"""Arrays in numpy's own format: pixels and nothing else. The first row of the array is the first row of the image."""

import io
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ..errors import ImageError
from ..planes import Planes
from .content import Content
from .fits.pixels import EXACT, PixelType

MAGIC = b"\x93NUMPY"


def read_npy(source: Path | bytes, *, name: str | None = None, dtype: PixelType = EXACT) -> Planes:
    """Read an image from an .npy file.

    Parameters
    ----------
    source : path or bytes
        The file, or its content. Pickled objects in it are refused.
    name : str
        What error messages call it.
    dtype : dtype, optional
        Type of the pixels, float32 by default; None keeps that of the file.

    Raises
    ------
    ImageError
        It is not such a file, is truncated, or holds something else than an image.
    """
    with Content(source, name) as content:
        head = io.BytesIO(content.head())
        try:
            version = np.lib.format.read_magic(head)
            reader = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, fortran, stored = reader(head)
        except ValueError as error:
            raise ImageError(f"{content.name}: not an .npy file: {error}") from error
        if stored.kind not in "biuf":
            raise ImageError(f"{content.name}: holds {stored}, not numbers")
        length = prod(shape) * stored.itemsize
        if head.tell() + length > content.size:
            raise ImageError(
                f"{content.name}: truncated: it should have {head.tell() + length} bytes and has {content.size}"
            )
        pixels = np.frombuffer(content.read(head.tell(), length), stored)
    return Planes(data=image_pixels(pixels.reshape(shape, order="F" if fortran else "C"), dtype, content.name))


def write_npy(planes: Planes, stream: BinaryIO) -> None:
    """Write the pixels of an image, and nothing else of it, as an .npy file.

    Raises
    ------
    ImageError
        There are no pixels.
    """
    if planes.data is None:
        raise ImageError("there are no pixels to write")
    np.lib.format.write_array(stream, planes.data, allow_pickle=False)


def image_pixels(pixels: np.ndarray, dtype: Any, name: str) -> np.ndarray:
    """An array of its own with the pixels of an image: of the wanted type, without leading axes of length one.

    Raises
    ------
    ImageError
        There are no pixels, or they have too few or too many axes.
    """
    while pixels.ndim > 2 and pixels.shape[0] == 1:
        pixels = pixels[0]
    if pixels.size == 0:
        raise ImageError(f"{name}: holds no pixels (shape {pixels.shape})")
    if pixels.ndim not in (2, 3):
        raise ImageError(
            f"{name}: holds an array of shape {pixels.shape}; an image has two axes, a colour image or a movie three"
        )
    if isinstance(dtype, str) and dtype == EXACT:
        dtype = np.float32
    wanted = (pixels.dtype if dtype is None else np.dtype(dtype)).newbyteorder("=")
    if pixels.dtype.kind == "f" and wanted.kind != "f":
        raise ImageError(f"{name}: holds floating-point numbers; they do not fit into {wanted}")
    return np.array(pixels, dtype=wanted, order="C")
