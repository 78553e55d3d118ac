"""The sky under the sources: its level and its noise."""

from .background import Background, background
from .subtract_background import SubtractBackground
from .subtracted_sky import SubtractedSky

__all__ = ["Background", "SubtractBackground", "SubtractedSky", "background"]
