"""Masters that the library finds, and what happens when it finds none."""

import numpy as np
import pytest

from etendue.images import Image
from etendue.processors import RunContext, run_context
from etendue.processors.calibration import Bias, Calibration, MissingMasterError

COMMON = {"INSTRUME": "cam1", "XBINNING": 1, "YBINNING": 1, "GAIN": 2.0, "RDNOISE": 5.0, "CCD-TEMP": -80.0}
FRAME = COMMON | {"IMAGETYP": "object", "EXPTIME": 30.0, "FILTER": "R", "DATE-OBS": "2026-03-20T22:00:00"}


@pytest.fixture
def library(tmp_path):
    folder = tmp_path / "masters"
    folder.mkdir()

    def add(name, kind, level, **cards):
        header = (
            COMMON | {"IMAGETYP": f"master {kind}", "MSTATUS": "accepted", "DATE-OBS": "2026-03-19T20:00:00"} | cards
        )
        Image(np.full((4, 4), level, np.float32), header).writeto(folder / name)

    add("bias.fits", "bias", 100)
    add("dark.fits", "dark", 200, EXPTIME=30.0)
    add("flat_R.fits", "flat", 0.5, FILTER="R")
    add("flat_V.fits", "flat", 1.0, FILTER="V")
    return folder


def frame(**cards):
    return Image(np.full((4, 4), 1100, np.uint16), FRAME | cards)


def test_each_frame_gets_the_masters_that_belong_to_it(run, library, tmp_path):
    with run_context(RunContext(output=tmp_path)) as context:
        calibrated = run(Calibration(library=library), frame())
    assert (calibrated.data == 3200).all()
    assert (calibrated.uncertainty == 90).all()
    assert [calibrated.header[card] for card in ("CALBIAS", "CALDARK", "CALFLAT")] == [
        "bias.fits",
        "dark.fits",
        "flat_R.fits",
    ]
    assert [used.role for used in context.inputs] == ["master bias", "master dark", "master flat"]
    assert (run(Calibration(library=library), frame(FILTER="V")).data == 1600).all()


def test_a_frame_for_which_there_is_none_fails_and_says_why(run, library):
    with pytest.raises(MissingMasterError, match="dark"):
        run(Calibration(library=library), frame(EXPTIME=300.0))
    with pytest.raises(MissingMasterError, match="days"):
        run(Bias(library=library, max_age=0.5), frame())


def test_with_a_warning_it_goes_on_and_says_what_is_missing(run, library):
    calibrated = run(Calibration(library=library, on_missing="warn"), frame(FILTER="B"))
    assert calibrated.header["CALFLAT"] == "none"
    assert calibrated.header["CALNOT"].startswith("flat")
    assert (calibrated.data == 1600).all()


def test_a_given_master_goes_before_the_library_and_false_leaves_it_out(run, library):
    calibrated = run(Calibration(library=library, bias=Image(np.zeros((4, 4))), flat=False), frame())
    assert (calibrated.data == 1800).all()


def test_a_new_master_is_used_at_once(run, library):
    step = Calibration(library=library)
    assert (run(step, frame()).data == 3200).all()
    Image(np.full((4, 4), 1.0, np.float32), COMMON | {
        "IMAGETYP": "master flat", "MSTATUS": "accepted", "FILTER": "R", "DATE-OBS": "2026-03-20T20:00:00"
    }).writeto(library / "flat_new.fits")  # fmt: skip
    assert (run(step, frame()).data == 1600).all()
