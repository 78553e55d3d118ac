"""Write an image to a FITS file: PRIMARY, CAT, MASK, UNCERT, RAW, PROVENANCE."""

import gzip
import io
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any, BinaryIO, Literal

import numpy as np
from astropy.io import fits

from ... import provenance
from ...errors import ImageError
from ...flags import PixelFlag
from ...header import Header
from ...planes import Planes
from .header import BLOCK, CARD, STORAGE, card_text, finished
from .pixels import CHUNK
from .reader import AXIS_CODE, AXIS_COMMENT, NOT_DATA
from .table import table_unit

Compression = Literal["gzip", "rice"]

BITPIX = {"u1": 8, "i2": 16, "i4": 32, "i8": 64, "f4": -32, "f8": -64}

GZIP_LEVEL = 4
"""Frames are noise: higher levels take several times longer for a file that is one per cent smaller."""

FLOAT_CARD = re.compile(r".{8}= +-?\d+[.E]")

RESERVED_NAMES = {*NOT_DATA, "CAT", "PROVENANCE"}
"""EXTNAMEs that a header brings along from the file it came from and that would mislead the reader."""


def write_fits(planes: Planes, stream: BinaryIO, *, compression: Compression | None = None) -> None:
    """Write an image so that :func:`~etendue.images.io.fits.reader.read_fits` gives back the same.

    Values, types (bool, all integers, floats), the header, columns with units and descriptions, axes and provenance
    are kept. The steps of the provenance also become HISTORY cards, each once.

    Parameters
    ----------
    planes : Planes
        The image; `data` must be there.
    stream : binary file
        Where to; it need not be seekable.
    compression : {"gzip", "rice"}
        ``gzip`` packs the file as a whole. ``rice`` compresses each image in tiles: Rice for integers of up to 32 bits,
        GZIP_2 for the others; both lossless.

    Raises
    ------
    ImageError
        A header card, an array or a column cannot stand in a FITS file; the message names it.
    """
    if planes.data is None or planes.data.size == 0:
        raise ImageError("there are no pixels to write")
    if compression == "gzip":
        with gzip.GzipFile("", "wb", GZIP_LEVEL, stream, mtime=0) as packed:  # type: ignore[call-overload]
            _write(planes, packed, tiled=False)
    else:
        _write(planes, stream, tiled=compression == "rice")


def _write(planes: Planes, stream: Any, *, tiled: bool) -> None:
    data, header = planes.data, planes.header
    assert data is not None
    cards = _header_cards(planes)
    if tiled:
        storage = [("SIMPLE", True), ("BITPIX", 8), ("NAXIS", 0), ("EXTEND", True)]
        stream.write(finished("".join(card_text(*card) for card in storage)))
    unit_of = _tiled_unit if tiled else _image_unit
    stream.writelines(unit_of(data, "", cards))
    if planes.catalog is not None:
        stream.write(table_unit(planes.catalog, "CAT"))
    if planes.mask is not None:
        legend = _flag_legend() if planes.mask.dtype.kind in "iu" else ""
        stream.writelines(unit_of(planes.mask, "MASK", legend))
    if planes.uncertainty is not None:
        unit = header.get("BUNIT") if header is not None else None
        stream.writelines(unit_of(planes.uncertainty, "UNCERT", card_text("BUNIT", unit) if unit else ""))
    if planes.raw is not None:
        stream.writelines(unit_of(planes.raw, "RAW", ""))
    if planes.provenance:
        stream.write(table_unit(provenance.to_table(planes.provenance), "PROVENANCE"))


# --- headers ----------------------------------------------------------------------------------------------------


def _header_cards(planes: Planes) -> str:
    """The image's own cards, the history that its provenance adds, and what its axes are."""
    header = Header() if planes.header is None else planes.header
    written = []
    history: Counter[str] = Counter()
    for card in fits.Header.cards.fget(header):  # type: ignore[attr-defined]  # ours would copy what is only read
        keyword = card.keyword
        if STORAGE.match(keyword):
            continue
        if keyword == "EXTNAME" and str(card.value).strip().upper() in RESERVED_NAMES:
            continue
        if keyword == "HISTORY":
            history[str(card.value).rstrip()] += 1
        try:
            text = str(card)
            if FLOAT_CARD.match(text):
                text = _exact(card, text)
        except (ValueError, TypeError, fits.VerifyError) as error:
            raise ImageError(f"the header card {keyword} cannot be written: {error}") from error
        if len(text) % CARD or not (text.isascii() and text.isprintable()):
            raise ImageError(f"the header card {keyword} cannot be written: it is not printable ASCII")
        written.append(text)
    for activity in planes.provenance:
        line = "".join(c if " " <= c <= "~" else "?" for c in activity.summary()).rstrip()
        if history[line] > 0:  # a rewritten product has it already
            history[line] -= 1
        else:
            written.append(f"HISTORY {line}".ljust(CARD))
    if planes.axes is not None and planes.data is not None and planes.data.ndim == 3:
        written.append(card_text("ETAXES", planes.axes))
        if planes.axes == "TYX" and "CTYPE3" not in header:
            written.append(f"{'CTYPE3':<8}= {AXIS_CODE!r:<8} / {AXIS_COMMENT}".ljust(CARD))
    return "".join(written)


