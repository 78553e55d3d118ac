"""Arithmetic between images: pixels, errors and masks together."""

import operator
import warnings

import numpy as np
import pytest
from astropy import units
from hypothesis import given
from hypothesis import strategies as st

from etendue.images import Image, ImageError, PixelFlag
from etendue.images.arithmetic import combined_masks, flagged

OPERATORS = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv}


def image(value, error=None, mask=None, dtype=np.float32):
    data = np.full((2, 3), value, dtype)
    return Image(data, uncertainty=None if error is None else np.full((2, 3), error, np.float32), mask=mask)


@pytest.mark.parametrize(
    ("symbol", "value", "error"),
    [
        ("+", 16.0, np.hypot(0.3, 0.4)),
        ("-", 8.0, np.hypot(0.3, 0.4)),
        ("*", 48.0, np.hypot(0.3 * 4, 0.4 * 12)),
        ("/", 3.0, 3 * np.hypot(0.3 / 12, 0.4 / 4)),
    ],
)
def test_errors_propagate_to_first_order(symbol, value, error):
    result = OPERATORS[symbol](image(12.0, 0.3), image(4.0, 0.4))

    assert result.data == pytest.approx(np.full((2, 3), value))
    assert result.uncertainty == pytest.approx(np.full((2, 3), error))


@pytest.mark.parametrize("symbol", OPERATORS)
def test_errors_are_those_of_a_simulation(symbol):
    rng = np.random.default_rng(7)
    left, right = rng.normal(100, 2.0, 400_000), rng.normal(50, 1.0, 400_000)

    result = OPERATORS[symbol](image(100.0, 2.0), image(50.0, 1.0))

    assert result.uncertainty[0, 0] == pytest.approx(OPERATORS[symbol](left, right).std(), rel=0.01)


@pytest.mark.parametrize("symbol", OPERATORS)
def test_errors_agree_with_astropy(symbol):
    from astropy.nddata import CCDData, StdDevUncertainty

    rng = np.random.default_rng(3)
    a, b = rng.uniform(1, 5, (2, 4, 4))
    ea, eb = rng.uniform(0.1, 1, (2, 4, 4))
    name = {"+": "add", "-": "subtract", "*": "multiply", "/": "divide"}[symbol]
    ccds = [CCDData(v, unit="adu", uncertainty=StdDevUncertainty(e)) for v, e in ((a, ea), (b, eb))]

    expected = getattr(ccds[0], name)(ccds[1])
    result = OPERATORS[symbol](Image(a, uncertainty=ea), Image(b, uncertainty=eb))

    assert result.data == pytest.approx(expected.data)
    assert result.uncertainty == pytest.approx(expected.uncertainty.array)


@given(symbol=st.sampled_from(sorted(OPERATORS)), number=st.floats(0.1, 50), swapped=st.booleans())
def test_numbers_count_as_free_of_error(symbol, number, swapped):
    operands = (number, image(4.0, 0.4)) if swapped else (image(4.0, 0.4), number)
    values = (number, 4.0) if swapped else (4.0, number)

    result = OPERATORS[symbol](*operands)

    expected = OPERATORS[symbol](*values)
    slope = {"+": 1, "-": 1, "*": number, "/": expected / 4.0 if swapped else 1 / number}[symbol]
    assert result.data[0, 0] == pytest.approx(expected, rel=1e-5, abs=1e-5)
    assert result.uncertainty[0, 0] == pytest.approx(abs(slope) * 0.4, rel=1e-5)


def test_without_uncertainty_there_is_none_afterwards():
    assert (image(1.0) + image(2.0)).safe_uncertainty is None
    assert (image(1.0, 0.5) + image(2.0)).uncertainty[0, 0] == 0.5
    assert (image(1.0) * image(2.0, 0.5)).uncertainty[0, 0] == 0.5


@pytest.mark.parametrize(
    ("left", "right", "result"),
    [
        (np.float32, np.float32, np.float32),
        (np.uint16, np.uint16, np.float32),
        (np.float32, np.float64, np.float64),
        (np.uint8, np.float32, np.float32),
    ],
)
def test_types_of_results(left, right, result):
    assert (image(1, dtype=left) - image(2, dtype=right)).data.dtype == result


def test_unsigned_pixels_do_not_wrap():
    assert (image(1, dtype=np.uint16) - image(2, dtype=np.uint16)).data[0, 0] == -1
    assert (image(1, dtype=np.uint16) - 2).data[0, 0] == -1
    assert (3 - image(5, dtype=np.uint8)).data[0, 0] == -2


