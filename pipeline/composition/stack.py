"""Several images into one."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field, PositiveFloat, PositiveInt, field_validator

from ...images import Image, ImageError, PixelFlag
from ...images.arithmetic import combined_masks
from ...images.header import Header
from ...images.keywords import header_value, keyword_for
from ...images.provenance import InputFile
from ...processors import Processor, State, current_run
from ..conditions import ABSENT, as_text, check_key, is_presence_only, value_of
from .combine import Combined, Frame, Frames, RunningSum

Method = Literal["mean", "median", "sum", "clipped"]

MEGABYTE = 2**20


@dataclass
class Group:
    """Images that wait for their stack."""

    first: Image
    frames: RunningSum | Frames
    names: list[str] = field(default_factory=list)
    inputs: list[InputFile] = field(default_factory=list)
    exposures: list[float | None] = field(default_factory=list)
    flags: np.ndarray | None = None


class Stack(Processor):
    """Combine images of one group, pixel by pixel, into one; an image that still waits for others ends here.

    Images belong together when the `group` cards are equal, and have one shape; they are not shifted. A stack is
    complete with `size` images, with the first image of another group if `consecutive`, or at the end of the run.

    Masked and NaN pixels are left out; where no image has a good pixel the result is NaN and has the flags of all
    (NO_DATA if there are none). If every image has an uncertainty, so has the result: errors are taken as
    uncorrelated, that of a median as sqrt(pi / 2) times that of the mean. The header is that of the first image with
    NCOMBINE, and with gain, read noise, exposure time and saturation of the result where they were known. Catalog,
    raw pixels and meta are those of single images, and are left out.

    A product's ``{stem}`` is that of the image that completes the stack; cards name it better: ``{OBJECT}-{FILTER}``.

    Two kinds of memory are used: `mean` and `sum` add up as the images come; `median` and `clipped` keep the images,
    at most `max_memory` of them in memory and the others in a temporary file.

    References
    ----------
    Howell, S. B. 2006, Handbook of CCD Astronomy, 2nd ed., section 4.5.
    """

    reads = frozenset({"data", "mask?", "uncertainty?"})
    writes = frozenset({"data", "mask?", "uncertainty?", "header.NCOMBINE"})
    removes: ClassVar[frozenset[str]] = frozenset({"catalog", "raw", "meta"})
    sequential: ClassVar[bool] = True

    group: tuple[str, ...] = Field(
        (), description="header cards or properties that are equal in one stack: [OBJECT, filter]"
    )
    size: PositiveInt | None = Field(
        None, description="images of a complete stack; None waits for the end of the group"
    )
    consecutive: bool = Field(False, description="another group ends this one; otherwise groups may be interleaved")
    method: Method = Field("clipped", description="how the good values of a pixel are combined")
    sigma: PositiveFloat = Field(3.0, description="clipping limit of method clipped [standard deviations]")
    max_memory: PositiveFloat = Field(1000.0, description="waiting images held in memory; more go to a file [MB]")

    @field_validator("group", mode="before")
    @classmethod
    def _one_or_several(cls, given: Any) -> Any:
        return (given,) if isinstance(given, str) else given

    @field_validator("group")
    @classmethod
    def _check_keys(cls, keys: tuple[str, ...]) -> tuple[str, ...]:
        for key in keys:
            check_key(key)
            if is_presence_only(key):
                raise ValueError(f"images are grouped by header cards or properties, not by {key!r}")
        return keys

    def process(self, image: Image, *state: State) -> Image | None:
        """Add an image to its group; the stack when it completes one, else None.

        Raises
        ------
        ImageError
            The image has no pixels, or another shape than its group.
        TransientError
            There is no space for waiting images.
        """
        groups: dict[tuple[str, ...], Group] = state[0].setdefault("groups", {})
        key = tuple(_group_value(image, name) for name in self.group)
        complete = None
        if self.consecutive and groups and key not in groups:
            complete = groups.pop(next(iter(groups)))
        try:
            self._add(image, key, groups)
        except Exception:
            if complete is not None:  # its stack is not lost with this image
                groups["earlier", *key] = complete
            raise
        if complete is None and self.size is not None and len(groups[key].names) >= self.size:
            complete = groups.pop(key)
        if complete is None:
            current_run().ended_because = f"waits in a stack ({len(groups[key].names)} images)"
            return None
        return self._stacked(complete)

    def finish(self, state: State) -> Sequence[Callable[[], Image | None]]:
        """The stacks of what still waits."""
        groups = state.pop("groups", {})
        return [partial(self._stacked, group) for group in groups.values()]

    def _add(self, image: Image, key: tuple[str, ...], groups: dict[tuple[str, ...], Group]) -> None:
        data = image.data
        group = groups.get(key)
        if group is None:
            first = image.replace(data=None, mask=None, uncertainty=None, catalog=None, raw=None)
            frames = RunningSum() if self.method in ("mean", "sum") else Frames()
            group = Group(first, frames)
        elif group.frames.shape != data.shape:
            raise ImageError(
                f"{image.label} has shape {data.shape}, and {group.names[0]} of the same stack has "
                f"{group.frames.shape}; group them apart, or crop them first"
            )
        frame, flags = _frame_of(image)
        if isinstance(group.frames, Frames):
            held = sum(other.frames.held for other in groups.values() if isinstance(other.frames, Frames))
            group.frames.add(frame, room=self.max_memory * MEGABYTE - held)
        else:
            group.frames.add(frame)
        group.names.append(image.label)
        group.flags = combined_masks(group.flags, flags)
        group.exposures.append(header_value(image.header, "exposure_time", label=image.label))
        group.inputs.extend(source for activity in image.provenance for source in activity.inputs)
        groups[key] = group

    def _stacked(self, group: Group) -> Image:
        frames = group.frames
        if isinstance(frames, RunningSum):
            combined = frames.mean() if self.method == "mean" else frames.total()
        else:
            combined = frames.median() if self.method == "median" else frames.clipped(self.sigma)
        current_run().inputs.extend(dict.fromkeys(group.inputs))
        stack = group.first.replace(
            data=combined.data, mask=_mask(combined, group.flags), uncertainty=combined.uncertainty
        )
        stack.meta = None
        _describe(stack.header, group, self.method)
        return stack


def _group_value(image: Image, key: str) -> str:
    value = value_of(image, key)
    return "" if value is ABSENT else as_text(value)


def _frame_of(image: Image) -> tuple[Frame, np.ndarray | None]:
    """What is combined of an image, and its flags in the shape of its data."""
    data = np.asarray(image.data, dtype=np.float32)
    bad = ~np.isfinite(data)
    mask, error = image.safe_mask, image.safe_uncertainty
    flags = None if mask is None else np.broadcast_to(mask, data.shape[-2:] if mask.ndim == 2 else data.shape)
    excluded = bad if mask is None else bad | (mask != 0)
    if error is not None:
        error = np.broadcast_to(np.asarray(error, dtype=np.float32), data.shape)
    return Frame(data, excluded if excluded.any() else None, error), flags


def _mask(combined: Combined, flags: np.ndarray | None) -> np.ndarray | None:
    """Where nothing was good: the flags of all images, or NO_DATA."""
    lost = combined.count == 0
    if flags is None:
        return lost if lost.any() else None
    if flags.dtype == bool:
        return lost
    if flags.ndim < lost.ndim:
        flags = np.broadcast_to(flags, lost.shape)
    no_data = np.asarray(int(PixelFlag.NO_DATA), dtype=flags.dtype)
    return np.where(lost, np.where(flags == 0, no_data, flags), np.zeros_like(no_data))


def _describe(header: Header, group: Group, method: Method) -> None:
    """Cards that say what the stack is: later steps take photon noise and saturation from them.

    With N images of gain g and read noise r, a mean has gain N g and read noise sqrt(N) r, a sum g and sqrt(N) r;
    the variance of a median is pi / 2 times that of the mean.
    """
    count = len(group.names)
    header["NCOMBINE"] = (count, f"number of images combined ({method})")
    gain, noise = {
        "mean": (count, math.sqrt(count)),
        "clipped": (count, math.sqrt(count)),
        "sum": (1.0, math.sqrt(count)),
        "median": (2 * count / math.pi, math.sqrt(2 * count / math.pi)),
    }[method if count > 2 or method == "sum" else "mean"]
    _scale(header, "gain", gain)
    _scale(header, "read_noise", noise)
    if method == "sum":
        _scale(header, "saturation", count)
        card = keyword_for(header, "exposure_time")
        known = [exposure for exposure in group.exposures if exposure is not None]
        if card is not None and len(known) == count:
            header[card] = sum(known)


def _scale(header: Header, name: str, factor: float) -> None:
    card = keyword_for(header, name)
    if card is not None and factor != 1 and (value := header_value(header, name)) is not None:
        header[card] = value * factor
