"""Amounts of memory as people write them: 500 MB, 2 GiB."""

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12,
         "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}  # fmt: skip

SIZE = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*([a-z]*)\s*", re.IGNORECASE)


def byte_size(given: Any) -> Any:
    """``"1.5 GB"`` as a number of bytes; numbers and everything else as they are.

    Raises
    ------
    ValueError
        It is text, but no amount of memory.
    """
    if not isinstance(given, str):
        return given
    parts = SIZE.fullmatch(given)
    if parts is None or parts[2].lower() not in UNITS:
        raise ValueError(f"'{given}' is no amount of memory; write for example 500 MB, 2 GB or 1 GiB")
    return int(float(parts[1]) * UNITS[parts[2].lower()])


ByteSize = Annotated[int, Field(gt=0), BeforeValidator(byte_size)]


def spell_size(size: float) -> str:
    """An amount of memory for people: ``1.4 GB``."""
    for unit, factor in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= factor:
            return f"{size / factor:.3g} {unit}"
    return f"{size:.0f} B"