@pytest.mark.parametrize("number", [2, 2.5, np.float64(2.5), np.int64(2)])
def test_numbers_do_not_make_images_larger(number):
    assert (image(1.0) * number).data.dtype == np.float32
    assert (number * image(1.0)).data.dtype == np.float32


def test_arrays_on_either_side():
    array = np.arange(6.0).reshape(2, 3)

    assert (array - image(1.0)).data.tolist() == (array - 1).tolist()
    assert (image(1.0) - array).data.tolist() == (1 - array).tolist()


@pytest.mark.parametrize("mask", [None, np.zeros((2, 3), bool), np.zeros((2, 3), np.uint8)])
def test_division_by_zero_is_masked_and_silent(mask):
    divisor = Image([[1.0, 0.0, 2.0]] * 2, uncertainty=np.ones((2, 3), np.float32))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = image(4.0, 0.1, mask) / divisor
        other = image(0.0, 0.1, mask) / divisor

    assert result.data[0, [0, 2]].tolist() == [4.0, 2.0]
    assert np.isnan(result.data[:, 1]).all()
    assert np.isnan(result.uncertainty[:, 1]).all()
    flag = True if mask is None or mask.dtype == bool else PixelFlag.NO_DATA
    assert result.mask.tolist() == [[0, flag, 0]] * 2
    assert other.mask.tolist() == [[0, flag, 0]] * 2


def test_overflow_is_masked():
    result = image(3e38) * image(3e38)

    assert np.isnan(result.data).all()
    assert result.mask.all()


def test_nan_stays_nan_without_inventing_a_mask():
    result = Image([[np.nan, 1.0]]) + 1

    assert np.isnan(result.data[0, 0])
    assert result.safe_mask is None


def test_masked_in_either_is_masked():
    left, right = np.zeros((2, 3), bool), np.zeros((2, 3), bool)
    left[0, 0] = right[1, 1] = True

    mask = (image(1.0, mask=left) + image(1.0, mask=right)).mask

    assert mask.dtype == bool
    assert np.argwhere(mask).tolist() == [[0, 0], [1, 1]]


def test_flags_are_joined():
    left, right = np.zeros((2, 3), np.uint8), np.zeros((2, 3), np.int32)
    left[0, 0], right[0, 0], right[1, 1] = PixelFlag.SATURATED, PixelFlag.COSMIC_RAY, PixelFlag.EDGE

    mask = (image(1.0, mask=left) - image(1.0, mask=right)).mask

    assert mask[0, 0] == PixelFlag.SATURATED | PixelFlag.COSMIC_RAY
    assert mask[1, 1] == PixelFlag.EDGE
    assert mask.sum() == 12 + 16


def test_bool_next_to_flags_is_bad():
    flags = np.array([[0, 4]], np.uint8)

    assert combined_masks(np.array([[True, True]]), flags).tolist() == [[2, 6]]
    assert combined_masks(flags, np.array([[True, False]])).tolist() == [[2, 4]]
    assert combined_masks(flags, None) is flags
    assert combined_masks(np.ones(1, np.uint64), np.ones(1, np.int8)).dtype == np.uint64


def test_flagging_keeps_the_kind_of_mask():
    where = np.array([True, False])

    assert flagged(None, where, PixelFlag.EDGE).dtype == bool
    assert flagged(np.array([4, 4], np.int16), where, PixelFlag.EDGE).tolist() == [20, 4]


def test_shapes_must_match():
    with pytest.raises(ImageError, match=r"\(2, 3\) and \(3, 2\)"):
        image(1.0) + Image(np.zeros((3, 2)))
    with pytest.raises(ImageError):
        image(1.0) + np.zeros(3)


def test_operands_need_pixels():
    with pytest.raises(ImageError, match="no data"):
        image(1.0) / Image()
    with pytest.raises(ImageError, match="no data"):
        Image() / image(1.0)


def test_other_things_are_refused_by_type():
    with pytest.raises(TypeError):
        image(1.0) + "1"


def test_colour_with_one_mask_for_all_channels():
    mask = np.array([[True, False]])
    colour = Image(np.ones((3, 1, 2)), mask=mask, uncertainty=np.full((1, 2), 2.0))

    doubled, flat = colour * 2, colour - Image([[1.0, 2.0]], uncertainty=np.zeros((1, 2)))

    assert doubled.mask.tolist() == mask.tolist()
    assert doubled.uncertainty.tolist() == [[4.0, 4.0]]
    assert doubled.is_color
    assert flat.data[:, 0].tolist() == [[0.0, -1.0]] * 3