def _exact(card: fits.Card, text: str) -> str:
    """The card with all digits that its number needs; astropy rounds to sixteen."""
    if len(repr(card.value)) <= 17 or fits.Card.fromstring(text).value == card.value:
        return text
    exact = f"{card.keyword:<8}= {card.value!r:>20}".upper()
    return (f"{exact} / {card.comment}" if card.comment else exact)[:CARD].ljust(CARD)


def _flag_legend() -> str:
    """What the bits of a mask mean, for those who look at it with another program."""
    return "".join(f"COMMENT bit {flag.value}: {flag.name}".ljust(CARD) for flag in PixelFlag)


# --- pixels -----------------------------------------------------------------------------------------------------


def _storable(pixels: np.ndarray, name: str) -> tuple[np.ndarray, str]:
    """Pixels of a type that FITS has (signed or not), and the type that they come back in."""
    exact = pixels.dtype.name
    if pixels.dtype == bool:
        return pixels.view(np.uint8), exact
    if pixels.dtype == np.float16:
        return pixels.astype(np.float32), exact
    if pixels.dtype.kind not in "iuf" or pixels.dtype.itemsize > 8:
        raise ImageError(f"{name or 'data'} of type {pixels.dtype} cannot be written to FITS; convert it to float64")
    return pixels, exact


def _bzero(dtype: np.dtype) -> int | None:
    """BZERO by which FITS stands for integers that it does not know."""
    if dtype.kind == "u" and dtype.itemsize > 1:
        return 2 ** (8 * dtype.itemsize - 1)
    return -128 if dtype == np.int8 else None


def _image_unit(pixels: np.ndarray, name: str, cards: str) -> Iterator[bytes | memoryview]:
    """A plain image as pieces of an HDU; the primary one if it has no name."""
    pixels, exact = _storable(pixels, name)
    zero = _bzero(pixels.dtype)
    code = f"u{pixels.dtype.itemsize}" if zero is not None else f"{pixels.dtype.kind}{pixels.dtype.itemsize}"
    storage: list[tuple[str, Any]] = [("XTENSION", "IMAGE") if name else ("SIMPLE", True)]
    storage += [("BITPIX", BITPIX["u1" if code == "u1" else code.replace("u", "i")]), ("NAXIS", pixels.ndim)]
    storage += [(f"NAXIS{axis}", size) for axis, size in enumerate(reversed(pixels.shape), start=1)]
    storage += [("PCOUNT", 0), ("GCOUNT", 1), ("EXTNAME", name)] if name else [("EXTEND", True)]
    if zero is not None:
        storage += [("BSCALE", 1), ("BZERO", zero)]
    storage.append(("ETDTYPE", exact))
    yield finished("".join(card_text(*card) for card in storage) + cards)

    flat = pixels.reshape(-1)
    buffer = np.empty(min(CHUNK // pixels.dtype.itemsize, flat.size), f">{code}")
    sign_bit = None
    if zero is not None:
        sign_bit = np.array(1 << (8 * buffer.itemsize - 1), buffer.dtype).view(buffer.dtype.newbyteorder("="))
    for first in range(0, flat.size, buffer.size):
        block = buffer[: flat.size - first]
        np.copyto(block, flat[first : first + block.size], casting="unsafe")
        if sign_bit is not None:
            bits = block.view(sign_bit.dtype)
            np.bitwise_xor(bits, sign_bit, out=bits)
        yield block.view(np.uint8).data
    if filling := -flat.nbytes % BLOCK:
        yield bytes(filling)


def _tiled_unit(pixels: np.ndarray, name: str, cards: str) -> Iterator[bytes | memoryview]:
    """An image compressed without loss, tile by tile."""
    pixels, exact = _storable(pixels, name)
    header = fits.Header.fromstring(card_text("ETDTYPE", exact) + cards)
    integer = pixels.dtype.kind in "iu" and pixels.dtype.itemsize <= 4
    unit = fits.CompImageHDU(
        np.ascontiguousarray(pixels),
        header,
        name=name or None,
        compression_type="RICE_1" if integer else "GZIP_2",
        quantize_level=0.0,
    )
    stream = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), unit]).writeto(stream)
    yield stream.getbuffer()[BLOCK:]
