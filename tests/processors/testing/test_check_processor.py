"""check_processor is proved by processors that break each rule on purpose."""

import asyncio
import ctypes
import os
import random
import time
from typing import Any, ClassVar

import numpy as np
import pytest
from pydantic import Field, PrivateAttr

from etendue.images import Image, ImageError, TransientError
from etendue.processors import Processor, State, off_loop
from etendue.processors.testing import ContractBroken, check_processor, checks, edge_images, example_images


class Good(Processor):
    """Subtract the median of the good pixels."""

    reads = {"data", "mask?"}
    writes = {"data"}

    factor: float = Field(1.0, description="part of the median that is subtracted")

    def process(self, image: Image, *state: State) -> Image | None:
        good = np.isfinite(image.data)
        if image.safe_mask is not None:
            good &= np.broadcast_to(image.mask, good.shape) == 0
        if not good.any():
            raise ImageError(f"{image.label} has no good pixel")
        data = image.data.astype(np.float32)
        return image.replace(data=data - np.float32(self.factor * np.median(data[good])))


def broken_rules(processor: Any, **options: Any) -> dict[str, str]:
    """Names of the rules that a processor breaks, with what is said about them."""
    try:
        check_processor(processor, **options)
    except ContractBroken as error:
        return {rule: " ".join(s for r, s in error.broken if r == rule) for rule, _ in error.broken}
    return {}


def assert_breaks(processor: Any, rule: str, words: str, *others: str) -> None:
    """It breaks this rule, with these words, and no rules but those named."""
    broken = broken_rules(processor)
    assert words in broken.get(rule, "it does not break the rule"), broken
    assert set(broken) <= {rule, *others}, broken


# --- what is allowed --------------------------------------------------------------------------------------------


def test_a_good_processor_passes():
    check_processor(Good)
    check_processor(Good())


def test_a_processor_that_waits_passes():
    class Waits(Processor):
        """Wait, then compute off the loop."""

        reads = {"data"}
        writes = {"header.WAITED"}

        async def __call__(self, image: Image, state: State | None = None) -> Image | None:
            await asyncio.sleep(0.05)
            done = await off_loop(image.copy)
            await asyncio.gather(asyncio.sleep(0), asyncio.sleep(0.01))
            if done.safe_data is None:
                raise ImageError(f"{image.label} has no data")
            done.header["WAITED"] = True
            return done

    check_processor(Waits())


def test_a_processor_that_ends_images_passes():
    class DropShort(Processor):
        """End images that were exposed for a short time only."""

        reads = {"header.EXPTIME"}

        def process(self, image: Image, *state: State) -> Image | None:
            if image.exposure_time is None:
                raise ImageError(f"{image.label} has no EXPTIME")
            return image if image.exposure_time > 45 else None

    check_processor(DropShort())


def test_a_sequential_processor_with_its_memory_in_the_state_passes():
    class Difference(Processor):
        """Subtract the first image of a series."""

        reads = {"data"}
        writes = {"data"}
        sequential = True

        def process(self, image: Image, *state: State) -> Image | None:
            data = image.data.astype(np.float32)
            first = state[0].setdefault("first", data)
            if first.shape != data.shape:
                raise ImageError(f"{image.label} has another shape than the first image of the series")
            with np.errstate(invalid="ignore"):
                return image.replace(data=data - first)

    check_processor(Difference())


def test_plain_functions_are_checked_too():
    def double(image, factor: float = 2.0):
        """Make an image brighter."""
        return image.replace(data=image.data * factor)

    broken = broken_rules(double)

    # A function cannot declare what it writes.
    assert set(broken) <= {"keeps_what_it_does_not_write", "declares_what_it_reads"}


def test_it_can_be_called_while_a_loop_is_running():
    async def main() -> None:
        check_processor(Good())

    asyncio.run(main())


def test_an_image_of_the_author_is_used():
    class OnlyBlue(Good):
        """Work on frames of one filter."""

        reads = {"data", "mask?", "header.FILTER"}

        def process(self, image: Image, *state: State) -> Image | None:
            if image.filter != "B":
                raise ImageError(f"{image.label} was not taken in B")
            return super().process(image)

    blue = example_images()["stars"]
    blue.header["FILTER"] = "B"

    assert "image= that it can work on" in broken_rules(OnlyBlue())["works_on_an_example"]
    check_processor(OnlyBlue(), image=blue)


