"""Raw frames of one kind, prepared and combined; and what is remembered of each."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ....images import Image, ImageError
from ....images.header import Header
from ....images.io.fits.bands import open_bands
from ....images.keywords import header_value
from ....images.sections import Section
from ..combine import Combined, combine_frames
from ..frames import FileFrame, Frame, common_shape, open_frames
from ..preparation import Preparation, without_saturated
from ..rule import Rule
from .noise import single_frame_noise

EXPOSURE_TOLERANCE = 0.01
"""By what fraction the exposure times of the frames of one master dark may differ."""

UNEQUAL_LEVELS = 1.2
"""Flats whose levels differ by more than this factor are weighted by their levels, that is, by their photons."""


@dataclass(slots=True)
class Fact:
    """What is remembered of each raw frame of a master."""

    path: Path
    header: Header
    shape: tuple[int, int]
    exposure: float | None
    levels: tuple[float, ...] = ()


def combined_raw(
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


def _first_header(path: Path) -> Header:
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


def one_exposure(facts: Sequence[Fact]) -> float:
    """The exposure time that all frames have.

    Raises
    ------
    ImageError
        One is not known, or they differ.
    """
    for fact in facts:
        if fact.exposure is None or fact.exposure <= 0:
            raise ImageError(f"{fact.path} has no exposure time in its header: it cannot go into a master dark")
    times = [fact.exposure for fact in facts if fact.exposure is not None]
    if max(times) - min(times) > EXPOSURE_TOLERANCE * max(times):
        raise ImageError(
            f"the darks were exposed for {min(times):g} to {max(times):g} s; make one master for each exposure time"
        )
    return float(np.mean(times))


def one_filter(facts: Sequence[Fact]) -> None:
    """Raise ImageError if the frames were taken in several filters."""
    found = {str(header_value(fact.header, "filter", label=str(fact.path))) for fact in facts}
    if len(found) > 1:
        raise ImageError(f"the flats were taken in {', '.join(sorted(found))}; make one master for each filter")
