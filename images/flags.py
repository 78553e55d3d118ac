"""Why a pixel is excluded: the bits of an integer mask."""

from enum import IntFlag


class PixelFlag(IntFlag):
    """Bits of an integer mask. Any non-zero value excludes the pixel.

    The values are part of the file format: they are never renumbered.
    """

    NO_DATA = 1
    """No measurement: outside the detector, NaN in the file, lost in transmission."""
    BAD = 2
    """Defective pixel: hot, dead, of unstable or unknown response."""
    SATURATED = 4
    """At or above the saturation level, or reached by the bleeding of a saturated pixel."""
    COSMIC_RAY = 8
    """Hit by a particle."""
    EDGE = 16
    """Too close to the border of the detector or of the field to be trusted."""
    INTERPOLATED = 32
    """The value was replaced by one computed from neighbours."""
    SATELLITE = 64
    """Crossed by a satellite, an aircraft or a meteor."""
    OTHER = 128
    """Flagged by the data's source for a reason that none of the other bits names."""


class SourceFlag(IntFlag):
    """Bits of ``flags`` and ``flags_aper_k`` in catalogues. Flagged sources are kept until FilterSources drops them.

    The values up to 128 are those of sep. They are part of the file format and never renumbered.
    """

    BLENDED = 1
    """Separated from a neighbour with which it overlaps."""
    TRUNCATED = 2
    """Its pixels reach the border of the frame."""
    DEBLENDING_OVERFLOW = 4
    """There was no memory left while it was separated from its neighbours."""
    SINGULAR = 8
    """Its pixels lie on a line or in a point: the shape is made up."""
    APERTURE_TRUNCATED = 16
    """Its aperture reaches over the border of the frame: the flux outside is missing."""
    APERTURE_MASKED = 32
    """Its aperture holds masked pixels: the flux is scaled up by the area that is missing."""
    APERTURE_EMPTY = 64
    """Its aperture holds no usable pixel, or its position is not finite: there is no flux."""
    NOT_POSITIVE = 128
    """A radius cannot be measured because the flux is not positive."""
    SATURATED = 256
    """It holds saturated pixels."""
    SKY_UNKNOWN = 512
    """Too few usable pixels around it to measure the sky: there is no flux."""
