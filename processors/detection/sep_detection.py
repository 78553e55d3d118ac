"""Source detection with sep: what lies above a threshold, told apart, with its position, flux and shape."""

from typing import Any

import numpy as np
from astropy.table import Table
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, field_validator

from ...images import Image, ImageError, PixelFlag, make_catalog
from ...images.flags import SourceFlag
from ...images.units import COUNTS, ELECTRONS
from ..background import SubtractedSky, background
from ..pixels import electrons_per_unit, for_sep, plain_pixels, subtracted_sky_level, unusable_pixels
from ..processor import Processor
from .extraction import extract_sources
from .shapes import measure_shapes
from .sky_positions import sky_positions

KERNEL = [[1.0, 2.0, 1.0], [2.0, 4.0, 2.0], [1.0, 2.0, 1.0]]
"""SExtractor's default.conv."""


class SepSourceDetection(Processor):
    """Find sources above the sky with sep, the library form of SExtractor.

    The sky is estimated on a mesh and taken off for the measurement; the pixels of the image stay as they are. If
    :class:`SubtractBackground` has just done so with the same mesh, its estimate is used. The threshold is in units of
    the sky's noise: of its median over the frame, or of the uncertainty plane pixel by pixel with `use_uncertainty`,
    which follows uneven depth and takes about twenty times as long.

    Masked pixels and NaN take no part. Sources near them, at the border, or blended are kept and marked in `flags`
    (:class:`etendue.images.flags.SourceFlag`). A frame without sources gives a catalogue with the same columns and
    no rows.

    `x, y` are barycentres, 0-based. `flux` is the flux in the Kron ellipse (`flux_auto`), or that of the pixels
    above the threshold where there is no Kron ellipse. `a`, `b` and `fwhm` = 2 sqrt(ln 2 (a² + b²)), that
    of a Gaussian with the same second moments, are those of the filtered image: the default kernel adds 1.67 px to
    the fwhm in quadrature; and for sources near the threshold they come out small. `flux_radius_50`, half the fwhm of
    a Gaussian, has neither fault. `ra, dec` are added where the
    header has celestial coordinates. A frame without any noise is treated as if its noise were 1.

    References
    ----------
    Bertin, E. & Arnouts, S. 1996, A&AS 117, 393.
    Barbary, K. 2016, JOSS 1(6), 58.
    """

    reads = {"data", "mask?", "uncertainty?", "header.GAIN?", "header.SATURATE?", "meta.SubtractedSky?"}
    writes = {
        "catalog",
        *(
            f"catalog.{name}"
            for name in (
                *("id", "x", "y", "x_err", "y_err", "xwin", "ywin", "xpeak", "ypeak", "xmin", "xmax", "ymin", "ymax"),
                *("flux", "flux_err", "peak", "background", "a", "b", "theta", "ellipticity", "fwhm", "npix"),
                *("kron_radius", "flux_auto", "flux_auto_err", "flux_radius_25", "flux_radius_50", "flux_radius_75"),
                *("flags", "ra?", "dec?"),
            )
        ),
    }

    threshold: PositiveFloat = Field(1.5, description="detection limit [standard deviations of the sky]")
    minarea: PositiveInt = Field(5, description="fewest connected pixels above the threshold [px]")
    deblend_nthresh: PositiveInt = Field(32, description="number of levels at which blends are looked for")
    deblend_cont: float = Field(0.005, ge=0, le=1, description="least part of the flux that makes a branch a source")
    clean: bool = Field(True, description="remove detections that are wings of brighter neighbours")
    clean_param: float = Field(1.0, ge=0.1, le=10, description="how readily wings are removed; smaller removes more")
    filter_kernel: list[list[float]] | None = Field(
        KERNEL, description="matrix that the image is smoothed with for detection; null for none"
    )
    subtract_background: bool = Field(True, description="take off the sky; false if an earlier step has done so")
    box_size: PositiveInt = Field(64, description="side of a box of the background mesh [px]")
    filter_size: PositiveInt = Field(3, description="side of the median filter over the mesh, an odd number [boxes]")
    gain: NonNegativeFloat | None = Field(
        None, description="electrons per unit of the pixels, for the errors; null takes the header's, 0 for none"
    )
    use_uncertainty: bool = Field(False, description="threshold on the uncertainty plane instead of one noise for all")

    @field_validator("filter_size")
    @classmethod
    def _filter_is_odd(cls, size: int) -> int:
        if size % 2 == 0:
            raise ValueError(f"filter_size must be odd, not {size}")
        return size

    @field_validator("filter_kernel")
    @classmethod
    def _kernel_is_a_matrix(cls, kernel: list[list[float]] | None) -> list[list[float]] | None:
        if kernel is None:
            return None
        lengths = {len(row) for row in kernel}
        if len(lengths) != 1 or 0 in lengths or not np.isfinite(kernel).all() or np.sum(kernel) <= 0:
            raise ValueError("filter_kernel must be a matrix: rows of equal length, finite, with a positive sum")
        return kernel

    def process(self, image: Image) -> Image:
        data = plain_pixels(image, "source detection")
        bad = unusable_pixels(data, image.safe_mask)
        try:
            mesh = (self.box_size, self.filter_size, 3.0)
            known = image.get_meta_safe(SubtractedSky)
            sky = known.residual(mesh, image.data, image.safe_mask) if known is not None else None
            pixels = data
            if sky is None:
                sky = background(data, bad, box_size=self.box_size, filter_size=self.filter_size)
                pixels = sky.subtract_from(data) if self.subtract_background else data
            if bad is not None:
                pixels = np.where(bad, pixels.dtype.type(0), pixels)
            noise = self._noise(image, sky.global_rms)
            gain = electrons_per_unit(image, self.gain)
            options = self._options(bad, noise) | ({} if gain is None else {"gain": gain})
            objects = extract_sources(for_sep(pixels), self.threshold, options)
        except ImageError as error:
            raise error if str(error).startswith(image.label) else ImageError(f"{image.label}: {error}") from error
        columns = measure_shapes(for_sep(pixels), objects, None if bad is None else for_sep(bad), noise, gain)
        columns["flags"] |= np.where(_saturated(image, objects), int(SourceFlag.SATURATED), 0)
        columns["background"] = sky.level_at(objects["x"], objects["y"])
        return image.replace(catalog=_catalog(image, objects, columns))

    def _noise(self, image: Image, rms: float) -> Any:
        """Standard deviation of the sky: one number, or a map as sep wants it."""
        if not self.use_uncertainty:
            return rms if rms > 0 else 1.0
        error = image.uncertainty.astype(np.float32)
        error[~(error > 0)] = np.inf
        return for_sep(error)

    def _options(self, bad: np.ndarray | None, noise: Any) -> dict[str, Any]:
        return {
            "err": noise,
            "mask": None if bad is None else for_sep(bad),
            "minarea": self.minarea,
            "filter_kernel": None if self.filter_kernel is None else np.array(self.filter_kernel, dtype=np.float32),
            "deblend_nthresh": self.deblend_nthresh,
            "deblend_cont": self.deblend_cont,
            "clean": self.clean,
            "clean_param": self.clean_param,
        }


