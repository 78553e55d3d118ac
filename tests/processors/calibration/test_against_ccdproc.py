"""Where ccdproc means the same, the result is the same."""

import numpy as np
import pytest

from etendue.images import Image
from etendue.processors.calibration import Calibration, Overscan

ccdproc = pytest.importorskip("ccdproc", reason="ccdproc is not installed (extra 'test')")

SHAPE = (60, 80)
HEADER = {"EXPTIME": 60.0, "GAIN": 2.0, "RDNOISE": 5.0}


def ccd(data, unit, error=None, mask=None, **meta):
    from astropy.nddata import CCDData, StdDevUncertainty

    uncertainty = None if error is None else StdDevUncertainty(error)
    return CCDData(data.astype(float), unit=unit, uncertainty=uncertainty, mask=mask, meta=meta)


@pytest.mark.parametrize("level", [0.0, 300.0])
def test_the_same_frame_comes_out(run, rng, level):
    from astropy import units as u

    raw = np.round(rng.poisson(3000, SHAPE) + level).astype(np.float32)
    bias, bias_error = rng.normal(level, 2, SHAPE).astype("f4"), np.full(SHAPE, 0.8, "f4")
    if level == 0:
        bias[:] = 0
    dark, dark_error = rng.gamma(2, 10, SHAPE).astype("f4"), np.full(SHAPE, 0.5, "f4")
    flat = rng.uniform(0.6, 1.4, SHAPE)
    flat = (flat / flat.mean()).astype("f4")  # ccdproc divides by the mean of the flat
    flat_error = np.full(SHAPE, 0.003, "f4")
    bad = rng.random(SHAPE) < 0.02

    theirs = ccdproc.ccd_process(
        ccd(raw, "adu", exposure=60.0),
        error=True,
        gain=2 * u.electron / u.adu,
        readnoise=5 * u.electron,
        bad_pixel_mask=bad,
        master_bias=ccd(bias * 2, "electron", bias_error * 2),
        dark_frame=ccd(dark * 2, "electron", dark_error * 2, exposure=120.0),
        exposure_key="exposure",
        exposure_unit=u.s,
        dark_scale=True,
        master_flat=ccd(flat, "", flat_error),
    )
    ours = run(
        Calibration(
            bias=Image(bias, HEADER, uncertainty=bias_error),
            dark=Image(dark, HEADER | {"EXPTIME": 120.0}, uncertainty=dark_error),
            flat=Image(flat, HEADER, uncertainty=flat_error),
            bad_pixels=Image(bad),
            dark_scale=(0.1, 1),
        ),
        Image(raw, HEADER),
    )

    np.testing.assert_allclose(ours.data, theirs.data, rtol=1e-5)
    assert np.array_equal(ours.mask != 0, theirs.mask)
    if level == 0:  # with a bias level, ccdproc counts it as light: here the two do not mean the same
        np.testing.assert_allclose(ours.uncertainty, theirs.uncertainty.array, rtol=1e-5)
    else:
        assert (ours.uncertainty < theirs.uncertainty.array).all()


def test_the_same_overscan_is_subtracted(run, rng):
    data = rng.normal(500, 5, (40, 60)).astype("f4")
    theirs = ccdproc.subtract_overscan(ccd(data, "adu"), fits_section="[51:60,:]", median=True, overscan_axis=1)
    ours = run(Overscan(), Image(data, {"BIASSEC": "[51:60,1:40]", "DATASEC": "[1:50,1:40]"}))
    np.testing.assert_allclose(ours.data[:, :50], theirs.data[:, :50], atol=1e-4)
