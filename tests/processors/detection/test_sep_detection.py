"""Detection on made frames: positions and fluxes that are known, and everything that can be wrong with a frame."""

import asyncio

import numpy as np
import pytest
import sep
from astropy.modeling.models import Moffat2D
from astropy.table import QTable
from photutils.datasets import make_model_image

from etendue.images import Image, ImageError, PixelFlag
from etendue.images.flags import SourceFlag
from etendue.processors import find_processor
from etendue.processors.detection import SepSourceDetection, extraction
from etendue.processors.pixels import for_sep, unusable_pixels


def four_moffats() -> Image:
    """Four stars without noise on a sky of 5, each drawn in a stamp of 15 x 15 pixels."""
    stars = QTable()
    stars["amplitude"] = [200, 70, 150, 210]
    stars["x_0"], stars["y_0"] = [30, 25, 80, 80], [20, 40, 25, 60]
    stars["gamma"] = stars["alpha"] = [1, 2, 1, 1]
    return Image((make_model_image((100, 100), Moffat2D(), stars, model_shape=(15, 15)) + 5).astype(np.float32))


def test_four_stars_are_measured_as_pyobs_measures_them(run):
    """Numbers of pyobs-core 2.0.0.dev91 for this frame; it counts x and y from 1 and takes 32 px boxes."""
    catalog = run(SepSourceDetection(box_size=32), four_moffats()).catalog

    assert catalog["x"] + 1 == pytest.approx([31.0005, 80.9999, 26.0, 81.0], abs=6e-4)
    assert catalog["y"] + 1 == pytest.approx([21.0002, 25.9999, 41.0001, 61.0], abs=3e-4)
    assert catalog["flux"] == pytest.approx([2629.79, 1959.95, 785.38, 2743.66], rel=1.2e-3)
    assert catalog["fwhm"] == pytest.approx([6.559, 6.477, 3.896, 6.560], abs=2e-3)
    assert list(catalog["npix"]) == [221, 213, 69, 221]
    assert catalog["ellipticity"] == pytest.approx(0, abs=1e-4)


def test_the_sky_under_stars_without_noise_is_exact(run):
    """Where the estimate is the truth, the stars come out where they were put: pyobs's are 5e-4 px off."""
    catalog = run(SepSourceDetection(), four_moffats()).catalog

    assert catalog["x"] == pytest.approx([30, 80, 25, 80], abs=1e-6)
    assert catalog["y"] == pytest.approx([20, 25, 40, 60], abs=1e-6)
    assert catalog["background"] == pytest.approx(5, abs=1e-6)
    assert catalog["xwin"] == pytest.approx(catalog["x"], abs=1e-5)
    assert list(catalog["peak"]) == [200, 150, 70, 210]


def test_x_is_the_column_and_y_the_row(run, make_stars):
    image = make_stars([(70.25, 12.5)], shape=(40, 100))

    (source,) = run(SepSourceDetection(threshold=5), image).catalog

    assert source["x"] == pytest.approx(70.25, abs=0.02)
    assert source["y"] == pytest.approx(12.5, abs=0.02)
    assert (source["xpeak"], source["ypeak"]) in [(70, 12), (70, 13)]


def test_flux_of_a_star_is_its_total(run, make_stars):
    (source,) = run(SepSourceDetection(threshold=3), make_stars([(40, 40)], 50_000.0, (80, 80), fwhm=4)).catalog

    assert source["flux"] == pytest.approx(50_000, rel=0.03)  # the Kron ellipse misses some of the wings
    assert source["fwhm"] == pytest.approx(np.hypot(4, 1.67), rel=0.02)  # smoothed by the kernel
    assert source["flux_radius_50"] == pytest.approx(4 / 2, rel=0.05)  # half of a Gaussian is within half of its FWHM


def test_columns_have_units_and_descriptions(run, make_stars):
    catalog = run(SepSourceDetection(), make_stars([(30, 30)])).catalog

    assert catalog["x"].unit == "pix"
    assert catalog["flux"].unit == "adu"
    assert all(catalog[name].description for name in catalog.colnames)
    assert {f"catalog.{name}" for name in catalog.colnames} <= SepSourceDetection.writes
    assert list(catalog["id"]) == [1]


def test_a_blank_frame_gives_an_empty_catalogue_with_the_same_columns(run, make_stars):
    stars = run(SepSourceDetection(), make_stars([(30, 30)])).catalog

    for blank in (np.zeros((64, 64)), np.full((64, 64), 1e6), np.zeros((5, 5)), np.ones((1, 1))):
        catalog = run(SepSourceDetection(), Image(blank.astype(np.float32))).catalog
        assert len(catalog) == 0
        assert catalog.colnames == stars.colnames
        assert [catalog[name].dtype for name in stars.colnames] == [stars[name].dtype for name in stars.colnames]


