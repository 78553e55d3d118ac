"""Several frames of one shape into one: mean, sum, median and clipped mean, with their errors."""

import math
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ...images import TransientError

TILE = 16 * 2**20
"""Bytes of one frame stack that is worked on at a time: it should stay near the processor's caches."""

CLIPPING_ROUNDS = 5


@dataclass(slots=True)
class Combined:
    """What becomes of several frames.

    Attributes
    ----------
    data : (H, W) or (N, H, W) float32 array
        NaN where no frame has a good pixel.
    count : integer array
        How many frames contributed to each pixel.
    uncertainty : float32 array or None
        One standard deviation, if every frame has one.
    """

    data: np.ndarray
    count: np.ndarray
    uncertainty: np.ndarray | None


@dataclass(slots=True)
class Frame:
    """Pixels of one frame: values, which of them are left out, and their errors."""

    data: np.ndarray
    excluded: np.ndarray | None
    error: np.ndarray | None

    @property
    def nbytes(self) -> int:
        """Memory of the frame [byte]."""
        return sum(array.nbytes for array in (self.data, self.excluded, self.error) if array is not None)


class RunningSum:
    """Mean or sum of frames that need not be kept: sums in double precision, 12 to 20 bytes per pixel in all."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the frames."""
        return () if self.sum is None else self.sum.shape

    def __init__(self) -> None:
        self.frames = 0
        self.sum: np.ndarray | None = None
        self.count: np.ndarray | None = None
        self.variance: np.ndarray | None = None
        self.has_errors = True

    def add(self, frame: Frame) -> None:
        """Add one frame."""
        if self.sum is None or self.count is None:
            self.sum = np.zeros(frame.data.shape)
            self.count = np.zeros(frame.data.shape, dtype=np.int32)
        self.frames += 1
        good = True if frame.excluded is None else ~frame.excluded
        np.add(self.sum, frame.data, out=self.sum, where=good)
        self.count += good
        if frame.error is None:
            self.has_errors, self.variance = False, None
        elif self.has_errors:
            if self.variance is None:
                self.variance = np.zeros(frame.data.shape)
            np.add(self.variance, np.square(frame.error, dtype=np.float64), out=self.variance, where=good)

    def mean(self) -> Combined:
        """Mean of the good pixels; its error is ``sqrt(sum s_i**2) / n``."""
        return self._scaled(1.0)

    def total(self) -> Combined:
        """Sum of the frames; where only n of N pixels are good, their sum times N / n."""
        return self._scaled(float(self.frames))

    def _scaled(self, factor: float) -> Combined:
        if self.sum is None or self.count is None:
            raise ValueError("there are no frames to combine")
        with np.errstate(divide="ignore", invalid="ignore"):
            weight = np.where(self.count > 0, factor / self.count, np.nan)
            data = (self.sum * weight).astype(np.float32)
            error = None if self.variance is None else (np.sqrt(self.variance) * weight).astype(np.float32)
        return Combined(data, self.count, error)


class Frames:
    """Frames that must all be seen at once; those beyond a limit of memory wait in a temporary file."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.held = 0

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the frames."""
        return self.frames[0].data.shape if self.frames else ()

    def add(self, frame: Frame, room: float) -> None:
        """Keep a frame, in memory if it fits into `room` [byte].

        Raises
        ------
        TransientError
            There is no space for the temporary file.
        """
        if frame.nbytes > room:
            arrays = (_on_disk(array) for array in (frame.data, frame.excluded, frame.error))
            self.frames.append(Frame(*arrays))  # type: ignore[arg-type]
            return
        self.held += frame.nbytes
        self.frames.append(frame)

    def median(self) -> Combined:
        """Median of the good pixels; its error is that of the mean times sqrt(pi / 2) from three pixels on."""
        return self._combined(None)

    def clipped(self, sigma: float) -> Combined:
        """Mean of the good pixels that are within `sigma` robust standard deviations of the median."""
        return self._combined(sigma)

    def _combined(self, sigma: float | None) -> Combined:
        if not self.frames:
            raise ValueError("there are no frames to combine")
        shape = self.frames[0].data.shape
        with_errors = all(frame.error is not None for frame in self.frames)
        data, count = np.empty(shape, dtype=np.float32), np.empty(shape, dtype=np.int32)
        error = np.empty(shape, dtype=np.float32) if with_errors else None
        for rows in _tiles(shape, len(self.frames)):
            cube = np.stack([_good_values(frame, rows) for frame in self.frames])
            errors = np.stack([frame.error[rows] for frame in self.frames]) if with_errors else None  # type: ignore[index]
            if sigma is None:
                data[rows], count[rows], spread = _median(cube, errors)
            else:
                data[rows], count[rows], spread = _clipped_mean(cube, errors, sigma)
            if error is not None and spread is not None:
                error[rows] = spread
        return Combined(data, count, error)