def _catalog(image: Image, objects: np.ndarray, measured: dict[str, np.ndarray]) -> Table:
    a, b = objects["a"], objects["b"]
    automatic = np.isfinite(measured["flux_auto"])
    ra, dec = sky_positions(image, objects["x"], objects["y"])
    columns = {name: objects[name] for name in ("x", "y", "xpeak", "ypeak", "xmin", "xmax", "ymin", "ymax", "peak")}
    columns |= {
        "id": np.arange(1, len(objects) + 1),
        "x_err": np.sqrt(np.maximum(objects["errx2"], 0)),
        "y_err": np.sqrt(np.maximum(objects["erry2"], 0)),
        "ra": ra,
        "dec": dec,
        "flux": np.where(automatic, measured["flux_auto"], objects["flux"]),
        "flux_err": measured["flux_auto_err"],
        "a": a,
        "b": b,
        "theta": np.degrees(objects["theta"]),
        "ellipticity": 1.0 - b / np.where(a > 0, a, np.nan),
        "fwhm": 2.0 * np.sqrt(np.log(2.0) * (a**2 + b**2)),
        "npix": objects["npix"],
    }
    return make_catalog(columns | measured, unit=image.unit)


def _saturated(image: Image, objects: np.ndarray) -> np.ndarray:
    """Which sources hold saturated pixels, by the flags of the mask or the saturation level in the header."""
    found = np.zeros(len(objects), dtype=bool)
    mask = image.safe_mask
    if mask is not None and mask.dtype != bool:
        pixels = (mask & int(PixelFlag.SATURATED)) != 0
        if pixels.any():
            boxes = zip(*(objects[name].tolist() for name in ("xmin", "xmax", "ymin", "ymax")), strict=True)
            found |= np.fromiter(
                (pixels[y0 : y1 + 1, x0 : x1 + 1].any() for x0, x1, y0, y1 in boxes), bool, len(objects)
            )
    level = image.saturation
    if level is not None and len(objects) and image.unit in COUNTS + ELECTRONS:  # a rate is compared with no level
        if image.unit in ELECTRONS:
            level *= image.gain or 1.0
        level -= subtracted_sky_level(image)
        found |= image.data[objects["ypeak"], objects["xpeak"]] >= level
    return found
