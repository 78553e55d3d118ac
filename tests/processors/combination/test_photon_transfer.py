"""Gain from pairs of flats: unbiased whatever the illumination."""

import numpy as np
import pytest

from etendue.images import Image, ImageError
from etendue.processors.combination import photon_transfer


def pair(rng, light, gain, *, ratio=1.0, count=2):
    frames = []
    for k in range(count):
        electrons = rng.poisson(light * (ratio if k % 2 else 1.0))
        frames.append(Image(np.round(electrons / gain + rng.normal(300, 4, light.shape)).astype(np.float32)))
    return frames


@pytest.mark.parametrize("ratio", [1.0, 1.3])
@pytest.mark.parametrize("illumination", ["even", "gradient", "spectrum"])
def test_gain_is_unbiased(illumination, ratio, rng):
    shape = (256, 512)
    y, x = np.indices(shape)
    light = {
        "even": np.full(shape, 20_000.0),
        "gradient": 500 + 60.0 * x,
        "spectrum": 30_000 * np.exp(-(((y - 128) / 60.0) ** 8)) * (x / 512) ** 2 * (1 + 0.2 * np.sin(x / 3)) + 50,
    }[illumination]
    biases = pair(rng, np.zeros(shape), 1.3)

    (found,) = photon_transfer(pair(rng, light, 1.3, ratio=ratio), biases)

    assert found.gain == pytest.approx(1.3, rel=0.015)
    assert abs(found.gain - 1.3) < 4 * found.gain_error
    assert found.read_noise == pytest.approx(np.hypot(4, 12**-0.5), rel=0.01)


def test_cosmic_rays_do_not_matter(rng):
    light = np.full((256, 256), 5000.0)
    flats = pair(rng, light, 1.3)
    data = flats[0].data.copy()
    data[rng.random(data.shape) < 0.002] += 10_000
    biases = pair(rng, np.zeros(light.shape), 1.3)

    (found,) = photon_transfer([Image(data), flats[1]], biases)

    assert found.gain == pytest.approx(1.3, rel=0.02)


def test_what_is_missing_is_said(rng):
    biases = pair(rng, np.zeros((64, 64)), 1.3)

    with pytest.raises(ImageError, match="1 flats"):
        photon_transfer(biases[:1], biases)
    with pytest.raises(ImageError, match="no signal"):
        photon_transfer([bias - 100.0 for bias in biases], biases)
    with pytest.raises(ImageError, match="differ in size"):
        photon_transfer(pair(rng, np.full((32, 32), 1e4), 1.3), biases)
