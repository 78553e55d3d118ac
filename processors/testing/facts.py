"""What an image is at one moment, to be compared with what it is later."""

import copy
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

from ...images import Image

PLANES = ("data", "mask", "uncertainty", "raw")
COMMENTARY = ("COMMENT", "HISTORY", "")


def facts(image: Image) -> dict[str, Any]:
    """All parts of an image, copied, by name: ``data``, ``header.EXPTIME``, ``catalog.flux``, ``meta.ExpTime`` …"""
    found: dict[str, Any] = {"name": image.name}
    for plane in PLANES:
        array = getattr(image, f"safe_{plane}")
        if array is not None:
            found[plane] = np.array(array)
    if image.safe_data is not None:
        found["axes"] = image.axes
    for card in image.header.share().cards:
        if card.keyword in COMMENTARY:
            found.setdefault(f"header.{card.keyword}", []).append(card.value)
        else:
            found[f"header.{card.keyword}"] = (card.value, card.comment)
    if image.safe_catalog is not None:
        found["catalog"] = len(image.catalog)
        for name in image.catalog.colnames:
            column = image.catalog[name]
            found[f"catalog.{name}"] = (np.ma.array(column, copy=True), str(column.unit), column.info.description)
    for kind, value in image.meta.items():
        found[f"meta.{kind.__name__}"] = copy.deepcopy(value)
    found["provenance"] = image.provenance
    return found


def changed(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Names of the parts that are not the same in both."""
    return [
        name
        for name in dict.fromkeys((*before, *after))
        if (name in before) != (name in after) or not same(before[name], after[name])
    ]


def lost(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Names of the parts that are gone."""
    return [name for name in before if name not in after]


def same(one: Any, other: Any) -> bool:
    """Equality that sees NaN as equal to NaN, and types and masks as part of an array."""
    if isinstance(one, np.ma.MaskedArray) and isinstance(other, np.ma.MaskedArray):
        masks = np.ma.getmaskarray(one), np.ma.getmaskarray(other)
        return same(*masks) and same(np.ma.getdata(one)[~masks[0]], np.ma.getdata(other)[~masks[0]])
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        if not (isinstance(one, np.ndarray) and isinstance(other, np.ndarray)):
            return False
        floating = one.dtype.kind in "fc" and other.dtype.kind in "fc"
        return one.dtype == other.dtype and one.shape == other.shape and np.array_equal(one, other, equal_nan=floating)
    if isinstance(one, tuple | list) and isinstance(other, tuple | list):
        return len(one) == len(other) and all(same(a, b) for a, b in zip(one, other, strict=True))
    if isinstance(one, float) and isinstance(other, float):
        return one == other or (one != one and other != other)
    try:
        return type(one) is type(other) and bool(one == other)
    except (TypeError, ValueError):  # objects whose comparison gives no single answer, such as a SkyCoord array
        return repr(one) == repr(other)


def declared(name: str, writes: set[str]) -> bool:
    """Whether a processor that declares these writes may change the part of this name."""
    whole = name.partition(".")[0]
    if whole in writes or any(fnmatchcase(name, pattern) for pattern in writes):
        return True
    if name == "axes" or name.startswith("header.NAXIS"):
        return "data" in writes
    return False


def listed(names: list[str], most: int = 6) -> str:
    """Names for a sentence."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
