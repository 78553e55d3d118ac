"""Subtract the sky, estimated on a mesh of boxes."""

import numpy as np
from pydantic import Field, PositiveFloat, PositiveInt, field_validator

from ...images import Image, ImageError
from ..processor import Processor
from .background import Background, background
from .subtracted_sky import SubtractedSky


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
    writes = {"data", "header.BKGLEVEL?", "header.BKGRMS?", "meta.SubtractedSky?"}

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
        data, mask = image.data, image.safe_mask
        try:
            if data.ndim == 2:
                skies = [self._sky(data, mask)]
                result = image.replace(data=skies[0].subtract_from(data))
                mesh = (self.box_size, self.filter_size, self.sigma)
                result.set_meta(SubtractedSky.of(skies[0], mesh, result.data, mask))
            else:
                masks = [mask] * len(data) if mask is None or mask.ndim == 2 else mask
                skies = [self._sky(plane, excluded) for plane, excluded in zip(data, masks, strict=True)]
                out = np.empty(data.shape, dtype=np.float64 if data.dtype == np.float64 else np.float32)
                for k, sky in enumerate(skies):
                    out[k] = sky.subtract_from(data[k])
                result = image.replace(data=out)
        except ImageError as error:
            raise ImageError(f"{image.label}: {error}") from error
        if self.write_header:
            level = float(np.mean([sky.global_level for sky in skies]))
            rms = float(np.mean([sky.global_rms for sky in skies]))
            result.header["BKGLEVEL"] = (level, f"[{image.unit}] median sky level, subtracted")
            result.header["BKGRMS"] = (rms, f"[{image.unit}] median noise of the sky")
        return result

    def _sky(self, plane: np.ndarray, mask: np.ndarray | None) -> Background:
        return background(plane, mask, box_size=self.box_size, filter_size=self.filter_size, sigma=self.sigma)
