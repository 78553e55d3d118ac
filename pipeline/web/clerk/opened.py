"""Images that are looked at, kept open: whoever pans and zooms asks for the same one again and again."""

import os
from collections import OrderedDict
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from ....images import ImageError
from ....images.display import Stretch, limits
from ....images.io import read_file
from ....images.planes import Planes

KEPT = 600_000_000
"""Memory of images that are kept [byte]; the last one is kept however large it is."""

LARGEST_FILE = 4_000_000_000
"""[byte]"""

STRETCHES: tuple[Stretch, ...] = ("asinh", "linear", "log", "sqrt", "zscale")
PLANES = ("data", "raw", "uncertainty", "mask")

Key = tuple[str, int, int]


@dataclass
class Opened:
    """An image with what has been computed of it.

    Attributes
    ----------
    planes : Planes
        What was read.
    levels : dict
        For each plane, its data at half, a quarter … of its size.
    cuts : dict
        Good limits of each plane and stretch.
    extremes : tuple
        Lowest, highest and median finite value of the data; None where there is none.
    """

    planes: Planes
    levels: dict[str, list[np.ndarray]] = field(default_factory=dict)
    cuts: dict[tuple[str, Stretch], tuple[float, float]] = field(default_factory=dict)

    @cached_property
    def extremes(self) -> tuple[float | None, float | None, float | None]:
        values = self.shown().reshape(-1)
        finite = np.isfinite(values)
        values = values if finite.all() else values[finite]
        if not values.size:
            return None, None, None
        return float(values.min()), float(values.max()), float(np.median(values[:: max(1, values.size >> 18)]))

    def shown(self, plane: str = "data", level: int = 0) -> np.ndarray:
        """What is shown of a plane, (H, W) or (3, H, W), smaller by 2^level; a movie is the mean of its frames.

        Raises
        ------
        ImageError
            The image has no such plane.
        """
        levels = self.levels.setdefault(plane, [])
        if not levels:
            levels.append(self._whole(plane))
        while len(levels) <= level:
            levels.append(halved(levels[-1]))
        return levels[level]

    def cut(self, plane: str, stretch: Stretch) -> tuple[float, float]:
        """Values to be shown black and white."""
        if (plane, stretch) not in self.cuts:
            self.cuts[plane, stretch] = limits(self.shown(plane), stretch)
        return self.cuts[plane, stretch]

    def _whole(self, plane: str) -> np.ndarray:
        data = getattr(self.planes, plane)
        if data is None:
            raise ImageError(f"the image has no {plane}")
        if plane == "mask":
            data = (data != 0).astype(np.float32)
        if data.ndim == 3 and (self.planes.axes == "TYX" or data.shape[0] != 3):
            data = data.mean(axis=0, dtype=np.float32)
        if data.dtype.kind in "iub" or data.dtype.itemsize > 4:
            data = data.astype(np.float32)
        return data

    @property
    def size(self) -> int:
        """Memory that it takes [byte]."""
        own = [getattr(self.planes, plane) for plane in PLANES]
        made = [level for levels in self.levels.values() for level in levels]
        return sum({id(array): array.nbytes for array in (*own, *made) if array is not None}.values())


def halved(data: np.ndarray) -> np.ndarray:
    """Means of blocks of 2 × 2 pixels, NaN left out; the last row or column of an odd number makes blocks of its own.

    Parameters
    ----------
    data : (..., H, W) array of float32

    Returns
    -------
    (..., ⌈H/2⌉, ⌈W/2⌉) array of float32
    """
    height, width = data.shape[-2:]
    if height % 2 or width % 2:
        padding = [(0, 0)] * (data.ndim - 2) + [(0, height % 2), (0, width % 2)]
        data = np.pad(data, padding, mode="edge")
    corners = [data[..., row::2, column::2] for row in (0, 1) for column in (0, 1)]
    mean = corners[0] + corners[1]
    mean += corners[2]
    mean += corners[3]
    mean *= 0.25
    odd = ~np.isfinite(mean)
    if odd.any():
        blocks = np.stack([corner[odd] for corner in corners])
        known = np.isfinite(blocks)
        count = known.sum(axis=0)
        sums = np.where(known, blocks, 0).sum(axis=0, dtype=np.float64)
        with np.errstate(invalid="ignore"):
            mean[odd] = np.where(count > 0, sums / np.maximum(count, 1), np.nan)
    return mean


_kept: OrderedDict[Key, Opened] = OrderedDict()


def open_image(path: str) -> Opened:
    """An image, read or remembered; a file that has changed is read again.

    Raises
    ------
    ImageError
        It is no image, or too large to be shown.
    FileNotFoundError
        There is no such file.
    """
    found = os.stat(path)  # noqa: PTH116 - one call for size and time
    if found.st_size > LARGEST_FILE:
        raise ImageError(f"{Path(path).name} is too large to be shown: download it")
    key = (path, found.st_size, found.st_mtime_ns)
    if key not in _kept:
        for old in [old for old in _kept if old[0] == path]:
            del _kept[old]
        planes = read_file(Path(path))
        if planes.data is None:
            raise ImageError(f"{Path(path).name} holds no pixels")
        _kept[key] = Opened(planes)
    _kept.move_to_end(key)
    while len(_kept) > 1 and sum(image.size for image in _kept.values()) > KEPT:
        _kept.popitem(last=False)
    return _kept[key]
