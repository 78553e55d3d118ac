"""Measuring the flux of known sources."""

from .aperture_photometry import AperturePhotometry, PhotUtilsPhotometry, SepPhotometry

__all__ = ["AperturePhotometry", "PhotUtilsPhotometry", "SepPhotometry"]
