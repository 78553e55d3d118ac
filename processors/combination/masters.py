"""Master frames from raw ones: bias, dark, dark current and flat."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from ...images import Image, ImageError, PixelFlag
from ...images.arithmetic import flagged
from ...images.header import Header
from ...images.keywords import header_value
from ...images.sections import Section
from .combine import Combined, Rule, combine_frames
from .frames import FileFrame, Frame, common_shape, open_frames
from .noise import moderated, single_frame_noise
from .preparation import Preparation, without_saturated
from .records import master_header, master_record, mean_time

EXPOSURE_TOLERANCE = 0.01
"""By what fraction the exposure times of the frames of one master dark may differ."""

UNEQUAL_LEVELS = 1.2
"""Flats whose levels differ by more than this factor are weighted by their levels, that is, by their photons."""

ORDINARY = Preparation()


@dataclass(slots=True)
class Fact:
    """What is remembered of each raw frame of a master."""

    path: Path
    header: Header
    shape: tuple[int, int]
    exposure: float | None
    levels: tuple[float, ...] = ()


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
    combined, facts, regions, noise = _combine(files, preparation, sigma=sigma, memory=memory)
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
    combined, facts, regions, noise = _combine(files, preparation, sigma=sigma, memory=memory)
    exposure = _one_exposure(facts)
    error = moderated(combined, noise, regions)
    mask = _lost(combined)
    data = combined.data
    inputs: list[tuple[str, Sequence[Path]]] = [("dark", files)]
    if bias is not None:
        offset = opened_master(bias, data.shape, "bias", inputs)
        data = data - offset.data
        error = _quadrature(error, offset.safe_uncertainty)
        mask |= _flags(offset)
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
        good = np.isfinite(image.data) & np.isfinite(weight) & (_flags(image) & int(PixelFlag.NO_DATA) == 0)
        above += np.where(good, weight * exposure * image.data, 0)
        below += np.where(good, weight * exposure**2, 0)
        mask |= _flags(image) & ~np.uint8(PixelFlag.NO_DATA)
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
        for master, factor in ((offset, 1.0), (current, None if current is None else _dark_factor(current, image))):
            if master is not None:
                _check_shape(master, data.shape, image.label)
                data -= master.data if factor == 1.0 else np.float32(factor) * master.data
        regions = preparation.regions(raw, data.shape) if per_amplifier else [_whole(data.shape)]
        found = tuple(_median_of(data, image.safe_mask, region) for region in regions)
        for region, level in zip(regions, found, strict=True):
            if not level > 0:
                raise ImageError(f"{image.label} has the level {level:.4g} adu without bias: it is no flat")
            data[region.slices] /= np.float32(level)
        return image.replace(data=data), found

    combined, facts, regions, noise = _combine(
        files, preparation, sigma=sigma, memory=memory, finish=normalised, wanted=levels, minimum=minimum
    )
    _one_filter(facts)
    parts = regions if per_amplifier else [_whole(combined.data.shape)]
    data, error = combined.data, moderated(combined, noise, regions, photon=True)
    frame_levels = np.array([fact.levels for fact in facts])
    for k, part in enumerate(parts):
        level = float(frame_levels[:, k].mean())
        median = _median_of(data, combined.mask, part)
        variance = error[part.slices] ** 2
        for master, factor in ((offset, 1.0), (current, None if current is None else _mean_factor(current, facts))):
            if master is not None and master.safe_uncertainty is not None and factor is not None:
                variance += (master.uncertainty[part.slices] * np.float32(factor / level)) ** 2
        data[part.slices] /= np.float32(median)
        error[part.slices] = np.sqrt(variance) / np.float32(median)
    mask = _lost(combined)
    for master in (offset, current):
        if master is not None:
            mask |= _flags(master)
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


# --- from raw frames to one ------------------------------------------------------------------------------------


def _combine(
    files: Sequence[Path],
    preparation: Preparation,
    *,
    sigma: float,
    memory: float,
    finish: Callable[[Image, Header], tuple[Image, tuple[float, ...]]] | None = None,
    wanted: tuple[float, float] | None = None,
    minimum: int = 1,
) -> tuple[Combined, list[Fact], list[Section], list[float]]:
    """Combined frames, what is remembered of each, the amplifiers' parts, and the noise of a single frame in each."""
    facts: list[Fact] = []
    raw_headers: list[Header] = []

    def prepared(image: Image) -> Image:
        try:
            raw_headers.append(image.header.share() if isinstance(image.header, Header) else image.header)
            raw = raw_headers[-1]
            ready = preparation(image if finish is None else without_saturated(image))
            found: tuple[float, ...] = ()
            if finish is not None:
                ready, found = finish(ready, raw)
        except ImageError as error:
            text = str(error)
            raise ImageError(text if image.label in text else f"{image.label}: {text}") from error
        facts.append(_fact(Path(image.name or ""), ready.header, ready.data.shape, found))
        return ready

    with ExitStack() as stack:
        plain = finish is None and not preparation.needed(_first_header(files[0]))
        frames = open_frames(files, stack, memory=memory / 2, prepare=None if plain else prepared)
        if plain:
            facts = [_plain_fact(path, frame) for path, frame in zip(files, frames, strict=True)]
            raw_headers = [fact.header for fact in facts]
        if wanted is not None:
            keep = [wanted[0] <= float(np.mean(fact.levels)) <= wanted[1] for fact in facts]
            if sum(keep) < minimum:
                found = ", ".join(f"{np.mean(fact.levels):.0f}" for fact in facts)
                raise ImageError(
                    f"only {sum(keep)} of {len(facts)} flats have a level between {wanted[0]:g} and {wanted[1]:g} adu "
                    f"({found}); a master needs at least {minimum}"
                )
            frames = [frame for frame, good in zip(frames, keep, strict=True) if good]
            facts = [fact for fact, good in zip(facts, keep, strict=True) if good]
        shape = common_shape(frames)
        regions = preparation.regions(raw_headers[0], shape)
        noise = [single_frame_noise(frames, region) for region in regions]
        weights = None
        if finish is not None and len({fact.levels for fact in facts}) > 1:
            means = np.array([np.mean(fact.levels) for fact in facts])
            weights = list(means / means.mean()) if means.max() > UNEQUAL_LEVELS * means.min() else None
        rule = Rule(sigma_low=sigma, sigma_high=sigma, floor=float(np.nanmax([*noise, 0.0])), uncertainty="scatter")
        return combine_frames(frames, rule, weights=weights, memory=memory / 2), facts, regions, noise


