"""Flag the pixels of the detector that cannot be trusted."""

from pathlib import Path

import numpy as np
from pydantic import Field, PositiveFloat

from ....images import Image, ImageError, PixelFlag
from ....images.arithmetic import flagged
from ....images.sections import Section
from ...processor import Processor
from ..masters import MasterSource, Search, check_fit, write_text
from .subtraction import needed, with_flags_of


class BadPixels(Processor):
    """Flag defective pixels, known from a map or listed as rectangles.

    Pixels that are not zero in the map get the flag BAD (True in a mask of bool); flags in the map's own mask are
    added as they are. Values stay. The header gets CALBPM, the map's name.
    """

    reads = {"data", "mask?"}
    writes = {"mask", "header.CALBPM?"}

    map: MasterSource | None = Field(None, description="file of the bad-pixel map; None asks the library, if any")
    library: Path | None = Field(None, description="folder of masters")
    max_age: PositiveFloat | None = Field(None, description="how far from the frame the map may be in time [day]")
    sections: list[Section] = Field([], description="bad columns, rows and rectangles")

    def process(self, image: Image) -> Image:
        bad = np.zeros(image.shape, dtype=bool)
        mask, name = image.safe_mask, None
        if self.map or self.library is not None or not self.sections:
            master = needed("bad_pixels", image, self.map, Search(self.library, self.max_age))
            check_fit(master, image, image.shape)
            master.note()
            frame, name = master.image(), master.name
            bad |= (frame.data != 0) & ~np.isnan(frame.data)
            mask = with_flags_of(image, frame)
        for section in self.sections:
            if not section.fits_in(image.shape):
                raise ImageError(
                    f"the bad section {section} reaches outside {image.label} of "
                    f"{image.shape[1]} x {image.shape[0]} pixels"
                )
            bad[section.slices] = True
        if mask is None:
            mask = np.multiply(bad, int(PixelFlag.BAD), dtype=np.uint8)
        else:
            mask = flagged(mask, bad, PixelFlag.BAD)
        known = image.replace(mask=mask)
        if name is not None:
            write_text(known.header, "CALBPM", name, "bad-pixel map")
        return known
