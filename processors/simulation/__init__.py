"""Simulated frames whose truth is known."""

from .camera import Camera
from .exposure import Exposure, expose, pointing
from .field import make_sky, simulate_field, simulate_series, write_fields
from .night import CCDCamera, simulate_night
from .simulate import SimulateField

__all__ = [
    "CCDCamera",
    "Camera",
    "Exposure",
    "SimulateField",
    "expose",
    "make_sky",
    "pointing",
    "simulate_field",
    "simulate_night",
    "simulate_series",
    "write_fields",
]
