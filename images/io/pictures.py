"""Pictures (PNG, JPEG) as images, and images as pictures.

Reading takes the pixels as they are: the first row of the file is row 0, and red, green, blue are the three planes.
Writing makes a picture for people (see :mod:`etendue.images.display`): stretched to 8 bits, row 0 at the bottom.
Keep results in FITS, TIFF or NPY.
"""

import io
import struct
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ..errors import ImageError
from ..planes import Planes
from .content import Content
from .fits.pixels import EXACT, PixelType
from .npy import image_pixels

PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
JPEG_MAGIC = b"\xff\xd8\xff"


def read_picture(source: Path | bytes, *, name: str | None = None, dtype: PixelType = EXACT) -> Planes:
    """Read an image from a PNG or JPEG file.

    Grey pictures become (H, W), colour pictures (3, H, W); transparency is left out. Orientation notes of cameras
    are not followed: pixels stay where the sensor had them.

    Parameters
    ----------
    source : path or bytes
        The file, or its content.
    name : str
        What error messages call it.
    dtype : dtype, optional
        Type of the pixels, float32 by default; None keeps that of the file (uint8 or uint16).

    Raises
    ------
    ImageError
        The file is damaged, suspiciously large, or has 16 bits for each of several channels.
    """
    from PIL import Image as Pillow

    with Content(source, name) as content:
        head = content.head()
        if head.startswith(PNG_MAGIC) and len(head) > 25 and head[24] == 16 and head[25] != 0:
            raise ImageError(
                f"{content.name}: a PNG with 16 bits for each of several channels, of which Pillow would keep 8; "
                "convert it to TIFF"
            )
        try:
            with Pillow.open(io.BytesIO(content.read(0, content.size)), formats=("PNG", "JPEG")) as picture:
                picture.load()
                pixels = np.asarray(_converted(picture))
        except Pillow.DecompressionBombError as error:
            raise ImageError(f"{content.name}: refused, as it would fill the memory: {error}") from error
        except (OSError, ValueError, SyntaxError, EOFError, struct.error) as error:
            raise ImageError(f"{content.name}: not a picture, damaged or truncated: {error}") from error
    if pixels.ndim == 3:
        return Planes(data=image_pixels(np.moveaxis(pixels, -1, 0), dtype, content.name), axes="CYX")
    return Planes(data=image_pixels(pixels, dtype, content.name))


def _converted(picture: Any) -> Any:
    """The picture as plain grey or plain RGB."""
    match picture.mode:
        case "L" | "RGB":
            return picture
        case "I;16" | "I;16B" | "I;16L" | "I":
            return np.asarray(picture).astype(np.uint16)
        case "1" | "LA":
            return picture.convert("L")
        case _:
            return picture.convert("RGB")


def write_png(planes: Planes, stream: BinaryIO, **options: Any) -> None:
    """Write a picture of an image as PNG; options as for :func:`etendue.images.display.picture`.

    Raises
    ------
    ImageError
        There are no pixels.
    """
    _write(planes, stream, "png", options)


def write_jpeg(planes: Planes, stream: BinaryIO, **options: Any) -> None:
    """Write a picture of an image as JPEG; options as for :func:`etendue.images.display.picture`.

    Raises
    ------
    ImageError
        There are no pixels.
    """
    _write(planes, stream, "jpeg", options)


def _write(planes: Planes, stream: BinaryIO, kind: Any, options: dict[str, Any]) -> None:
    from ..display import encode, picture

    if planes.data is None:
        raise ImageError("there are no pixels to write")
    stream.write(encode(picture(planes.data, **options), kind))