# --- small questions -------------------------------------------------------------------------------------------


def opened_master(
    master: Image | str | Path,
    shape: tuple[int, ...] | None,
    kind: str,
    inputs: list[tuple[str, Sequence[Path]]],
) -> Image:
    """A master that is used for another one, as an image; its file is added to the inputs.

    Raises
    ------
    ImageError
        Its size is not `shape`, or the file is no image.
    """
    if isinstance(master, Image):
        image = master
    else:
        image = Image.from_file(master)
        inputs.append((f"master {kind}", [Path(master)]))
    if shape is not None:
        _check_shape(image, shape, f"the {kind} frames")
    return image


def _check_shape(master: Image, shape: tuple[int, ...], what: str) -> None:
    if master.data.shape != shape:
        raise ImageError(
            f"{master.label} has {master.data.shape[1]} x {master.data.shape[0]} pixels, {what} {shape[1]} x {shape[0]}"
            " after preparation; make them from frames that are trimmed alike"
        )


def _enough(paths: Iterable[str | Path], minimum: int, kind: str) -> list[Path]:
    files = [Path(path) for path in paths]
    if len(files) < max(minimum, 1):
        raise ImageError(f"{len(files)} {kind} frames; a master needs at least {max(minimum, 1)}")
    return files


def _first_header(path: Path) -> Header:
    from ...images.io.fits_bands import open_bands

    bands = open_bands(path)
    if bands is None:
        return Image.from_file(path).header
    with bands:
        return bands.header


