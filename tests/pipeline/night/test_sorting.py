"""Raw frames are found, told apart by their headers, and grouped by what they make together."""

import numpy as np

from etendue.images import Image
from etendue.pipeline.night.frame_types import FrameType
from etendue.pipeline.night.groups import groups_of, setup_words
from etendue.pipeline.night.sorting import sort_night


def write(folder, name, **cards):
    folder.mkdir(exist_ok=True)
    header = {"INSTRUME": "cam", "XBINNING": 1, "YBINNING": 1, "RA": 10.0, "DEC": 20.0} | cards
    Image(data=np.zeros((8, 10), np.uint16), header=header).writeto(folder / name)


def test_frames_come_in_the_order_of_time_with_their_types(tmp_path):
    write(tmp_path / "n", "b.fits", IMAGETYP="Light Frame", EXPTIME=10.0, **{"DATE-OBS": "2026-03-20T22:00:00"})
    write(tmp_path / "n", "a.fits", IMAGETYP="Bias Frame", EXPTIME=0.0, **{"DATE-OBS": "2026-03-21T05:00:00"})

    night = sort_night(tmp_path / "n")

    assert [(frame.path.name, frame.type) for frame in night.frames] == [
        ("b.fits", FrameType.SCIENCE),
        ("a.fits", FrameType.BIAS),
    ]
    assert night.date == "2026-03-20"
    assert night.counts() == {"bias": 1, "science": 1}


def test_what_no_rule_knows_and_what_cannot_be_read_is_listed_with_a_reason(tmp_path):
    write(tmp_path / "n", "what.fits", IMAGETYP="wobble", EXPTIME=1.0)
    (tmp_path / "n" / "torn.fits").write_bytes(b"SIMPLE  =                    T" + b" " * 50)

    night = sort_night(tmp_path / "n")

    assert {frame.path.name for frame in night.unknown} == {"what.fits", "torn.fits"}
    assert all(frame.why for frame in night.unknown)
    assert night.counts() == {"unknown": 2}


def test_products_and_masters_within_the_night_are_not_raw(tmp_path):
    folder = tmp_path / "n"
    write(folder, "a.fits", IMAGETYP="object", EXPTIME=1.0)
    write(folder / "out", "a.fits", IMAGETYP="object", EXPTIME=1.0)
    write(folder / "masters", "bias.fits", IMAGETYP="bias", EXPTIME=0.0)

    night = sort_night(folder, output=folder / "out", apart=[folder / "masters"])

    assert [frame.path for frame in night.frames] == [folder / "a.fits"]


def test_darks_are_grouped_by_exposure_time_and_flats_by_filter(tmp_path):
    for name, seconds in (("d1", 60.0), ("d2", 60.2), ("d3", 300.0)):
        write(tmp_path / "n", f"{name}.fits", IMAGETYP="dark", EXPTIME=seconds)
    for name, band in (("f1", "R"), ("f2", "V"), ("f3", "R")):
        write(tmp_path / "n", f"{name}.fits", IMAGETYP="flat", EXPTIME=5.0, FILTER=band)

    groups = groups_of(sort_night(tmp_path / "n"))

    assert [(group.label, len(group.frames)) for group in groups] == [
        ("dark 60 s", 2),
        ("dark 300 s", 1),
        ("flat R", 2),
        ("flat V", 1),
    ]


def test_frames_of_different_binning_are_not_combined(tmp_path):
    write(tmp_path / "n", "a.fits", IMAGETYP="bias", EXPTIME=0.0)
    write(tmp_path / "n", "b.fits", IMAGETYP="bias", EXPTIME=0.0, XBINNING=2, YBINNING=2)

    groups = groups_of(sort_night(tmp_path / "n"))

    assert len(groups) == 2
    assert sorted(setup_words(group.setup for group in groups).values()) == ["bin1x1", "bin2x2"]
