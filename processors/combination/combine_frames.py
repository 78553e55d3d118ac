"""All images of a group, or the frames of a movie, into one."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, field_validator, model_validator

from ...images import Image, ImageError, PixelFlag
from ...images.arithmetic import combined_masks
from ...images.header import Header, card_value
from ...images.keywords import KEYWORDS, header_value, keyword_for
from ...images.provenance import InputFile
from ..context import current_run
from ..processor import Processor, State
from .combine import (
    Center,
    Combined,
    Deviation,
    ErrorSource,
    Method,
    Rule,
    combine_frames,
    median_efficiency,
    scale_factors,
)
from .frames import HeldFrame, Waiting


@dataclass(frozen=True, slots=True)
class FrameCount:
    """How many frames contributed to each pixel of a combined image.

    Attributes
    ----------
    values : array of the shape of the image's data
        Numbers of frames.
    """

    values: np.ndarray


@dataclass
class Group:
    """Images that wait to be combined."""

    first: Image
    shape: tuple[int, ...]
    waiting: Waiting
    frames: list[HeldFrame] = field(default_factory=list)
    inputs: list[InputFile] = field(default_factory=list)
    flags: np.ndarray | None = None


class CombineFrames(Processor):
    """Combine images pixel by pixel into one: mean, median, or mean of what clipping leaves.

    A movie becomes one image at once. Other images are kept until the `group` has `size` of them, or the run ends;
    until then each of them ends here. They must have one shape and are not shifted.

    Masked pixels and those that are not finite are left out; where nothing is left the result is NaN and masked with
    the flags of all frames (NO_DATA if there are none). Every result has an uncertainty: from those of the frames, or
    from the scatter of the values. The meta object FrameCount holds the number of values of each pixel. Header and
    name are those of the first image, with NCOMBINE, and with gain and read noise as the mean of so many frames has
    them.

    Values further than `sigma` from the centre are clipped. With the median and the median absolute deviation a single
    hit among five frames is found, however large it is; with mean and standard deviation it takes more than
    sigma² + 1 frames.

    References
    ----------
    Howell, S. B. 2006, Handbook of CCD Astronomy, 2nd ed., section 4.5; Huber, P. J. & Ronchetti, E. M. 2009, Robust
    Statistics, 2nd ed., chapter 1.
    """

    reads = frozenset({"data", "mask?", "uncertainty?"})
    writes = frozenset({"data", "mask?", "uncertainty", "header.NCOMBINE", "meta.FrameCount"})
    removes: ClassVar[frozenset[str]] = frozenset({"catalog", "raw"})
    sequential: ClassVar[bool] = True

    group: tuple[str, ...] = Field(
        (), description="header cards or properties that are equal in one group: [filter, EXPTIME]"
    )
    size: PositiveInt | None = Field(None, description="images of a complete group; None waits for the end of the run")
    method: Method = Field("clipped", description="how the values of a pixel are combined")
    sigma_low: PositiveFloat = Field(
        3.0, description="values below the centre by more are clipped [standard deviations]"
    )
    sigma_high: PositiveFloat = Field(
        3.0, description="values above the centre by more are clipped [standard deviations]"
    )
    center: Center = Field("median", description="what clipping measures from")
    deviation: Deviation = Field("mad", description="what clipping takes for a standard deviation")
    rounds: PositiveInt = Field(5, description="how often clipping is repeated, at most")
    floor: NonNegativeFloat = Field(0.0, description="least standard deviation for clipping [unit of the data]")
    scale: Literal["median", "mean"] | None = Field(
        None, description="bring all images to the same level, that of their medians or means, as flats need it"
    )
    weights: Literal["equal", "inverse_variance"] = Field("equal", description="how much each value counts in a mean")
    uncertainty: ErrorSource = Field(
        "auto", description="where errors come from; auto takes those of the images if all have some"
    )
    max_memory: PositiveFloat = Field(1000.0, description="waiting images held in memory; more go to a file [MB]")

    @field_validator("group", mode="before")
    @classmethod
    def _one_or_several(cls, given: Any) -> Any:
        return (given,) if isinstance(given, str) else given

    @model_validator(mode="after")
    def _makes_sense(self) -> "CombineFrames":
        self._rule()
        return self

    def process(self, image: Image, *state: State) -> Image | None:
        """Combine a movie, or add an image to its group.

        Raises
        ------
        ImageError
            The image has no pixels, or another shape than its group; uncertainties are needed and missing; it is to
            be scaled and has no positive level.
        TransientError
            There is no space for waiting images.
        """
        if not image.data.size:
            raise ImageError(f"{image.label} has no pixels")
        if image.axes == "TYX":
            return self._movie(image)
        groups: dict[tuple[str, ...], Group] = state[0].setdefault("groups", {})
        key = tuple(_group_value(image, name) for name in self.group)
        self._add(image, key, groups)
        if self.size is None or len(groups[key].frames) < self.size:
            current_run().ended_because = f"waits to be combined ({len(groups[key].frames)} images)"
            return None
        return self._combined(groups.pop(key))

    def finish(self, state: State) -> Sequence[Callable[[], Image | None]]:
        """The combinations of what still waits."""
        return [partial(self._combined, group) for group in state.pop("groups", {}).values()]

    def _rule(self) -> Rule:
        return Rule(
            method=self.method,
            sigma_low=self.sigma_low,
            sigma_high=self.sigma_high,
            center=self.center,
            deviation=self.deviation,
            rounds=self.rounds,
            floor=self.floor,
            uncertainty=self.uncertainty,
            inverse_variance=self.weights == "inverse_variance",
        )

    def _add(self, image: Image, key: tuple[str, ...], groups: dict[tuple[str, ...], Group]) -> None:
        group = groups.get(key)
        if group is None:
            first = image.replace(data=None, mask=None, uncertainty=None, catalog=None, raw=None)
            group = Group(
                first, image.data.shape, next(iter(groups.values())).waiting if groups else Waiting(self.max_memory)
            )
        elif group.shape != image.data.shape:
            raise ImageError(
                f"{image.label} has the shape {image.data.shape}, {group.first.label} of the same group has "
                f"{group.shape}; group them apart, or crop them first"
            )
        mask = image.safe_mask
        flat = Image(
            data=_rows(image.data), mask=_plane(mask, image), uncertainty=_plane(image.safe_uncertainty, image),
            name=image.label,
        )  # fmt: skip
        group.frames.append(group.waiting.hold(flat))
        group.flags = combined_masks(group.flags, mask)
        group.inputs.extend(source for activity in image.provenance for source in activity.inputs)
        groups[key] = group

    def _combined(self, group: Group) -> Image:
        current_run().inputs.extend(dict.fromkeys(group.inputs))
        return self._result(group.first, group.frames, group.shape, group.flags)

    def _movie(self, image: Image) -> Image:
        data, mask, error = image.data, image.safe_mask, image.safe_uncertainty
        frames = [
            HeldFrame(
                f"frame {i} of {image.label}",
                data[i],
                None if mask is None else mask if mask.ndim == 2 else mask[i],
                None if error is None else error if error.ndim == 2 else error[i],
            )
            for i in range(len(data))
        ]
        flags = mask if mask is None or mask.ndim == 2 else np.bitwise_or.reduce(mask, axis=0)
        blank = image.replace(data=None, mask=None, uncertainty=None, catalog=None, raw=None)
        return self._result(blank, frames, data.shape[1:], flags)

    def _result(self, blank: Image, frames: list[HeldFrame], shape: tuple[int, ...], flags: np.ndarray | None) -> Image:
        factors = scale_factors(frames, self.scale)
        combined = combine_frames(frames, self._rule(), factors=factors, memory=self.max_memory)
        combined.data, combined.uncertainty, combined.count = (
            plane.reshape(shape) for plane in (combined.data, combined.uncertainty, combined.count)
        )
        made = blank.replace(
            data=combined.data,
            mask=combined_mask(combined, flags),
            uncertainty=combined.uncertainty,
            axes="CYX" if len(shape) == 3 else None,
        )
        made.meta = None
        made.set_meta(FrameCount(combined.count))
        describe(made.header, len(frames), self.method)
        return made


def combined_mask(combined: Combined, flags: np.ndarray | None) -> np.ndarray | None:
    """The mask of a combination: where nothing was usable, the flags of all frames, or NO_DATA; None if it is empty."""
    lost = combined.mask
    if flags is None:
        return lost if lost.any() else None
    if flags.dtype == bool:
        return lost
    known = np.broadcast_to(flags, lost.shape)
    no_data = np.asarray(int(PixelFlag.NO_DATA), dtype=flags.dtype)
    return np.where(lost, np.where(known == 0, no_data, known), np.zeros_like(no_data))


def describe(header: Header, count: int, method: str) -> None:
    """Write NCOMBINE, and the gain and read noise with which later steps find the noise of the result.

    The mean of N frames of gain g [electron/adu] and read noise r [electron] has gain N g and read noise sqrt(N) r; a
    median has those of fewer frames.
    """
    header["NCOMBINE"] = (count, f"number of frames combined ({method})")
    effective = count / float(median_efficiency(np.array(count))) ** 2 if method == "median" else count
    for name, factor in (("gain", effective), ("read_noise", math.sqrt(effective))):
        card = keyword_for(header, name)
        if card is not None and factor != 1 and (value := header_value(header, name)) is not None:
            header[card] = value * factor


def _rows(data: np.ndarray) -> np.ndarray:
    return data.reshape(-1, data.shape[-1])


def _plane(plane: np.ndarray | None, image: Image) -> np.ndarray | None:
    """Mask or uncertainty in the shape of the rows of all colours."""
    return None if plane is None else _rows(np.broadcast_to(plane, image.data.shape))


def _group_value(image: Image, key: str) -> str:
    value = header_value(image.header, key, label=image.label) if key in KEYWORDS else card_value(image.header, key)
    return "" if value is None else str(value).strip()
