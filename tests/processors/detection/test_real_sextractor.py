"""A real frame (ESO NTT/EMMI) against SExtractor's own catalogue of it."""

import warnings

import numpy as np
import pytest
from scipy.spatial import cKDTree

from etendue.images import Image
from etendue.images.flags import SourceFlag
from etendue.processors.background import SubtractBackground, background
from etendue.processors.detection import SepSourceDetection
from etendue.processors.photometry import SepPhotometry

COLUMNS = (
    *(
        "NUMBER",
        "X",
        "Y",
        "XWIN",
        "YWIN",
        "X2",
        "Y2",
        "XY",
        "ERRX2",
        "ERRY2",
        "ERRXY",
        "A",
        "FLUX_APER",
        "FLUXERR_APER",
    ),
    *("KRON_RADIUS", "FLUX_AUTO", "FLUXERR_AUTO", "RADIUS_10", "RADIUS_50", "RADIUS_60", "FLAGS"),
)


@pytest.fixture(scope="module")
def frame(shared_data):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Image.from_file(shared_data / "science/sep/image.fits")


@pytest.fixture(scope="module")
def matched(shared_data, frame):
    """Our rows and SExtractor's, in pairs closer than 1 px."""
    theirs = np.rec.fromarrays(np.loadtxt(shared_data / "science/sep/image.cat").T, names=list(COLUMNS))
    measured = SepSourceDetection(gain=0).process(frame)
    # Its catalogue has an aperture of 10 px in diameter, so a radius of 5, and no gain.
    ours = SepPhotometry(apertures=[5], gain=0).process(SubtractBackground().process(measured)).catalog
    distance, nearest = cKDTree(np.c_[ours["x"], ours["y"]]).query(np.c_[theirs.X - 1, theirs.Y - 1])
    return ours[nearest[distance < 1]], theirs[distance < 1], distance


def test_its_positions_are_ours_plus_one(matched):
    ours, theirs, distance = matched

    assert len(distance) == 65
    assert (distance < 1).sum() >= 60
    assert np.median(distance) < 0.001  # SExtractor counts from 1; a wrong convention would give 1.41
    windowed = np.hypot(ours["xwin"] + 1 - theirs.XWIN, ours["ywin"] + 1 - theirs.YWIN)[ours["flags"] == 0]
    assert np.isfinite(windowed).mean() > 0.9
    assert np.nanmedian(windowed) < 0.01


def test_the_sky_is_its_sky(shared_data, frame):
    """sep repeats SExtractor's spline, which is not quite the natural one; we differ by 1/60 of the noise (65 adu)."""
    sky = background(frame.data)

    assert np.abs(sky.level() - Image.from_file(shared_data / "science/sep/back.fits").data).max() < 1.5
    assert np.abs(sky.rms() - Image.from_file(shared_data / "science/sep/rms.fits").data).max() < 0.5


def test_aperture_fluxes_agree(matched):
    """What is left: SExtractor divides edge pixels into 5 x 5 instead of cutting them exactly; and the sky."""
    ours, theirs, _ = matched
    whole = ours["flags_aper_1"] == 0

    ratio = (ours["flux_aper_1"] / theirs.FLUX_APER)[whole]
    assert np.median(ratio) == pytest.approx(1, abs=0.004)
    assert np.abs(ratio - 1).max() < 0.03
    # 1 adu of sky in 78 px is 80 adu; SExtractor gives its errors with the local instead of the ring's noise.
    assert np.abs(ours["flux_aper_1"] - theirs.FLUX_APER)[whole].max() < 0.003 * theirs.FLUX_APER.max()
    assert np.median((ours["flux_err_aper_1"] / theirs.FLUXERR_APER)[whole]) == pytest.approx(1, abs=0.01)


def test_what_lies_beyond_the_border_is_missing_in_both(matched):
    ours, theirs, _ = matched
    cut = ours["flags_aper_1"] & SourceFlag.APERTURE_TRUNCATED != 0

    assert cut.sum() >= 3
    assert (ours["area_aper_1"][cut] < 25 * np.pi).all()
    assert np.abs(ours["flux_aper_1"] / theirs.FLUX_APER - 1)[cut].max() < 0.04
    assert (theirs.FLAGS[cut].astype(int) & 16 != 0).all()  # the bit has the same value there


def test_automatic_fluxes_agree(matched):
    """SExtractor's KRON_RADIUS includes the factor 2.5, ours does not. It measures with sub-pixels of its own and
    without a smallest radius, so sources whose Kron radius vanishes (0 and 0.37 in its catalogue) have no flux there.
    """
    ours, theirs, _ = matched
    sound = (theirs.FLAGS == 0) & (theirs.KRON_RADIUS > 2)

    assert sound.sum() >= 45
    assert np.median(2.5 * ours["kron_radius"][sound] / theirs.KRON_RADIUS[sound]) == pytest.approx(1, abs=0.01)
    ratio = ours["flux_auto"][sound] / theirs.FLUX_AUTO[sound]
    assert np.median(ratio) == pytest.approx(1, abs=0.005)
    assert np.percentile(np.abs(ratio - 1), 90) < 0.06
    bright = theirs.FLUX_AUTO[sound] > 20_000
    assert np.abs(ratio[bright] - 1).max() < 0.01
    half_light = ours["flux_radius_50"][sound] / theirs.RADIUS_50[sound]
    assert np.median(half_light) == pytest.approx(1, abs=0.005)


def test_shapes_agree(matched):
    ours, theirs, _ = matched
    apart = theirs.FLAGS == 0

    assert np.percentile(np.abs(ours["a"] / theirs.A - 1)[apart], 90) < 0.005
