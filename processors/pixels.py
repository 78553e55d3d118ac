"""What measuring steps ask of an image: plain pixels, the unusable ones, the gain; and arrays as sep wants them."""

import numpy as np

from ..images import Image, ImageError
from ..images.units import COUNTS, ELECTRONS


class _Alias:
    """Tells numpy of memory that belongs to another array, and keeps that array alive."""

    def __init__(self, array: np.ndarray) -> None:
        self.owner = array
        pointer, _ = array.__array_interface__["data"]
        self.__array_interface__ = {**array.__array_interface__, "data": (pointer, False)}


def for_sep(array: np.ndarray) -> np.ndarray:
    """The array, or a copy in float32 if sep does not know its type.

    sep insists on writable arrays although it only reads them, and images hand out read-only ones. So a read-only
    array comes back as a writable view of the same memory: it must be given to sep and to nobody else. Copying
    costs 6 ms for 4096 x 4096 pixels, the view 2 us.

    Parameters
    ----------
    array : (H, W) array
        Pixels, a mask, or an error map.
    """
    if array.dtype == bool or array.dtype not in (np.float32, np.float64, np.int32, np.uint8):
        array = array.view(np.uint8) if array.dtype == bool else array.astype(np.float32)
    array = np.ascontiguousarray(array)
    return array if array.flags.writeable else np.asarray(_Alias(array))


def plain_pixels(image: Image, what: str) -> np.ndarray:
    """The pixels (H, W) of an image in grey, float32 or float64.

    Raises
    ------
    ImageError
        The image is a colour image or a movie, or has no pixels at all.
    """
    data = image.data
    if image.is_color:
        raise ImageError(
            f"{image.label} is a colour image; make it grey before {what}, for example with to_grayscale()"
        )
    if data.ndim != 2:
        raise ImageError(f"{image.label} is a movie of {data.shape[0]} frames; {what} needs a single frame or a stack")
    if not data.size:
        raise ImageError(f"{image.label} has the shape {data.shape}: there are no pixels for {what}")
    return data if data.dtype in (np.float32, np.float64) else data.astype(np.float32)


def unusable_pixels(data: np.ndarray, mask: np.ndarray | None) -> np.ndarray | None:
    """Which pixels are masked or not finite, (H, W) bool; None if there are none."""
    # One sum finds out whether there is any NaN at all, in a third of the time of isfinite().
    with np.errstate(all="ignore"):
        finite = bool(np.isfinite(np.add.reduce(data, axis=None))) or bool(np.isfinite(data).all())
    bad = None if mask is None else mask != 0
    if not finite:
        bad = ~np.isfinite(data) if bad is None else bad | ~np.isfinite(data)
    return bad if bad is not None and bad.any() else None


def electrons_per_unit(image: Image, given: float | None = None) -> float | None:
    """Electrons per unit of the pixels, for photon noise.

    Parameters
    ----------
    image : Image
        Its unit and its header's gain are used.
    given : float
        What a configuration says; 0 leaves photon noise out.

    Returns
    -------
    float or None
        1 for pixels in electrons, the gain for pixels in counts; None where it is not known.
    """
    if given is not None:
        return given or None
    unit = image.unit
    if unit in ELECTRONS:
        return 1.0
    if unit not in COUNTS:
        return None
    gain = image.gain
    return gain if gain is not None and gain > 0 else None


def subtracted_sky_level(image: Image) -> float:
    """What :class:`SubtractBackground` took off the pixels, by the card BKGLEVEL; 0 if there is none.

    Raises
    ------
    ImageError
        The card holds no number.
    """
    value = image.header.get("BKGLEVEL", 0.0)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ImageError(
            f"{image.label}: header card BKGLEVEL = {value!r} must be a number, the sky that was subtracted"
        )
    return float(value)
