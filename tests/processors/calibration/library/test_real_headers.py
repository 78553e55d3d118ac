"""Masters from the headers that real cameras write."""

from etendue.images import Header
from etendue.images.io import read_fits_header
from etendue.processors.calibration.library.entry import entry_of, kind_of
from etendue.processors.calibration.library.keys import DEFAULT_KEYS
from etendue.processors.calibration.library.matching import request_for, select


def as_master(header, kind):
    """The header that a master of such frames has."""
    made = Header(header, copy=True)
    made["IMAGETYP"] = kind
    return made


def test_raw_frames_of_real_nights_are_no_masters(shared_data):
    paths = [*(shared_data / "raw_night").rglob("*.fits*"), *(shared_data / "odd_fits" / "msumastro").glob("*.fit")]

    assert len(paths) > 20
    assert {kind_of(read_fits_header(path)) for path in paths} == {None}


def test_kast_masters_belong_to_kast_frames(shared_data):
    folder = shared_data / "raw_night" / "shane_kast_blue_2015"
    bias, flat, science = (read_fits_header(folder / f"{name}.fits.gz") for name in ("b21", "b11", "b27"))
    entries = [
        entry_of(folder / "bias.fits", as_master(bias, "master bias")),
        entry_of(folder / "flat.fits", as_master(flat, "master flat")),
    ]

    found = {kind: select(request_for(kind, science, DEFAULT_KEYS[kind]), entries) for kind in ("bias", "flat", "dark")}

    assert found["bias"].chosen is not None
    assert round(found["bias"].chosen.age * 24 * 60) == 53
    assert found["flat"].chosen is not None
    assert found["dark"].chosen is None
    assert "no dark for 1200 s" in found["dark"].reason


def test_apogee_darks_are_told_apart_by_exposure_and_temperature(shared_data):
    folder = shared_data / "odd_fits" / "msumastro"
    dark = read_fits_header(folder / "darktest1.fit")
    entry = entry_of(folder / "dark.fits", as_master(dark, "master dark"))
    other = read_fits_header(folder / "uint16.fit")

    own = select(request_for("dark", dark, DEFAULT_KEYS["dark"]), [entry])
    warm = select(request_for("dark", other, DEFAULT_KEYS["dark"], dark_scale=(0.1, 10)), [entry])

    assert own.chosen is not None
    assert warm.reason.endswith("1 dark in question, but its temperature is -35.03 deg C (+-2 allowed)")