def _tiles(shape: tuple[int, ...], frames: int) -> Iterator[tuple[slice, ...]]:
    """Blocks of rows, all planes of a cube at once, of about TILE bytes in all frames together."""
    rows = max(1, TILE // max(1, 4 * frames * math.prod(shape) // max(1, shape[-2])))
    for start in range(0, shape[-2], rows):
        yield (*(slice(None),) * (len(shape) - 2), slice(start, start + rows))


def _good_values(frame: Frame, rows: tuple[slice, ...]) -> np.ndarray:
    values = np.asarray(frame.data[rows], dtype=np.float32)
    return values if frame.excluded is None else np.where(frame.excluded[rows], np.float32(np.nan), values)


def _middle(cube: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Median of the values that are not NaN, along the first axis. NaN sorts last, so the good ones come first."""
    ordered = np.sort(cube, axis=0)
    low = np.take_along_axis(ordered, np.maximum(count - 1, 0)[None] // 2, axis=0)[0]
    high = np.take_along_axis(ordered, np.minimum(count // 2, len(cube) - 1)[None], axis=0)[0]
    return np.where(count > 0, low + (high - low) / 2, np.float32(np.nan))


def _error_of_mean(errors: np.ndarray, good: np.ndarray) -> np.ndarray:
    count = good.sum(axis=0)
    variance = np.sum(np.square(errors, dtype=np.float64), axis=0, where=good)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(count > 0, np.sqrt(variance) / count, np.nan)


def _median(cube: np.ndarray, errors: np.ndarray | None) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    good = np.isfinite(cube)
    count = good.sum(axis=0)
    if errors is None:
        return _middle(cube, count), count, None
    # The median of one or two values is their mean.
    return _middle(cube, count), count, _error_of_mean(errors, good) * np.where(count > 2, math.sqrt(math.pi / 2), 1.0)


def _clipped_mean(
    cube: np.ndarray, errors: np.ndarray | None, sigma: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Start from the median and the median deviation: one hit among few frames would spoil mean and deviation."""
    from .clipping import clipped_mean

    pixels = cube.shape[1:]
    columns = cube.reshape(len(cube), -1)
    variance = np.empty((0, 0), dtype=np.float32) if errors is None else np.square(errors).reshape(columns.shape)
    mean, error = np.empty(columns.shape[1], dtype=np.float32), np.empty(columns.shape[1], dtype=np.float32)
    count = np.empty(columns.shape[1], dtype=np.int32)
    clipped_mean(columns, variance, sigma, CLIPPING_ROUNDS, mean, count, error)
    return mean.reshape(pixels), count.reshape(pixels), None if errors is None else error.reshape(pixels)


def _on_disk(array: np.ndarray | None) -> np.ndarray | None:
    if array is None:
        return None
    with tempfile.TemporaryFile(prefix="etendue-stack-") as file:
        try:
            file.write(np.ascontiguousarray(array).data.cast("B"))
            file.flush()
        except OSError as error:
            raise TransientError(
                f"frames of a stack cannot wait in {tempfile.gettempdir()}: {error.strerror}; make room there, "
                "set TMPDIR to another folder, or raise max_memory"
            ) from error
        return np.memmap(file, dtype=array.dtype, mode="r", shape=array.shape)
