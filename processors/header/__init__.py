"""Steps that change headers."""

from .add_fits_headers import AddFitsHeaders, HeaderCard

__all__ = ["AddFitsHeaders", "HeaderCard"]