def test_a_movie_minus_a_frame():
    movie = Image(np.ones((5, 1, 2)), axes="TYX")

    assert (movie - Image([[1.0, 0.0]])).data[:, 0].tolist() == [[0.0, 1.0]] * 5


def test_everything_else_is_that_of_the_left_image():
    left = Image(np.ones((1, 1)), {"OBJECT": "M31"}, name="left.fits")

    result = left - Image(np.ones((1, 1)), {"OBJECT": "bias"})

    assert result.header["OBJECT"] == "M31"
    assert result.name == "left.fits"


def test_operands_are_not_changed():
    left, right = image(1.0, 0.5), image(0.0, 0.5)

    _ = left / right

    assert left.data[0, 0] == 1.0
    assert left.safe_mask is None
    assert right.uncertainty[0, 0] == 0.5


def test_grey_from_colour():
    colour = Image(
        np.stack([np.full((2, 2), value, np.float32) for value in (10, 20, 30)]),
        {"CTYPE3": "RGB", "CRPIX3": 1.0, "CD3_3": 1.0, "WCSAXES": 3, "OBJECT": "M42"},
        mask=np.eye(2, dtype=bool),
        uncertainty=np.ones((3, 2, 2), np.float32),
        axes="CYX",
    )

    grey = colour.to_grayscale()

    assert grey.data == pytest.approx(np.full((2, 2), 18.596), rel=1e-6)
    assert grey.data.dtype == np.float32
    assert grey.axes == "YX"
    assert grey.uncertainty[0, 0] == pytest.approx(np.sqrt(0.2126**2 + 0.7152**2 + 0.0722**2))
    assert grey.mask.tolist() == [[True, False], [False, True]]
    assert {"NAXIS3", "CTYPE3", "CRPIX3", "CD3_3"}.isdisjoint(grey.header)
    assert (grey.header["NAXIS"], grey.header["WCSAXES"], grey.header["OBJECT"]) == (2, 2, "M42")


def test_grey_masks_what_any_channel_masks():
    mask = np.zeros((3, 1, 2), np.uint8)
    mask[0, 0, 0], mask[2, 0, 0] = 1, 4

    assert Image(np.ones((3, 1, 2)), mask=mask).to_grayscale().mask.tolist() == [[5, 0]]


def test_a_grey_image_comes_back_as_a_copy():
    grey = image(1.0)

    assert grey.to_grayscale() is not grey
    assert grey.to_grayscale().data is grey.data


@pytest.mark.parametrize("symbol", ["+", "-"])
@pytest.mark.parametrize(("one", "other"), [("adu", "electron"), ("electron", "electron/s")])
def test_counts_are_not_added_to_electrons(symbol, one, other):
    left, right = (Image(np.ones((2, 2)), {"BUNIT": unit}) for unit in (one, other))

    with pytest.raises(ImageError, match=f"{one} and one in {other}"):
        OPERATORS[symbol](left, right)


@pytest.mark.parametrize(("one", "other"), [("ADU", "counts"), ("DN", "adu"), ("e-", "electron"), ("adu", None)])
def test_units_with_several_names_go_together(one, other):
    left, right = Image(np.ones((2, 2)), {"BUNIT": one}), Image(np.ones((2, 2)), {"BUNIT": other} if other else None)

    assert (left - right).unit == one.lower()


def test_a_flat_in_counts_divides_electrons():
    assert (Image(np.ones((2, 2)), {"BUNIT": "electron"}) / Image(np.ones((2, 2)), {"BUNIT": "adu"})).unit == "electron"


@pytest.mark.parametrize(
    ("operand", "reason"),
    [
        (2.0 * units.electron, "electron"),
        (np.ones((2, 2)) * units.electron, "electron"),
        (np.ma.masked_greater([[1.0, 9.0], [1.0, 1.0]], 5.0), "masked array"),
        (np.complex64(1j), "real numbers"),
        (np.array([["a", "b"], ["c", "d"]]), "real numbers"),
    ],
)
def test_operands_that_would_lose_their_meaning_are_refused(operand, reason):
    image = Image(np.ones((2, 2)))
    for attempt in (lambda: image * operand, lambda: operand * image):
        with pytest.raises(ImageError, match=reason):
            attempt()