# --- one rule broken at a time ----------------------------------------------------------------------------------


def test_no_docstring_and_no_description():
    class Silent(Good):
        other: int = 3

    broken = broken_rules(Silent())

    assert "other have no description" in broken["is_documented"] or "no docstring" in broken["is_documented"]


def test_a_declaration_that_names_nothing():
    class Vague(Good):
        """Declare what does not exist."""

        writes = {"data", "pixels"}

    assert "pixels" in broken_rules(Vague())["declares_known_parts"]


def test_parameters_that_cannot_be_configured():
    class Callback(Good):
        """Take a function."""

        function: Any = Field(abs, description="a function")

    assert_breaks(Callback(), "survives_configuration", "cannot be written to a configuration")


def test_another_type_is_returned():
    class ReturnsPixels(Good):
        """Return an array."""

        def process(self, image: Image, *state: State) -> Any:
            return image.data

    assert "returned ndarray" in broken_rules(ReturnsPixels())["returns_an_image"]


def test_nothing_is_returned_from_an_overridden_call():
    class ReturnsText(Processor):
        """Return a text."""

        async def __call__(self, image: Image, state: State | None = None) -> Any:
            return "done"

    assert "it returned str" in broken_rules(ReturnsText())["returns_an_image"]


def test_the_return_was_forgotten():
    class Forgets(Processor):
        """Double the pixels."""

        reads = {"data"}
        writes = {"data"}

        def process(self, image: Image, *state: State) -> Image | None:
            image.replace(data=image.data * 2)

    def forgets(image: Image):
        """Double the pixels."""
        image.replace(data=image.data * 2)

    for processor in (Forgets(), forgets):
        assert "None for every image" in broken_rules(processor)["returns_an_image"]


def test_the_input_is_changed_through_its_header():
    class Marks(Good):
        """Leave a mark in the header."""

        reads = frozenset()
        writes = {"header.MARK"}

        def process(self, image: Image, *state: State) -> Image | None:
            image.header["MARK"] = True
            return image

    assert_breaks(Marks(), "leaves_its_input_alone", "changes its input: header.MARK")


def test_the_input_is_changed_through_its_memory():
    class Overwrites(Good):
        """Write behind the back of the read-only flag."""

        writes = {"data"}

        def process(self, image: Image, *state: State) -> Image | None:
            result = super().process(image)
            address = image.data.__array_interface__["data"][0]
            (ctypes.c_float * 1).from_address(address)[0] += 5
            return result

    assert "changes its input: data" in broken_rules(Overwrites())["leaves_its_input_alone"]


def test_the_input_is_changed_through_its_catalogue():
    class Sorts(Good):
        """Add a column to the catalogue of the input."""

        reads = {"catalog"}
        writes = {"catalog.rank"}

        def process(self, image: Image, *state: State) -> Image | None:
            image.catalog["rank"] = np.arange(len(image.catalog))
            return image.copy()

    assert_breaks(Sorts(), "leaves_its_input_alone", "catalog.rank", "remembers_nothing")


def test_the_input_is_changed_through_its_meta():
    class Forgets(Good):
        """Forget what is known about the input."""

        writes = {"data", "meta"}

        def process(self, image: Image, *state: State) -> Image | None:
            image.meta.clear()
            return super().process(image)

    assert "meta.PixelOffsets" in broken_rules(Forgets())["leaves_its_input_alone"]


def test_the_mask_is_dropped():
    class DropsTheMask(Good):
        """Return an image without the mask."""

        def process(self, image: Image, *state: State) -> Image | None:
            result = super().process(image)
            return None if result is None else result.replace(mask=None)

    assert_breaks(DropsTheMask(), "keeps_what_it_does_not_write", "drops mask")


def test_a_new_image_is_made_and_everything_else_forgotten():
    class Forgetful(Good):
        """Return a new image."""

        def process(self, image: Image, *state: State) -> Image | None:
            result = super().process(image)
            return None if result is None else Image(result.data, axes=image.axes)

    said = broken_rules(Forgetful())["keeps_what_it_does_not_write"]
    assert "return image.replace(…), not Image(…)" in said


