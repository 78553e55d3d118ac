"""Trim, crop, bin, flip, shift: everything moves together."""

import warnings

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS
from hypothesis import given, settings
from hypothesis import strategies as st

from etendue.images import Image, ImageError, PixelFlag, Section, make_catalog


def rotated_header(angle, *, style="cd", mirrored=False, sip=False, crpix=(13.2, 7.9), scale=2e-4):
    """A header with a rotated, possibly mirrored and distorted WCS, made from the closed form."""
    c, s = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    matrix = np.array([[c, -s], [s, c]]) @ np.diag([1.0 if mirrored else -1.0, 1.0])
    suffix = "-SIP" if sip else ""
    header = {
        "CTYPE1": f"RA---TAN{suffix}",
        "CTYPE2": f"DEC--TAN{suffix}",
        "CRVAL1": 83.6,
        "CRVAL2": 22.0,
        "CRPIX1": crpix[0],
        "CRPIX2": crpix[1],
    }
    if style == "cd":
        header |= {f"CD{i + 1}_{j + 1}": scale * matrix[i, j] for i in (0, 1) for j in (0, 1)}
    elif style == "pc":
        header |= {"CDELT1": scale, "CDELT2": 1.5 * scale}
        header |= {f"PC{i + 1}_{j + 1}": matrix[i, j] for i in (0, 1) for j in (0, 1)}
    elif style == "crota":
        header |= {"CDELT1": -scale, "CDELT2": 1.5 * scale, "CROTA2": angle}
    else:
        header |= {"CDELT1": -scale, "CDELT2": 1.5 * scale}
    if sip:
        header |= {"A_ORDER": 2, "B_ORDER": 3, "A_2_0": 2e-4, "A_1_1": -3e-4, "A_0_2": 1e-4, "B_2_0": 4e-4}
        header |= {"B_1_1": 1e-4, "B_0_2": -2e-4, "B_2_1": 3e-6, "B_0_3": -2e-6, "A_DMAX": 2.0}
    return header


def sky(image, x, y):
    wcs = WCS(fits.Header(image.header.cards, copy=True), fix=False)
    return np.array(wcs.all_pix2world(np.asarray(x, float), np.asarray(y, float), 0))


operations = st.one_of(
    st.tuples(st.integers(0, 6), st.integers(0, 5), st.integers(7, 18), st.integers(7, 20)).map(
        lambda s: ("crop", lambda image: image.crop(Section(s[0], s[0] + s[2], s[1], s[1] + s[3])))
    ),
    st.tuples(st.booleans(), st.booleans()).map(lambda f: ("flip", lambda image: image.flip(x=f[0], y=f[1]))),
    st.tuples(st.integers(-4, 4), st.integers(-4, 4)).map(lambda d: ("shift", lambda image: image.shift(*d))),
    st.tuples(st.integers(1, 4), st.sampled_from(["mean", "sum"])).map(
        lambda b: ("bin", lambda image: image.bin(b[0], method=b[1]))
    ),
)


