"""Mean or sum of frames that need not be kept."""

import numpy as np

from .combine import Combined
from .frames import HeldFrame


class RunningSum:
    """Mean or sum of frames that come one after the other: 12 to 20 bytes for each pixel, however many they are."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self.frames = 0
        self.sum = np.zeros(shape)
        self.count = np.zeros(shape, dtype=np.int32)
        self.variance: np.ndarray | None = None

    def add(self, frame: HeldFrame) -> None:
        """Add one frame of the common shape. One without uncertainty leaves the result without."""
        good = np.isfinite(frame.data)
        if frame.mask is not None:
            good &= frame.mask == 0
        np.add(self.sum, frame.data, out=self.sum, where=good)
        self.count += good
        if frame.uncertainty is None:
            self.variance = None
        elif self.frames == 0 or self.variance is not None:
            if self.variance is None:
                self.variance = np.zeros(self.sum.shape)
            np.add(self.variance, np.square(frame.uncertainty, dtype=np.float64), out=self.variance, where=good)
        self.frames += 1

    def mean(self) -> Combined:
        """Mean of the good pixels; its error is ``sqrt(sum s_i**2) / n``."""
        return self._scaled(1.0)

    def total(self) -> Combined:
        """Sum of the frames; where only n of N pixels are good, their sum times N / n."""
        return self._scaled(float(self.frames))

    def _scaled(self, factor: float) -> Combined:
        with np.errstate(divide="ignore", invalid="ignore"):
            weight = np.where(self.count > 0, factor / self.count, np.nan)
            data = (self.sum * weight).astype(np.float32)
            if self.variance is None:
                error = np.full(data.shape, np.nan, dtype=np.float32)
            else:
                error = (np.sqrt(self.variance) * weight).astype(np.float32)
        return Combined(data, error, self.count, (1.0,) * self.frames)
