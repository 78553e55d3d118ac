"""Pixels of FITS images: from the bytes in a file to an array, in one pass over memory."""

import io

import numpy as np
from astropy.io import fits

from ...errors import ImageError
from ..content import Content
from .header import BLOCK, Hdu, finished

CHUNK = 2**20
"""Bytes that are read and decoded at once: they are still in the cache when they are decoded."""

STORED = {8: ">u1", 16: ">i2", 32: ">i4", 64: ">i8", -32: ">f4", -64: ">f8"}
"""Type of the stored numbers by BITPIX."""

PixelType = np.dtype | type | str | None
"""What a reader's `dtype` can be: a numpy type or its name, "auto" (:data:`EXACT`), or None."""

EXACT = "auto"
"""Default `dtype` of the readers: float32, but the very type that was written if Etendue wrote the file."""


def read_pixels(content: Content, hdu: Hdu, dtype: PixelType = EXACT, *, squeeze: bool = True) -> np.ndarray:
    """The pixels of an image HDU as a new array in native byte order.

    Parameters
    ----------
    content : Content
        The file.
    hdu : Hdu
        An image of it, plain or compressed.
    dtype : dtype or "auto"
        Type of the result. None is the type of the physical values in the file: unsigned for integers
        with the customary BZERO, floating point if they are scaled or have a BLANK value.
    squeeze : bool
        Leave out leading axes of length one beyond the two of an image.

    Returns
    -------
    array
        It owns its memory. Pixels equal to BLANK are NaN.

    Raises
    ------
    ImageError
        The pixels cannot be decoded, or integers are asked for and the file holds floating-point numbers.
    """
    if hdu.is_compressed:
        return _read_compressed(content, hdu, dtype, squeeze)
    stored, scale, zero, blank = _storage(content, hdu)
    unsigned = _unsigned(stored, scale, zero)
    physical = unsigned or _physical(stored, scale, zero, blank)
    if unsigned and blank is not None:
        physical = _float_for(stored)
    wanted = _wanted_dtype(content, hdu, physical, dtype)
    if physical.kind == "f" and wanted.kind not in "f":
        raise ImageError(f"{content.name}: {hdu.label} holds floating-point numbers; they do not fit into {wanted}")

    out = np.empty(_shape(hdu, squeeze), wanted)
    flat = out.reshape(-1)
    buffer = np.empty(min(CHUNK // stored.itemsize, flat.size), stored)
    sign_bit = _sign_bit(stored) if unsigned else None
    scaled = not unsigned and (scale != 1 or zero != 0)
    for first in range(0, flat.size, buffer.size):
        block = buffer[: flat.size - first]
        target = flat[first : first + block.size]
        content.read_into(hdu.start + first * stored.itemsize, block.view(np.uint8).data)
        empty = None if blank is None else block == blank
        if sign_bit is not None:
            # Adding 2^15 to a 16-bit integer flips its highest bit: no arithmetic, and no rounding before the one cast.
            bits = block.view(sign_bit.dtype)
            np.bitwise_xor(bits, sign_bit, out=bits)
            np.copyto(target, block.view(stored.str.replace("i", "u") if stored.itemsize > 1 else "i1"))
        elif scaled:
            values = block.astype(physical)
            if scale != 1:
                values *= scale
            if zero != 0:
                values += zero
            np.copyto(target, values, casting="unsafe")
        else:
            np.copyto(target, block, casting="unsafe")
        if empty is not None:
            target[empty] = np.nan
    return out


def open_alone(content: Content, hdu: Hdu) -> fits.HDUList:
    """One HDU alone as astropy sees it, at position 1 of a list; for everything that is not a plain image."""
    alone = io.BytesIO()
    alone.write(fits.PrimaryHDU().header.tostring().encode())
    alone.write(finished(hdu.text.decode()))
    alone.write(content.read(hdu.start, hdu.length))
    alone.write(bytes(-hdu.length % BLOCK))
    alone.seek(0)
    return fits.open(alone, memmap=False, lazy_load_hdus=False)


def _read_compressed(content: Content, hdu: Hdu, dtype: PixelType, squeeze: bool) -> np.ndarray:
    try:
        with open_alone(content, hdu) as alone:
            pixels = alone[1].data  # type: ignore[union-attr]
    except Exception as error:  # astropy's decompressors raise everything from KeyError to RuntimeError
        raise ImageError(f"{content.name}: cannot decompress the image in {hdu.label}: {error}") from error
    if pixels is None or pixels.shape != hdu.shape:
        raise ImageError(f"{content.name}: {hdu.label} holds no pixels of shape {hdu.shape}")
    physical = pixels.dtype.newbyteorder("=")
    wanted = _wanted_dtype(content, hdu, physical, dtype)
    if physical.kind == "f" and wanted.kind != "f":
        raise ImageError(f"{content.name}: {hdu.label} holds floating-point numbers; they do not fit into {wanted}")
    return np.array(pixels.reshape(_shape(hdu, squeeze)), dtype=wanted)


def _shape(hdu: Hdu, squeeze: bool) -> tuple[int, ...]:
    shape = hdu.shape
    while squeeze and len(shape) > 2 and shape[0] == 1:
        shape = shape[1:]
    return shape


def _storage(content: Content, hdu: Hdu) -> tuple[np.dtype, float, float, int | None]:
    """Stored type, BSCALE, BZERO, and BLANK of a plain image."""
    values = hdu.values
    if values["BITPIX"] not in STORED:
        raise ImageError(f"{content.name}: {hdu.label} has BITPIX {values['BITPIX']}; it must be one of {[*STORED]}")
    stored = np.dtype(STORED[values["BITPIX"]])
    scale, zero, blank = values.get("BSCALE", 1), values.get("BZERO", 0), values.get("BLANK")
    if not isinstance(scale, int | float) or not isinstance(zero, int | float):
        raise ImageError(f"{content.name}: {hdu.label} has BSCALE {scale!r} and BZERO {zero!r}; they must be numbers")
    # BLANK means something for integers only; elsewhere, and where it is not an integer, it is a mistake.
    return stored, scale, zero, blank if stored.kind in "iu" and type(blank) is int else None


def _unsigned(stored: np.dtype, scale: float, zero: float) -> np.dtype | None:
    """The type that a customary BZERO stands for: unsigned integers, or signed bytes."""
    if scale != 1 or stored.kind not in "iu":
        return None
    if stored.itemsize == 1:
        return np.dtype(np.int8) if zero == -128 else None
    return np.dtype(f"u{stored.itemsize}") if zero == 2 ** (8 * stored.itemsize - 1) else None


def _physical(stored: np.dtype, scale: float, zero: float, blank: int | None) -> np.dtype:
    if stored.kind == "f" or (scale == 1 and zero == 0 and blank is None):
        return stored.newbyteorder("=")
    return _float_for(stored)


def _float_for(stored: np.dtype) -> np.dtype:
    return np.dtype(np.float32 if stored.itemsize <= 2 else np.float64)


def _sign_bit(stored: np.dtype) -> np.ndarray:
    """The highest bit of a stored (big-endian) integer, as a native integer to combine it with."""
    bits = np.array(1 << (8 * stored.itemsize - 1), f">u{stored.itemsize}")
    return bits.view(f"u{stored.itemsize}")


def _wanted_dtype(content: Content, hdu: Hdu, physical: np.dtype, dtype: PixelType) -> np.dtype:
    if dtype is None:
        return physical
    if not (isinstance(dtype, str) and dtype == EXACT):
        try:
            wanted = np.dtype(dtype)
        except TypeError as error:
            raise ImageError(f"{content.name}: {dtype!r} is not a type of pixels") from error
        if wanted.kind not in "biuf":
            raise ImageError(f"{content.name}: {wanted} is not a type of pixels")
        return wanted.newbyteorder("=")
    return written_dtype(hdu, physical) or np.dtype(np.float32)


def written_dtype(hdu: Hdu, physical: np.dtype) -> np.dtype | None:
    """The type that Etendue noted when it wrote these pixels, None if somebody else wrote (or rewrote) them."""
    noted = str(hdu.values.get("ETDTYPE", "")).strip()
    stored_as = {"bool": "uint8", "float16": "float32"}.get(noted, noted)
    return np.dtype(noted) if noted and stored_as == physical.name else None
