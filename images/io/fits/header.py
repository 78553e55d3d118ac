"""FITS headers as text: finding them in a file, and telling the cards of storage from those of the image.

References
----------
FITS Standard 4.0, sections 3.3 (blocks), 4 (headers), 10 (compressed images); INHERIT: appendix K.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import prod
from typing import Any

from astropy.io import fits

from ...errors import ImageError
from ...header import Header
from ..content import Content

BLOCK = 2880
CARD = 80
LONGEST_HEADER = 4096 * BLOCK
"""Where the search for the END card is given up [byte]."""

STORAGE = re.compile(
    r"(SIMPLE|XTENSION|BITPIX|NAXIS\d*|EXTEND|PCOUNT|GCOUNT|GROUPS|BZERO|BSCALE|BLANK|INHERIT"
    r"|CHECKSUM|DATASUM|ETDTYPE|ETAXES|END)\Z"
)
"""Keywords that say how pixels are stored; they belong to the file, not to the image."""

COMPRESSED_STORAGE = re.compile(
    r"(TFIELDS|THEAP|T(TYPE|FORM|UNIT|NULL|DIM|SCAL|ZERO|DISP)\d+"
    r"|Z(IMAGE|TENSION|SIMPLE|EXTEND|BLOCKED|PCOUNT|GCOUNT|BITPIX|NAXIS\d*|CMPTYPE|TILE\d+|NAME\d+|VAL\d+"
    r"|QUANTIZ|DITHER0|BLANK|SCALE|ZERO|MASKCMP|HECKSUM|DATASUM))\Z"
)
"""Further ones in the table that stands for a compressed image."""

STRUCTURE = re.compile(
    r"(SIMPLE|XTENSION|Z?BITPIX|Z?NAXIS\d*|PCOUNT|GCOUNT|GROUPS|BZERO|BSCALE|BLANK|INHERIT|EXTNAME|EXTVER"
    r"|ZIMAGE|ETDTYPE|ETAXES|ETTABLE|UTYPE)\Z"
)
"""Keywords whose values are needed to find the pixels and to know what they are."""


@dataclass(slots=True)
class Hdu:
    """One header-and-data unit of a FITS file, found but not read.

    Attributes
    ----------
    index : int
        Its number in the file; the primary is 0.
    text : bytes
        The cards, up to and without END.
    start, length : int
        Where its data are in the file [byte], without the filling of the last block.
    values : dict
        Values of the cards that matter for finding and decoding the pixels.
    """

    index: int
    text: bytes
    start: int
    length: int
    values: dict[str, Any] = field(repr=False)

    @property
    def name(self) -> str:
        """EXTNAME in capitals, or nothing."""
        return str(self.values.get("EXTNAME", "")).strip().upper()

    @property
    def version(self) -> int:
        """EXTVER, 1 if there is none."""
        version = self.values.get("EXTVER", 1)
        return version if isinstance(version, int) else 1

    @property
    def label(self) -> str:
        """What messages call it."""
        return f"HDU {self.index} ({self.name})" if self.name else f"HDU {self.index}"

    @property
    def is_compressed(self) -> bool:
        """Whether it is a table that holds a compressed image."""
        return self._extension in ("BINTABLE", "A3DTABLE") and self.values.get("ZIMAGE") is True

    @property
    def is_table(self) -> bool:
        """Whether it is a table of rows and columns."""
        return self._extension in ("BINTABLE", "A3DTABLE", "TABLE") and not self.is_compressed

    @property
    def is_groups(self) -> bool:
        """Whether it holds random groups, the format of old interferometers."""
        return self.values.get("GROUPS") is True and self.values.get("NAXIS1") == 0

    @property
    def kind(self) -> str:
        """What it holds, in words."""
        if self.is_groups:
            return "random groups"
        if self.is_table:
            return "a table"
        if self.is_compressed or self._extension in ("", "IMAGE", "IUEIMAGE"):
            return "an image" if self.has_pixels else "no data"
        return f"an extension of type {self._extension}"

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the pixels, the slowest axis first; (rows, bytes of a row) for tables."""
        prefix = "Z" if self.is_compressed else ""
        count = self.values[f"{prefix}NAXIS"]
        return tuple(self.values[f"{prefix}NAXIS{axis}"] for axis in range(count, 0, -1))

    @property
    def has_pixels(self) -> bool:
        """Whether it is an image with at least one pixel."""
        if self.is_groups or self.is_table or self._extension not in ("", "IMAGE", "IUEIMAGE", "BINTABLE", "A3DTABLE"):
            return False
        return bool(self.shape) and prod(self.shape) > 0

    @property
    def _extension(self) -> str:
        return str(self.values.get("XTENSION", "")).strip().upper()


