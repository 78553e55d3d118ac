"""Pictures of images for people: stretched to 8 bits, the first row at the bottom."""

import io
import math
import struct
import zlib
from typing import Any, Literal

import numpy as np

from .errors import ImageError

Stretch = Literal["linear", "asinh", "zscale", "log", "sqrt"]

QUANTILES = {
    "linear": (5.0, 95.0),
    "asinh": (20.0, 99.8),
    "zscale": (5.0, 95.0),
    "log": (20.0, 99.9),
    "sqrt": (10.0, 99.5),
}
"""Default limits of each stretch [%]. asinh shows what lies far above the sky, so it needs a high upper limit."""

LOG_RANGE = 1000.0
"""The logarithmic stretch is log(1 + 1000 f) of the fraction f between the limits, as in SAOImage DS9."""

SAMPLE = 1 << 18
"""Pixels from which quantiles are estimated: enough for 0.1 % of the distribution."""


WORTH_PACKING = 0.75
"""Size of a packed PNG, relative to its pixels, above which it is stored: packing takes five times as long."""


def picture(
    data: np.ndarray,
    *,
    vmin: float | None = None,
    vmax: float | None = None,
    stretch: Stretch = "linear",
    low: float | None = None,
    high: float | None = None,
    softening: float = 0.02,
) -> np.ndarray:
    """Pixels as a picture of 8 bits per channel, the first row of `data` at the bottom.

    NaN is black. Where all values are the same the picture is black. The channels of a colour image share their
    limits, so that grey stays grey; a movie is shown as the mean of its frames.

    Parameters
    ----------
    data : (H, W), (3, H, W) or (T, H, W) array
        Pixel values.
    vmin, vmax : float
        Values shown black and white; what is not given is found in the data.
    stretch : {"linear", "asinh", "zscale", "log", "sqrt"}
        How values between the limits become grey. ``zscale`` is linear between limits that follow the sky.
    low, high : float
        Quantiles at which the limits lie [%]; by default those of :data:`QUANTILES`.
    softening : float
        Where asinh turns from linear to logarithmic, as a fraction of the range.

    Returns
    -------
    (H, W) or (H, W, 3) array of uint8
        The picture.

    Raises
    ------
    ImageError
        There are no pixels, or not in two or three dimensions.
    ValueError
        The stretch is unknown, or the softening not positive.

    References
    ----------
    Lupton, R. et al. 2004, PASP 116, 133 (asinh).
    """
    if stretch not in QUANTILES:
        raise ValueError(f"no stretch is called {stretch!r}; there are {', '.join(QUANTILES)}")
    if data.ndim not in (2, 3) or not data.size:
        raise ImageError(f"a picture needs pixels, (H, W) or (3, H, W), not {data.shape}")
    if not softening > 0:
        raise ValueError(f"softening must be positive, not {softening}")
    if data.ndim == 3 and data.shape[0] != 3:
        data = data.mean(axis=0, dtype=np.float32)
    if vmin is None or vmax is None:
        found = limits(data, stretch, low=low, high=high)
        vmin = found[0] if vmin is None else vmin
        vmax = found[1] if vmax is None else vmax
    levels = _levels(stretch, softening)
    channels = [_to_bytes(channel, vmin, vmax, levels) for channel in (data if data.ndim == 3 else data[np.newaxis])]
    shown = channels[0] if len(channels) == 1 else np.stack(channels, axis=-1)
    return np.ascontiguousarray(shown[::-1])


def limits(
    data: np.ndarray, stretch: Stretch = "linear", *, low: float | None = None, high: float | None = None
) -> tuple[float, float]:
    """Values to be shown black and white, from the finite pixels; (0, 0) if there are none."""
    sample = _sample(data)
    if sample.size == 0:
        return 0.0, 0.0
    if stretch == "zscale":
        from astropy.visualization import ZScaleInterval

        lower, upper = ZScaleInterval().get_limits(sample)
        return float(lower), float(upper)
    default = QUANTILES[stretch]
    quantiles = default[0] if low is None else low, default[1] if high is None else high
    lower, upper = np.percentile(sample, quantiles)
    return float(lower), float(upper)


