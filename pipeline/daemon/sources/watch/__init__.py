"""Folders in which files appear."""

from .runner import WatchRunner

__all__ = ["WatchRunner"]