def test_more_is_changed_than_declared():
    class Renames(Good):
        """Change a card without saying so."""

        def process(self, image: Image, *state: State) -> Image | None:
            result = super().process(image)
            if result is not None:
                result.header["OBJECT"] = "?"
            return result

    assert_breaks(Renames(), "keeps_what_it_does_not_write", "changes header.OBJECT")


def test_a_promise_is_not_kept():
    class Promises(Good):
        """Declare an uncertainty and make none of the columns."""

        writes = {"data", "catalog.age"}

    assert_breaks(Promises(), "writes_what_it_declares", "catalog.age")


def test_a_missing_card_is_a_key_error():
    class Raises(Good):
        """Divide by the exposure time."""

        reads = {"data", "mask?", "header.EXPTIME"}

        def process(self, image: Image, *state: State) -> Image | None:
            return image.replace(data=image.data / np.float32(image.header["EXPTIME"]))

    assert_breaks(Raises(), "names_what_is_missing", "without header.EXPTIME it raised KeyError")


def test_a_need_is_not_one():
    class Boasts(Good):
        """Declare more than is needed."""

        reads = {"data", "mask?", "uncertainty"}

    assert_breaks(Boasts(), "names_what_is_missing", "write 'uncertainty?'")


def test_an_option_is_none():
    class NeedsTheMask(Good):
        """Need what is declared as optional."""

        def process(self, image: Image, *state: State) -> Image | None:
            return super().process(image) if image.mask is not None else None

    assert "mask is optional" in broken_rules(NeedsTheMask())["names_what_is_missing"]


def test_a_need_is_not_declared():
    class Secret(Good):
        """Need the gain without saying so."""

        def process(self, image: Image, *state: State) -> Image | None:
            if image.gain is None:
                raise ImageError(f"{image.label} has no gain")
            return super().process(image)

    assert_breaks(Secret(), "declares_what_it_reads", "has no gain")


def test_memory_in_a_private_attribute():
    class Compares(Good):
        """Subtract the first image that was ever seen."""

        _first: Any = PrivateAttr(None)

        def process(self, image: Image, *state: State) -> Image | None:
            if self._first is None or self._first.shape != image.data.shape:
                self._first = image.data.astype(np.float32)
            result = super().process(image)
            assert result is not None
            with np.errstate(invalid="ignore"):
                return result.replace(data=np.nan_to_num(result.data - self._first))

    assert "remembers_nothing" in broken_rules(Compares())


def test_memory_on_the_class():
    class Counts(Good):
        """Count images."""

        seen: ClassVar[list[str]] = []

        def process(self, image: Image, *state: State) -> Image | None:
            self.seen.append(str(image.name))
            return super().process(image)

    assert_breaks(Counts(), "remembers_nothing", "keeps something on itself: Counts.seen")


FIRST_LEVEL: dict[str, float] = {}


def test_memory_in_the_module():
    class AgainstTheFirst(Good):
        """Subtract the level of the first image that was ever seen."""

        def process(self, image: Image, *state: State) -> Image | None:
            level = FIRST_LEVEL.setdefault("level", float(np.nan_to_num(image.data).mean()))
            return image.replace(data=image.data - level)

    try:
        assert_breaks(AgainstTheFirst(), "remembers_nothing", "in its module: FIRST_LEVEL")
    finally:
        FIRST_LEVEL.clear()


def test_random_numbers_without_a_seed():
    class Dithers(Good):
        """Add noise that nobody can repeat."""

        def process(self, image: Image, *state: State) -> Image | None:
            noise = np.random.default_rng().normal(size=image.data.shape)
            return image.replace(data=(image.data + noise).astype(np.float32))

    assert "without a seed" in broken_rules(Dithers())["remembers_nothing"]


def test_memory_is_told_apart_from_a_cached_property():
    from functools import cached_property

    class Prepares(Good):
        """Compute something from the parameters once."""

        @cached_property
        def kernel(self) -> np.ndarray:
            return np.ones(3) * self.factor

        def process(self, image: Image, *state: State) -> Image | None:
            assert self.kernel.size == 3
            return super().process(image)

    check_processor(Prepares())


