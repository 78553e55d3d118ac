"""Frames that wait to be combined: in their files, in memory, or in a temporary file."""

import tempfile
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from ...images import Image, ImageError, TransientError
from ...images.io.fits.bands import FitsBands, open_bands

Band = tuple[np.ndarray, np.ndarray | None, np.ndarray | None]
"""Pixels, excluded pixels (uint8 or None) and standard deviations (or None) of some rows, all (h, W)."""

MOST_OPEN_FILES = 400
"""Files that are kept open; systems allow a process 1024 or fewer."""

MEGABYTE = 2**20

LEVEL_BANDS = 64
LEVEL_PIXELS = 500_000
"""The level of a frame is that of about so many pixels, in so many bands of rows."""


class Frame(Protocol):
    """Pixels of one frame that are handed out by bands of rows."""

    @property
    def name(self) -> str:
        """What messages call it."""
        ...

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns (H, W)."""
        ...

    @property
    def has_uncertainty(self) -> bool:
        """Whether there are standard deviations."""
        ...

    def rows(self, first: int, last: int) -> Band:
        """Rows `first` to `last`, the end not included."""
        ...


@dataclass(slots=True)
class HeldFrame:
    """A frame whose pixels are arrays, in memory or mapped from a file."""

    name: str
    data: np.ndarray
    mask: np.ndarray | None = None
    uncertainty: np.ndarray | None = None
    in_memory: bool = True

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns (H, W)."""
        return self.data.shape  # type: ignore[return-value]

    @property
    def has_uncertainty(self) -> bool:
        """Whether there are standard deviations."""
        return self.uncertainty is not None

    @property
    def nbytes(self) -> int:
        """Memory that the arrays take [byte]."""
        return sum(plane.nbytes for plane in (self.data, self.mask, self.uncertainty) if plane is not None)

    def rows(self, first: int, last: int) -> Band:
        """Rows `first` to `last`, the end not included."""
        error = None if self.uncertainty is None else self.uncertainty[first:last]
        bad = None if self.mask is None else _excluded(self.mask[first:last])
        return self.data[first:last], bad, error


