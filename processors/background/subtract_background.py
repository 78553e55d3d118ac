"""Subtract the sky, estimated on a mesh of boxes."""

import numpy as np
from pydantic import Field, PositiveFloat, PositiveInt, field_validator

from ...images import Image, ImageError
from ..processor import Processor
from .background import background


class SubtractBackground(Processor):
    """Subtract the sky, estimated on a mesh of boxes.

    Masked pixels and NaN are left out of the estimate; masked ones are subtracted like the others. The uncertainty
    is unchanged: the error of the sky itself is not added. The planes of colour images and movies are treated one by
    one. Integers become float32.

    Boxes must be larger than the sources, or the sources are subtracted with the sky, and smaller than the
    structures of the sky.

    References
    ----------
    Bertin, E. & Arnouts, S. 1996, A&AS 117, 393.
    Barbary, K. 2016, JOSS 1(6), 58 (sep).
    """

    reads = {"data", "mask?"}
    writes = {"data", "header.BKGLEVEL?", "header.BKGRMS?"}

    box_size: PositiveInt = Field(64, description="side of a mesh box [px]")
    filter_size: PositiveInt = Field(3, description="side of the median filter over the mesh, an odd number [boxes]")
    sigma: PositiveFloat = Field(3.0, description="clipping limit of the box statistics [standard deviations]")
    write_header: bool = Field(True, description="write median level and noise of the sky as BKGLEVEL and BKGRMS")

    @field_validator("filter_size")
    @classmethod
    def _filter_is_odd(cls, size: int) -> int:
        if size % 2 == 0:
            raise ValueError(f"filter_size must be odd, not {size}")
        return size

    def process(self, image: Image) -> Image:
        planes = np.atleast_3d(image.data) if image.data.ndim == 3 else image.data[None]
        masks = _mask_of_each(image)
        skies = []
        out = np.empty(planes.shape, dtype=np.float64 if planes.dtype == np.float64 else np.float32)
        for k, plane in enumerate(planes):
            try:
                sky = background(
                    plane, masks[k], box_size=self.box_size, filter_size=self.filter_size, sigma=self.sigma
                )
            except ImageError as error:
                raise ImageError(f"{image.label}: {error}") from error
            out[k] = sky.subtract_from(plane)
            skies.append(sky)
        result = image.replace(data=out.reshape(image.data.shape))
        if self.write_header:
            level = float(np.mean([sky.global_level for sky in skies]))
            rms = float(np.mean([sky.global_rms for sky in skies]))
            result.header["BKGLEVEL"] = (level, f"[{image.unit}] median sky level, subtracted")
            result.header["BKGRMS"] = (rms, f"[{image.unit}] median noise of the sky")
        return result


def _mask_of_each(image: Image) -> list[np.ndarray | None]:
    """The mask of each plane of the data."""
    mask = image.safe_mask
    count = image.data.shape[0] if image.data.ndim == 3 else 1
    if mask is None or mask.ndim == 2:
        return [mask] * count
    return list(mask)
