"""Masters that go into other masters: opened, checked, scaled."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ....images import Image, ImageError, PixelFlag
from ....images.arithmetic import flagged
from .raw_frames import Fact


def opened_master(
    master: Image | str | Path,
    shape: tuple[int, ...] | None,
    kind: str,
    inputs: list[tuple[str, Sequence[Path]]],
) -> Image:
    """A master that is used for another one, as an image; its file is added to the inputs.

    Raises
    ------
    ImageError
        Its size is not `shape`, or the file is no image.
    """
    if isinstance(master, Image):
        image = master
    else:
        image = Image.from_file(master)
        inputs.append((f"master {kind}", [Path(master)]))
    if shape is not None:
        check_shape(image, shape, f"the {kind} frames")
    return image


def check_shape(master: Image, shape: tuple[int, ...], what: str) -> None:
    """Raise ImageError if a master has another size than `what` it is used for."""
    if master.data.shape != shape:
        raise ImageError(
            f"{master.label} has {master.data.shape[1]} x {master.data.shape[0]} pixels, {what} {shape[1]} x {shape[0]}"
            " after preparation; make them from frames that are trimmed alike"
        )


def flags_of(image: Image) -> np.ndarray:
    """The flags of a master as uint8; True of a bool mask is BAD."""
    if image.safe_mask is None:
        return np.zeros(image.data.shape, dtype=np.uint8)
    if image.mask.dtype == bool:
        return flagged(np.zeros(image.data.shape, dtype=np.uint8), image.mask, PixelFlag.BAD)
    return (image.mask & 0xFF).astype(np.uint8)


def dark_factor(dark: Image, image: Image) -> float:
    """By what a dark (or a dark current, in adu/s) is multiplied for the exposure time of an image.

    Raises
    ------
    ImageError
        An exposure time is not known.
    """
    exposure = image.exposure_time
    if exposure is None:
        raise ImageError(f"{image.label} has no exposure time in its header: no dark can be scaled for it")
    return _factor(dark, exposure)


def mean_dark_factor(dark: Image, facts: Sequence[Fact]) -> float:
    """By what a dark is multiplied for the mean exposure time of some frames; see :func:`dark_factor`."""
    return _factor(dark, float(np.mean([fact.exposure or 0.0 for fact in facts])))


def _factor(dark: Image, exposure: float) -> float:
    if str(dark.header.get("BUNIT") or "adu").replace(" ", "").lower().endswith("/s"):
        return exposure
    own = dark.exposure_time
    if own is None or own <= 0:
        raise ImageError(f"{dark.label} has no exposure time in its header and cannot be scaled")
    return exposure / own
