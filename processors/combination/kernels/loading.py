"""Pixels of frames become rows of a stack."""

import numpy as np
from numba import njit


@njit(nogil=True, cache=True, error_model="numpy")
def load(source, bad, factor, target):
    """target = source · factor, and infinity where `bad` is not zero or the value is not finite; one pass.

    Parameters
    ----------
    source : (P,) array of numbers
        Pixels of one frame.
    bad : (P,) uint8 array
        Non-zero is left out; an empty one leaves nothing out.
    factor : float32
        Scale of the frame.
    target : (P,) float32 array
        A row of the stack.
    """
    infinity = np.float32(np.inf)
    for k in range(target.size):
        value = np.float32(source[k]) * factor
        target[k] = value if value - value == np.float32(0) else infinity
    if bad.size > 0:
        for k in range(target.size):
            target[k] = infinity if bad[k] != 0 else target[k]


@njit(nogil=True, cache=True, error_model="numpy")
def load_variance(error, factor, target):
    """target = (error · factor)²: the variances of one frame."""
    for k in range(target.size):
        scaled = np.float32(error[k]) * factor
        target[k] = scaled * scaled
