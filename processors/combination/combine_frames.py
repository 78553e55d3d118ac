"""All images of a group, or the frames of a movie, into one."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from ...images import Image, ImageError
from ..processor import State
from .combine import combine_frames, scale_factors
from .combined_image import combined_image, describe
from .frames import HeldFrame
from .grouping import Group, Grouping
from .rule import Center, Deviation, ErrorSource, Method, Rule


@dataclass(frozen=True, slots=True)
class FrameCount:
    """How many frames contributed to each pixel of a combined image.

    Attributes
    ----------
    values : array of the shape of the image's data
        Numbers of frames.
    """

    values: np.ndarray


class CombineFrames(Grouping):
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

    abstract: ClassVar[bool] = False
    writes = frozenset({"data", "mask?", "uncertainty", "header.NCOMBINE", "meta.FrameCount"})

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
    floor: NonNegativeFloat | Literal["uncertainty"] = Field(
        0.0, description="least standard deviation for clipping [unit of the data]; or uncertainty: that of the images"
    )
    scale: Literal["median", "mean"] | None = Field(
        None, description="bring all images to the same level, that of their medians or means, as flats need it"
    )
    weights: Literal["equal", "inverse_variance"] = Field("equal", description="how much each value counts in a mean")
    uncertainty: ErrorSource = Field(
        "auto", description="where errors come from; auto takes those of the images if all have some"
    )

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
        return self._movie(image) if image.axes == "TYX" else super().process(image, *state)

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

    def combined(self, group: Group) -> Image:
        """The image of a complete group."""
        return self._result(group.first, group.frames, group.shape, group.flags)

    def _movie(self, image: Image) -> Image:
        if not image.data.size:
            raise ImageError(f"{image.label} has no pixels")
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
        blank = image.replace(data=None, mask=None, uncertainty=None, catalog=None, raw=None, axes=None)
        return self._result(blank, frames, data.shape[1:], flags)

    def _result(self, blank: Image, frames: list[HeldFrame], shape: tuple[int, ...], flags: np.ndarray | None) -> Image:
        factors = scale_factors(frames, self.scale)
        combined = combine_frames(frames, self._rule(), factors=factors, memory=self.max_memory)
        made = combined_image(blank, combined, shape, flags)
        made.set_meta(FrameCount(combined.count.reshape(shape)))
        describe(made.header, len(frames), self.method)
        return made
