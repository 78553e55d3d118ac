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