def test_nan_and_masked_pixels_take_no_part(run, make_stars):
    image = make_stars([(30, 30), (80, 60)], shape=(100, 120))
    data = image.data.copy()
    data[60:80, 10:30] = np.nan
    data[10:30, 80:100] = 60_000
    mask = np.zeros(data.shape, dtype=bool)
    mask[10:30, 80:100] = True

    catalog = run(SepSourceDetection(threshold=5), Image(data, mask=mask)).catalog

    assert catalog["x"] == pytest.approx([30, 80], abs=0.05)
    assert np.isfinite(catalog["flux"]).all()


def test_a_star_with_lost_pixels_is_kept_and_flagged(run, make_stars):
    image = make_stars([(30, 30)])
    with image.edit("data") as pixels:
        pixels[26:30, 33:36] = np.nan

    (source,) = run(SepSourceDetection(threshold=5), image).catalog

    assert source["flags"] & SourceFlag.APERTURE_MASKED
    assert source["flux"] == pytest.approx(10_000, rel=0.1)


def test_a_star_at_the_border_is_kept_and_flagged(run, make_stars):
    (source,) = run(SepSourceDetection(threshold=5), make_stars([(0.5, 30)])).catalog

    assert source["flags"] & SourceFlag.TRUNCATED
    assert source["flags"] & SourceFlag.APERTURE_TRUNCATED


def test_saturated_stars_are_flagged_by_level_and_by_mask(run, make_stars):
    image = make_stars([(20, 20), (45, 45)], [10_000.0, 90_000.0], header={"SATURATE": 2000})
    bits = np.zeros(image.shape, dtype=np.uint8)
    bits[18, 22] = PixelFlag.SATURATED

    by_level = run(SepSourceDetection(threshold=10), image).catalog
    by_mask = run(SepSourceDetection(threshold=10), image.replace(mask=bits, header=None)).catalog

    assert list(by_level["flags"] & SourceFlag.SATURATED != 0) == [False, True]
    assert list(by_mask["flags"] & SourceFlag.SATURATED != 0) == [True, False]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.int64, np.float64, ">f4", ">i2"])
def test_any_number_type_is_detected_on(run, make_stars, dtype):
    image = make_stars([(30, 30)], 1000.0, sigma=2)

    (source,) = run(SepSourceDetection(threshold=5), Image(np.rint(image.data).astype(dtype))).catalog

    assert (source["x"], source["y"]) == pytest.approx((30, 30), abs=0.1)


def test_pixels_already_without_sky_are_left_alone(run, make_stars):
    image = make_stars([(30, 30)], level=0.0)

    subtracted = run(SepSourceDetection(threshold=5, subtract_background=False), image)

    assert subtracted.data is image.data
    assert len(subtracted.catalog) == 1
    assert subtracted.catalog["flux"] == pytest.approx(10_000, rel=0.05)


def test_the_uncertainty_plane_can_set_the_threshold(run, rng):
    """The right half is ten times noisier: one noise for all sees its noise peaks as sources."""
    depth = np.where(np.arange(400) < 300, 1.0, 10.0) * np.ones((200, 1))
    image = Image(rng.normal(0, depth).astype(np.float32), uncertainty=depth.astype(np.float32))

    assert len(run(SepSourceDetection(threshold=3), image).catalog) > 20
    assert len(run(SepSourceDetection(threshold=3, use_uncertainty=True), image).catalog) <= 2


def test_uncertainty_that_is_asked_for_must_exist(run, make_stars):
    with pytest.raises(ImageError, match="uncertainty"):
        run(SepSourceDetection(use_uncertainty=True), make_stars([(30, 30)]))


def test_colour_movies_and_hidden_frames_are_refused_with_advice(run):
    with pytest.raises(ImageError, match="colour image; make it grey"):
        run(SepSourceDetection(), Image(np.zeros((3, 9, 9))))
    with pytest.raises(ImageError, match="movie of 5 frames"):
        run(SepSourceDetection(), Image(np.zeros((5, 9, 9))))
    with pytest.raises(ImageError, match=r"night/1\.fits: every pixel is masked"):
        run(SepSourceDetection(), Image(np.zeros((9, 9)), mask=np.ones((9, 9), dtype=bool), name="night/1.fits"))


def test_a_frame_too_full_for_sep_gets_higher_limits_for_itself_only(run, rng, monkeypatch):
    before = sep.get_extract_pixstack(), sep.get_sub_object_limit()
    y, x = np.indices((240, 240))
    peaks = Image((150 + 50 * np.sin(x / 1.6) * np.sin(y / 1.6) + rng.normal(0, 1, x.shape)).astype(np.float32))
    detect = SepSourceDetection(subtract_background=False, deblend_cont=1e-9, deblend_nthresh=8, clean=False)

    assert len(run(detect, peaks).catalog) > before[1]
    assert (sep.get_extract_pixstack(), sep.get_sub_object_limit()) == before

    monkeypatch.setattr(extraction, "LIMITS", ((300_000, 1024),))
    with pytest.raises(ImageError, match=r"image: so many pixels are above the threshold .* raise threshold"):
        run(detect, peaks)
    assert (sep.get_extract_pixstack(), sep.get_sub_object_limit()) == before


