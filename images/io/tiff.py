"""TIFF images, movies and colour images. The first row of the file is row 0, as the array has it."""

import io
import struct
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ..errors import ImageError
from ..planes import Planes
from .content import Content
from .fits.pixels import EXACT, PixelType
from .npy import image_pixels

MAGICS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

SOFTWARE = "etendue"
"""By this tag a file is known whose types are to be kept as they are."""


def read_tiff(source: Path | bytes, *, name: str | None = None, dtype: PixelType = EXACT, series: int = 0) -> Planes:
    """Read an image from a TIFF file.

    One page becomes (H, W); several pages, or axes of time, depth or channels, a movie (T, H, W); samples of red,
    green and blue a colour image (3, H, W). Transparency is left out.

    Parameters
    ----------
    source : path or bytes
        The file, or its content.
    name : str
        What error messages call it.
    dtype : dtype, optional
        Type of the pixels. By default float32, and for files that Etendue wrote the type that was written.
        None keeps that of the file.
    series : int
        Which series of alike pages, for files that hold several.

    Raises
    ------
    ImageError
        The file is damaged or truncated, or holds no image or one of too many axes.
    """
    import tifffile

    with Content(source, name) as content:
        stream = io.BytesIO(content.read(0, content.size))
        try:
            with tifffile.TiffFile(stream) as file:
                if not 0 <= series < len(file.series):
                    raise ImageError(f"{content.name}: there is no series {series}; the file has {len(file.series)}")
                chosen = file.series[series]
                axes, pixels = chosen.axes, chosen.asarray()
                own = str(file.pages.first.software).startswith(SOFTWARE)  # type: ignore[union-attr]
        except ImageError:
            raise
        except MemoryError as error:
            raise ImageError(f"{content.name}: claims to hold more pixels than fit into memory") from error
        except (OSError, ValueError, TypeError, KeyError, IndexError, AttributeError, RuntimeError) as error:
            raise ImageError(f"{content.name}: not a TIFF image, damaged or truncated: {error}") from error
        except (struct.error, zlib.error, ImportError) as error:
            raise ImageError(f"{content.name}: cannot decode the TIFF image: {error}") from error
    if own and isinstance(dtype, str) and dtype == EXACT:
        dtype = None
    if pixels.dtype.kind not in "biuf":
        raise ImageError(f"{content.name}: holds {pixels.dtype}, not numbers")
    color = "S" in axes or (axes == "CYX" and len(pixels) == 3)
    if "S" in axes:
        pixels = np.moveaxis(pixels, axes.index("S"), 0)
        pixels = pixels[:3] if len(pixels) >= 3 else pixels[:1]  # without alpha
        color = len(pixels) == 3
    pixels = image_pixels(pixels, dtype, content.name)
    if pixels.ndim == 2:
        return Planes(data=pixels)
    return Planes(data=pixels, axes="CYX" if color else "TYX")


def write_tiff(planes: Planes, stream: BinaryIO) -> None:
    """Write the pixels of an image as TIFF, with their type; header and the other planes are not written.

    A movie has one page for each frame, a colour image three samples for each pixel.

    Raises
    ------
    ImageError
        There are no pixels.
    """
    import tifffile

    if planes.data is None:
        raise ImageError("there are no pixels to write")
    data, axes = planes.data, planes.axes
    color = data.ndim == 3 and (axes == "CYX" or (axes is None and len(data) == 3))
    tifffile.imwrite(
        stream,
        np.ascontiguousarray(np.moveaxis(data, 0, -1)) if color else data,
        photometric="rgb" if color else "minisblack",
        software=SOFTWARE,
        metadata={"axes": "YXS" if color else "TYX" if data.ndim == 3 else "YX"},
    )
