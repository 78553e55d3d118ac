"""Subtract a master dark."""

from pathlib import Path

from pydantic import Field, NonNegativeFloat, PositiveFloat

from ....images import Image
from ...processor import Processor
from ..masters import MasterSource, Search, check_fit, write_text
from ..units import in_counts
from .subtraction import needed, subtracted


class Dark(Processor):
    """Subtract the dark current: a master dark, from which the bias is subtracted.

    A master of the same exposure time is taken as it is; one of another is scaled by the ratio of the exposure times
    within the limits of `dark_scale`, and is an error without. A master in adu/s is multiplied by the exposure time.

    Flags of the master are added to the mask; its error is added to the uncertainty, if the frame has one. The header
    gets CALDARK, the master's name, and CALDSCL, the factor.
    """

    reads = {"data", "mask?", "uncertainty?", "header.EXPTIME"}
    writes = {"data", "mask?", "uncertainty?", "header.CALDARK", "header.CALDSCL"}

    master: MasterSource | None = Field(None, description="file of the master dark; None asks the library")
    library: Path | None = Field(None, description="folder of masters")
    max_age: PositiveFloat | None = Field(None, description="how far from the frame the master may be in time [day]")
    exposure_tolerance: NonNegativeFloat = Field(
        0.01, description="fraction by which exposure times may differ and still be the same"
    )
    dark_scale: tuple[PositiveFloat, PositiveFloat] | None = Field(
        None, description="least and largest factor by which a dark may be scaled; None never scales"
    )

    def process(self, image: Image) -> Image:
        in_counts(image, "Dark")
        search = Search(
            self.library, self.max_age, exposure_tolerance=self.exposure_tolerance, dark_scale=self.dark_scale
        )
        master = needed("dark", image, self.master, search)
        check_fit(master, image, image.shape)
        master.note()
        corrected = subtracted(image, master)
        write_text(corrected.header, "CALDARK", master.name, "master dark, subtracted")
        corrected.header["CALDSCL"] = (master.scale, "factor of the master dark")
        return corrected
