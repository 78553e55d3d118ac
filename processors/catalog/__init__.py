"""Work on the catalogue of an image."""

from .filter_sources import FilterSources

__all__ = ["FilterSources"]
