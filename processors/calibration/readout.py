"""How a frame was read: which pixels by which amplifier, with what gain, noise and overscan level."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...images import ImageError
from ...images.sections import Amplifier, Section
from .corrections.overscan import Method, amplifier_level
from .folding import Region
from .reduction import Level


@dataclass(frozen=True, slots=True)
class Readout:
    """The part of a frame that remains, and the amplifiers that read it.

    Attributes
    ----------
    section : Section
        What remains of the raw frame.
    amplifiers : tuple of Amplifier
        Their data sections lie within `section`.
    regions : tuple of Region
        The same parts, with the gain and read noise that hold there.
    """

    section: Section
    amplifiers: tuple[Amplifier, ...]
    regions: tuple[Region, ...]

    @classmethod
    def of(
        cls, section: Section, amplifiers: Sequence[Amplifier], gain: float | None, read_noise: float | None
    ) -> "Readout":
        """The readout of a frame.

        Parameters
        ----------
        section : Section
            What remains of the frame. A single amplifier read all of it.
        amplifiers : sequence of Amplifier
            Amplifiers of the frame.
        gain, read_noise : float or None
            For amplifiers that have none of their own; 1 and 0 where nobody knows.

        Raises
        ------
        ImageError
            Nothing of the amplifiers' data remains.
        """
        kept, regions = [], []
        for amplifier in amplifiers:
            part = section if len(amplifiers) == 1 else amplifier.data.overlap(section)
            if part is None:
                continue
            own_gain = (gain or 1.0) if amplifier.gain is None else amplifier.gain
            own_noise = (read_noise or 0.0) if amplifier.read_noise is None else amplifier.read_noise
            kept.append(dataclasses.replace(amplifier, data=part))
            regions.append(Region(part, part.x0 - section.x0, part.y0 - section.y0, own_gain, own_noise))
        if not regions:
            raise ImageError(f"nothing of the data of the amplifiers remains after trimming to {section}")
        return cls(section, tuple(kept), tuple(regions))

    @property
    def gain(self) -> float:
        """Mean gain of the amplifiers [electron/adu]."""
        return float(np.mean([region.gain for region in self.regions]))

    @property
    def read_noise(self) -> float:
        """Root mean square of the amplifiers' read noise [electron]."""
        return float(np.sqrt(np.mean([region.read_noise**2 for region in self.regions])))

    def levels(
        self, raw: np.ndarray, method: Method | None, order: int | None
    ) -> tuple[np.ndarray, list[Level], list[float]]:
        """Overscan levels of a frame.

        Parameters
        ----------
        raw : (H, W) array
            The raw frame [adu].
        method : {"median", "mean"} or None
            How overscan pixels are combined; None leaves the level in.
        order : int or None
            Order of a polynomial through the levels.

        Returns
        -------
        raw : (H, W) array
            The same frame, unless a strip lies above or below its data: then that level is subtracted already.
        levels : list of Level
            What remains to be subtracted from the rows of each region.
        medians : list of float
            Median level of each strip [adu]; empty if there is none.
        """
        levels, medians = [], []
        frame = raw
        for amplifier in self.amplifiers:
            rows = np.zeros(amplifier.data.shape[0], dtype=np.float32)
            if amplifier.overscan is None or method is None:
                levels.append(Level(rows))
                continue
            level, variance = amplifier_level(raw, amplifier, method=method, order=order)
            medians.append(float(np.median(level)))
            if level.shape[-1] == 1:
                levels.append(Level(level[:, 0].astype(np.float32), variance))
                continue
            if frame is raw:
                frame = raw.astype(np.float32)
            frame[amplifier.data.slices] -= level.astype(np.float32)
            levels.append(Level(rows, variance))
        return frame, levels, medians
