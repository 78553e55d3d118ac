"""Trim, crop, bin, flip, shift: everything that belongs to an image moves together."""

from .operations import bin_blocks, crop, flip, shift, trim

__all__ = ["bin_blocks", "crop", "flip", "shift", "trim"]
