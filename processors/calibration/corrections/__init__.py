"""The corrections of a raw frame, each alone; :class:`~etendue.processors.calibration.Calibration` is all in one."""

from .bad_pixels import BadPixels
from .bias import Bias
from .dark import Dark
from .flat import Flat
from .gain import Gain
from .linearity import Linearity
from .overscan import Overscan
from .saturation import FlagSaturated
from .trim import Trim
from .uncertainty import Uncertainty

__all__ = [
    "BadPixels",
    "Bias",
    "Dark",
    "FlagSaturated",
    "Flat",
    "Gain",
    "Linearity",
    "Overscan",
    "Trim",
    "Uncertainty",
]
