"""Compiled kernels that combine the values of each pixel of a stack.

A stack is a (N, P) float32 array: N frames, P pixels. A value that is left out is +infinity, which sorts last.
Everything is done in blocks of pixels that stay in the first cache.
"""

from .clipping import clip_limits
from .columns import LARGEST
from .loading import load, load_variance
from .means import clipped_mean, error_of_mean, mean, mean_within, typical_error, weighted_mean_within
from .medians import median

__all__ = [
    "LARGEST",
    "clip_limits",
    "clipped_mean",
    "error_of_mean",
    "load",
    "load_variance",
    "mean",
    "mean_within",
    "median",
    "typical_error",
    "weighted_mean_within",
]
