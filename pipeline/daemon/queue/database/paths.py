r"""Names of files as text that every database can keep, and back.

A name is bytes; a database wants characters. Names in UTF-8 are kept as they are, with ``\\`` for a backslash;
a byte that is no part of UTF-8 becomes ``\xNN``.
"""

import os
import re
from hashlib import blake2b
from pathlib import Path

ESCAPED = re.compile(r"\\(\\|x[0-9a-f]{2})")

ODD = re.compile("[\\\\\ud800-\udfff]")


def to_text(name: str | Path) -> str:
    """A name as text without lone surrogates; :func:`from_text` gives the same name."""
    text = os.fsencode(name).decode("utf-8", "surrogateescape")
    if ODD.search(text) is None:
        return text
    return ODD.sub(lambda odd: "\\\\" if odd[0] == "\\" else f"\\x{ord(odd[0]) - 0xDC00:02x}", text)


def from_text(text: str) -> str:
    """The name of which :func:`to_text` made the text, as Python spells it."""
    if "\\" not in text:
        return text
    whole = ESCAPED.sub(lambda escape: "\\" if escape[1] == "\\" else chr(0xDC00 + int(escape[1][1:], 16)), text)
    return os.fsdecode(whole.encode("utf-8", "surrogateescape"))


def place_of(path: Path) -> int:
    """A number of 64 bits (signed) for a path: an index of paths of any length would be too wide."""
    return int.from_bytes(blake2b(os.fsencode(path), digest_size=8).digest(), "big", signed=True)


def digest_of(name: str) -> str:
    """A checksum of 128 bits for a name, hexadecimal."""
    return blake2b(os.fsencode(name), digest_size=16).hexdigest()
