"""Subtract a master frame from an image, and add its flags and its error."""

from typing import Any

import numpy as np

from ....images import Image, ImageError
from ....images.arithmetic import combined_masks
from ..masters import Kind, Master, Search


def needed(kind: Kind, image: Image, source: Any, search: Search) -> Master:
    """The master for an image: the file, image or nothing (None, False) that is configured, or the library's best.

    Raises
    ------
    ImageError
        Neither a master nor a library is configured, or nothing fits.
    """
    master = search.find(kind, image, source, shape=image.shape)
    if master is None:
        what = kind.replace("_", " ")
        raise ImageError(f"{image.label}: there is no master {what}: set master: to a file or library: to a folder")
    return master


def subtracted(image: Image, master: Master) -> Image:
    """The image without `master.scale` times the master.

    Flags of the master are added. Its error is added to the uncertainty only if the image has one: an uncertainty that
    consisted of the master's error alone would be far too small.
    """
    frame = master.image()
    dtype = np.float64 if image.data.dtype == np.float64 else np.float32
    scaled = frame.data if master.scale == 1 else frame.data * np.asarray(master.scale, dtype=dtype)
    uncertainty = image.safe_uncertainty
    if uncertainty is not None and frame.safe_uncertainty is not None:
        uncertainty = np.hypot(uncertainty, frame.uncertainty * dtype(master.scale)).astype(dtype)
    return image.replace(
        data=np.subtract(image.data, scaled, dtype=dtype), uncertainty=uncertainty, mask=with_flags_of(image, frame)
    )


def with_flags_of(image: Image, master: Image) -> np.ndarray | None:
    """The mask of an image together with that of a master."""
    if master.safe_mask is None or not master.mask.any():
        return image.safe_mask
    return combined_masks(image.safe_mask, master.mask)
