"""Processors made of chains, and the one that makes one image of several."""

from .branch import Branch, Case
from .fork import Fork
from .stack import Stack

__all__ = ["Branch", "Case", "Fork", "Stack"]
