"""Flag saturated pixels, and those that their charge has run into."""

from typing import Literal

import numpy as np
from pydantic import Field, NonNegativeInt, PositiveFloat

from ....images import Image, ImageError, PixelFlag
from ....images.arithmetic import flagged
from ...processor import Processor
from ..units import in_counts

Direction = Literal["columns", "rows", "none"]


def saturated_pixels(
    data: np.ndarray, level: float, *, bleeding: float = 0.8, grow: int = 1, direction: Direction = "columns"
) -> np.ndarray:
    """Which pixels are saturated, or reached by bleeding.

    Along the direction in which charge runs, a saturated pixel takes with it all that hang together with it and are
    above `bleeding` times the level (hysteresis), and `grow` more at both ends. Only columns with saturated pixels
    are looked at a second time.

    Parameters
    ----------
    data : (H, W) array
        Raw pixels [adu]; NaN is not saturated.
    level : float
        Saturation level [adu].
    bleeding : float
        Fraction of the level down to which pixels beside saturated ones are taken along; 1 or more takes none.
    grow : int
        How many pixels more at both ends [px].
    direction : {"columns", "rows", "none"}
        Along which charge runs; "none" flags the saturated pixels alone.

    Returns
    -------
    (H, W) array of bool
    """
    found = data >= level
    if direction == "none" or not found.any():
        return found
    along, view = (data, found) if direction == "columns" else (data.T, found.T)
    columns = np.flatnonzero(view.any(axis=0))
    core = view[:, columns]
    view[:, columns] = _grown(_runs_with(along[:, columns] >= min(bleeding, 1.0) * level, core), grow)
    return found


def _runs_with(candidates: np.ndarray, seeds: np.ndarray) -> np.ndarray:
    """Of the runs of candidates along the columns, those that hold a seed."""
    candidates = (candidates | seeds).T  # runs along the last axis
    starts = candidates.copy()
    starts[:, 1:] &= ~candidates[:, :-1]
    run = np.cumsum(starts.reshape(-1)).reshape(candidates.shape) * candidates
    wanted = np.zeros(int(run.max(initial=0)) + 1, dtype=bool)
    wanted[run[seeds.T]] = True
    wanted[0] = False
    return wanted[run].T


def _grown(pixels: np.ndarray, steps: int) -> np.ndarray:
    """Each run of pixels longer by some steps at both ends, along the columns."""
    grown = pixels.copy()
    for step in range(1, min(steps, pixels.shape[0] - 1) + 1):
        grown[step:] |= pixels[:-step]
        grown[:-step] |= pixels[step:]
    return grown


class FlagSaturated(Processor):
    """Flag saturated pixels, and those that their charge has run into along the columns.

    It must see raw pixels: it comes before every other correction. The level is the header's (SATURATE and its
    synonyms), unless it is given. The pixels get the flag SATURATED in the mask (True in a mask of bool); their
    values stay. Charge runs along columns in nearly all detectors that are read by rows.
    """

    reads = {"data", "mask?", "header.SATURATE?"}
    writes = {"mask"}

    level: PositiveFloat | None = Field(None, description="saturation level [adu]; None takes the header's")
    bleeding: PositiveFloat = Field(
        0.8, description="pixels that hang together with saturated ones and are above this fraction of the level, too"
    )
    grow: NonNegativeInt = Field(1, description="pixels more at both ends of what has bled [px]")
    direction: Direction = Field("columns", description="along which charge runs; none flags saturated pixels alone")

    def process(self, image: Image) -> Image:
        in_counts(image, "FlagSaturated")
        level = image.saturation if self.level is None else self.level
        if level is None:
            raise ImageError(f"{image.label} has no saturation level in its header; set level: … [adu]")
        frames = image.data.reshape(-1, *image.shape)
        saturated = np.stack([
            saturated_pixels(frame, level, bleeding=self.bleeding, grow=self.grow, direction=self.direction)
            for frame in frames
        ]).reshape(image.data.shape)  # fmt: skip
        mask = image.safe_mask
        if mask is None:
            return image.replace(mask=np.multiply(saturated, int(PixelFlag.SATURATED), dtype=np.uint8))
        return image.replace(mask=flagged(mask, saturated, PixelFlag.SATURATED))
