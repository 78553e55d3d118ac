"""A sky that was just subtracted is not measured again, unless the pixels have changed since."""

import numpy as np
import pytest

from etendue.images import Image
from etendue.processors.background import SubtractBackground, SubtractedSky
from etendue.processors.detection import SepSourceDetection

MESH = (64, 3, 3.0)


@pytest.fixture
def flat_sky(run, make_stars) -> Image:
    positions = [(20.0, 30.0), (60.5, 90.2), (100.3, 40.7), (110.0, 110.0)]
    return run(SubtractBackground(), make_stars(positions, shape=(130, 128), sigma=3.0))


def residual(image: Image):
    return image.get_meta(SubtractedSky).residual(MESH, image.data, image.safe_mask)


def test_it_is_known_to_the_next_step(flat_sky):
    sky = residual(flat_sky)

    assert sky.global_level == 0
    assert sky.global_rms == pytest.approx(flat_sky.header["BKGRMS"])


@pytest.mark.parametrize(
    "changed",
    [
        lambda image: image.replace(data=image.data * 2),
        lambda image: image.replace(mask=np.zeros(image.shape, bool)),
        lambda image: image.flip(x=True),
        lambda image: image.crop(image_section(image)),
    ],
    ids=["scaled", "masked", "flipped", "cropped"],
)
def test_it_does_not_hold_for_other_pixels(flat_sky, changed):
    assert residual(changed(flat_sky)) is None


def test_it_does_not_hold_after_an_edit_in_place(flat_sky):
    with flat_sky.edit("data") as pixels:
        pixels *= 3

    assert residual(flat_sky) is None


def test_another_mesh_is_measured(flat_sky):
    assert flat_sky.get_meta(SubtractedSky).residual((32, 3, 3.0), flat_sky.data, None) is None


def test_sources_are_the_same_as_with_a_sky_measured_again(run, flat_sky):
    again = flat_sky.replace(data=flat_sky.data.copy())

    known, measured = run(SepSourceDetection(), flat_sky).catalog, run(SepSourceDetection(), again).catalog

    assert len(known) == len(measured)
    np.testing.assert_allclose(known["x"], measured["x"], atol=0.02)
    np.testing.assert_allclose(known["flux_auto"], measured["flux_auto"], rtol=0.01)


def image_section(image: Image):
    from etendue.images import Section

    height, width = image.shape
    return Section(1, width - 1, 1, height - 1)
