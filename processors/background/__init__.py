"""The sky under the sources: its level and its noise."""

from .background import Background, background
from .subtract_background import SubtractBackground

__all__ = ["Background", "SubtractBackground", "background"]
