"""The image that becomes of several: its planes, and what its header says."""

import math
from collections.abc import Sequence

import numpy as np

from ...images import Image, PixelFlag
from ...images.header import Header
from ...images.keywords import header_value, keyword_for
from .combine import Combined
from .reduction import median_efficiency


def combined_image(blank: Image, combined: Combined, shape: tuple[int, ...], flags: np.ndarray | None) -> Image:
    """The image of a combination.

    Parameters
    ----------
    blank : Image
        The first image without its planes: header, name and provenance are taken from it, meta is not.
    combined : Combined
        Pixels, as rows of all planes.
    shape : tuple of int
        Shape of the data.
    flags : array or None
        Masks of all images together, of a shape that goes with `shape`.
    """
    data, error, lost = (plane.reshape(shape) for plane in (combined.data, combined.uncertainty, combined.mask))
    made = blank.replace(data=data, mask=combined_mask(lost, flags), uncertainty=error)
    made.meta = None
    return made


def combined_mask(lost: np.ndarray, flags: np.ndarray | None) -> np.ndarray | None:
    """Where nothing was usable, the flags of all frames, or NO_DATA if there are none; None if there is no mask."""
    if flags is None:
        return lost if lost.any() else None
    if flags.dtype == bool:
        return lost
    known = np.broadcast_to(flags, lost.shape)
    no_data = np.asarray(int(PixelFlag.NO_DATA), dtype=flags.dtype)
    return np.where(lost, np.where(known == 0, no_data, known), np.zeros_like(no_data))


def describe(header: Header, count: int, method: str, exposures: Sequence[float | None] = ()) -> None:
    """Write NCOMBINE, and the gain and read noise with which later steps find the noise of the result.

    The mean of N frames of gain g [electron/adu] and read noise r [electron] has gain N g and read noise sqrt(N) r, a
    median those of fewer frames. A sum has gain g and read noise sqrt(N) r, N times the saturation level, and the
    exposure time of all together.

    Parameters
    ----------
    header : Header
        That of the first frame; it is changed.
    count : int
        Number of frames.
    method : {"mean", "median", "clipped", "sum"}
        How they were combined.
    exposures : sequence of float or None
        Exposure times of the frames, for a sum; one that is not known leaves the card alone.
    """
    header["NCOMBINE"] = (count, f"number of frames combined ({method})")
    effective = count / float(median_efficiency(np.array(count))) ** 2 if method == "median" else count
    _scale(header, "gain", 1.0 if method == "sum" else effective)
    _scale(header, "read_noise", math.sqrt(effective))
    if method == "sum":
        _scale(header, "saturation", count)
        card = keyword_for(header, "exposure_time")
        known = [exposure for exposure in exposures if exposure is not None]
        if card is not None and len(known) == count:
            header[card] = sum(known)


def _scale(header: Header, name: str, factor: float) -> None:
    card = keyword_for(header, name)
    if card is not None and factor != 1 and (value := header_value(header, name)) is not None:
        header[card] = value * factor
