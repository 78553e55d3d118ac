"""Aperture photometry: the flux within circles around known sources."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field, NonNegativeFloat, PositiveFloat, field_validator

from ...images import Image, ImageError, make_catalog
from ...images.catalog import aperture_column
from ...images.flags import SourceFlag
from ..background import background
from ..pixels import electrons_per_unit, plain_pixels, unusable_pixels
from ..processor import Processor
from .aperture_sums import ApertureSums, SumsApertures, exact_sums, photutils_sums, sep_sums
from .lengths import Length

FAMILIES = ("flux_aper", "flux_err_aper", "background_aper", "area_aper", "flags_aper")
FEWEST_SKY_PIXELS = 10
"""A ring with fewer usable pixels gives no sky."""


@dataclass(frozen=True, slots=True)
class Sky:
    """Level and noise around N sources; each attribute is an (N,) array.

    Attributes
    ----------
    level : array or None
        Sky per pixel; None if the pixels are free of sky.
    level_variance : array
        Variance of `level`.
    noise : array
        Standard deviation of a pixel.
    """

    level: np.ndarray | None
    level_variance: np.ndarray
    noise: np.ndarray


def aperture_fluxes(
    sums: ApertureSums, sky: Sky, radius: float, *, has_errors: bool, gain: float | None
) -> dict[str, np.ndarray]:
    """Fluxes with errors and flags from the sums in the apertures.

    Parameters
    ----------
    sums : ApertureSums
        What the apertures hold.
    sky : Sky
        What is around them.
    radius : float
        Radius of the apertures [px].
    has_errors : bool
        Whether `sums.variance` is the noise; else it is computed from the sky's noise and, with a gain, the photons.
    gain : float or None
        Electrons per unit of the pixels.

    Returns
    -------
    dict of (N,) arrays
        By the names of the families of columns: ``flux_aper, flux_err_aper, area_aper, flags_aper``.
    """
    empty = ~(sums.area > 1e-9)
    area = np.where(empty, np.nan, sums.area)
    level = 0.0 if sky.level is None else sky.level
    net = sums.total - level * area
    photons = np.zeros_like(net) if gain is None else np.maximum(net, 0.0) / gain
    variance = sums.variance if has_errors else area * sky.noise**2 + photons
    scale = sums.inside / area
    flags = np.where(sums.inside < np.pi * radius**2 * (1 - 1e-9), int(SourceFlag.APERTURE_TRUNCATED), 0)
    flags |= np.where(sums.area < sums.inside * (1 - 1e-9), int(SourceFlag.APERTURE_MASKED), 0)
    flags |= np.where(empty, int(SourceFlag.APERTURE_EMPTY), 0)
    if sky.level is not None:
        flags |= np.where(np.isnan(sky.level), int(SourceFlag.SKY_UNKNOWN), 0)
    return {
        "flux_aper": net * scale,
        "flux_err_aper": np.sqrt(variance + area**2 * sky.level_variance) * scale,
        "area_aper": sums.area,
        "flags_aper": flags,
    }


class _AperturePhotometry(Processor):
    """What all kinds of aperture photometry share."""

    abstract: ClassVar[bool] = True
    sums: ClassVar[SumsApertures]

    reads = {"data", "catalog.x", "catalog.y", "mask?", "uncertainty?", "header.GAIN?"}
    writes = {"catalog", *(f"catalog.{family}_1" for family in FAMILIES if family != "background_aper")}

    apertures: Annotated[list[Length], Field(min_length=1)] = Field(
        [Length(3.0), Length(5.0), Length(8.0)],
        description="radii (not diameters) of the apertures: numbers in px, or text such as '2.5 arcsec'",
    )
    annulus: tuple[Length, Length] | None = Field(
        None, description="inner and outer radius of the ring that gives the sky; null if the sky is subtracted"
    )
    annulus_sigma: PositiveFloat = Field(3.0, description="clipping limit in the ring [standard deviations]")
    gain: NonNegativeFloat | None = Field(
        None, description="electrons per unit of the pixels, for the errors; null takes the header's, 0 for none"
    )

    @field_validator("annulus")
    @classmethod
    def _annulus_has_a_width(cls, annulus: tuple[Length, Length] | None) -> tuple[Length, Length] | None:
        if annulus is not None and annulus[0].unit == annulus[1].unit and annulus[0].value >= annulus[1].value:
            raise ValueError(
                f"the inner radius of the annulus ({annulus[0]}) must be smaller than the outer ({annulus[1]})"
            )
        return annulus

    def process(self, image: Image) -> Image:
        data = plain_pixels(image, "photometry")
        catalog = image.catalog
        if missing := [name for name in ("x", "y") if name not in catalog.colnames]:
            raise ImageError(
                f"{image.label}: the catalogue has no column {' and no '.join(missing)}; detect sources first"
            )
        radii = [length.pixels(image) for length in self.apertures]
        bad = unusable_pixels(data, image.safe_mask)
        error = image.safe_uncertainty
        if error is not None:
            error = error if error.dtype in (np.float32, np.float64) else error.astype(np.float32)
            unknown = ~np.isfinite(error)
            bad = bad if not unknown.any() else unknown if bad is None else bad | unknown
        x, y = (np.ma.filled(np.ma.asarray(catalog[name], dtype=np.float64), np.nan) for name in ("x", "y"))
        sky = self._sky(image, data, bad, x, y)
        gain = electrons_per_unit(image, self.gain)
        if bad is not None:
            data = np.where(bad, data.dtype.type(0), data)
            error = None if error is None else np.where(bad, error.dtype.type(0), error)
        columns = {}
        for k, radius in enumerate(radii, start=1):
            sums = type(self).sums(data, error, bad, x, y, radius)
            measured = aperture_fluxes(sums, sky, radius, has_errors=error is not None, gain=gain)
            if sky.level is not None:
                measured["background_aper"] = sky.level
            columns |= {aperture_column(family, k): values for family, values in measured.items()}
        made = make_catalog(columns, unit=image.unit, radii=dict(enumerate(radii, start=1)))
        catalog = catalog.copy()
        for name in [name for name in catalog.colnames if name.rpartition("_")[0] in FAMILIES]:
            catalog.remove_column(name)
        for column in made.columns.values():
            catalog[column.name] = column
        return image.replace(catalog=catalog)

    def _sky(self, image: Image, data: np.ndarray, bad: np.ndarray | None, x: np.ndarray, y: np.ndarray) -> Sky:
        """The sky around each source: from the ring, or only its noise, from the mesh."""
        zeros = np.zeros(len(x))
        if self.annulus is None:
            if image.safe_uncertainty is not None or not len(x):
                return Sky(None, zeros, zeros)
            try:
                return Sky(None, zeros, background(data, bad).rms_at(x, y))
            except ImageError as error:
                raise ImageError(f"{image.label}: {error}") from error
        from .annulus import ring_statistics

        inner, outer = (length.pixels(image) for length in self.annulus)
        if inner >= outer:
            raise ImageError(
                f"{image.label}: the inner radius of the annulus ({inner:.4g} px) is not smaller than the outer "
                f"({outer:.4g} px)"
            )
        level, noise, number = np.empty(len(x)), np.empty(len(x)), np.empty(len(x), dtype=np.int64)
        unusable = np.empty((0, 0), dtype=np.uint8) if bad is None else bad.view(np.uint8)
        ring_statistics(data, unusable, x, y, inner, outer, self.annulus_sigma, level, noise, number)
        level[number < FEWEST_SKY_PIXELS] = np.nan
        # The median of n Gaussian values has pi/2 times the variance of their mean.
        return Sky(level, np.pi / 2 * noise**2 / np.maximum(number, 1), noise)


class AperturePhotometry(_AperturePhotometry):
    """Measure the flux within circles around the sources of the catalogue.

    Each aperture k = 1, 2, … adds ``flux_aper_k, flux_err_aper_k, area_aper_k, flags_aper_k`` (and
    ``background_aper_k`` with an annulus) for this image; columns of an earlier photometry are replaced. Circles and
    pixels overlap exactly. `apertures` are radii.

    *Sky.* Without `annulus` the pixels must be free of sky (:class:`SubtractBackground`). With it, the clipped median
    of the ring around each source is the sky.

    *Errors.* From the uncertainty plane if there is one. Else from the noise of the sky (in the ring, or on the mesh)
    and, where the gain is known, from the photons of the source. The error of the ring's median is added.

    *Masked pixels and NaN* are left out, and the flux is scaled up by the missing area: right for the sky, too low
    where the core of a star is missing. Such apertures, and those that reach over the border (which are not scaled),
    are marked in ``flags_aper_k`` (:class:`etendue.images.flags.SourceFlag`). Without any usable pixel, off the
    frame, or at a position that is not finite, the flux is NaN.

    The sums come from a compiled kernel that holds no lock; :class:`SepPhotometry` and :class:`PhotUtilsPhotometry`
    give the same numbers with the libraries of these names.

    References
    ----------
    Howell, S. B. 2006, Handbook of CCD Astronomy, 2nd ed., chapter 5.
    Merline, W. J. & Howell, S. B. 1995, Experimental Astronomy 6, 163 (errors).
    """

    abstract: ClassVar[bool] = False
    sums: ClassVar[SumsApertures] = staticmethod(exact_sums)


class SepPhotometry(_AperturePhotometry):
    """Measure the flux within circles around the sources of the catalogue, with sep.

    Columns, sky, errors, flags and the rule for masked pixels are those of :class:`AperturePhotometry`.

    References
    ----------
    Barbary, K. 2016, JOSS 1(6), 58.
    """

    abstract: ClassVar[bool] = False
    sums: ClassVar[SumsApertures] = staticmethod(sep_sums)


class PhotUtilsPhotometry(_AperturePhotometry):
    """Measure the flux within circles around the sources of the catalogue, with photutils.

    Columns, sky, errors, flags and the rule for masked pixels are those of :class:`AperturePhotometry`.

    References
    ----------
    Bradley, L. et al., photutils, doi:10.5281/zenodo.596036.
    """

    abstract: ClassVar[bool] = False
    sums: ClassVar[SumsApertures] = staticmethod(photutils_sums)
