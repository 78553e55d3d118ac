"""Finding sources."""

from .sep_detection import SepSourceDetection

__all__ = ["SepSourceDetection"]
