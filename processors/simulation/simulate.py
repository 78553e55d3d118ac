"""Replace an image by a simulated one: a source of frames for trying chains."""

import zlib

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from ...images import Image
from ..processor import Processor
from .camera import Camera
from .exposure import Exposure
from .field import CENTER, simulate_field


class SimulateField(Processor):
    """Replace the image by a simulated field of stars and galaxies, with the truth as its catalogue.

    The cards of the incoming header stay where the simulated camera writes none of its own. Images of different names
    get different fields; the same name and seed always give the same pixels.
    """

    reads = frozenset()
    writes = {"data", "header", "catalog", "mask?", "uncertainty?", "raw?"}

    width: PositiveInt = Field(1024, description="columns of the frame [px]")
    height: PositiveInt = Field(1024, description="rows of the frame [px]")
    seed: NonNegativeInt = Field(1, description="start of the random numbers")
    stars: NonNegativeInt | None = Field(None, description="number of stars; by default 1200 per 1024 × 1024 px")
    galaxies: NonNegativeInt | None = Field(None, description="number of galaxies; by default 320 per 1024 × 1024 px")
    ra: float = Field(CENTER[0], ge=0, lt=360, description="right ascension of the centre [deg]")
    dec: float = Field(CENTER[1], ge=-90, le=90, description="declination of the centre [deg]")
    pixel_scale: PositiveFloat = Field(0.5, description="side of a pixel [arcsec]")
    rotation: float = Field(0.0, description="angle from the y axis to north [deg]")
    exposure: Exposure = Field(Exposure(), description="seeing, sky, exposure time …")
    camera: Camera = Field(Camera(), description="the detector")

    def process(self, image: Image) -> Image:
        simulated = simulate_field(
            (self.height, self.width),
            seed=zlib.crc32(f"{self.seed} {image.name or ''}".encode()),
            stars=self.stars,
            galaxies=self.galaxies,
            center=(self.ra, self.dec),
            pixel_scale=self.pixel_scale,
            rotation=self.rotation,
            exposure=self.exposure,
            camera=self.camera,
        )
        header = image.header.copy()
        header.update(simulated.header)
        return image.replace(
            data=simulated.data,
            header=header,
            catalog=simulated.catalog,
            mask=None,
            uncertainty=None,
            raw=None,
            axes=None,
        )
