"""Images from telescopes and microscopes, from the raw frame to the classified catalogue."""

from importlib.metadata import version

__version__ = version("etendue")
