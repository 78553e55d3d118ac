"""Raw frames of a whole night, with everything that a reduction has to undo, and the truth behind them."""

from .ccd import CCDCamera, CCDMaps, make_maps, read_raw
from .conditions import BANDS
from .files import simulate_night
from .light_curves import PulsatingStar, TransitingPlanet, transit_flux
from .night import Night, RawFrame, take_night
from .plan import PlannedFrame

__all__ = [
    "BANDS",
    "CCDCamera",
    "CCDMaps",
    "Night",
    "PlannedFrame",
    "PulsatingStar",
    "RawFrame",
    "TransitingPlanet",
    "make_maps",
    "read_raw",
    "simulate_night",
    "take_night",
    "transit_flux",
]