def _plain_fact(path: Path, frame: Frame) -> Fact:
    header = frame.bands.header if isinstance(frame, FileFrame) else _first_header(path)
    return _fact(path, header, frame.shape, ())


def _fact(path: Path, header: Header, shape: tuple[int, ...], levels: tuple[float, ...]) -> Fact:
    exposure = header_value(header, "exposure_time", label=str(path))
    return Fact(path, header, (shape[0], shape[1]), exposure, levels)


def _one_exposure(facts: Sequence[Fact]) -> float:
    for fact in facts:
        if fact.exposure is None or fact.exposure <= 0:
            raise ImageError(f"{fact.path} has no exposure time in its header: it cannot go into a master dark")
    times = [fact.exposure for fact in facts if fact.exposure is not None]
    if max(times) - min(times) > EXPOSURE_TOLERANCE * max(times):
        raise ImageError(
            f"the darks were exposed for {min(times):g} to {max(times):g} s; make one master for each exposure time"
        )
    return float(np.mean(times))


def _one_filter(facts: Sequence[Fact]) -> None:
    found = {str(header_value(fact.header, "filter", label=str(fact.path))) for fact in facts}
    if len(found) > 1:
        raise ImageError(f"the flats were taken in {', '.join(sorted(found))}; make one master for each filter")


def _dark_factor(dark: Image, image: Image) -> float:
    exposure = image.exposure_time
    if exposure is None:
        raise ImageError(f"{image.label} has no exposure time in its header: no dark can be scaled for it")
    return _factor(dark, exposure)


def _mean_factor(dark: Image, facts: Sequence[Fact]) -> float:
    return _factor(dark, float(np.mean([fact.exposure or 0.0 for fact in facts])))


def _factor(dark: Image, exposure: float) -> float:
    if str(dark.header.get("BUNIT") or "adu").replace(" ", "").lower().endswith("/s"):
        return exposure
    own = dark.exposure_time
    if own is None or own <= 0:
        raise ImageError(f"{dark.label} has no exposure time in its header and cannot be scaled")
    return exposure / own


def _median_of(data: np.ndarray, mask: np.ndarray | None, region: Section) -> float:
    pixels = data[region.slices]
    good = np.isfinite(pixels) if mask is None else np.isfinite(pixels) & (mask[region.slices] == 0)
    return float(np.median(pixels[good])) if good.any() else float("nan")


def _whole(shape: tuple[int, ...]) -> Section:
    return Section(0, shape[1], 0, shape[0])


def _lost(combined: Combined) -> np.ndarray:
    return np.where(combined.mask, np.uint8(PixelFlag.NO_DATA), np.uint8(0))


def _flags(image: Image) -> np.ndarray:
    """The flags of a master as uint8; True of a bool mask is BAD."""
    if image.safe_mask is None:
        return np.zeros(image.data.shape, dtype=np.uint8)
    if image.mask.dtype == bool:
        return flagged(np.zeros(image.data.shape, dtype=np.uint8), image.mask, PixelFlag.BAD)
    return (image.mask & 0xFF).astype(np.uint8)


def _quadrature(error: np.ndarray, other: np.ndarray | None) -> np.ndarray:
    return error if other is None else np.hypot(error, other, dtype=np.float32)


def _note_level(header: Header, data: np.ndarray, noise: Sequence[float]) -> None:
    header["MLEVEL"] = (round(float(np.nanmedian(data)), 4), "[adu] median level")
    header["MNOISE"] = (round(float(max(noise)), 4), "[adu] noise of a pixel of a single frame")


def _master(data: np.ndarray, error: np.ndarray | None, mask: np.ndarray, header: Header, activity: object) -> Image:
    image = Image(data=np.asarray(data, dtype=np.float32), header=header, mask=mask, uncertainty=error)
    return image.with_provenance(activity)  # type: ignore[arg-type]
