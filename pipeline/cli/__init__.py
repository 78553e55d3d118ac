"""The command line: ``etendue run``, ``etendue processors``, ``etendue demo`` …

One module for each group of commands. What a command needs is imported when it runs, so that
``etendue --help`` answers at once.
"""

from .app import app, main

__all__ = ["app", "main"]
