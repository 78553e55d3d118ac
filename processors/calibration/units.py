"""What the pixels count: the converter's steps or electrons."""

import math

from ...images import Image, ImageError
from ...images.header import Header
from ...images.keywords import keyword_for

COUNTS = ("adu", "count", "counts", "ct", "dn")
ELECTRONS = ("electron", "electrons", "e-", "e")


def in_counts(image: Image, what: str) -> None:
    """Make sure that the pixels are in counts.

    Raises
    ------
    ImageError
        They are not; the message says that `what` must come first.
    """
    if image.unit not in COUNTS:
        raise ImageError(f"{image.label} is in {image.unit}; {what} needs counts (adu): put it before Gain")


def known_gain(image: Image, given: float | None) -> float:
    """Electrons per count: the configured value, or the header's.

    Raises
    ------
    ImageError
        Neither is there, or the header's is not positive.
    """
    gain = image.gain if given is None else given
    if gain is None:
        raise ImageError(f"{image.label} has no gain in its header; set gain: … [electron/adu]")
    if gain <= 0:
        raise ImageError(
            f"{image.label} has the gain {gain:g} in its header, which cannot be; set gain: … [electron/adu]"
        )
    return gain


def known_read_noise(image: Image, given: float | None) -> float:
    """Read noise [electron]: the configured value, or the header's.

    Raises
    ------
    ImageError
        Neither is there, or the header's is negative.
    """
    noise = image.read_noise if given is None else given
    if noise is None:
        raise ImageError(f"{image.label} has no read noise in its header; set read_noise: … [electron]")
    if noise < 0:
        raise ImageError(f"{image.label} has the read noise {noise:g} in its header; set read_noise: … [electron]")
    return noise


def mark_electrons(header: Header, gain: float) -> None:
    """Make a header say that its pixels are now electrons.

    The card of the gain stays, and tells which gain was applied: with BUNIT it says how electrons and raw counts (in
    which the saturation level is given) belong together. A zero point follows.
    """
    header["BUNIT"] = ("electron", "unit of the pixels")
    card = keyword_for(header, "gain") or "GAIN"
    header[card] = (gain, "[electron/adu] gain, applied")
    zero_point = keyword_for(header, "zero_point")
    if zero_point is not None:
        header[zero_point] = float(header[zero_point]) + 2.5 * math.log10(gain)
