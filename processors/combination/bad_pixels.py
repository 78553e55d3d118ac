"""Maps of defective pixels: from darks and flats, or from a series of frames in which the stars drift."""

from collections.abc import Iterable, Sequence
from enum import IntFlag
from pathlib import Path

import numpy as np

from ...images import Image, ImageError
from ...images.keywords import header_value
from ..background import background
from .combine import combine_files, combine_frames
from .frames import HeldFrame
from .masters.ingredients import opened_master
from .masters.noise import robust_deviation
from .masters.records import master_header, master_record, mean_time
from .preparation import Preparation
from .rule import Rule

ORDINARY = Preparation()


class Defect(IntFlag):
    """What is wrong with a pixel: bits of the data of a bad-pixel map."""

    HOT = 1
    """Signal without light, above its surroundings."""
    COLD = 2
    """Less signal without light than its surroundings."""
    WEAK = 4
    """Its response to light is too low, or not positive."""
    STRONG = 8
    """Its response to light is too high."""
    UNSTABLE = 16
    """Its values scatter too much."""
    COLUMN = 32
    """In a column of which too many pixels are defective, or that is offset as a whole."""
    NO_VALUE = 64
    """A master has no value there."""


def bad_pixel_map(
    *,
    dark: Image | str | Path | None = None,
    flat: Image | str | Path | None = None,
    hot: float = 8.0,
    unstable: float = 8.0,
    response: tuple[float, float] = (0.5, 1.5),
    column_fraction: float = 0.25,
    box_size: int = 32,
) -> Image:
    """Map of the defective pixels that a master dark and a master flat show.

    Both are compared with their own smooth part, so amplifier glow and vignetting are no defects.

    Parameters
    ----------
    dark, flat : Image or path
        Master dark, or bias, and master flat of an imaging camera; one of them is enough.
    hot : float
        Pixels of the dark further from their surroundings are HOT or COLD [standard deviations of the dark].
    unstable : float
        Pixels of the dark with an uncertainty larger than so many times the typical one are UNSTABLE.
    response : (float, float)
        Pixels of the flat below or above these fractions of their surroundings are WEAK or STRONG.
    column_fraction : float
        A column of which a larger part is defective is flagged as a whole.
    box_size : int
        Scale of what counts as smooth [px].

    Returns
    -------
    Image
        Bits of :class:`Defect`, (H, W) uint8, 0 is good; IMAGETYP "bad pixels", and NBAD in the header.

    Raises
    ------
    ImageError
        Neither is given, they differ in size, or one has no usable pixel.
    """
    inputs: list[tuple[str, Sequence[Path]]] = []
    masters = []
    defects: np.ndarray | None = None
    if dark is not None:
        frame = opened_master(dark, None, "dark", inputs)
        defects = dark_defects(frame, hot=hot, unstable=unstable, box_size=box_size)
        masters.append(frame)
    if flat is not None:
        frame = opened_master(flat, None if defects is None else defects.shape, "flat", inputs)
        found = flat_defects(frame, response=response, box_size=box_size)
        defects = found if defects is None else defects | found
        masters.append(frame)
    if defects is None:
        raise ImageError("a bad-pixel map needs a master dark or a master flat")
    bad_columns = (defects != 0).mean(axis=0) > column_fraction
    defects[:, bad_columns] |= int(Defect.COLUMN)
    parameters = {"hot": hot, "unstable": unstable, "response": response, "column_fraction": column_fraction}
    headers = [master.header for master in masters]
    return _map(defects, headers, parameters, inputs, "bad_pixel_map")


def dark_defects(dark: Image, *, hot: float = 8.0, unstable: float = 8.0, box_size: int = 32) -> np.ndarray:
    """Defects that a dark shows, (H, W) uint8; see :func:`bad_pixel_map`.

    A column is offset if its median differs from those around it by more than `hot` times its error, and by more than
    the noise of a single pixel.

    Raises
    ------
    ImageError
        There is no usable pixel.
    """
    lost = _lost(dark)
    excess = dark.data - background(dark.data, lost, box_size=box_size).level()
    noise = robust_deviation(excess[~lost])
    defects = np.zeros(excess.shape, dtype=np.uint8)
    defects[lost] |= int(Defect.NO_VALUE)
    if noise > 0:
        defects[excess > hot * noise] |= int(Defect.HOT)
        defects[excess < -hot * noise] |= int(Defect.COLD)
        columns = np.nanmedian(np.where(lost, np.nan, excess), axis=0) if lost.any() else np.median(excess, axis=0)
        offset = np.abs(columns - _running_median(columns, 15))
        error = max(1.2533 * noise / np.sqrt(len(excess)), robust_deviation(columns))
        defects[:, offset > max(hot * error, noise)] |= int(Defect.COLUMN)
    if dark.safe_uncertainty is not None:
        error = dark.uncertainty
        defects[error > unstable * np.median(error[~lost])] |= int(Defect.UNSTABLE)
    return defects


def flat_defects(flat: Image, *, response: tuple[float, float] = (0.5, 1.5), box_size: int = 32) -> np.ndarray:
    """Defects that a flat shows, (H, W) uint8; see :func:`bad_pixel_map`.

    Raises
    ------
    ImageError
        There is no usable pixel.
    """
    lost = _lost(flat)
    level = background(flat.data, lost, box_size=box_size).level()
    defects = np.zeros(level.shape, dtype=np.uint8)
    defects[lost] |= int(Defect.NO_VALUE)
    defects[~(flat.data > response[0] * level) | ~(flat.data > 0)] |= int(Defect.WEAK)
    defects[flat.data > response[1] * level] |= int(Defect.STRONG)
    return defects


