"""Where images come from: folders, uploads, intervals, messages."""

from .inspect import Inspected, inspect_files
from .making import make_sources
from .source import Found, SourceRunner, SourceState

__all__ = ["Found", "Inspected", "SourceRunner", "SourceState", "inspect_files", "make_sources"]
