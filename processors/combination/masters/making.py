"""Master frames from raw ones: bias, dark, dark current and flat."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from ....images import Image, ImageError, PixelFlag
from ....images.header import Header
from ....images.sections import Section
from ..combine import Combined
from ..preparation import Preparation
from .ingredients import check_shape, dark_factor, flags_of, mean_dark_factor, opened_master
from .noise import moderated
from .raw_frames import combined_raw, one_exposure, one_filter
from .records import master_header, master_record, mean_time

ORDINARY = Preparation()


def master_bias(
    paths: Iterable[str | Path],
    *,
    preparation: Preparation = ORDINARY,
    minimum: int = 3,
    sigma: float = 4.0,
    memory: float = 1000.0,
) -> Image:
    """The master bias of several raw ones: the clipped mean.

    Values are clipped by the median absolute deviation, but never closer than the noise that the frames have anyway
    (from the difference of two of them): one hit of any size among three frames leaves no trace. The uncertainty of
    a pixel is that of its values' scatter, drawn towards the noise of its amplifier as if that were known from ten
    more values: the scatter of a few values alone is too often much too small.

    Parameters
    ----------
    paths : iterable of path
        Raw frames.
    preparation : Preparation
        Overscan and trim; by default as the header says.
    minimum : int
        Fewer frames are refused.
    sigma : float
        Clipping limit [standard deviations].
    memory : float
        How much memory may be used for the frames [MB].

    Returns
    -------
    Image
        Bias [adu] with uncertainty and flags; the header says IMAGETYP "master bias", NCOMBINE, DATE-OBS (mean of the
        frames), MNOISE (noise of a single frame [adu]) and MSTATUS "candidate"; the provenance names the frames.

    Raises
    ------
    ImageError
        There are too few frames, they differ in size, or one is damaged; the message names it.

    References
    ----------
    Howell, S. B. 2006, Handbook of CCD Astronomy, 2nd ed., section 4.2; Smyth, G. K. 2004, Stat. Appl. Genet. Mol.
    Biol. 3, 3 (variances drawn towards a common one).
    """
    files = _enough(paths, minimum, "bias")
    combined, facts, regions, noise = combined_raw(files, preparation, sigma=sigma, memory=memory)
    error = moderated(combined, noise, regions)
    header = master_header(facts[0].header, "master bias", len(files), mean_time([f.header for f in facts]))
    _note_level(header, combined.data, noise)
    activity = master_record("master_bias", {"sigma": sigma, "minimum": minimum}, [("bias", files)])
    return _master(combined.data, error, _lost(combined), header, activity)


def master_dark(
    paths: Iterable[str | Path],
    *,
    bias: Image | str | Path | None,
    preparation: Preparation = ORDINARY,
    minimum: int = 3,
    sigma: float = 4.0,
    memory: float = 1000.0,
) -> Image:
    """The master dark of several raw ones of one exposure time: the clipped mean without the bias.

    Parameters
    ----------
    paths : iterable of path
        Raw frames.
    bias : Image, path or None
        The master bias; its errors and flags are carried. None subtracts none (frames of which the overscan is all
        that the bias has).
    preparation, minimum, sigma, memory
        See :func:`master_bias`.

    Returns
    -------
    Image
        Dark [adu]; the header says IMAGETYP "master dark" and EXPTIME, the mean exposure time.

    Raises
    ------
    ImageError
        See :func:`master_bias`; exposure times differ by more than 1 % or are not known, or the bias has another size.
    """
    files = _enough(paths, minimum, "dark")
    combined, facts, regions, noise = combined_raw(files, preparation, sigma=sigma, memory=memory)
    exposure = one_exposure(facts)
    error = moderated(combined, noise, regions)
    mask = _lost(combined)
    data = combined.data
    inputs: list[tuple[str, Sequence[Path]]] = [("dark", files)]
    if bias is not None:
        offset = opened_master(bias, data.shape, "bias", inputs)
        data = data - offset.data
        error = _quadrature(error, offset.safe_uncertainty)
        mask |= flags_of(offset)
    header = master_header(facts[0].header, "master dark", len(files), mean_time([f.header for f in facts]))
    header["EXPTIME"] = (exposure, "[s] mean exposure time")
    _note_level(header, data, noise)
    activity = master_record("master_dark", {"sigma": sigma, "minimum": minimum}, inputs)
    return _master(data, error, mask, header, activity)


def dark_current(darks: Sequence[Image | str | Path]) -> Image:
    """The dark current that master darks of one or several exposure times have in common.

    Per pixel, the line through the origin that fits the darks best, weighted by their errors: sum w t D / sum w t².

    Parameters
    ----------
    darks : sequence of Image or path
        Master darks without bias [adu].

    Returns
    -------
    Image
        Dark current [adu/s], to be multiplied by an exposure time; IMAGETYP "master dark", EXPTIME 1.

    Raises
    ------
    ImageError
        There are none, they differ in size, or one has no exposure time.
    """
    if not darks:
        raise ImageError("there are no master darks to find a dark current from")
    inputs: list[tuple[str, Sequence[Path]]] = []
    images = [opened_master(dark, None, "dark", inputs) for dark in darks]
    shape = images[0].data.shape
    above = np.zeros(shape)
    below = np.zeros(shape)
    mask = np.zeros(shape, dtype=np.uint8)
    for image in images:
        if image.data.shape != shape:
            raise ImageError(f"{image.label} has the shape {image.data.shape}, {images[0].label} has {shape}")
        exposure = image.exposure_time
        if exposure is None or exposure <= 0:
            raise ImageError(f"{image.label} has no exposure time: no dark current follows from it")
        error = image.safe_uncertainty
        weight = 1.0 if error is None else 1.0 / np.maximum(error.astype(np.float64), 1e-6) ** 2
        good = np.isfinite(image.data) & np.isfinite(weight) & (flags_of(image) & int(PixelFlag.NO_DATA) == 0)
        above += np.where(good, weight * exposure * image.data, 0)
        below += np.where(good, weight * exposure**2, 0)
        mask |= flags_of(image) & ~np.uint8(PixelFlag.NO_DATA)
    with np.errstate(divide="ignore", invalid="ignore"):
        current = np.where(below > 0, above / below, np.nan).astype(np.float32)
        sigma = np.where(below > 0, 1 / np.sqrt(below), np.nan).astype(np.float32)
    mask[below == 0] |= int(PixelFlag.NO_DATA)
    has_errors = all(image.safe_uncertainty is not None for image in images)
    header = master_header(
        images[0].header, "master dark", len(images), mean_time([image.header for image in images]), unit="adu/s"
    )
    header["EXPTIME"] = (1.0, "[s] dark current of one second")
    activity = master_record("dark_current", {}, inputs)
    return _master(current, sigma if has_errors else None, mask, header, activity)


def master_flat(
    paths: Iterable[str | Path],
    *,
    bias: Image | str | Path | None,
    dark: Image | str | Path | None = None,
    normalise: Literal["whole", "amplifier"] = "whole",
    levels: tuple[float, float] | None = None,
    preparation: Preparation = ORDINARY,
    minimum: int = 3,
    sigma: float = 4.0,
    memory: float = 1000.0,
) -> Image:
    """The master flat of several raw ones in one filter: without bias and dark, scaled to one level, clipped mean.

    Saturated pixels are left out. Stars of twilight flats are clipped if they moved between the frames. Flats of very
    different levels are weighted by them.

    Parameters
    ----------
    paths : iterable of path
        Raw frames.
    bias : Image, path or None
        The master bias.
    dark : Image, path or None
        A master dark, which is scaled by the exposure times, or a dark current [adu/s].
    normalise : {"whole", "amplifier"}
        Whether the median of the whole flat is 1, or that of each amplifier's part. The latter takes the ratio of the
        amplifiers' gains out of the flat.
    levels : (float, float)
        Frames whose median without bias is outside are left out [adu]; the header's NREJECT counts them.
    preparation, minimum, sigma, memory
        See :func:`master_bias`.

    Returns
    -------
    Image
        Flat, median 1; the header says IMAGETYP "master flat", and MLEVEL, the mean level of the frames [adu].
        Pixels that are not positive have the flag BAD.

    Raises
    ------
    ImageError
        See :func:`master_bias`; the filters differ, a frame has no positive level, or too few have a level within
        `levels`.
    """
    files = _enough(paths, minimum, "flat")
    inputs: list[tuple[str, Sequence[Path]]] = [("flat", files)]
    offset = None if bias is None else opened_master(bias, None, "bias", inputs)
    current = None if dark is None else opened_master(dark, None, "dark", inputs)
    per_amplifier = normalise == "amplifier"

    def normalised(image: Image, raw: Header) -> tuple[Image, tuple[float, ...]]:
        data = image.data.astype(np.float32)
        for master, factor in ((offset, 1.0), (current, None if current is None else dark_factor(current, image))):
            if master is not None:
                check_shape(master, data.shape, image.label)
                data -= master.data if factor == 1.0 else np.float32(factor) * master.data
        regions = preparation.regions(raw, data.shape) if per_amplifier else [_whole(data.shape)]
        found = tuple(_median_of(data, image.safe_mask, region) for region in regions)
        for region, level in zip(regions, found, strict=True):
            if not level > 0:
                raise ImageError(f"{image.label} has the level {level:.4g} adu without bias: it is no flat")
            data[region.slices] /= np.float32(level)
        return image.replace(data=data), found

    combined, facts, regions, noise = combined_raw(
        files, preparation, sigma=sigma, memory=memory, finish=normalised, wanted=levels, minimum=minimum
    )
    one_filter(facts)
    parts = regions if per_amplifier else [_whole(combined.data.shape)]
    data, error = combined.data, moderated(combined, noise, regions, photon=True)
    frame_levels = np.array([fact.levels for fact in facts])
    for k, part in enumerate(parts):
        level = float(frame_levels[:, k].mean())
        median = _median_of(data, combined.mask, part)
        variance = error[part.slices] ** 2
        for master, factor in ((offset, 1.0), (current, None if current is None else mean_dark_factor(current, facts))):
            if master is not None and master.safe_uncertainty is not None and factor is not None:
                variance += (master.uncertainty[part.slices] * np.float32(factor / level)) ** 2
        data[part.slices] /= np.float32(median)
        error[part.slices] = np.sqrt(variance) / np.float32(median)
    mask = _lost(combined)
    for master in (offset, current):
        if master is not None:
            mask |= flags_of(master)
    mask[~(data > 0)] |= int(PixelFlag.BAD)
    used = [fact.path for fact in facts]
    inputs[0] = ("flat", used)
    header = master_header(facts[0].header, "master flat", len(used), mean_time([f.header for f in facts]), unit="1")
    header["MLEVEL"] = (round(float(frame_levels.mean()), 3), "[adu] mean level of the frames")
    header["MNOISE"] = (round(float(np.max(noise)), 8), "relative noise of a pixel of a single frame")
    if len(used) < len(files):
        header["NREJECT"] = (len(files) - len(used), "frames left out because of their level")
    parameters = {"normalise": normalise, "levels": levels, "sigma": sigma, "minimum": minimum}
    return _master(data, error, mask, header, master_record("master_flat", parameters, inputs))


def _enough(paths: Iterable[str | Path], minimum: int, kind: str) -> list[Path]:
    files = [Path(path) for path in paths]
    if len(files) < max(minimum, 1):
        raise ImageError(f"{len(files)} {kind} frames; a master needs at least {max(minimum, 1)}")
    return files


def _median_of(data: np.ndarray, mask: np.ndarray | None, region: Section) -> float:
    pixels = data[region.slices]
    good = np.isfinite(pixels) if mask is None else np.isfinite(pixels) & (mask[region.slices] == 0)
    return float(np.median(pixels[good])) if good.any() else float("nan")


def _whole(shape: tuple[int, ...]) -> Section:
    return Section(0, shape[1], 0, shape[0])


def _lost(combined: Combined) -> np.ndarray:
    return np.where(combined.mask, np.uint8(PixelFlag.NO_DATA), np.uint8(0))


def _quadrature(error: np.ndarray, other: np.ndarray | None) -> np.ndarray:
    return error if other is None else np.hypot(error, other, dtype=np.float32)


def _note_level(header: Header, data: np.ndarray, noise: Sequence[float]) -> None:
    header["MLEVEL"] = (round(float(np.nanmedian(data)), 4), "[adu] median level")
    header["MNOISE"] = (round(float(max(noise)), 4), "[adu] noise of a pixel of a single frame")


def _master(data: np.ndarray, error: np.ndarray | None, mask: np.ndarray, header: Header, activity: object) -> Image:
    image = Image(data=np.asarray(data, dtype=np.float32), header=header, mask=mask, uncertainty=error)
    return image.with_provenance(activity)  # type: ignore[arg-type]