@settings(max_examples=120, deadline=None)
@given(
    operation=operations,
    angle=st.floats(0, 360),
    style=st.sampled_from(["cd", "pc", "crota", "cdelt"]),
    mirrored=st.booleans(),
    sip=st.booleans(),
)
def test_sky_positions_of_sources_are_invariant(operation, angle, style, mirrored, sip):
    header = rotated_header(angle, style=style, mirrored=mirrored, sip=sip)
    x, y = np.array([5.0, 10.3, 20.7, 2.1]), np.array([3.0, 11.6, 19.2, 22.4])
    image = Image(np.zeros((26, 25), np.float32), header, catalog=make_catalog(id=[1, 2, 3, 4], x=x, y=y))
    before = dict(zip([1, 2, 3, 4], sky(image, x, y).T, strict=True))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        moved = operation[1](image)
        after = sky(moved, moved.catalog["x"], moved.catalog["y"]).T

    for number, position in zip(moved.catalog["id"], after, strict=True):
        assert position == pytest.approx(before[number], abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(operation=operations, seed=st.integers(0, 100))
def test_the_brightest_pixel_stays_under_its_source(operation, seed):
    rng = np.random.default_rng(seed)
    x, y = int(rng.integers(8, 12)), int(rng.integers(8, 12))
    data = np.zeros((24, 24), np.float32)
    data[y, x] = 100
    image = Image(data, raw=data.astype(np.uint16), uncertainty=data, catalog=make_catalog(x=[x], y=[y]))

    moved = operation[1](image)

    if len(moved.catalog):
        column, row = (int(np.rint(moved.catalog[axis][0])) for axis in "xy")
        for plane in (moved.data, moved.raw, moved.uncertainty):
            assert np.nanargmax(plane) == row * plane.shape[1] + column


def test_alternate_wcs_and_physical_coordinates_follow():
    header = {"CRPIX1": 5.0, "CRPIX2": 6.0, "CRPIX1P": 1.0, "CRPIX2P": 1.0, "CRVAL1P": 101.0, "CRVAL2P": 201.0}
    header |= {"CTYPE1P": "x", "CTYPE2P": "y", "CDELT1P": 1.0, "CDELT2P": 1.0}
    header |= {"LTV1": -100.0, "LTV2": -200.0, "LTM1_1": 1.0, "LTM2_2": 1.0}

    binned = Image(np.zeros((8, 8)), header).crop(Section(2, 8, 4, 8)).bin(2).header

    # Pixel (1, 1) of the new image covers columns 3 and 4, rows 5 and 6 of the old one: its centre is (3.5, 5.5).
    assert binned["CRVAL1P"] + (1 - binned["CRPIX1P"]) * binned["CDELT1P"] == pytest.approx(103.5)
    assert binned["CRVAL2P"] + (1 - binned["CRPIX2P"]) * binned["CDELT2P"] == pytest.approx(205.5)
    assert (1 - binned["LTV1"]) / binned["LTM1_1"] == pytest.approx(103.5)
    assert (1 - binned["LTV2"]) / binned["LTM2_2"] == pytest.approx(205.5)


def test_reference_pixel_of_a_binned_image_is_geometrically_right():
    binned = Image(np.zeros((16, 16)), {"CRPIX1": 8.0, "CRPIX2": 8.0, "CDELT1": 1.0, "CDELT2": 1.0}).bin(4)

    assert binned.header["CRPIX1"] == 2.375
    assert binned.header["CDELT1"] == 4.0


def test_pixel_scale_follows_binning_of_a_rotated_field():
    image = Image(np.zeros((8, 8)), rotated_header(90.0, scale=1e-4))

    assert image.pixel_scale == pytest.approx(0.36)
    assert image.bin(2).pixel_scale == pytest.approx(0.72)


def test_wcs_cut_agrees_with_astropy_slicing():
    header = rotated_header(33.0, sip=True)
    image = Image(np.zeros((26, 25)), header)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = WCS(fits.Header(image.header.cards, copy=True))[4:20, 3:22]
        cut = image.crop(Section(3, 22, 4, 20))

        assert sky(cut, [1.0, 7.5], [2.0, 3.5]) == pytest.approx(
            np.array(expected.all_pix2world([1.0, 7.5], [2.0, 3.5], 0))
        )


# --- binning ---------------------------------------------------------------------------------------------------


def test_blocks_are_averaged():
    assert Image(np.arange(16.0).reshape(4, 4)).bin(2).data.tolist() == [[2.5, 4.5], [10.5, 12.5]]


def test_sum_of_blocks():
    assert Image(np.arange(16).reshape(4, 4)).bin(2, method="sum").data.tolist() == [[10, 18], [42, 50]]


def test_masked_and_nan_pixels_are_left_out_of_a_block():
    data = np.array([[1, 3, np.nan, 8], [1, 999, 4, 6]], np.float32)
    mask = np.zeros((2, 4), bool)
    mask[1, 1] = True

    mean = Image(data, mask=mask, uncertainty=np.full((2, 4), 3.0)).bin(2)
    total = Image(data, mask=mask, uncertainty=np.full((2, 4), 3.0)).bin(2, method="sum")

    assert mean.data[0] == pytest.approx([5 / 3, 6])
    assert mean.uncertainty[0] == pytest.approx([np.sqrt(27) / 3] * 2)
    assert not mean.mask.any()
    assert total.data[0] == pytest.approx([20 / 3, 24])
    assert total.uncertainty[0] == pytest.approx([4 * np.sqrt(27) / 3] * 2)


def test_error_of_a_mean_is_that_of_its_pixels(rng):
    noise = rng.normal(0, 2.0, (400, 400)).astype(np.float32)

    binned = Image(noise, uncertainty=np.full(noise.shape, 2.0, np.float32)).bin(4)

    assert binned.uncertainty[0, 0] == pytest.approx(0.5)
    assert binned.data.std() == pytest.approx(0.5, rel=0.03)


def test_a_block_without_good_pixels_is_flagged_with_all_reasons():
    flags = np.zeros((4, 4), np.int16)
    flags[:2, :2] = [[PixelFlag.SATURATED, PixelFlag.COSMIC_RAY], [PixelFlag.SATURATED, PixelFlag.SATURATED]]
    flags[2, 2] = PixelFlag.BAD

    binned = Image(np.ones((4, 4)), mask=flags).bin(2)

    assert binned.mask.tolist() == [[PixelFlag.SATURATED | PixelFlag.COSMIC_RAY | PixelFlag.NO_DATA, 0], [0, 0]]
    assert binned.mask.dtype == np.int16
    assert np.isnan(binned.data[0, 0])
    assert np.isfinite(binned.data).sum() == 3


def test_a_block_of_nans_gets_a_mask():
    data = np.ones((4, 4))
    data[:2, :2] = np.nan

    assert Image(data).bin(2).mask.tolist() == [[True, False], [False, False]]
    assert Image(np.ones((4, 4))).bin(2).safe_mask is None


def test_incomplete_blocks_are_cut_off_with_their_sources():
    image = Image(np.ones((5, 7)), catalog=make_catalog(x=[1.0, 6.0], y=[1.0, 1.0]))

    binned = image.bin(2)

    assert binned.data.shape == (2, 3)
    assert binned.catalog["x"].tolist() == [0.25]


def test_binning_is_told_under_the_name_that_the_header_uses():
    assert Image(np.ones((4, 4)), {"CCDSUM": "2 2"}).bin(2).header["CCDSUM"] == "4 4"
    assert Image(np.ones((4, 4)), {"DET-BIN1": 1, "DET-BIN2": 1}).bin(2).binning == (2, 2)
    assert Image(np.ones((4, 4))).bin(2).binning == (2, 2)
    assert "XBINNING" not in Image(np.ones((4, 4)), {"DET-BIN1": 1, "DET-BIN2": 1}).bin(2).header


@pytest.mark.parametrize("shape", [(3, 4, 6), (5, 4, 6)])
def test_colour_and_movies_are_binned_plane_by_plane(shape, rng):
    data = rng.normal(size=shape)
    mask = rng.random(shape[1:]) < 0.3

    binned = Image(data, mask=mask, uncertainty=np.ones(shape[1:])).bin(2)

    for plane, expected in zip(binned.data, data, strict=True):
        assert plane == pytest.approx(Image(expected, mask=mask).bin(2).data, nan_ok=True)
    assert binned.mask.shape == binned.uncertainty.shape == (2, 3)


def test_a_nan_in_one_channel_gives_every_channel_its_own_error():
    data = np.ones((3, 2, 2))
    data[0, 0, 0] = np.nan

    binned = Image(data, uncertainty=np.ones((2, 2))).bin(2)

    assert binned.uncertainty[:, 0, 0] == pytest.approx([1 / np.sqrt(3), 0.5, 0.5])


@pytest.mark.parametrize("factor", [0, -1, 1.5])
def test_a_wrong_binning_factor_is_refused(factor):
    with pytest.raises(ValueError, match="binning factor"):
        Image(np.ones((4, 4))).bin(factor)


def test_an_image_smaller_than_a_block_is_refused():
    with pytest.raises(ImageError, match="cannot be binned by 5"):
        Image(np.ones((4, 4))).bin(5)


# --- trim, crop, flip, shift ---------------------------------------------------------------------------------------


def test_trim_moves_the_catalogue_as_well():
    image = Image(np.zeros((8, 8)), {"TRIMSEC": "[3:8,2:8]"}, catalog=make_catalog(x=[1.0, 5.0], y=[4.0, 4.0]))

    trimmed = image.trim()

    assert trimmed.catalog["x"].tolist() == [3.0]
    assert trimmed.catalog["y"].tolist() == [3.0]


def test_raw_pixels_follow_if_they_show_the_same_part_of_the_detector():
    header = {"TRIMSEC": "[2:4,1:4]"}

    assert Image(np.zeros((4, 4)), header, raw=np.zeros((4, 4), np.uint16)).trim().raw.shape == (4, 3)
    assert Image(np.zeros((4, 4)), header, raw=np.zeros((6, 9), np.uint16)).trim().raw.shape == (6, 9)


def test_sections_follow_a_crop_or_disappear():
    header = {"DATASEC": "[1:90,1:50]", "BIASSEC": "[91:100,1:50]", "CCDSEC": "[1001:1090,501:550]"}

    cut = Image(np.zeros((50, 100)), header).crop(Section(10, 80, 5, 50)).header

    assert cut["DATASEC"] == "[1:70,1:45]"
    assert "BIASSEC" not in cut
    assert cut["CCDSEC"] == "[1011:1080,506:550]"


def test_detector_section_follows_a_crop_of_a_binned_frame():
    header = {"CCDSEC": "[1:200,1:100]"}

    assert Image(np.zeros((50, 100)), header).crop(Section(10, 20, 0, 50)).header["CCDSEC"] == "[21:40,1:100]"


def test_sections_follow_binning_and_flip():
    header = {"DATASEC": "[1:9,1:10]", "BIASSEC": "[10:12,1:10]"}
    image = Image(np.zeros((10, 12)), header)

    assert image.bin(2).header["DATASEC"] == "[1:4,1:5]"
    assert image.bin(2).header["BIASSEC"] == "[6:6,1:5]"
    assert image.flip(x=True).header["BIASSEC"] == "[1:3,1:10]"


@pytest.mark.parametrize("section", ["[0:3,1:2]", "[3:1,1:2]", "[1:9,1:4]", "garbage"])
def test_a_bad_trim_section_is_named(section):
    with pytest.raises(ImageError, match="TRIMSEC"):
        Image(np.zeros((4, 4)), {"TRIMSEC": section}).trim()


def test_shapes_and_angles_of_sources_follow():
    catalog = make_catalog(x=[3.0], y=[2.0], xmin=[2], xmax=[5], a=[4.0], b=[2.0], theta=[30.0], fwhm=[6.0], flux=[9.0])
    image = Image(np.zeros((8, 8)), catalog=catalog)

    flipped, binned = image.flip(x=True).catalog, image.bin(2).catalog

    assert (flipped["theta"][0], flipped["xmin"][0], flipped["xmax"][0]) == (-30.0, 2, 5)
    assert image.flip(x=True, y=True).catalog["theta"][0] == 30.0
    assert (binned["a"][0], binned["b"][0], binned["fwhm"][0], binned["flux"][0]) == (2.0, 1.0, 3.0, 9.0)
    assert binned["a"].unit == "pix"
    assert binned["x"].description == catalog["x"].description


def test_a_catalogue_of_another_program_keeps_unknown_columns():
    catalog = Table({"x": [1.0], "y": [1.0], "name": ["a"], "sky": [(1.0, 2.0)]})

    assert Image(np.zeros((4, 4)), catalog=catalog).flip(x=True).catalog["name"][0] == "a"


def test_flip_twice_is_the_same():
    image = Image(np.arange(12.0).reshape(3, 4), rotated_header(20.0), mask=np.eye(3, 4, dtype=bool))

    twice = image.flip(x=True, y=True).flip(y=True).flip(x=True)

    assert np.array_equal(twice.data, image.data)
    assert np.array_equal(twice.mask, image.mask)
    assert {key: twice.header[key] for key in image.header} == pytest.approx(dict(image.header), abs=1e-15)


def test_what_a_shift_brings_in_is_no_data():
    image = Image(np.ones((2, 3), np.float32), mask=np.zeros((2, 3), np.uint8), uncertainty=np.ones((2, 3)))

    shifted = image.shift(1, 0)

    assert shifted.mask.tolist() == [[PixelFlag.NO_DATA, 0, 0]] * 2
    assert np.isnan(shifted.data[:, 0]).all()
    assert np.isnan(shifted.uncertainty[:, 0]).all()
    assert Image(np.ones((2, 3), np.uint16)).shift(9, 0).mask.all()
    assert Image(np.ones((2, 3), np.uint16)).shift(0, -1).data.tolist() == [[1, 1, 1], [0, 0, 0]]


def test_an_image_without_pixels_cannot_be_moved():
    for move in (lambda i: i.crop(Section(0, 1, 0, 1)), lambda i: i.bin(2), lambda i: i.flip(x=True)):
        with pytest.raises(ImageError, match="no data"):
            move(Image())


def test_geometry_leaves_its_input_alone():
    catalog = make_catalog(x=[1.0], y=[1.0], theta=[10.0])
    image = Image(np.ones((4, 4)), rotated_header(10.0) | {"TRIMSEC": "[1:2,1:2]"}, catalog=catalog)
    before = image.header.tostring()

    image.trim(), image.bin(2), image.flip(x=True), image.shift(1, 1), image.crop(Section(0, 2, 0, 2))

    assert image.header.tostring() == before
    assert image.catalog["x"][0] == 1.0
    assert image.data.shape == (4, 4)


@pytest.mark.parametrize(
    "operation", [lambda i: i.crop(Section(2, 8, 1, 7)), lambda i: i.bin(2), lambda i: i.flip(x=True)]
)
def test_a_reference_pixel_that_the_header_leaves_out_moves_too(operation):
    """Without CRPIX it is 0, by the standard."""
    header = rotated_header(30, crpix=(0.0, 0.0))
    short = {key: value for key, value in header.items() if not key.startswith("CRPIX")}
    catalog = make_catalog(x=[3.0, 5.0], y=[4.0, 2.0])

    moved, expected = (operation(Image(np.zeros((10, 10)), cards, catalog=catalog)) for cards in (short, header))

    for image in (moved, expected):
        assert image.header["CRPIX1"] == expected.header["CRPIX1"]
        assert image.header["CRPIX2"] == expected.header["CRPIX2"]


@pytest.mark.parametrize("method", ["mean", "sum"])
@pytest.mark.parametrize("unit", ["adu", "electron"])
def test_noise_from_gain_and_read_noise_is_right_after_binning(method, unit, rng):
    """Simulated photons and readout: the scatter is what the cards of the binned image say."""
    gain, read_noise, level = 2.0, 5.0, 400.0
    electrons = rng.poisson(level, (600, 600)) + rng.normal(0, read_noise, (600, 600))
    pixels = electrons / gain if unit == "adu" else electrons
    image = Image(pixels, {"BUNIT": unit, "GAIN": gain, "EGAIN": gain, "RDNOISE": read_noise})

    binned = image.bin(3, method=method)

    if unit == "adu":
        variance = binned.data.mean() / binned.gain + (binned.read_noise / binned.gain) ** 2
    else:
        variance = (level * 9 if method == "sum" else level / 9) + binned.read_noise**2
    assert binned.data.var() == pytest.approx(variance, rel=0.03)
    assert binned.header["GAIN"] == binned.header["EGAIN"]


@pytest.mark.parametrize("saturation", [{"SATURATE": 50000.0}, {"DET-SATU": 100000.0}])
@pytest.mark.parametrize(("method", "factor"), [("mean", 1), ("sum", 4)])
def test_saturation_follows_binning(saturation, method, factor):
    image = Image(np.ones((4, 4)), {"GAIN": 2.0, **saturation}).bin(2, method=method)

    assert image.saturation == 50000 * factor


def test_magnitudes_do_not_change_with_binning():
    image = Image(np.full((4, 4), 100.0), {"ZEROPT": 25.0, "PEDESTAL": 10.0, "BKGLEVEL": 7.0})

    for method in ("mean", "sum"):
        binned = image.bin(2, method=method)
        magnitude = binned.zero_point - 2.5 * np.log10(binned.data.sum())
        assert magnitude == pytest.approx(25 - 2.5 * np.log10(1600.0))
    assert (binned.pedestal, binned.header["BKGLEVEL"]) == (40.0, 28.0)


def test_a_gain_that_is_a_word_or_a_setting_stays_when_binning():
    assert Image(np.ones((4, 4)), {"GAIN": "high"}).bin(2).header["GAIN"] == "high"
    binned = Image(np.ones((4, 4)), {"GAIN": 120, "EGAIN": 0.25}).bin(2)
    assert (binned.header["GAIN"], binned.gain) == (120, 1.0)


def test_binning_by_a_whole_float_and_shifting_by_nan():
    assert Image(np.ones((4, 4))).bin(2.0).shape == (2, 2)  # type: ignore[arg-type]
    with pytest.raises(ImageError, match="whole pixels"):
        Image(np.ones((4, 4))).shift(float("nan"), 0)  # type: ignore[arg-type]
