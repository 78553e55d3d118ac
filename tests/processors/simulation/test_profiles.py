"""What is drawn holds the light that the closed forms say."""

import math

import numpy as np
import pytest
from scipy import integrate, ndimage
from scipy.special import gammaincinv

from etendue.processors.simulation import moffat, sersic
from etendue.processors.simulation.exposure import _blurred


def drawn_star(x, y, size=161, flux=1.0, fwhm=3.0, beta=3.0, ellipticity=0.0, theta=0.0, faintest=1e-9):
    frame = np.zeros((size, size))
    moffat.render_stars(np.array([x]), np.array([y]), np.array([flux]), fwhm, beta, ellipticity, theta, faintest, frame)
    return frame


def drawn_galaxy(x, y, size=401, radius=8.0, index=1.0, ratio=1.0, theta=0.0, faintest=1e-12):
    frame = np.zeros((size, size))
    one = np.ones(1)
    sersic.render_galaxies(
        x * one,
        y * one,
        sersic.central_brightness(one, radius * one, index * one, ratio * one),
        sersic.half_light_constant(index * one),
        radius * one,
        index * one,
        ratio * one,
        theta * one,
        faintest,
        frame,
    )
    return frame


@pytest.mark.parametrize(("fwhm", "beta"), [(1.2, 2.5), (3.0, 3.0), (5.5, 4.7)])
def test_a_star_has_unit_flux_in_closed_form(fwhm, beta):
    total, _ = integrate.quad(lambda r: 2 * np.pi * r * moffat.moffat(r, fwhm, beta), 0, np.inf)
    within, _ = integrate.quad(lambda r: 2 * np.pi * r * moffat.moffat(r, fwhm, beta), 0, 4.0)

    assert total == pytest.approx(1, rel=1e-6)
    assert within == pytest.approx(moffat.enclosed_fraction(4.0, fwhm, beta), rel=1e-6)
    assert moffat.moffat(fwhm / 2, fwhm, beta) == pytest.approx(moffat.moffat(0, fwhm, beta) / 2)


@pytest.mark.parametrize(("x", "y"), [(80.0, 80.0), (80.5, 80.5), (79.73, 80.31)])
@pytest.mark.parametrize("fwhm", [1.0, 2.0, 4.0])
def test_drawn_pixels_hold_the_enclosed_fraction(x, y, fwhm):
    frame = drawn_star(x, y, fwhm=fwhm)
    fine = np.kron(frame, np.ones((8, 8))) / 64  # each pixel's light spread over its area
    v, u = (np.mgrid[: fine.shape[0], : fine.shape[1]] + 0.5) / 8 - 0.5
    within = fine[np.hypot(u - x, v - y) < 40].sum()

    assert within == pytest.approx(moffat.enclosed_fraction(40.0, fwhm, 3.0), abs=2e-4)


@pytest.mark.parametrize("ellipticity", [0.0, 0.3])
def test_a_pixel_is_the_integral_over_its_area(ellipticity):
    x, y, fwhm, beta, theta = 80.3, 79.8, 2.0, 3.0, 0.6
    frame = drawn_star(x, y, fwhm=fwhm, ellipticity=ellipticity, theta=theta)
    alpha = moffat.core_radius(fwhm, beta)

    def profile(v, u):
        along = (u - x) * math.cos(theta) + (v - y) * math.sin(theta)
        across = (v - y) * math.cos(theta) - (u - x) * math.sin(theta)
        square = along**2 * (1 - ellipticity) + across**2 / (1 - ellipticity)
        return (beta - 1) / (np.pi * alpha**2) * (1 + square / alpha**2) ** -beta

    for column, row in [(80, 80), (81, 79), (83, 82), (86, 75)]:
        exact, _ = integrate.dblquad(profile, column - 0.5, column + 0.5, row - 0.5, row + 0.5)
        assert frame[row, column] == pytest.approx(exact, rel=2e-4)


def test_elongation_keeps_the_flux_and_points_along_theta():
    frame = drawn_star(80.0, 80.0, fwhm=4.0, beta=4.0, ellipticity=0.4, theta=math.radians(30))
    v, u = np.mgrid[:161, :161] - 80.0
    near = np.hypot(u, v) < 12
    weight = frame * near
    angle = 0.5 * math.atan2(2 * (weight * u * v).sum(), (weight * (u**2 - v**2)).sum())

    assert frame.sum() == pytest.approx(1, abs=1e-4)
    assert math.degrees(angle) == pytest.approx(30, abs=0.1)


def test_the_cut_leaves_out_only_what_is_fainter():
    frame = drawn_star(80.0, 80.0, flux=1e5, faintest=0.5)

    assert frame[frame > 0].min() == pytest.approx(0.5, rel=0.1)
    assert frame[80, 160] == 0


def test_a_star_beyond_the_border_sheds_its_wings_into_the_frame():
    inside, outside = drawn_star(3.0, 80.0), drawn_star(-7.0, 80.0)

    assert outside[:, :100] == pytest.approx(inside[:, 10:110], abs=1e-12)