@dataclass(slots=True)
class FileFrame:
    """A frame that stays in its file."""

    bands: FitsBands

    @property
    def name(self) -> str:
        """The file."""
        return self.bands.name

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns (H, W)."""
        return self.bands.shape

    @property
    def has_uncertainty(self) -> bool:
        """Whether the file holds standard deviations."""
        return self.bands.has_uncertainty

    def rows(self, first: int, last: int) -> Band:
        """Rows `first` to `last`, the end not included."""
        mask = self.bands.mask(first, last)
        return (
            self.bands.data(first, last),
            None if mask is None else _excluded(mask),
            self.bands.uncertainty(first, last),
        )


class Waiting:
    """Frames that are held: in memory as long as they fit, beyond that in a temporary file.

    Parameters
    ----------
    memory : float
        How much memory they may take [MB].
    """

    def __init__(self, memory: float) -> None:
        self.room = memory * MEGABYTE

    def hold(self, frame: HeldFrame) -> HeldFrame:
        """The frame itself, or the same one in a temporary file.

        Raises
        ------
        TransientError
            There is no space for the temporary file.
        """
        if frame.nbytes <= self.room:
            self.room -= frame.nbytes
            return frame
        planes = (_on_disk(plane) for plane in (frame.data, frame.mask, frame.uncertainty))
        return HeldFrame(frame.name, *planes, in_memory=False)  # type: ignore[arg-type]

    def release(self, frames: Iterable[HeldFrame]) -> None:
        """Give the memory of frames back that wait no longer."""
        self.room += sum(frame.nbytes for frame in frames if frame.in_memory)


def held(image: Image) -> HeldFrame:
    """An image as a frame that shares its pixels.

    Raises
    ------
    ImageError
        The image is a colour image or a movie.
    """
    if image.data.ndim != 2:
        raise ImageError(f"{image.label} has the shape {image.data.shape}; only plain frames of two axes are combined")
    return HeldFrame(image.label, image.data, image.safe_mask, image.safe_uncertainty)


def rows_of_all_planes(image: Image) -> HeldFrame:
    """An image, a colour image or a movie as one frame: the rows of its planes one after the other.

    Which pixels are excluded is kept, not why.
    """
    shape = image.data.shape

    def rows(plane: np.ndarray | None) -> np.ndarray | None:
        return None if plane is None else np.broadcast_to(plane, shape).reshape(-1, shape[-1])

    mask = image.safe_mask
    bad = None if mask is None else _excluded(mask)
    return HeldFrame(image.label, rows(image.data), rows(bad), rows(image.safe_uncertainty))  # type: ignore[arg-type]


def open_frames(
    paths: Iterable[Path],
    stack: ExitStack,
    *,
    memory: float,
    prepare: Callable[[Image], Image] | None = None,
) -> list[Frame]:
    """Frames from files, each opened once.

    Plain FITS files stay where they are, and bands of their rows are read when they are needed. What must be read
    as a whole (compressed files, other formats), or is to be prepared, is read once and held.

    Parameters
    ----------
    paths : iterable of Path
        The files.
    stack : ExitStack
        Closes the files when it ends.
    memory : float
        How much memory the held frames may take [MB]; the others wait in a temporary file.
    prepare : callable
        Is given each image and returns what is combined of it.

    Raises
    ------
    ImageError
        A file is damaged or no image.
    FileNotFoundError
        A file does not exist.
    TransientError
        There is no space for the temporary file.
    """
    waiting = Waiting(memory)
    frames: list[Frame] = []
    opened = 0
    for path in paths:
        bands = open_bands(path) if prepare is None and opened < MOST_OPEN_FILES else None
        if bands is not None:
            opened += 1
            frames.append(FileFrame(stack.enter_context(bands)))
        else:
            image = Image.from_file(path)
            image.name = str(path)
            frames.append(waiting.hold(held(image if prepare is None else prepare(image))))
    return frames


def common_shape(frames: Iterable[Frame]) -> tuple[int, int]:
    """The shape of all frames.

    Raises
    ------
    ImageError
        There are none, one has no pixels, or they differ; the message names two of them.
    """
    frames = list(frames)
    if not frames:
        raise ImageError("there are no frames to combine")
    first = frames[0]
    for frame in frames:
        if tuple(frame.shape) != tuple(first.shape):
            raise ImageError(
                f"{frame.name} has {frame.shape[1]} x {frame.shape[0]} pixels, {first.name} has "
                f"{first.shape[1]} x {first.shape[0]}; combine frames of one size, or crop them first"
            )
    if 0 in first.shape:
        raise ImageError(f"{first.name} has no pixels")
    return first.shape


def level(frame: Frame, method: str = "median") -> float:
    """Level of a frame: of its pixels that are finite and not excluded, in bands of rows all over it.

    Parameters
    ----------
    frame : Frame
        The frame.
    method : {"median", "mean"}
        What the level is.

    Returns
    -------
    float
        NaN if no pixel can be used.
    """
    height, width = frame.shape
    rows = max(1, min(height, LEVEL_PIXELS // (LEVEL_BANDS * width) or 1))
    starts = range(0, height, rows) if height <= rows * LEVEL_BANDS else _spread(height - rows, LEVEL_BANDS)
    found = []
    for start in starts:
        data, bad, _ = frame.rows(start, min(start + rows, height))
        good = np.isfinite(data) if bad is None else np.isfinite(data) & (bad == 0)
        found.append(data[good])
    values = np.concatenate(found)
    if not values.size:
        return float("nan")
    return float(np.median(values)) if method == "median" else float(np.mean(values, dtype=np.float64))


def _spread(last: int, count: int) -> list[int]:
    return [round(last * k / (count - 1)) for k in range(count)]


def _excluded(mask: np.ndarray) -> np.ndarray:
    if mask.dtype == bool:
        return mask.view(np.uint8)
    return mask if mask.dtype == np.uint8 else (mask != 0).view(np.uint8)


def _on_disk(array: np.ndarray | None) -> np.ndarray | None:
    if array is None:
        return None
    with tempfile.TemporaryFile(prefix="etendue-combine-") as file:
        try:
            file.write(np.ascontiguousarray(array).data.cast("B"))
            file.flush()
        except OSError as error:
            raise TransientError(
                f"frames to combine cannot wait in {tempfile.gettempdir()}: {error.strerror}; make room there, "
                "set TMPDIR to another folder, or allow more memory"
            ) from error
        return np.memmap(file, dtype=array.dtype, mode="r", shape=array.shape)
