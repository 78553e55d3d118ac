"""Several images into one."""

from typing import ClassVar, Literal

from pydantic import Field, PositiveFloat

from ...images import Image
from ...processors.combination.combine import Combined, combine_frames
from ...processors.combination.combined_image import combined_image, describe
from ...processors.combination.grouping import Group, Grouping
from ...processors.combination.rule import Rule


class Stack(Grouping):
    """Combine images of one group, pixel by pixel, into one; an image that still waits for others ends here.

    Images belong together when the `group` cards are equal, and have one shape; they are not shifted. A stack is
    complete with `size` images, with the first image of another group if `consecutive`, or at the end of the run.

    Masked and NaN pixels are left out; where no image has a good pixel the result is NaN and has the flags of all
    (NO_DATA if there are none). If every image has an uncertainty, so has the result: errors are taken as
    uncorrelated, and clipping takes no deviation for less than them; the error of a median is that of the mean times
    the efficiency of so few values, sqrt(pi / 2) for many. The header is that of the first image with NCOMBINE, and
    with gain, read noise, exposure time and saturation of the result where they were known. Catalog, raw pixels and
    meta are those of single images, and are left out.

    A product's ``{stem}`` is that of the image that completes the stack; cards name it better: ``{OBJECT}-{FILTER}``.

    Two kinds of memory are used: `mean` and `sum` add up as the images come; `median` and `clipped` keep the images,
    at most `max_memory` of them in memory and the others in a temporary file. :class:`CombineFrames` has more ways to
    clip, weights, and errors from the scatter of the values.

    References
    ----------
    Howell, S. B. 2006, Handbook of CCD Astronomy, 2nd ed., section 4.5.
    """

    abstract: ClassVar[bool] = False
    writes = frozenset({"data", "mask?", "uncertainty?", "header.NCOMBINE"})

    method: Literal["mean", "median", "sum", "clipped"] = Field(
        "clipped", description="how the good values of a pixel are combined"
    )
    sigma: PositiveFloat = Field(3.0, description="clipping limit of method clipped [standard deviations]")

    @property
    def adds_up(self) -> bool:
        """Whether a running sum is all that is needed of the images."""
        return self.method in ("mean", "sum")

    def combined(self, group: Group) -> Image:
        """The stack of a complete group."""
        pixels, has_errors = self._pixels(group)
        stack = combined_image(group.first, pixels, group.shape, group.flags)
        if not has_errors:
            stack.uncertainty = None
        describe(stack.header, group.count, self.method, group.exposures)
        return stack

    def _pixels(self, group: Group) -> tuple[Combined, bool]:
        if group.sum is not None:
            return group.sum.mean() if self.method == "mean" else group.sum.total(), group.sum.variance is not None
        has_errors = all(frame.has_uncertainty for frame in group.frames)
        rule = Rule(
            method="median" if self.method == "median" else "clipped",
            sigma_low=self.sigma,
            sigma_high=self.sigma,
            floor="uncertainty" if has_errors else 0.0,
            uncertainty="propagated" if has_errors else "none",
        )
        return combine_frames(group.frames, rule, memory=self.max_memory), has_errors