def test_images_disturb_each_other_when_they_run_at_once():
    class Shares(Good):
        """Keep a buffer between two moments."""

        buffer: ClassVar[dict[str, Any]] = {}

        def process(self, image: Image, *state: State) -> Image | None:
            self.buffer["now"] = image
            time.sleep(0.003)
            return super().process(self.buffer["now"])

    assert "remembers_nothing" in broken_rules(Shares())


def test_a_sequential_processor_that_remembers_elsewhere():
    class Elsewhere(Good):
        """Keep the memory in a place that reset() does not reach."""

        sequential = True
        memory: ClassVar[dict[int, int]] = {}

        def process(self, image: Image, *state: State) -> Image | None:
            count = self.memory.setdefault(0, 0)
            self.memory[0] = count + 1
            result = super().process(image)
            return None if result is None else result.replace(data=result.data + np.float32(count))

    assert {"remembers_nothing", "remembers_in_its_state"} <= set(broken_rules(Elsewhere()))


def test_the_loop_is_blocked_by_sleeping():
    class Sleeps(Processor):
        """Sleep where one should wait."""

        async def __call__(self, image: Image, state: State | None = None) -> Image | None:
            time.sleep(0.03)  # noqa: ASYNC251
            return image.copy()

    assert_breaks(Sleeps(), "leaves_the_loop_free", "blocks the event loop")


def test_the_loop_is_blocked_within_a_task():
    class Spawns(Processor):
        """Block in a task of its own."""

        async def __call__(self, image: Image, state: State | None = None) -> Image | None:
            async def work() -> None:
                await asyncio.sleep(0)
                time.sleep(0.03)  # noqa: ASYNC251

            await asyncio.gather(work(), work())
            return image.copy()

    assert_breaks(Spawns(), "leaves_the_loop_free", "blocks the event loop")


