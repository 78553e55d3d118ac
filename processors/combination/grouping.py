"""Images that wait until all of their group have come."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar

import numpy as np
from pydantic import Field, PositiveFloat, PositiveInt, field_validator

from ...images import Image, ImageError
from ...images.arithmetic import combined_masks
from ...images.header import card_value
from ...images.keywords import KEYWORDS, header_value, keyword_named
from ...images.provenance import InputFile
from ..context import current_run
from ..processor import Processor, State
from .frames import HeldFrame, Waiting, rows_of_all_planes
from .running_sum import RunningSum


@dataclass
class Group:
    """Images that belong together.

    Attributes
    ----------
    first : Image
        The first of them, without its planes.
    shape : tuple of int
        Shape of the data of all.
    sum : RunningSum or None
        What they add up to, if they need not be kept.
    frames : list of HeldFrame
        Their pixels otherwise: the rows of all planes.
    flags : array or None
        Their masks together.
    """

    first: Image
    shape: tuple[int, ...]
    sum: RunningSum | None = None
    frames: list[HeldFrame] = field(default_factory=list)
    flags: np.ndarray | None = None
    exposures: list[float | None] = field(default_factory=list)
    inputs: list[InputFile] = field(default_factory=list)

    @property
    def count(self) -> int:
        """Number of images."""
        return len(self.exposures)


def _or_one_key(schema: dict[str, Any]) -> None:
    schema["anyOf"] = [{"type": "string"}, {name: schema.pop(name) for name in ("type", "items")}]


class Grouping(Processor):
    """What processors have in common that make one image of all images of a group."""

    abstract: ClassVar[bool] = True
    reads = frozenset({"data", "mask?", "uncertainty?"})
    removes: ClassVar[frozenset[str]] = frozenset({"catalog", "raw", "meta"})
    sequential: ClassVar[bool] = True

    group: tuple[str, ...] = Field(
        (),
        description="header cards or properties that are equal in one group: [OBJECT, filter]",
        json_schema_extra=_or_one_key,
    )
    size: PositiveInt | None = Field(
        None, description="images of a complete stack; None waits for the end of the group"
    )
    consecutive: bool = Field(False, description="another group ends this one; otherwise groups may be interleaved")
    max_memory: PositiveFloat = Field(1000.0, description="waiting images held in memory; more go to a file [MB]")

    @field_validator("group", mode="before")
    @classmethod
    def _one_or_several(cls, given: Any) -> Any:
        return (given,) if isinstance(given, str) else given

    @field_validator("group")
    @classmethod
    def _check_keys(cls, keys: tuple[str, ...]) -> tuple[str, ...]:
        for key in keys:
            if not key or key.strip() != key:
                raise ValueError("a header card has a name without blanks around it")
            if key == key.lower() and key != key.upper():
                try:
                    keyword_named(key)
                except ValueError as error:
                    raise ValueError(f"{error}; header cards are written in capitals") from None
        return keys

    @property
    def adds_up(self) -> bool:
        """Whether a running sum is all that is needed of the images."""
        return False

    def combined(self, group: Group) -> Image:
        """The image of a complete group."""
        raise TypeError(f"{type(self).__name__} does not define combined()")

    def process(self, image: Image, *state: State) -> Image | None:
        """Add an image to its group; the combination when a group is complete, else None.

        Raises
        ------
        ImageError
            The image has no pixels, or another shape than its group.
        TransientError
            There is no space for waiting images.
        """
        groups: dict[tuple[Hashable, ...], Group] = state[0].setdefault("groups", {})
        waiting: Waiting = state[0].setdefault("waiting", Waiting(self.max_memory))
        key = tuple(group_value(image, name) for name in self.group)
        groups[key] = self._with(image, groups.get(key), waiting)
        complete = next((other for other in groups if other != key), None) if self.consecutive else None
        if complete is None and self.size is not None and groups[key].count >= self.size:
            complete = key
        if complete is None:
            current_run().ended_because = f"waits in a stack ({groups[key].count} images)"
            return None
        group = groups.pop(complete)
        waiting.release(group.frames)
        return self._recorded(group)

    def finish(self, state: State) -> Sequence[Callable[[], Image | None]]:
        """The combinations of what still waits."""
        groups = state.pop("groups", {})
        state.pop("waiting", None)
        return [partial(self._recorded, group) for group in groups.values()]

    def _with(self, image: Image, group: Group | None, waiting: Waiting) -> Group:
        """The group with one image more, a new one if there is none; nothing has changed if it is refused."""
        shape = image.data.shape
        if not image.data.size:
            raise ImageError(f"{image.label} has no pixels")
        if group is not None and group.shape != shape:
            raise ImageError(
                f"{image.label} has shape {shape}, and {group.first.label} of the same stack has {group.shape}; "
                "group them apart, or crop them first"
            )
        exposure = header_value(image.header, "exposure_time", label=image.label)
        frame = rows_of_all_planes(image)
        if group is None:
            first = image.replace(data=None, mask=None, uncertainty=None, catalog=None, raw=None)
            group = Group(first, shape, RunningSum(frame.shape) if self.adds_up else None)
        if group.sum is not None:
            group.sum.add(frame)
        else:
            group.frames.append(waiting.hold(frame))
        group.flags = combined_masks(group.flags, image.safe_mask)
        group.exposures.append(exposure)
        group.inputs.extend(source for activity in image.provenance for source in activity.inputs)
        return group

    def _recorded(self, group: Group) -> Image:
        current_run().inputs.extend(dict.fromkeys(group.inputs))
        return self.combined(group)


def group_value(image: Image, key: str) -> Hashable:
    """What an image says about a header card or a property; empty if nothing."""
    value = header_value(image.header, key, label=image.label) if key in KEYWORDS else card_value(image.header, key)
    if value is None:
        return ""
    return value if isinstance(value, bool | int | float) else str(value).strip()
