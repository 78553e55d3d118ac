"""Aperture photometry: known fluxes, three backends that agree, errors, and sources in awkward places."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from photutils.aperture import ApertureStats, CircularAnnulus

from etendue.images import Image, ImageError, make_catalog
from etendue.images.flags import SourceFlag
from etendue.processors.photometry import AperturePhotometry, PhotUtilsPhotometry, SepPhotometry
from etendue.processors.photometry.annulus import ring_statistics
from etendue.processors.photometry.aperture_sums import exact_sums, photutils_sums, sep_sums
from etendue.processors.photometry.lengths import Length

KINDS = [AperturePhotometry, SepPhotometry, PhotUtilsPhotometry]
every_kind = pytest.mark.parametrize("kind", KINDS)


def at(*positions: tuple[float, float]):
    x, y = zip(*positions, strict=True) if positions else ([], [])
    return make_catalog(x=list(x), y=list(y))


@every_kind
def test_flux_of_a_flat_frame_is_the_area(run, kind):
    image = Image(np.full((100, 100), 2.0), catalog=at((40, 40), (41.3, 52.7)))

    catalog = run(kind(apertures=[3, "5 px"]), image).catalog

    assert catalog["flux_aper_1"] == pytest.approx(2 * np.pi * 9, rel=1e-9)
    assert catalog["flux_aper_2"] == pytest.approx(2 * np.pi * 25, rel=1e-9)
    assert catalog["area_aper_2"] == pytest.approx(np.pi * 25, rel=1e-9)
    assert not catalog["flags_aper_1"].any()
    assert catalog["flux_aper_2"].meta["radius"] == 5.0


@every_kind
def test_flux_of_a_gaussian_follows_the_closed_form(run, make_stars, kind):
    """Within r of a Gaussian lies 1 - exp(-r² / 2 sigma²); flat pixels add 1/12 px² to sigma²."""
    image = make_stars([(30.2, 31.7)], 10_000.0, fwhm=4.0, level=0.0, sigma=0.0).replace(catalog=at((30.2, 31.7)))

    catalog = run(kind(apertures=[4, 6, 8]), image).catalog

    for k, radius in enumerate((4, 6, 8), start=1):
        variance = 4.0**2 / (8 * np.log(2)) + 1 / 12
        expected = 10_000 * (1 - np.exp(-(radius**2) / (2 * variance)))
        assert catalog[f"flux_aper_{k}"][0] == pytest.approx(
            expected, rel=0.003
        )  # the circle cuts flat pixels, not a curve


@every_kind
def test_a_ring_gives_the_sky(run, kind):
    """pyobs's case: a frame of ones has background 1 and no flux; it counts, so does a star's light on top."""
    data = np.ones((100, 100))
    data[39, 39] += 100
    image = Image(data, catalog=at((39, 39), (70, 70)))

    catalog = run(kind(apertures=[1], annulus=[4, 8]), image).catalog

    assert list(catalog["background_aper_1"]) == [1, 1]
    assert catalog["flux_aper_1"] == pytest.approx([100, 0], abs=1e-9)


@every_kind
def test_each_image_is_measured_on_its_own_pixels(run, kind):
    photometry = kind(apertures=[2])

    fluxes = [
        run(photometry, Image(np.full((20, 20), level), catalog=at((9, 9)))).catalog["flux_aper_1"][0]
        for level in (1.0, 7.0)
    ]

    assert fluxes[1] / fluxes[0] == pytest.approx(7)


def test_apertures_in_arcsec_follow_the_pixel_scale(run):
    header = {"CD1_1": 0.0, "CD1_2": 2e-4, "CD2_1": 2e-4, "CD2_2": 0.0}  # 0.72 arcsec/px, turned by 90 degrees
    image = Image(np.ones((100, 100)), header, catalog=at((40, 40)))

    catalog = run(AperturePhotometry(apertures=["3.6 arcsec"]), image).catalog

    assert catalog["flux_aper_1"].meta["radius"] == pytest.approx(5)
    assert catalog["area_aper_1"][0] == pytest.approx(25 * np.pi)
    with pytest.raises(ImageError, match="no pixel scale"):
        run(AperturePhotometry(apertures=["3.6 arcsec"]), Image(np.ones((9, 9)), catalog=at((4, 4))))


@every_kind
def test_sources_off_the_frame_are_flagged_not_fatal(run, kind):
    image = Image(np.ones((30, 40)), catalog=at((15, 10), (-50, 5), (39, 29), (np.nan, 4), (1e9, 1e9)))

    catalog = run(kind(apertures=[3]), image).catalog

    lost, cut = int(SourceFlag.APERTURE_EMPTY), int(SourceFlag.APERTURE_TRUNCATED)
    assert np.isnan(catalog["flux_aper_1"]).tolist() == [False, True, False, True, True]
    assert np.isnan(catalog["flux_err_aper_1"]).tolist() == [False, True, False, True, True]
    assert [int(f) & lost for f in catalog["flags_aper_1"]] == [0, lost, 0, lost, lost]
    assert catalog["flags_aper_1"][2] & cut
    assert catalog["area_aper_1"][2] == pytest.approx(area_in_corner(3.0), rel=1e-5)


def area_in_corner(radius: float) -> float:
    """Area of a circle around the centre of a corner pixel that is inside the frame, by brute force."""
    u = (np.arange(4000) + 0.5) / 4000 * (radius + 0.5) - radius
    inside = (u[:, None] ** 2 + u[None, :] ** 2) < radius**2
    return float(inside.sum() * ((radius + 0.5) / 4000) ** 2) if radius > 0.5 else 0.0


@every_kind
def test_an_empty_catalogue_gets_the_same_columns(run, kind):
    frame = np.ones((30, 30))
    full = run(kind(), Image(frame, catalog=at((15, 15)))).catalog

    empty = run(kind(), Image(frame, catalog=at())).catalog

    assert len(empty) == 0
    assert empty.colnames == full.colnames
    assert [empty[name].unit for name in empty.colnames] == [full[name].unit for name in full.colnames]


@every_kind
def test_masked_pixels_are_made_up_for_by_area(run, kind):
    data = np.full((40, 40), 3.0)
    data[20, 21] = 1e6
    data[19, 20] = np.nan
    mask = np.zeros(data.shape, dtype=np.uint8)
    mask[20, 21] = 2

    catalog = run(kind(apertures=[4], annulus=[6, 9]), Image(data, mask=mask, catalog=at((20, 20)))).catalog

    assert catalog["background_aper_1"][0] == 3
    assert catalog["area_aper_1"][0] == pytest.approx(16 * np.pi - 2)
    assert catalog["flux_aper_1"][0] == pytest.approx(0, abs=1e-9)
    assert catalog["flags_aper_1"][0] == SourceFlag.APERTURE_MASKED
    no_ring = run(kind(apertures=[4]), Image(data, mask=mask, catalog=at((20, 20)))).catalog
    assert no_ring["flux_aper_1"][0] == pytest.approx(3 * 16 * np.pi)


@every_kind
def test_a_wholly_masked_aperture_has_no_flux(run, kind):
    mask = np.zeros((40, 40), dtype=bool)
    mask[10:31, 10:31] = True

    catalog = run(
        kind(apertures=[3], annulus=[4, 6]), Image(np.ones((40, 40)), mask=mask, catalog=at((20, 20)))
    ).catalog

    assert np.isnan(catalog["flux_aper_1"][0])
    assert catalog["flags_aper_1"][0] & SourceFlag.APERTURE_EMPTY
    assert catalog["flags_aper_1"][0] & SourceFlag.SKY_UNKNOWN


@every_kind
def test_errors_come_from_the_uncertainty(run, kind):
    image = Image(np.ones((40, 40)), uncertainty=np.full((40, 40), 0.5), catalog=at((20, 20)))

    catalog = run(kind(apertures=[4]), image).catalog

    assert catalog["flux_err_aper_1"][0] == pytest.approx(0.5 * np.sqrt(16 * np.pi))


@every_kind
def test_without_uncertainty_errors_are_sky_noise_and_photons(run, make_stars, kind):
    image = make_stars([(64, 64)], 50_000.0, (128, 128), level=0.0, sigma=5.0, header={"GAIN": 2.0})
    image.catalog = at((64, 64), (20, 100))

    catalog = run(kind(apertures=[6]), image).catalog

    sky = 36 * np.pi * 25
    assert catalog["flux_err_aper_1"][0] == pytest.approx(np.sqrt(sky + catalog["flux_aper_1"][0] / 2.0), rel=0.02)
    assert catalog["flux_err_aper_1"][1] == pytest.approx(np.sqrt(sky), rel=0.05)
    no_photons = run(kind(apertures=[6], gain=0), image).catalog
    assert no_photons["flux_err_aper_1"][0] == pytest.approx(np.sqrt(sky), rel=0.05)


def test_the_error_of_the_ring_is_included(run, rng):
    """Empty apertures on noise: their fluxes scatter by as much as the errors say."""
    x, y = (axis.ravel() for axis in np.meshgrid(np.arange(20, 580, 24), np.arange(20, 580, 24)))
    image = Image(rng.normal(50, 3, (600, 600)).astype(np.float32), catalog=make_catalog(x=x, y=y))

    catalog = run(AperturePhotometry(apertures=[5], annulus=[7, 10]), image).catalog
    pulls = catalog["flux_aper_1"] / catalog["flux_err_aper_1"]

    assert abs(pulls.mean()) < 0.15
    assert pulls.std() == pytest.approx(1, abs=0.1)


@given(
    radius=st.floats(0.1, 12),
    x=st.floats(-15, 45),
    y=st.floats(-15, 35),
    seed=st.integers(0, 5),
    with_error=st.booleans(),
    with_mask=st.booleans(),
)
def test_the_three_ways_to_sum_agree(radius, x, y, seed, with_error, with_mask):
    rng = np.random.default_rng(seed)
    data = rng.normal(0, 1, (20, 30)).astype(np.float32)
    error = rng.uniform(1, 2, data.shape).astype(np.float32) if with_error else None
    bad = rng.random(data.shape) < 0.1 if with_mask else None
    position = np.array([x, 12.0]), np.array([y, 9.0])

    ours, *others = (sums(data, error, bad, *position, radius) for sums in (exact_sums, sep_sums, photutils_sums))

    for other in others:
        for name in ("total", "variance", "area", "inside"):
            assert getattr(other, name) == pytest.approx(getattr(ours, name), rel=1e-6, abs=1e-6)


def test_the_ring_is_that_of_photutils(rng):
    from astropy.stats import SigmaClip

    data = rng.normal(10, 2, (80, 90)).astype(np.float32)
    data[rng.random(data.shape) < 0.05] += 100
    positions = rng.uniform(-5, 85, (40, 2))
    level, noise, number = np.empty(40), np.empty(40), np.empty(40, dtype=np.int64)
    x, y = np.ascontiguousarray(positions.T)

    ring_statistics(data, np.empty((0, 0), dtype=np.uint8), x, y, 6.0, 11.0, 3.0, level, noise, number)

    clip = SigmaClip(sigma=3.0, maxiters=10, cenfunc="median", stdfunc="std")
    theirs = ApertureStats(data, CircularAnnulus(positions, 6.0, 11.0), sigma_clip=clip, sum_method="center")
    assert level == pytest.approx(theirs.median, rel=1e-6)
    assert noise == pytest.approx(theirs.std, rel=1e-5)


def test_earlier_apertures_are_replaced_and_other_columns_stay(run):
    image = Image(np.ones((40, 40)), catalog=make_catalog(id=[7], x=[20.0], y=[20.0], flux=[3.0], seeing=[2.0]))

    first = run(AperturePhotometry(apertures=[2, 3, 4], annulus=[6, 9]), image)
    second = run(AperturePhotometry(apertures=[5]), first)

    assert [n for n in second.catalog.colnames if "aper" in n] == [
        "flux_aper_1", "flux_err_aper_1", "area_aper_1", "flags_aper_1"
    ]  # fmt: skip
    assert list(second.catalog["id"]) == [7]
    assert list(second.catalog["seeing"]) == [2.0]
    assert "flux_aper_1" not in image.catalog.colnames


def test_what_is_missing_is_said(run):
    with pytest.raises(ImageError, match="detect sources first"):
        run(AperturePhotometry(), Image(np.ones((9, 9))))
    with pytest.raises(ImageError, match="no column y"):
        run(AperturePhotometry(), Image(np.ones((9, 9)), catalog=make_catalog(x=[1.0])))
    with pytest.raises(ImageError, match="make it grey"):
        run(AperturePhotometry(), Image(np.ones((3, 9, 9)), catalog=at((1, 1))))


@pytest.mark.parametrize(
    ("text", "length"),
    [(3, Length(3.0)), (2.5, Length(2.5)), ("3", Length(3.0)), ("3 px", Length(3.0)), ('2.5"', Length(2.5, "arcsec")),
     ("2.5 arcsec", Length(2.5, "arcsec")), ("1e1 px", Length(10.0))],
)  # fmt: skip
def test_lengths_are_numbers_or_text(text, length):
    assert Length.parse(text) == length
    assert Length.parse(length.plain()) == length


@pytest.mark.parametrize("wrong", [0, -1, "0 px", "3 m", "three", float("inf"), True, None, [3]])
def test_what_is_no_length_is_refused(wrong):
    with pytest.raises(ValueError, match="length"):
        Length.parse(wrong)


def test_settings_survive_yaml_and_wrong_ones_are_refused():
    photometry = SepPhotometry(apertures=[3, "2.5 arcsec"], annulus=["10 px", 15])

    assert photometry.model_dump(mode="json")["apertures"] == [3.0, "2.5 arcsec"]
    assert SepPhotometry.model_validate(photometry.model_dump(mode="json")) == photometry
    with pytest.raises(ValueError, match="smaller than the outer"):
        SepPhotometry(annulus=[9, 5])
    with pytest.raises(ValueError, match="at least 1"):
        SepPhotometry(apertures=[])
