"""Divide by a master flat."""

from pathlib import Path

import numpy as np
from pydantic import Field, PositiveFloat

from ....images import Image, PixelFlag
from ....images.arithmetic import flagged
from ...processor import Processor
from ..masters import MasterSource, Search, check_fit, write_text
from .subtraction import needed, with_flags_of


class Flat(Processor):
    """Divide by a master flat: vignetting, dust and the unequal response of pixels.

    The master is normalised (its level is about 1), so that counts remain counts. Where it is zero, negative or NaN
    there is no response to divide by: the pixel and its uncertainty become NaN, and it is flagged BAD; never inf.

    Flags of the master are added to the mask; its relative error is added to the uncertainty, if the frame has one.
    The header gets CALFLAT, the master's name.
    """

    reads = {"data", "mask?", "uncertainty?", "header.FILTER?"}
    writes = {"data", "mask?", "uncertainty?", "header.CALFLAT"}

    master: MasterSource | None = Field(None, description="file of the master flat; None asks the library")
    library: Path | None = Field(None, description="folder of masters")
    max_age: PositiveFloat | None = Field(None, description="how far from the frame the master may be in time [day]")

    def process(self, image: Image) -> Image:
        master = needed("flat", image, self.master, Search(self.library, self.max_age))
        check_fit(master, image, image.shape)
        master.note()
        corrected = divided(image, master.image())
        write_text(corrected.header, "CALFLAT", master.name, "master flat, divided by")
        return corrected


def divided(image: Image, flat: Image) -> Image:
    """The image over the flat, with errors and flags of both; see :class:`Flat`."""
    dtype = np.float64 if image.data.dtype == np.float64 else np.float32
    with np.errstate(divide="ignore", invalid="ignore"):
        usable = flat.data > 0
        response = np.where(usable, flat.data, np.nan).astype(dtype)
        data = np.divide(image.data, response, dtype=dtype)
        uncertainty = image.safe_uncertainty
        if uncertainty is not None:
            uncertainty = np.divide(uncertainty, response, dtype=dtype)
            if flat.safe_uncertainty is not None:
                uncertainty = np.hypot(uncertainty, data * (flat.uncertainty / response)).astype(dtype)
    mask = with_flags_of(image, flat)
    if not usable.all():
        bad = ~usable if mask is None or mask.ndim == 2 else np.broadcast_to(~usable, mask.shape)
        mask = (
            np.multiply(bad, int(PixelFlag.BAD), dtype=np.uint8) if mask is None else flagged(mask, bad, PixelFlag.BAD)
        )
    return image.replace(data=data, uncertainty=uncertainty, mask=mask)
