"""The noise of a frame from its photons and its readout."""

import numpy as np
from pydantic import Field, NonNegativeFloat, PositiveFloat

from ....images import Image, ImageError
from ....images.sections import Amplifier
from ...processor import Processor
from ..masters import MasterSource, check_fit, open_master
from ..units import COUNTS, ELECTRONS
from .gain import gain_of_pixels, read_noise_of_pixels


def photon_and_read_noise(
    counts: np.ndarray, gain: np.ndarray | float, read_noise: np.ndarray | float, level: np.ndarray | float = 0.0
) -> np.ndarray:
    """sqrt(max((counts - level) gain, 0) + read_noise²) / gain.

    Parameters
    ----------
    counts : (..., H, W) array
        Pixels [adu], or electrons with a gain of 1.
    gain : float or (H, W) array
        [electron/adu]
    read_noise : float or (H, W) array
        [electron]
    level : float or (H, W) array
        Part of the counts that is no light: the bias level [adu].

    Returns
    -------
    (..., H, W) array
        One standard deviation, in the unit of `counts`; float32, or float64 if `counts` are. NaN stays NaN.
    """
    dtype = np.float64 if counts.dtype == np.float64 else np.float32
    electrons = np.subtract(counts, level, dtype=dtype) * np.asarray(gain, dtype=dtype)
    np.maximum(electrons, 0, out=electrons)
    electrons += np.square(np.asarray(read_noise, dtype=dtype))
    return np.sqrt(electrons, out=electrons) / np.asarray(gain, dtype=dtype)


class Uncertainty(Processor):
    """Set the uncertainty from photon noise and read noise.

    All light and dark current that came through a pixel has photon noise; the bias level has none. So it comes after
    Overscan (or Bias) and before Dark and Flat, which then add the errors of their masters and divide by the flat.
    Where the bias is subtracted after it, so that the error of the master bias is added too, the bias must be named
    here: its level, or the master.

    An uncertainty that was there is replaced. Gain and read noise are those of the amplifier, the given ones, or the
    header's. Sections of amplifiers refer to the frame as it comes to this step.

    References
    ----------
    Newberry, M. V. 1991, PASP 103, 122.
    """

    reads = {"data", "header.GAIN?", "header.RDNOISE?"}
    writes = {"uncertainty"}

    gain: PositiveFloat | None = Field(None, description="gain [electron/adu]; None takes the header's")
    read_noise: NonNegativeFloat | None = Field(None, description="read noise [electron]; None takes the header's")
    amplifiers: list[Amplifier] | None = Field(None, description="sections with gain and read noise of their own")
    bias_level: float = Field(0.0, description="bias level that is still in the pixels [adu]")
    bias: MasterSource | None = Field(None, description="master bias that is still in the pixels, instead of a level")

    def process(self, image: Image) -> Image:
        if image.unit not in (*COUNTS, *ELECTRONS):
            raise ImageError(f"{image.label} is in {image.unit}; Uncertainty needs counts (adu) or electrons")
        gain = gain_of_pixels(image, self.gain, self.amplifiers)[0] if image.unit in COUNTS else 1.0
        read_noise = read_noise_of_pixels(image, self.read_noise, self.amplifiers)
        level: np.ndarray | float = self.bias_level
        if self.bias:
            master = open_master("bias", self.bias)
            check_fit(master, image, image.shape)
            master.note()
            level = level + master.image().data
        return image.replace(uncertainty=photon_and_read_noise(image.data, gain, read_noise, level))
