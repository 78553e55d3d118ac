"""A part of an image as a picture, at any scale."""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from ....images import ImageError
from ....images.display import Stretch, encode, picture
from .opened import PLANES, STRETCHES, Opened, open_image

LARGEST_SIDE = 2400
"""Of a picture [px]."""

USUAL_SIDE = 1200
LARGEST_SCALE = 64.0
SMALL = 40_000
"""A picture of so few pixels is a PNG."""

QUALITY = 88
MASKED = np.array([204, 121, 167], dtype=np.float32)
"""Reddish purple (Okabe & Ito 2008), which people with any kind of colour vision tell from grey and from blue."""


def image_picture(
    *,
    path: str,
    x0: int = 0,
    y0: int = 0,
    width: int | None = None,
    height: int | None = None,
    scale: float | None = None,
    size: int | None = None,
    stretch: Stretch = "asinh",
    low: float | None = None,
    high: float | None = None,
    plane: str = "data",
    mask: bool = False,
    format: Literal["auto", "png", "jpeg"] = "auto",
) -> dict[str, Any]:
    """A picture of a region.

    Parameters
    ----------
    path : str
        The image.
    x0, y0, width, height : int
        The region [px of the image]; what is outside of it is cut off.
    scale : float
        Pixels of the picture per pixel of the image.
    size : int
        Instead of `scale`: longer side of the picture; 1200 by default, and never larger than the image.
    stretch, low, high
        How values become grey, and which are shown black and white; see :func:`etendue.images.display.picture`.
    plane : {"data", "raw", "uncertainty", "mask"}
        What of the image is shown.
    mask : bool
        Tint excluded pixels.
    format : {"auto", "png", "jpeg"}
        ``auto``: PNG where single pixels are to be seen.

    Returns
    -------
    dict
        ``content`` (bytes), ``type``, ``region`` [x0, y0, width, height], ``size`` [width, height].

    Raises
    ------
    ImageError
        The region does not touch the image, or there is no such plane.
    """
    image = open_image(path)
    if plane not in PLANES or stretch not in STRETCHES:
        raise ImageError(f"there is no plane '{plane}', or no stretch '{stretch}'")
    region = clipped((x0, y0, width, height), image.shown(plane).shape[-2:])
    scale = bounded_scale(scale, size, max(region[2:]))
    found = image.cut(plane, stretch) if plane != "mask" else (0.0, 1.0)
    black, white = found[0] if low is None else low, found[1] if high is None else high
    array = rendered(image, plane, region, scale, lambda part: picture(part, vmin=black, vmax=white, stretch=stretch))
    if mask and image.planes.mask is not None:
        veil = rendered(image, "mask", region, scale, lambda part: picture(np.ceil(part), vmin=0.0, vmax=1.0))
        array = tinted(array, veil)
    kind = format
    if kind == "auto":
        kind = "png" if scale >= 2 or array.size < SMALL else "jpeg"
    return {
        "content": encode(array, kind, quality=QUALITY),
        "type": f"image/{kind}",
        "region": list(region),
        "size": [array.shape[1], array.shape[0]],
    }


Region = tuple[int, int, int, int]
Stretched = Callable[[np.ndarray], np.ndarray]


def clipped(wanted: tuple[int, int, int | None, int | None], shape: tuple[int, ...]) -> Region:
    """The part of the wanted region that there is: first column, first row, columns, rows.

    Raises
    ------
    ImageError
        There is nothing of it.
    """
    x0, y0, width, height = wanted
    rows, columns = shape
    width = columns - x0 if width is None else width
    height = rows - y0 if height is None else height
    left, bottom = max(0, x0), max(0, y0)
    right, top = min(columns, x0 + width), min(rows, y0 + height)
    if right <= left or top <= bottom:
        raise ImageError(f"there is nothing at x = {x0} and y = {y0}: the image has {columns} columns and {rows} rows")
    return left, bottom, right - left, top - bottom


def bounded_scale(scale: float | None, size: int | None, longest: int) -> float:
    """Pixels of the picture per pixel of the image, so that it becomes neither too large nor nothing."""
    if scale is None:
        scale = min(1.0, (size or USUAL_SIDE) / longest)
    return min(max(scale, 1 / longest), LARGEST_SCALE, LARGEST_SIDE / longest)


def rendered(image: Opened, plane: str, region: Region, scale: float, stretched: Stretched) -> np.ndarray:
    """A region of a plane as 8 bits per channel, top row first.

    Pixels are averaged where the picture is smaller than the region, and drawn as squares where it is larger.

    Parameters
    ----------
    image : Opened
        The image.
    plane : str
        What of it.
    region : (x0, y0, width, height)
        Within the image [px].
    scale : float
        Pixels of the picture per pixel of the image.
    stretched : callable
        Makes 8 bits, top row first, of values.
    """
    from PIL import Image as Pillow

    level = 0
    while scale * 2 ** (level + 1) <= 1:
        level += 1
    factor = 2**level
    data = image.shown(plane, level)
    x0, y0, width, height = region
    columns = slice(x0 // factor, min(data.shape[-1], -(-(x0 + width) // factor)))
    rows = slice(y0 // factor, min(data.shape[-2], -(-(y0 + height) // factor)))
    part = stretched(data[..., rows, columns])
    size = max(1, round(width * scale)), max(1, round(height * scale))
    # Where the region's edges are within the part; its top row comes first.
    left = x0 / factor - columns.start
    right = min(part.shape[1], left + width / factor)
    top = max(0.0, rows.stop - (y0 + height) / factor)
    bottom = min(part.shape[0], top + height / factor)
    if part.shape[1::-1] == size and (left, top) == (0, 0):
        return part
    method = Pillow.Resampling.NEAREST if scale >= 1 else Pillow.Resampling.BILINEAR
    resized = Pillow.fromarray(part).resize(size, method, box=(left, top, right, bottom))
    return np.asarray(resized)


def tinted(array: np.ndarray, veil: np.ndarray) -> np.ndarray:
    """A colour picture with the excluded pixels tinted.

    Parameters
    ----------
    array : (h, w) or (h, w, 3) array of uint8
        The picture.
    veil : (h, w) array of uint8
        255 where pixels are excluded.
    """
    colour = np.repeat(array[..., np.newaxis], 3, axis=2) if array.ndim == 2 else array
    part = (veil / np.float32(255 * 2))[..., np.newaxis]
    return (colour * (1 - part) + MASKED * part).astype(np.uint8)