def test_noise_equivalent_area_of_a_star():
    area = 1 / integrate.quad(lambda r: 2 * np.pi * r * moffat.moffat(r, 3.0, 2.7) ** 2, 0, np.inf)[0]

    assert moffat.noise_equivalent_area(3.0, 2.7) == pytest.approx(area)


@pytest.mark.parametrize("index", [0.5, 1.0, 2.5, 4.0])
def test_half_of_a_galaxy_is_inside_its_effective_radius(index):
    assert sersic.half_light_constant(index) == pytest.approx(gammaincinv(2 * index, 0.5))
    assert sersic.enclosed_fraction(5.0, 5.0, index) == pytest.approx(0.5)
    half, _ = integrate.quad(
        lambda r: 2 * np.pi * r * np.exp(-sersic.half_light_constant(index) * (r / 5) ** (1 / index)), 0, 5
    )
    assert sersic.central_brightness(1.0, 5.0, index, 1.0) * half == pytest.approx(0.5, rel=1e-5)


def test_published_constants():
    # Graham & Driver 2005, section 2.1: b = 1.678 for n = 1 and 7.669 for n = 4.
    assert sersic.half_light_constant(1) == pytest.approx(1.678, abs=1e-3)
    assert sersic.half_light_constant(4) == pytest.approx(7.669, abs=1e-3)


@pytest.mark.parametrize("index", [0.8, 1.0, 2.5, 4.5])
@pytest.mark.parametrize("ratio", [1.0, 0.3])
@pytest.mark.parametrize(("x", "y"), [(200.0, 200.0), (200.5, 199.5), (200.2, 199.9)])
def test_a_drawn_galaxy_holds_the_enclosed_fraction(index, ratio, x, y):
    frame = drawn_galaxy(x, y, index=index, ratio=ratio, theta=0.4, radius=6.0)
    v, u = np.mgrid[:401, :401].astype(float)
    u, v = u - x, v - y
    along, across = u * math.cos(0.4) + v * math.sin(0.4), (v * math.cos(0.4) - u * math.sin(0.4)) / ratio
    within = frame[np.hypot(along, across) < 190].sum()

    assert within == pytest.approx(sersic.enclosed_fraction(190.0, 6.0, index), abs=1e-3)


def test_the_cusp_of_an_elliptical_galaxy_is_in_its_central_pixel():
    x, y, b = 200.21, 199.87, sersic.half_light_constant(4.0)
    frame = drawn_galaxy(x, y, index=4.0, radius=6.0)
    fine = (np.arange(4000) + 0.5) / 4000 - 0.5
    profile = np.exp(-b * (np.hypot(fine[None, :] + 200 - x, fine[:, None] + 200 - y) / 6) ** 0.25)

    exact = profile.mean() * sersic.central_brightness(1.0, 6.0, 4.0, 1.0)

    assert frame[200, 200] == pytest.approx(exact, rel=1e-3)


def test_blurring_keeps_light_and_makes_a_point_a_star():
    point = np.zeros((301, 401), dtype=np.float32)
    point[150, 200] = 1000

    star = _blurred(point, 3.0, 3.0, 0.2, 0.5)
    drawn = np.zeros((301, 401))
    moffat.render_stars(np.array([200.0]), np.array([150.0]), np.array([1000.0]), 3.0, 3.0, 0.2, 0.5, 1e-6, drawn)
    pixel = ndimage.uniform_filter(np.kron(star, np.ones((1, 1))), 1)

    assert star.sum() == pytest.approx(1000, rel=1e-4)
    # The point was not spread over its pixel, the drawn star was: their difference is what a pixel does.
    assert np.abs(pixel - drawn).max() < 0.08 * drawn.max()
    assert np.unravel_index(star.argmax(), star.shape) == (150, 200)


def test_a_blurred_gaussian_galaxy_equals_the_direct_integral():
    """A galaxy of index 0.5 is a Gaussian; blurred pixels are compared with a fine direct convolution."""
    radius, fwhm, factor = 3.0, 3.0, 5
    frame = np.zeros((301, 301), dtype=np.float32)
    one = np.ones(1)
    center = sersic.central_brightness(one, radius * one, 0.5 * one, one)
    b = sersic.half_light_constant(0.5 * one)
    sersic.render_galaxies(150 * one, 150 * one, center, b, radius * one, 0.5 * one, one, 0 * one, 1e-9, frame)
    seen = _blurred(frame, fwhm, 3.0, 0.0, 0.0)

    offset = np.arange(-60 * factor, 60 * factor + 1) / factor
    distance = np.hypot(offset[None, :], offset[:, None])
    galaxy = center[0] * np.exp(-b[0] * (distance / radius) ** 2)
    from scipy.signal import fftconvolve

    fine = fftconvolve(galaxy, moffat.moffat(distance, fwhm, 3.0), mode="same") / factor**2
    middle = fine.shape[0] // 2
    half = factor // 2
    for shift in (0, 3, 8):
        column = middle + shift * factor
        exact = fine[middle - half : middle + half + 1, column - half : column + half + 1].mean()
        assert seen[150, 150 + shift] == pytest.approx(exact, rel=3e-3)