def test_a_frame_without_subtraction_may_be_one_big_source(run):
    """More pixels above the threshold than sep's 300 000 are no error."""
    image = Image(np.full((600, 600), 10.0))

    (source,) = run(SepSourceDetection(subtract_background=False), image).catalog

    assert source["npix"] == 600 * 600


def test_sky_positions_are_icrs(run, make_stars):
    header = {
        "CTYPE1": "GLON-TAN", "CTYPE2": "GLAT-TAN", "CRVAL1": 0.0, "CRVAL2": 0.0, "CRPIX1": 31.0, "CRPIX2": 31.0,
        "CDELT1": -1e-4, "CDELT2": 1e-4,
    }  # fmt: skip

    (source,) = run(SepSourceDetection(threshold=5), make_stars([(30, 30)], sigma=0.1, header=header)).catalog

    # 17:45:37.224 -28:56:10.23, Reid & Brunthaler 2004, ApJ 616, 872, appendix
    assert source["ra"] == pytest.approx(266.40510, abs=2e-4)
    assert source["dec"] == pytest.approx(-28.93618, abs=2e-4)


def test_one_instance_serves_many_images_at_once(make_stars):
    detect = SepSourceDetection(threshold=5)
    images = [make_stars([(20 + k, 30)]) for k in range(8)]

    async def together():
        return await asyncio.gather(*(detect(image) for image in images))

    results = asyncio.run(together())

    assert [float(r.catalog["x"][0]) for r in results] == pytest.approx([20 + k for k in range(8)], abs=0.05)


def test_sep_sees_read_only_pixels_without_a_copy():
    pixels = np.arange(12, dtype=np.float32).reshape(3, 4)
    pixels.flags.writeable = False

    seen = for_sep(pixels)

    assert seen.flags.writeable
    assert np.shares_memory(seen, pixels)
    assert for_sep(np.ones((3, 4), dtype=bool)).dtype == np.uint8
    assert for_sep(np.ones((3, 4), dtype=np.uint16)).dtype == np.float32


def test_infinite_sums_of_finite_pixels_are_no_bad_pixels():
    assert unusable_pixels(np.full((2, 2), 3e38, dtype=np.float32), None) is None
    assert unusable_pixels(np.array([[1, np.inf]], dtype=np.float32), None).tolist() == [[False, True]]
    assert unusable_pixels(np.ones((1, 2), dtype=np.float32), np.array([[0, 8]])).tolist() == [[False, True]]


@pytest.mark.parametrize("kernel", [[], [[]], [[1.0], [1.0, 2.0]], [[0.0]], [[float("nan")]]])
def test_a_kernel_that_is_no_matrix_is_refused(kernel):
    with pytest.raises(ValueError, match="filter_kernel must be a matrix"):
        SepSourceDetection(filter_kernel=kernel)


def test_it_is_found_by_name_and_survives_yaml():
    detect = SepSourceDetection(threshold=3, filter_kernel=None)

    assert find_processor("SepSourceDetection") is SepSourceDetection
    assert SepSourceDetection.model_validate(detect.model_dump(mode="json")) == detect


@pytest.mark.parametrize(("unit", "gain"), [("adu", 1.0), ("electron", 2.0), ("e-", 2.0)])
def test_a_saturation_level_in_counts_is_compared_in_the_unit_of_the_pixels(run, unit, gain):
    cards = {"SATURATE": 160.0, "GAIN": gain, "BUNIT": unit}

    catalog = run(SepSourceDetection(), Image(four_moffats().data * gain, cards)).catalog

    flagged = (catalog["flags"] & int(SourceFlag.SATURATED)) != 0
    assert flagged.tolist() == [True, False, False, True]  # peaks, with the sky: 205, 155, 75, 215 adu


def test_a_rate_is_compared_with_no_saturation_level(run):
    image = Image(four_moffats().data, {"SATURATE": 160.0, "BUNIT": "adu/s"})

    assert not (run(SepSourceDetection(), image).catalog["flags"] & int(SourceFlag.SATURATED)).any()


def test_a_sky_level_that_is_no_number_is_named(run):
    image = Image(four_moffats().data, {"SATURATE": 160.0, "BKGLEVEL": "dark"})

    with pytest.raises(ImageError, match="BKGLEVEL"):
        run(SepSourceDetection(), image)
