"""Subtract a master bias."""

from pathlib import Path

from pydantic import Field, PositiveFloat

from ....images import Image
from ...processor import Processor
from ..masters import Master, MasterSource, Search, check_fit, write_text
from ..units import in_counts
from .subtraction import needed, subtracted


class Bias(Processor):
    """Subtract a master bias: the level and the pattern that a frame of no exposure has.

    Flags of the master are added to the mask; its error is added to the uncertainty, if the frame has one. The header
    gets CALBIAS, the master's name.
    """

    reads = {"data", "mask?", "uncertainty?"}
    writes = {"data", "mask?", "uncertainty?", "header.CALBIAS"}

    master: MasterSource | None = Field(None, description="file of the master bias; None asks the library")
    library: Path | None = Field(None, description="folder of masters")
    max_age: PositiveFloat | None = Field(None, description="how far from the frame the master may be in time [day]")

    def process(self, image: Image) -> Image:
        in_counts(image, "Bias")
        master = self._master(image)
        check_fit(master, image, image.shape)
        master.note()
        corrected = subtracted(image, master)
        write_text(corrected.header, "CALBIAS", master.name, "master bias, subtracted")
        return corrected

    def _master(self, image: Image) -> Master:
        return needed("bias", image, self.master, Search(self.library, self.max_age))
