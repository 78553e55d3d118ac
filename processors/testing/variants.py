"""Images made from a good one: without a part, with some parts only, larger, another one."""

from typing import Any

import numpy as np

from ...images import Image
from .examples import second_image
from .facts import declared


def without(image: Image, name: str) -> Image | None:
    """The image without one part; None if it does not have it."""
    whole, _, part = name.partition(".")
    twin = image.copy()
    match whole, part:
        case (("data" | "mask" | "uncertainty" | "raw" | "catalog"), ""):
            if getattr(image, f"safe_{whole}") is None:
                return None
            return image.replace(**{whole: None})
        case "catalog", _:
            if image.safe_catalog is None or part not in image.catalog.colnames:
                return None
            with twin.edit("catalog") as table:
                table.remove_column(part)
        case "header", "":
            twin.header = None
        case "header", _:
            if part not in image.header:
                return None
            del twin.header[part]
        case "meta", _:
            twin.meta = {kind: value for kind, value in image.meta.items() if part and kind.__name__ != part}
        case _:
            return None
    return twin


def reduced_to(image: Image, names: set[str]) -> Image:
    """An image with the parts of these names only."""
    wholes = {name.partition(".")[0] for name in names}
    twin = image.copy()
    absent: dict[str, Any] = {p: None for p in ("mask", "uncertainty", "raw") if p not in wholes}
    if "catalog" not in wholes:
        absent["catalog"] = None
    elif "catalog" not in names and image.safe_catalog is not None:
        columns = [c for c in image.catalog.colnames if declared(f"catalog.{c}", names)]
        absent["catalog"] = image.catalog[columns]
    if "header" not in names:
        kept = {key: image.header[key] for key in image.header if key and declared(f"header.{key}", names)}
        absent["header"] = kept
    if "data" not in wholes and "axes" not in wholes and not wholes & {"mask", "uncertainty", "raw"}:
        absent["data"] = None
    twin = twin.replace(**absent)
    twin.meta = {kind: value for kind, value in image.meta.items() if declared(f"meta.{kind.__name__}", names)}
    return twin


def another(image: Image) -> Image:
    """Another image that the same processor can work on."""
    other = second_image()
    if image.safe_data is not None and (image.data.shape == other.data.shape) and image.axes == "YX":
        return other
    if image.safe_data is None:
        return other
    return image.replace(data=(image.data * 2).astype(image.data.dtype))


def enlarged(image: Image) -> Image:
    """The image repeated to more than half a million pixels."""
    times = int(np.ceil(np.sqrt(6e5 / max(1, np.prod(image.shape))))) if image.safe_data is not None else 1
    planes = {}
    for plane in ("data", "mask", "uncertainty", "raw"):
        array = getattr(image, f"safe_{plane}")
        if array is not None:
            planes[plane] = np.tile(array, (1,) * (array.ndim - 2) + (times, times))
    return image.replace(**planes)