def test_the_loop_is_blocked_by_computing():
    class Computes(Processor):
        """Sort all pixels on the loop."""

        reads = {"data"}
        writes = {"header.MEDIAN"}

        async def __call__(self, image: Image, state: State | None = None) -> Image | None:
            values = np.sort(image.data[np.isfinite(image.data)], axis=None)
            done = image.copy()
            for _ in range(3):
                values = np.sort(image.data[np.isfinite(image.data)].astype(np.float64), axis=None)
            if values.size:
                done.header["MEDIAN"] = float(values[values.size // 2])
            return done

    assert "blocks the event loop" in broken_rules(Computes())["leaves_the_loop_free"]


@pytest.mark.parametrize("what", ["environment", "random", "python random"])
def test_what_all_share_is_changed(what, monkeypatch):
    monkeypatch.setenv("ETENDUE_TEST", "0")

    class Meddles(Good):
        """Change what belongs to all."""

        def process(self, image: Image, *state: State) -> Image | None:
            match what:
                case "environment":
                    os.environ["ETENDUE_TEST"] += "1"
                case "random":
                    np.random.rand()  # noqa: NPY002
                case "python random":
                    random.random()
            return super().process(image)

    assert_breaks(Meddles(), "leaves_the_world_alone", "other images and processors share")


def test_a_result_that_no_file_can_hold():
    class Unwritable(Good):
        """Make a column of objects."""

        reads = {"catalog"}
        writes = {"catalog.things"}

        def process(self, image: Image, *state: State) -> Image | None:
            done = image.copy()
            done.catalog["things"] = np.array([object() for _ in range(len(done.catalog))], dtype=object)
            return done

    assert "cannot be written to a file" in broken_rules(Unwritable())["gives_what_can_be_written"]


def test_good_pixels_are_made_nan():
    class Logarithm(Good):
        """Take the logarithm of what may be negative."""

        def process(self, image: Image, *state: State) -> Image | None:
            result = super().process(image)
            assert result is not None
            return result.replace(data=np.log(result.data))

    assert {"gives_numbers"} <= set(broken_rules(Logarithm()))


def test_one_nan_spoils_everything():
    class MeanOfAll(Good):
        """Subtract the mean, NaN or not."""

        reads = {"data"}

        def process(self, image: Image, *state: State) -> Image | None:
            with np.errstate(invalid="ignore"):
                return image.replace(data=image.data.astype(np.float32) - np.float32(image.data.mean()))

    assert_breaks(MeanOfAll(), "ignores_a_bad_pixel", "turns 100% of its result into NaN")


def test_one_nan_in_a_header_card():
    class Level(Good):
        """Note the mean in the header."""

        reads = {"data"}
        writes = {"header.LEVEL"}

        def process(self, image: Image, *state: State) -> Image | None:
            done = image.copy()
            done.header["LEVEL"] = float(done.data.mean())
            return done

    # astropy itself refuses NaN in a header, with a ValueError.
    assert "ignores_a_bad_pixel" in broken_rules(Level())


def test_counts_wrap_around():
    class Wraps(Good):
        """Subtract without thinking of unsigned integers."""

        reads = {"data"}

        def process(self, image: Image, *state: State) -> Image | None:
            return image.replace(data=image.data - image.data.dtype.type(900))

    assert_breaks(Wraps(), "integers_give_the_same", "wrap around")


def test_integers_are_refused():
    class Floats(Good):
        """Work on floats only."""

        def process(self, image: Image, *state: State) -> Image | None:
            if image.data.dtype.kind != "f":
                raise ImageError(f"{image.label} does not hold floats")
            return super().process(image)

    assert_breaks(Floats(), "integers_give_the_same", "on integer pixels it raised ImageError")


def measured(image: Image, *, exchanged: bool = False, safe: bool = True) -> Image:
    """Sums of boxes of 5 x 5 pixels around the sources, in a column of their own."""
    x, y = (np.nan_to_num(np.asarray(image.catalog[name], dtype=float), nan=-99) for name in ("x", "y"))
    x, y = (y, x) if exchanged else (x, y)
    padded = np.pad(np.nan_to_num(image.data.astype(np.float64), posinf=0), 50) if safe else image.data
    border = 50 if safe else 0
    height, width = image.shape
    sums = [
        padded[int(v) + border - 2 : int(v) + border + 3, int(u) + border - 2 : int(u) + border + 3].sum()
        if not safe or (-9 < u < width + 9 and -9 < v < height + 9)
        else np.nan
        for u, v in zip(np.rint(x), np.rint(y), strict=True)
    ]
    done = image.copy()
    done.catalog["flux_box"] = np.array(sums, dtype=float)
    return done


class Boxes(Processor):
    """Measure sources in boxes."""

    reads = {"data", "catalog.x", "catalog.y"}
    writes = {"catalog.flux_box"}

    exchanged: bool = Field(False, description="take x for the row")

    def process(self, image: Image, *state: State) -> Image | None:
        if image.data.ndim != 2:
            raise ImageError(f"{image.label} has more than one plane")
        if missing := {"x", "y"} - set(image.catalog.colnames):
            raise ImageError(f"the catalogue of {image.label} has no column {' or '.join(missing)}")
        return measured(image, exchanged=self.exchanged)


def test_measuring_where_the_light_is_passes():
    check_processor(Boxes())


def test_x_and_y_are_exchanged_when_measuring():
    assert_breaks(Boxes(exchanged=True), "follows_the_light", "x is the column and y the row")


class Peaks(Processor):
    """Find the pixels that are far above the rest."""

    reads = {"data"}
    writes = {"catalog"}

    exchanged: bool = Field(False, description="take x for the row")

    def process(self, image: Image, *state: State) -> Image | None:
        from scipy.ndimage import maximum_filter

        if image.data.ndim != 2:
            raise ImageError(f"{image.label} has more than one plane")
        data = np.nan_to_num(image.data.astype(np.float32), posinf=0)
        level, width = np.median(data), np.percentile(data, 84) - np.median(data)
        found = (data == maximum_filter(data, 7)) & (data > level + 10 * width + 1)
        row, column = np.nonzero(found)
        x, y = (row, column) if self.exchanged else (column, row)
        from etendue.images import make_catalog

        return image.replace(catalog=make_catalog(x=x, y=y, peak=data[row, column]))


def test_finding_where_the_light_is_passes():
    check_processor(Peaks())


def test_x_and_y_are_exchanged_when_finding():
    assert_breaks(Peaks(exchanged=True), "follows_the_light", "x and y are exchanged")


def test_a_square_frame_is_assumed():
    class Corner(Good):
        """Note the value of the last pixel of the diagonal."""

        reads = {"data"}
        writes = {"header.CORNER"}

        def process(self, image: Image, *state: State) -> Image | None:
            done = image.copy()
            height, width = image.shape
            value = float(np.nan_to_num(image.data[..., width - 1, height - 1].mean()))
            done.header["CORNER"] = min(max(value, -1e30), 1e30)
            return done

    # The example is not square either, so there is no image on which it works.
    assert "IndexError" in str(broken_rules(Corner()))


def test_an_index_error_at_the_edge():
    class Central(Good):
        """Take a pixel that small frames do not have."""

        reads = {"data"}
        writes = {"header.CENTER"}

        def process(self, image: Image, *state: State) -> Image | None:
            done = image.copy()
            done.header["CENTER"] = float(np.clip(np.nan_to_num(image.data[..., 20, 20].mean()), -1e30, 1e30))
            return done

    said = broken_rules(Central())
    assert "raised IndexError" in said["copes_with_edges"]
    assert set(said) == {"copes_with_edges"}


def test_an_error_without_a_message():
    class Curt(Good):
        """Refuse without a word."""

        def process(self, image: Image, *state: State) -> Image | None:
            if image.shape[0] < 10:
                raise ImageError
            return super().process(image)

    assert_breaks(Curt(), "copes_with_edges", "write a sentence")


def test_numpy_warns_at_the_edge():
    class Divides(Good):
        """Divide by the largest value, which may be 0."""

        reads = {"data"}

        def process(self, image: Image, *state: State) -> Image | None:
            data = image.data.astype(np.float32)
            finite = data[np.isfinite(data)]
            return image.replace(data=data / (finite.max() if finite.size else 1))

    assert_breaks(Divides(), "copes_with_edges", "numpy warns")


def test_errors_that_may_pass_are_no_breach():
    class Offline(Good):
        """Ask a service that is down for small frames."""

        def process(self, image: Image, *state: State) -> Image | None:
            if image.shape[0] < 10:
                raise TransientError("the service does not answer, try again later")
            return super().process(image)

    check_processor(Offline())


# --- the tool itself ----------------------------------------------------------------------------------------------


def test_all_broken_rules_are_listed_at_once():
    class Bad(Good):
        writes = {"data", "pixels"}

        def process(self, image: Image, *state: State) -> Image | None:
            image.header["MARK"] = 1
            return None

    with pytest.raises(ContractBroken) as caught:
        check_processor(Bad())

    assert {"declares_known_parts", "leaves_its_input_alone"} <= {rule for rule, _ in caught.value.broken}
    assert "leaves_its_input_alone: it changes its input" in str(caught.value)
    assert isinstance(caught.value, AssertionError)


def test_rules_have_texts_and_can_be_skipped():
    names = [name for name, text in checks() if text]

    assert len(names) == len(checks()) > 15

    class NoDescription(Good):
        """Have a parameter without description."""

        other: int = 3

    check_processor(NoDescription(), skip={"is_documented"})
    with pytest.raises(ValueError, match="there is no rule is_documentd"):
        check_processor(NoDescription(), skip={"is_documentd"})


def test_example_images_are_complete_and_private():
    first, second = example_images()["stars"], example_images()["stars"]
    first.header["OBJECT"] = "changed"

    assert second.header["OBJECT"] == "Example field"
    assert second.shape[0] != second.shape[1]
    assert all(getattr(second, plane) is not None for plane in ("data", "mask", "uncertainty", "raw", "catalog", "wcs"))
    assert {"movie", "colour"} < set(example_images())


def test_edges_are_those_of_the_design():
    named = " ".join(edge_images(example_images()["stars"]))

    for edge in (
        "NaN",
        "every pixel masked",
        "empty catalogue",
        "border",
        "integer",
        "big-endian",
        "rotated WCS",
        "zeros",
    ):
        assert edge in named