def _sample(data: np.ndarray) -> np.ndarray:
    """At most about SAMPLE finite pixels, spread over the image without following its columns."""
    flat = data.reshape(-1)
    step = max(1, flat.size // SAMPLE)
    while step > 1 and math.gcd(step, data.shape[-1]) > 1:
        step += 1
    values = flat[::step].astype(np.float64)
    finite = values[np.isfinite(values)]
    if finite.size == 0 and step > 1:
        values = flat.astype(np.float64)
        finite = values[np.isfinite(values)]
    return finite


def _levels(stretch: Stretch, softening: float) -> np.ndarray | None:
    """Grey of each of 65536 values between the limits; None where it is proportional."""
    ramp = np.linspace(0.0, 1.0, 1 << 16)
    match stretch:
        case "asinh":
            grey = np.arcsinh(ramp / softening) / np.arcsinh(1 / softening)
        case "log":
            grey = np.log1p(LOG_RANGE * ramp) / np.log1p(LOG_RANGE)
        case "sqrt":
            grey = np.sqrt(ramp)
        case _:
            return None
    return (grey * 255).astype(np.uint8)


def _to_bytes(channel: np.ndarray, vmin: float, vmax: float, levels: np.ndarray | None) -> np.ndarray:
    """Linear, or through a table of levels; in blocks of rows that fit the cache."""
    height, width = channel.shape
    out = np.zeros(channel.shape, dtype=np.uint8)
    if not vmax > vmin:
        out[channel > vmax] = 255
        return out
    top = 255.0 if levels is None else float(len(levels) - 1)
    rows = max(1, (1 << 16) // max(1, width))
    for start in range(0, height, rows):
        block = channel[start : start + rows].astype(np.float32 if channel.dtype.itemsize <= 4 else np.float64)
        block -= vmin
        block *= top / (vmax - vmin)
        np.fmax(block, 0.0, out=block)  # NaN becomes 0 as well
        np.fmin(block, top, out=block)
        if levels is None:
            out[start : start + rows] = block
        else:
            out[start : start + rows] = levels[block.astype(np.uint16)]
    return out


def encode(array: np.ndarray, kind: Literal["jpeg", "png"], *, quality: int = 90) -> bytes:
    """A picture as the bytes of a JPEG or PNG file.

    Parameters
    ----------
    array : (H, W) or (H, W, 3) array of uint8
        The picture, top row first.
    kind : {"jpeg", "png"}
        Format.
    quality : int
        Of JPEG, 1 to 95.
    """
    if kind == "png":
        return _png(array)
    if kind != "jpeg":
        raise ValueError(f"pictures can be 'jpeg' or 'png', not {kind!r}")
    from PIL import Image as Picture

    stream = io.BytesIO()
    Picture.fromarray(array).save(stream, "JPEG", quality=quality)
    return stream.getvalue()


def _png(array: np.ndarray) -> bytes:
    """A PNG file without row filters, run-length and Huffman coded, or stored where noise leaves nothing to gain.

    Filters and a search for repetitions gain nothing on sky noise, and take most of the time of a usual encoder.

    References
    ----------
    ISO/IEC 15948, Portable Network Graphics, sections 5, 10 and 11.
    """
    height, width = array.shape[:2]
    rows = np.zeros((height, 1 + array[0].size), dtype=np.uint8)  # the first byte of a row names its filter: none
    rows[:, 1:] = array.reshape(height, -1)
    sample = rows[:: max(1, height // 32)].tobytes()
    level = 1 if len(_deflated(sample, 1)) < WORTH_PACKING * len(sample) else 0
    kind = 0 if array.ndim == 2 else 2
    parts = {
        b"IHDR": struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0),
        b"IDAT": _deflated(rows, level),
        b"IEND": b"",
    }
    chunks = [
        struct.pack(">I", len(part)) + name + part + struct.pack(">I", zlib.crc32(part, zlib.crc32(name)))
        for name, part in parts.items()
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def _deflated(content: Any, level: int) -> bytes:
    packer = zlib.compressobj(level, zlib.DEFLATED, 15, 9, zlib.Z_RLE)
    return packer.compress(content) + packer.flush()


def downsample(data: np.ndarray, max_side: int) -> np.ndarray:
    """A smaller image for thumbnails: the means of blocks, NaN left out; unchanged if it is small enough.

    Parameters
    ----------
    data : (..., H, W) array
        Pixels.
    max_side : int
        The longer side of the result is at most this [px].

    Returns
    -------
    (..., h, w) array of float32
        Incomplete blocks at the end are left out.
    """
    if max_side < 1:
        raise ValueError(f"a picture must be at least 1 pixel large, not {max_side}")
    from .geometry.pixels import block_means

    height, width = data.shape[-2:]
    factor = math.ceil(max(height, width) / max_side)
    if factor <= 1:
        return data
    return block_means(data, min(factor, height), min(factor, width))
