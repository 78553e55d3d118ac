"""What is done to each raw frame before it goes into a master: overscan, trim, saturated pixels."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...images import Image, ImageError, PixelFlag
from ...images.arithmetic import flagged
from ...images.header import Header
from ...images.sections import Amplifier, Section, amplifiers, overscan_sections
from ..calibration.corrections.overscan import Overscan
from ..calibration.corrections.trim import trim_section, without_sections


@dataclass(frozen=True, slots=True)
class Preparation:
    """How raw frames are prepared; the frames that a master is used for must be treated alike.

    Attributes
    ----------
    amplifiers : sequence of Amplifier or None
        Data and overscan sections; None takes those of the header.
    overscan : bool or None
        Whether the level of the overscan is subtracted; None does so where there is an overscan strip.
    trim : bool
        Whether frames are cut to the pixels that saw the sky.
    section : Section or None
        What remains after the cut; None takes that of the amplifiers or of the header.
    """

    amplifiers: Sequence[Amplifier] | None = None
    overscan: bool | None = None
    trim: bool = True
    section: Section | None = None

    def needed(self, header: Header) -> bool:
        """Whether frames with such a header change at all."""
        return self._subtracts(header) or (self.trim and self._section(header) is not None)

    def __call__(self, image: Image) -> Image:
        """The prepared frame.

        Raises
        ------
        ImageError
            A section is wrong, or an overscan is asked for and there is none.
        """
        if self._subtracts(image.header):
            correction = Overscan(amplifiers=None if self.amplifiers is None else list(self.amplifiers))
            image = correction.process(image)
        section = self._section(image.header) if self.trim else None
        if section is None:
            return image
        image = image.crop(section)
        without_sections(image.header)
        return image

    def regions(self, header: Header, shape: tuple[int, int]) -> list[Section]:
        """The parts of a prepared frame that one amplifier read, from the header of the raw frame.

        Parameters
        ----------
        header : Header
            Header of a raw frame.
        shape : (int, int)
            Rows and columns (H, W) of the prepared frame.
        """
        whole = Section(0, shape[1], 0, shape[0])
        cut = self._section(header) if self.trim else None
        x, y = (cut.x0, cut.y0) if cut is not None else (0, 0)
        parts = []
        for amplifier in amplifiers(header, self.amplifiers):
            area = amplifier.data if cut is None else amplifier.data.overlap(cut)
            if area is None:
                continue
            parts.append(Section(area.x0 - x, area.x1 - x, area.y0 - y, area.y1 - y))
        return [part for part in parts if part.fits_in(shape)] or [whole]

    def _subtracts(self, header: Header) -> bool:
        if self.overscan is False or "CALOSCAN" in header:
            return False
        found = bool(overscan_sections(header, self.amplifiers))
        if self.overscan and not found:
            raise ImageError("no overscan strip: the header has no BIASSEC and no amplifier with one is configured")
        return found

    def _section(self, header: Header) -> Section | None:
        return trim_section(header, self.section, None if self.amplifiers is None else list(self.amplifiers))


def without_saturated(image: Image) -> Image:
    """The frame with its saturated raw pixels masked, if its header tells the saturation level."""
    limit = image.saturation
    if limit is None or not (hit := image.data >= limit).any():
        return image
    return image.replace(mask=flagged(image.safe_mask, hit, PixelFlag.SATURATED))


def region_of(regions: Sequence[Section], shape: tuple[int, int]) -> np.ndarray:
    """Number of the region that each pixel belongs to, (H, W) int16; -1 outside all."""
    numbers = np.full(shape, -1, dtype=np.int16)
    for number, region in enumerate(regions):
        numbers[region.slices] = number
    return numbers
