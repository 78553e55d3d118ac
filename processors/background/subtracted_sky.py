"""The sky that was just subtracted, handed on so that nobody has to measure it again."""

import weakref
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from .background import Background

SAMPLES = 64
"""Pixels along each axis that are compared to see whether the image is still the same."""


@dataclass(frozen=True, eq=False)
class SubtractedSky:
    """Meta of an image whose sky was subtracted, valid for exactly those pixels.

    Attributes
    ----------
    sky : Background
        What was subtracted.
    mesh : tuple
        Box size, filter size and clipping limit that it was measured with.
    """

    sky: Background
    mesh: tuple[int, int, float]
    _data: weakref.ref[np.ndarray]
    _mask: weakref.ref[np.ndarray] | None
    _sample: np.ndarray

    @classmethod
    def of(cls, sky: Background, mesh: tuple[int, int, float], data: np.ndarray, mask: np.ndarray | None) -> Self:
        """The record for an image with these pixels (after the subtraction) and this mask."""
        return cls(sky, mesh, weakref.ref(data), None if mask is None else weakref.ref(mask), _sample(data))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SubtractedSky) and all(
            np.array_equal(mine, theirs, equal_nan=True)
            for mine, theirs in (
                (np.array(self.mesh), np.array(other.mesh)),
                (self.sky.level_mesh, other.sky.level_mesh),
                (self.sky.rms_mesh, other.sky.rms_mesh),
                (self._sample, other._sample),
            )
        )

    def residual(self, mesh: tuple[int, int, float], data: np.ndarray, mask: np.ndarray | None) -> Background | None:
        """The sky that is left in these pixels: level zero and the noise as it was measured.

        None if these are not the pixels that it was measured on, or if another mesh is wanted.
        """
        same_mask = mask is None if self._mask is None else self._mask() is mask
        if mesh != self.mesh or self._data() is not data or not same_mask:
            return None
        if not np.array_equal(_sample(data), self._sample, equal_nan=True):
            return None  # edited in place
        return replace(self.sky, level_mesh=np.zeros_like(self.sky.level_mesh))


def _sample(data: np.ndarray) -> np.ndarray:
    height, width = data.shape[-2:]
    return data[..., :: max(1, height // SAMPLES), :: max(1, width // SAMPLES)].copy()