def scan(content: Content) -> list[Hdu]:
    """Find all HDUs of a file, and check that the file is long enough to hold them.

    Raises
    ------
    ImageError
        It is not a FITS file, a card that must be known is damaged, or the file is truncated.
    """
    if not content.read(0, 6) == b"SIMPLE":
        raise ImageError(f"{content.name}: not a FITS file: it begins with {content.read(0, 24)!r} instead of SIMPLE")
    hdus: list[Hdu] = []
    position = 0
    while position < content.size:
        # What follows the last extension and does not begin with XTENSION is filling, by the standard.
        if hdus and content.read(position, 8) != b"XTENSION":
            break
        where = f"{content.name}: HDU {len(hdus)}"
        text, start = _header_text(content, position, where)
        values = _structure(text, where)
        hdu = Hdu(len(hdus), text, start, 0, values)
        hdu.length = _data_length(hdu, where)
        if start + hdu.length > content.size:
            raise ImageError(
                f"{content.name}: truncated: the data of {hdu.label} end at byte {start + hdu.length}, "
                f"the file at byte {content.size}"
            )
        hdus.append(hdu)
        position = start + -(-hdu.length // BLOCK) * BLOCK
    if position > content.size and any("ETDTYPE" in hdu.values for hdu in hdus):
        # Others forget to fill the last block; Etendue does not, so what came after it is lost as well.
        raise ImageError(
            f"{content.name}: truncated: the block of {hdus[-1].label} ends at byte {position}, "
            f"the file at byte {content.size}"
        )
    return hdus


def _header_text(content: Content, position: int, where: str) -> tuple[bytes, int]:
    """The cards of the header at `position`, and where its data begin."""
    text = b""
    step = 4 * BLOCK
    while len(text) < LONGEST_HEADER:
        piece = content.read(position + len(text), step)
        checked = len(text)
        text += piece
        found = _end_card(text, checked)
        if found >= 0:
            cards = text[:found].translate(PRINTABLE)
            return cards, position + -(-(found + CARD) // BLOCK) * BLOCK
        if len(piece) < step:
            raise ImageError(f"{where}: the header has no END card: the file is truncated or damaged")
        step = 64 * BLOCK
    raise ImageError(f"{where}: the header has no END card in its first {LONGEST_HEADER} bytes")


PRINTABLE = bytes(byte if 32 <= byte < 127 else ord(" " if byte < 32 else "?") for byte in range(256))
"""Headers are printable ASCII; the degree signs and tabs that some programs write are not worth losing a night."""


def _end_card(text: bytes, start: int) -> int:
    """Position of the END card at or after `start`, -1 if there is none."""
    position = text.find(b"END", start)
    while position >= 0:
        if position % CARD == 0 and not text[position + 3 : position + 8].strip(b" \0\r\n"):
            return position
        position = text.find(b"END", position + 1)
    return -1


def _structure(text: bytes, where: str) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for keyword, card in cards(text):
        if STRUCTURE.match(keyword) and keyword not in values:
            try:
                values[keyword] = fits.Card.fromstring(card).value
            except (fits.VerifyError, ValueError) as error:
                raise ImageError(f"{where}: cannot read the card {keyword}: {card.decode().strip()!r}") from error
    for prefix in ("", "Z") if values.get("ZIMAGE") is True else ("",):
        needed = [f"{prefix}BITPIX", f"{prefix}NAXIS"]
        axes = values.get(f"{prefix}NAXIS")
        if isinstance(axes, int) and 0 <= axes <= 999:
            needed += [f"{prefix}NAXIS{axis}" for axis in range(1, axes + 1)]
        for keyword in needed:
            value = values.get(keyword)
            if type(value) is not int or ("NAXIS" in keyword and value < 0):
                found = "is missing" if keyword not in values else f"has the value {value!r}"
                raise ImageError(f"{where}: the card {keyword} {found}, so the pixels cannot be found")
    return values


def _data_length(hdu: Hdu, where: str) -> int:
    axes = [hdu.values[f"NAXIS{axis}"] for axis in range(1, hdu.values["NAXIS"] + 1)]
    if not axes:
        return 0
    parameters, groups = 0, 1
    if hdu.index > 0 or hdu.is_groups:
        parameters, groups = hdu.values.get("PCOUNT", 0), hdu.values.get("GCOUNT", 1)
    if hdu.is_groups:
        axes = axes[1:]
    if type(parameters) is not int or type(groups) is not int or parameters < 0 or groups < 0:
        raise ImageError(f"{where}: PCOUNT {parameters!r} and GCOUNT {groups!r} make no sense")
    return abs(hdu.values["BITPIX"]) // 8 * groups * (parameters + prod(axes))


def cards(text: bytes) -> Iterator[tuple[str, bytes]]:
    """Keyword and text of each card of a header; the CONTINUE cards of a long string stay with it."""
    position = 0
    while position < len(text):
        end = position + CARD
        while text[end : end + 8] == b"CONTINUE":
            end += CARD
        card = text[position:end]
        keyword = card[:8].decode().rstrip().upper()
        if keyword == "HIERARCH" and b"=" in card[:CARD]:
            keyword = " ".join(card[8 : card.index(b"=")].decode().upper().split())
        yield keyword, card
        position = end


def image_header(hdu: Hdu, primary: Hdu | None = None) -> Header:
    """The header of an image without the cards that describe storage.

    Parameters
    ----------
    hdu : Hdu
        Where the image is.
    primary : Hdu
        The first HDU of the file. An extension inherits those of its cards that it does not have itself,
        unless it says INHERIT = F; COMMENT and HISTORY are inherited too.
    """
    own = [(keyword, card) for keyword, card in cards(hdu.text) if not _is_storage(keyword, card, hdu.is_compressed)]
    if primary is not None and primary.index != hdu.index and hdu.values.get("INHERIT") is not False:
        have = {keyword for keyword, _ in own} - {"COMMENT", "HISTORY", ""}
        own += [
            (keyword, card)
            for keyword, card in cards(primary.text)
            if keyword not in have and keyword not in ("EXTNAME", "EXTVER") and not _is_storage(keyword, card, False)
        ]
    return Header.fromstring(b"".join(card for _, card in own).rstrip())  # type: ignore[return-value]


def _is_storage(keyword: str, card: bytes, compressed: bool) -> bool:
    if STORAGE.match(keyword):
        return True
    return compressed and (
        bool(COMPRESSED_STORAGE.match(keyword)) or (keyword == "EXTNAME" and b"'COMPRESSED_IMAGE'" in card)
    )


def card_text(keyword: str, value: Any) -> str:
    """A card as text; several times faster than astropy's for the short ones that we write ourselves.

    Raises
    ------
    ImageError
        The value cannot stand in a card.
    """
    if isinstance(value, bool):
        return f"{keyword:<8}= {'FT'[value]:>20}".ljust(CARD)
    if isinstance(value, int):
        return f"{keyword:<8}= {value:>20}".ljust(CARD)
    if isinstance(value, str):
        quoted = value.replace("'", "''")
        if len(quoted) <= 68 and quoted.isascii() and quoted.isprintable():
            return f"{keyword:<8}= '{quoted:<8}'".ljust(CARD)
    try:
        return str(fits.Card(keyword, value))
    except (ValueError, fits.VerifyError) as error:
        raise ImageError(f"the header card {keyword} cannot be written: {error}") from error


def finished(text: str) -> bytes:
    """A header as it stands in a file: with END, filled to whole blocks."""
    text += "END".ljust(CARD)
    return text.ljust(-(-len(text) // BLOCK) * BLOCK).encode("ascii")
