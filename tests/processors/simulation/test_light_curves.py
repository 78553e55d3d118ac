"""Light curves of the stars to watch, against closed forms and brute force."""

import numpy as np
import pytest

from etendue.processors.simulation.night import PulsatingStar, TransitingPlanet, transit_flux


def lens(z, p):
    """Area that circles of radii 1 and p have in common, at a distance of their centres."""
    a = p**2 * np.arccos((z**2 + p**2 - 1) / (2 * z * p)) + np.arccos((z**2 + 1 - p**2) / (2 * z))
    return a - np.sqrt((-z + p + 1) * (z + p - 1) * (z - p + 1) * (z + p + 1)) / 2


@pytest.mark.parametrize("p", [0.05, 0.12, 0.6])
def test_a_disk_of_even_brightness_loses_the_covered_area(p):
    partly = np.linspace(1 - p, 1 + p, 30)[1:-1]

    assert transit_flux([0.0, 0.3 * (1 - p), 0.999 * (1 - p)], p) == pytest.approx(1 - p**2, abs=1e-6)
    assert transit_flux(partly, p) == pytest.approx(1 - lens(partly, p) / np.pi, abs=1e-6)
    assert transit_flux([1 + p, 2.0, np.inf], p) == pytest.approx(1)


def test_a_darkened_limb_is_integrated_over_the_planet():
    p, linear, quadratic = 0.3, 0.4, 0.25
    n = 3000
    y, x = (np.mgrid[:n, :n] + 0.5) / n * 2 - 1
    square = x**2 + y**2
    shade = 1 - np.sqrt(np.maximum(1 - square, 0))
    light = np.where(square < 1, 1 - linear * shade - quadratic * shade**2, 0)

    for z in (0.0, 0.2, 0.3, 0.55, 0.9, 1.2):
        seen = light[np.hypot(x - z, y) > p].sum() / light.sum()
        assert transit_flux(z, p, linear, quadratic) == pytest.approx(seen, abs=1e-4)


def test_a_small_planet_in_the_middle_hides_a_bright_part():
    """Mandel & Agol 2002: the depth is p² I(0) / mean intensity, for a small planet."""
    p, linear, quadratic = 0.01, 0.4, 0.2

    depth = 1 - transit_flux(0.0, p, linear, quadratic)

    assert depth == pytest.approx(p**2 / (1 - linear / 3 - quadratic / 6), rel=1e-4)


def test_the_transit_begins_and_ends_with_the_contacts():
    planet = TransitingPlanet()
    half = planet.duration / 2

    outside = planet.flux(planet.middle + np.array([-1.001, 1.001]) * half)
    inside = planet.flux(planet.middle + np.array([-0.98, 0.0, 0.98]) * half)

    assert outside == pytest.approx(1, abs=1e-12)
    assert (inside < 1).all()
    assert inside[1] == inside.min()
    assert inside[0] == pytest.approx(inside[2])


def test_the_planet_hides_nothing_when_it_is_behind_the_star():
    planet = TransitingPlanet()

    assert planet.flux(planet.middle + planet.period / 2) == 1
    assert planet.flux(planet.middle + planet.period) == pytest.approx(planet.flux(planet.middle))


def test_a_transit_is_deeper_in_the_blue():
    planet = TransitingPlanet(impact=0.0)

    assert planet.flux(planet.middle, "V") < planet.flux(planet.middle, "R")


def test_a_pulse_has_its_amplitude_and_rises_faster_than_it_falls():
    star = PulsatingStar(amplitude=0.4, phase=0.0)
    days = np.linspace(0, star.period, 2001)[:-1]

    mag = star.magnitude(days)

    assert np.ptp(mag) == pytest.approx(0.4, abs=1e-4)
    assert np.mean(mag) == pytest.approx(0, abs=1e-9)
    assert star.magnitude(star.period * 3.2) == pytest.approx(star.magnitude(star.period * 0.2))
    assert np.mean(np.gradient(mag) < 0) < 0.4  # magnitudes fall while the star gets brighter
