"""Write a picture for people."""

import math
from pathlib import Path
from typing import Literal, Self

import numpy as np
from pydantic import Field, PositiveInt, model_validator

from ...images import Image, ImageError
from ...images.display import downsample, encode, picture
from ...images.io import atomic_write
from ..processor import Processor
from .product import FilenamePattern, literal_suffixes, new_product, product_name

KINDS: dict[str, Literal["jpeg", "png"]] = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg"}


class SavePicture(Processor):
    """Write a PNG or JPEG picture, with the sources of the catalogue drawn in.

    The first row of the image is at the bottom, so that a frame with east to the left of north looks like the sky.
    NaN is black. The channels of a colour image are shown as they are, a movie as the mean of its frames. Sources are
    marked by their Kron ellipse (or the best that the catalogue has): sky blue, and orange if they have flags.

    Placeholders of the name are those of :class:`Save`.

    References
    ----------
    Lupton, R. et al. 2004, PASP 116, 133 (the asinh stretch).
    """

    reads = {"data", "catalog?", "mask?"}
    writes = frozenset()

    filename: FilenamePattern = Field(
        "{stem}.png",
        description="name of the file, with placeholders; of several, the first that can be filled",
    )
    overwrite: bool = Field(True, description="whether an earlier product of that name may be replaced")
    stretch: Literal["asinh", "linear", "zscale"] = Field(
        "asinh", description="how values become grey: asinh shows faint and bright, zscale follows the sky"
    )
    vmin: float | None = Field(None, description="value shown black; found in the image if not given")
    vmax: float | None = Field(None, description="value shown white; found in the image if not given")
    max_size: PositiveInt | None = Field(1600, description="longer side at most; larger images are averaged [px]")
    sources: bool = Field(True, description="draw the sources of the catalogue")
    labels: bool = Field(False, description="write the number of each source beside it")
    mask: bool = Field(False, description="tint the masked pixels")
    quality: int = Field(90, ge=1, le=95, description="quality of a JPEG")

    @model_validator(mode="after")
    def _suffix_is_known(self) -> Self:
        for suffix in literal_suffixes(self.filename):
            if not suffix.lower().endswith(tuple(KINDS)):
                raise ValueError(f"no picture format has the suffix {suffix!r}; there are {' '.join(KINDS)}")
        return self

    def process(self, image: Image) -> Image:
        name = product_name(image, self.filename)
        kind = KINDS.get(Path(name).suffix.lower())
        if kind is None:
            raise ImageError(f"{image.label}: no picture format has the suffix of {name}; there are {' '.join(KINDS)}")
        content = encode(self._drawn(image), kind, quality=self.quality)
        with (
            new_product(name, overwrite=self.overwrite) as path,
            atomic_write(path, overwrite=self.overwrite) as stream,
        ):
            stream.write(content)
        return image.copy()

    def _drawn(self, image: Image) -> np.ndarray:
        data, (height, width) = image.data, image.shape
        if image.axes == "TYX":
            data = data.mean(axis=0, dtype=np.float32)
        factor = min(math.ceil(max(height, width) / (self.max_size or max(height, width))), height, width)
        if factor > 1:
            data = downsample(data, self.max_size or max(height, width))
        shown = picture(data, stretch=self.stretch, vmin=self.vmin, vmax=self.vmax)
        mask, catalog = image.safe_mask, image.safe_catalog
        if self.mask and mask is not None:
            from .overlay import draw_mask

            shown = draw_mask(shown, np.any(mask.reshape(-1, height, width), axis=0), factor)
        if self.sources and catalog is not None and {"x", "y"} <= set(catalog.colnames):
            from .overlay import draw_sources

            shown = draw_sources(shown, catalog, factor=factor, labels=self.labels)
        return shown
