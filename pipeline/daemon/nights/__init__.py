"""Nights: frames that belong together, the masters that they make, and science frames that wait for them."""

from .keeper import NightKeeper
from .summary import night_summary

__all__ = ["NightKeeper", "night_summary"]
