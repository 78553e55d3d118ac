"""Run-time facts about an image, one class each. They are never written to files.

An image holds at most one object of each class: ``image.set_meta(PixelOffsets(dx=3.2, dy=-1.7))``,
``image.get_meta(PixelOffsets)``. The objects are immutable, so that images can share them.
"""

from dataclasses import dataclass

from astropy.coordinates import Angle, SkyCoord


@dataclass(frozen=True, slots=True)
class PixelOffsets:
    """Offset on the detector [px]: positive `dx` to larger columns, positive `dy` to larger rows."""

    dx: float = 0.0
    dy: float = 0.0


@dataclass(frozen=True, slots=True)
class RaDecOffsets:
    """Equatorial offset [deg], `dra` in right ascension itself (not multiplied by cos Dec)."""

    dra: float = 0.0
    ddec: float = 0.0


@dataclass(frozen=True, slots=True)
class AltAzOffsets:
    """Horizontal offset [deg], `daz` in azimuth itself (not multiplied by cos Alt)."""

    dalt: float = 0.0
    daz: float = 0.0


@dataclass(frozen=True, slots=True)
class SkyOffsets:
    """Two positions on the sky: where the telescope points, and where it should."""

    coord0: SkyCoord
    coord1: SkyCoord

    def separation(self, frame: str | None = None) -> Angle:
        """Angle between the two positions, both transformed to `frame` first if one is given."""
        first, second = self._in(frame)
        return first.separation(second)

    def spherical_offsets(self, frame: str | None = None) -> tuple[Angle, Angle]:
        """Longitude and latitude offsets from the first position to the second, in `frame` if one is given."""
        first, second = self._in(frame)
        return first.spherical_offsets_to(second)

    def _in(self, frame: str | None) -> tuple[SkyCoord, SkyCoord]:
        if frame is None:
            return self.coord0, self.coord1
        return self.coord0.transform_to(frame), self.coord1.transform_to(frame)


@dataclass(frozen=True, slots=True)
class OnSkyDistance:
    """Separation on the sky, with its unit."""

    distance: Angle

    @property
    def arcsec(self) -> float:
        """The separation [arcsec]."""
        return float(self.distance.to_value("arcsec"))


@dataclass(frozen=True, slots=True)
class ExpTime:
    """Recommended time of the next exposure [s]."""

    exptime: float