def warm_pixels(
    paths: Iterable[str | Path],
    *,
    sigma: float = 8.0,
    minimum: int = 7,
    least_drift: float = 3.0,
    preparation: Preparation = ORDINARY,
    memory: float = 1000.0,
) -> Image:
    """Map of the pixels that are too bright or too dark in a series of frames of one field, without any dark.

    In each frame, a pixel is compared with the median of the 5 x 5 pixels around it; of these differences the median
    over all frames is taken. The stars drift over the detector and are not at the same pixel in half of the frames;
    defects stay where they are.

    Parameters
    ----------
    paths : iterable of path
        Raw frames; of a long series, thirty spread over it are enough.
    sigma : float
        Pixels whose median difference is larger are defective [standard deviations of all pixels'].
    minimum : int
        Fewer frames are refused.
    least_drift : float
        The series must drift by as much [px], or stars would be taken for warm pixels.
    preparation : Preparation
        Overscan and trim.
    memory : float
        How much memory may be used for the frames [MB].

    Returns
    -------
    Image
        Bits of :class:`Defect`: HOT and COLD; IMAGETYP "bad pixels".

    Raises
    ------
    ImageError
        There are too few frames, the frames do not drift, or they differ in size.
    """
    files = [Path(path) for path in paths]
    if len(files) < minimum:
        raise ImageError(f"{len(files)} frames; warm pixels are found in at least {minimum}")
    headers = []
    samples = []
    sampled = {0, len(files) // 4, len(files) // 2, 3 * len(files) // 4, len(files) - 1}

    def difference(image: Image) -> Image:
        ready = preparation(image)
        if len(headers) in sampled:
            samples.append(local_median(ready.data, 3))
        headers.append(ready.header)
        return ready.replace(data=ready.data.astype(np.float32) - local_median(ready.data, 5), uncertainty=None)

    combined = combine_files(files, method="median", uncertainty="scatter", prepare=difference, memory=memory)
    moved = max(float(np.hypot(*drift(samples[0], sample))) for sample in samples[1:])
    if moved < least_drift:
        raise ImageError(
            f"the frames drift by {moved:.1f} px only: stars cannot be told from warm pixels; take frames of another "
            f"field or time along, or darks"
        )
    excess = combined.data
    usable = np.isfinite(excess)
    limit = sigma * np.fmax(robust_deviation(excess[usable]), combined.uncertainty)
    defects = np.zeros(excess.shape, dtype=np.uint8)
    defects[excess > limit] |= int(Defect.HOT)
    defects[excess < -limit] |= int(Defect.COLD)
    defects[~usable] |= int(Defect.NO_VALUE)
    parameters = {"sigma": sigma, "minimum": minimum, "least_drift": least_drift}
    made = _map(defects, headers, parameters, [("image", files)], "warm_pixels")
    made.header["DRIFT"] = (round(moved, 2), "[px] largest drift found between the frames")
    return made


def local_median(data: np.ndarray, size: int) -> np.ndarray:
    """Median of the `size` x `size` pixels around each pixel, (H, W) float32; pixels that are not finite are left out.

    Beyond the border the image is mirrored. The frames that are combined are the shifted image itself.
    """
    half = size // 2
    padded = np.pad(np.asarray(data, dtype=np.float32), half, mode="reflect")
    height, width = data.shape
    shifted = [HeldFrame("", padded[dy : dy + height, dx : dx + width]) for dy in range(size) for dx in range(size)]
    return combine_frames(shifted, Rule(method="median", uncertainty="none")).data


def drift(one: np.ndarray, other: np.ndarray) -> tuple[int, int]:
    """By how many whole pixels (dx, dy) the stars of another frame are displaced.

    The maximum of the cross-correlation of what stands out of the noise, the frames continued periodically.

    Parameters
    ----------
    one, other : (H, W) arrays
        Frames without single bright pixels, which do not move.
    """
    from scipy import fft

    spectra = []
    for frame in (one, other):
        level = np.nan_to_num(frame - np.nanmedian(frame))
        noise = robust_deviation(level[::3, ::3]) or 1.0
        # A bright star counts as much as a faint one: logarithm of what is above the noise.
        shape = [fft.next_fast_len(n, real=True) for n in frame.shape]
        spectra.append(fft.rfft2(np.log1p(np.clip(level / noise - 5, 0, None)), shape))
    product = spectra[1] * np.conj(spectra[0])
    shape = [fft.next_fast_len(n, real=True) for n in one.shape]
    found = fft.irfft2(product, shape)
    y, x = np.unravel_index(int(np.argmax(found)), found.shape)
    dy, dx = (int(p) if p <= n // 2 else int(p) - n for p, n in zip((y, x), found.shape, strict=True))
    return dx, dy


def _map(
    defects: np.ndarray,
    headers: Sequence,
    parameters: dict,
    inputs: Sequence[tuple[str, Sequence[Path]]],
    function: str,
) -> Image:
    dated = [header for header in headers if header_value(header, "observation_time") is not None]
    header = master_header(headers[0], "bad pixels", len(headers), mean_time(dated), unit="1")
    header["NBAD"] = (int((defects != 0).sum()), "number of defective pixels")
    return Image(data=defects, header=header).with_provenance(master_record(function, parameters, inputs))


def _lost(master: Image) -> np.ndarray:
    from ...images import PixelFlag

    lost = ~np.isfinite(master.data)
    mask = master.safe_mask
    if mask is not None:
        lost |= mask if mask.dtype == bool else (mask & int(PixelFlag.NO_DATA)) != 0
    if lost.all():
        raise ImageError(f"{master.label} has no usable pixel")
    return lost


def _running_median(values: np.ndarray, width: int) -> np.ndarray:
    half = min(width // 2, len(values) - 1)
    if half < 1:
        return values
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(values, half, mode="reflect"), 2 * half + 1)
    return np.nanmedian(windows, axis=1)
