"""Cut the frame to the pixels that saw the sky."""

import re

import numpy as np
from astropy.io import fits
from pydantic import Field

from ....images import Image, ImageError
from ....images.sections import Amplifier, Section, amplifiers, header_section
from ...processor import Processor

SECTION_CARDS = re.compile(r"(TRIM|DATA|BIAS)SEC[1-9A-D]{0,2}|[TBD]SEC[1-9A-D]{1,2}")


def trim_section(
    header: fits.Header, given: Section | None, configured: list[Amplifier] | None = None
) -> Section | None:
    """What remains of a frame: the given section, the data of the given amplifiers, TRIMSEC, or DATASEC.

    Parameters
    ----------
    header : astropy.io.fits.Header
        Header of the frame.
    given : Section
        What a configuration says.
    configured : list of Amplifier
        Amplifiers that a configuration names; the smallest rectangle with all their data remains.

    Returns
    -------
    Section or None
        None if nothing says what to cut.

    Raises
    ------
    ImageError
        The section is malformed or reaches outside the frame.
    """
    section = given
    if section is None and not configured:
        section = header_section(header, "TRIMSEC")
    if section is None:
        several = amplifiers(header, configured)
        if configured or len(several) > 1 or "DATASEC" in header:
            parts = [amplifier.data for amplifier in several]
            section = Section(
                min(part.x0 for part in parts),
                max(part.x1 for part in parts),
                min(part.y0 for part in parts),
                max(part.y1 for part in parts),
            )
    shape = (int(header.get("NAXIS2", 0)), int(header.get("NAXIS1", 0)))
    if section is not None and not section.fits_in(shape):
        raise ImageError(
            f"the section {section} to trim to reaches outside the frame of {shape[1]} x {shape[0]} pixels; "
            "give the section in the configuration if the header is wrong"
        )
    return section


def without_sections(header: fits.Header) -> None:
    """Remove the cards that name parts of the frame: after trimming they are done with."""
    for key in [key for key in dict.fromkeys(header) if SECTION_CARDS.fullmatch(key)]:
        header.remove(key, ignore_missing=True, remove_all=True)


def header_of_trimmed(image: Image, section: Section) -> Image:
    """The frame after the cut without its pixels' values: header and catalogue moved, no mask, uncertainty or raw."""
    zero = np.zeros((), dtype=np.uint8)
    zero.flags.writeable = False  # else the image would copy what is broadcast
    blank = np.broadcast_to(zero, image.data.shape)
    planes = image.replace(data=blank, mask=None, uncertainty=None, raw=None, axes=image.axes)
    trimmed = planes.crop(section)
    without_sections(trimmed.header)
    return trimmed


class Trim(Processor):
    """Cut the frame to the pixels that saw the sky: mask, uncertainty, raw pixels, catalogue and WCS follow.

    The section is the given one, or the header's TRIMSEC, or its DATASEC. The cards that name sections are removed,
    so that nothing is cut twice. A frame whose header names no section stays as it is.

    With several amplifiers, the smallest rectangle remains that holds the data of all.
    """

    reads = {"data", "header.TRIMSEC?", "header.DATASEC?"}
    writes = {"data", "mask?", "uncertainty?", "raw?", "catalog?", "header.*"}

    section: Section | None = Field(None, description="what remains; None takes TRIMSEC or DATASEC")

    def process(self, image: Image) -> Image:
        in_frame = image.shape  # a frame without pixels cannot be trimmed, whatever its header says
        try:
            section = trim_section(image.header, self.section)
        except ImageError as error:
            raise ImageError(f"{image.label}: {error}") from error
        if section is None:
            return image
        trimmed = image if section.shape == in_frame else image.crop(section)
        trimmed = trimmed.copy()
        without_sections(trimmed.header)
        return trimmed
