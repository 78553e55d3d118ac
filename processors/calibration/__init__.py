"""From raw counts to electrons: bias, dark current, flat field, bad pixels, noise."""

from .calibration import Calibration
from .corrections import (
    BadPixels,
    Bias,
    Dark,
    FlagSaturated,
    Flat,
    Gain,
    Linearity,
    Overscan,
    Trim,
    Uncertainty,
)
from .masters import MissingMasterError

__all__ = [
    "BadPixels",
    "Bias",
    "Calibration",
    "Dark",
    "FlagSaturated",
    "Flat",
    "Gain",
    "Linearity",
    "MissingMasterError",
    "Overscan",
    "Trim",
    "Uncertainty",
]
