"""From counts to electrons."""

import numpy as np
from pydantic import Field, PositiveFloat

from ....images import Image
from ....images.sections import Amplifier, amplifiers
from ...processor import Processor
from ..units import in_counts, known_gain, known_read_noise, mark_electrons


class Gain(Processor):
    """Multiply by the gain: counts become electrons.

    The gain is that of the amplifier, the given one, or the header's. BUNIT becomes ``electron``. The card of the gain
    remains and holds the gain that was applied (the mean one of several amplifiers), because the header's saturation
    level is still in raw counts; steps after this one see from BUNIT that pixels are electrons. A zero point follows.

    Sections of amplifiers refer to the frame as it comes to this step. Pixels that belong to no amplifier get the mean
    gain.
    """

    reads = {"data", "uncertainty?", "header.GAIN?"}
    writes = {"data", "uncertainty?", "header.*"}

    gain: PositiveFloat | None = Field(None, description="gain [electron/adu]; None takes the header's")
    amplifiers: list[Amplifier] | None = Field(None, description="sections with a gain of their own")

    def process(self, image: Image) -> Image:
        in_counts(image, "Gain")
        factor, mean = gain_of_pixels(image, self.gain, self.amplifiers)
        dtype = np.float64 if image.data.dtype == np.float64 else np.float32
        uncertainty = image.safe_uncertainty
        electrons = image.replace(
            data=np.multiply(image.data, factor, dtype=dtype),
            uncertainty=None if uncertainty is None else np.multiply(uncertainty, factor, dtype=dtype),
        )
        mark_electrons(electrons.header, mean)
        return electrons


def gain_of_pixels(
    image: Image, given: float | None, configured: list[Amplifier] | None
) -> tuple[np.ndarray | float, float]:
    """Gain of each pixel (H, W), or of all, and the mean gain [electron/adu].

    Raises
    ------
    ImageError
        An amplifier has no gain, and neither have the configuration and the header.
    """
    found = amplifiers(image.header, configured)
    gains = [known_gain(image, given) if a.gain is None else a.gain for a in found]
    mean = float(np.mean(gains))
    if len(set(gains)) == 1:
        return gains[0], gains[0]
    factor = np.full(image.shape, mean, dtype=np.float32)
    for amplifier, gain in zip(found, gains, strict=True):
        factor[amplifier.data.slices] = gain
    return factor, mean


def read_noise_of_pixels(image: Image, given: float | None, configured: list[Amplifier] | None) -> np.ndarray | float:
    """Read noise of each pixel (H, W), or of all [electron]; pixels of no amplifier have the largest.

    Raises
    ------
    ImageError
        An amplifier has no read noise, and neither have the configuration and the header.
    """
    found = amplifiers(image.header, configured)
    noises = [known_read_noise(image, given) if a.read_noise is None else a.read_noise for a in found]
    if len(set(noises)) == 1:
        return noises[0]
    noise = np.full(image.shape, max(noises), dtype=np.float32)
    for amplifier, value in zip(found, noises, strict=True):
        noise[amplifier.data.slices] = value
    return noise
