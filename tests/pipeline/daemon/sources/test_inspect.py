"""A look at a file: is it complete, and what does its header say. Truth: astropy, gzip, Pillow, tifffile."""

import bz2
import gzip
import io
import lzma
import os
import time

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from etendue.pipeline.daemon.sources import Inspected, closed, inspect_files


def look(path, **rules):
    """What the inspection of one file shows."""
    (answer,) = inspect_files([str(path)], **rules)
    return Inspected.from_json(answer)


def as_bytes(*units, **options):
    stream = io.BytesIO()
    fits.HDUList(list(units)).writeto(stream, **options)
    return stream.getvalue()


def two_images():
    first = fits.PrimaryHDU(np.zeros((30, 40), np.int16), fits.Header({"EXPTIME": 5.0}))
    return as_bytes(first, fits.ImageHDU(np.zeros((20, 20), np.float32), name="MASK"))


@given(cut=st.floats(0, 1, exclude_max=True))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_fits_file_is_whole_exactly_when_its_last_data_are_there(tmp_path, cut):
    content = two_images()
    first_data, first_end = 2880 + 30 * 40 * 2, 2880 + 2880
    last_data = first_end + 2880 + 20 * 20 * 4
    length = int(cut * len(content))
    path = tmp_path / "a.fits"
    path.write_bytes(content[:length])

    # Cut between the images there is nothing to tell that another one was to follow; some forget the filling.
    assert look(path).whole is (length >= last_data or first_data <= length <= first_end)


@pytest.mark.parametrize(("pack", "suffix"), [(gzip.compress, ".gz"), (bz2.compress, ".bz2"), (lzma.compress, ".xz")])
def test_packed_fits(tmp_path, make_fits, pack, suffix):
    packed = pack(make_fits(shape=(50, 60)))
    path = tmp_path / f"a.fits{suffix}"
    path.write_bytes(packed)
    shown = look(path)
    assert (shown.whole, shown.facts["size"], shown.facts["exposure_time"]) == (True, [50, 60], 10.0)

    for length in (len(packed) - 1, len(packed) // 2, 15):
        path.write_bytes(packed[:length])
        assert look(path).whole is False, length


def test_compressed_fits(tmp_path):
    content = as_bytes(fits.PrimaryHDU(), fits.CompImageHDU(np.arange(6400, dtype=np.int16).reshape(80, 80)))
    path = tmp_path / "a.fits.fz"
    path.write_bytes(content)
    assert (look(path).whole, look(path).facts["size"]) == (True, [80, 80])
    path.write_bytes(content[: len(content) - 3000])
    assert look(path).whole is False


@pytest.mark.parametrize("suffix", [".tif", ".npy", ".png", ".jpg"])
def test_other_formats_are_whole_at_their_end(tmp_path, rng, suffix):
    pixels = rng.integers(0, 255, (64, 64)).astype(np.uint8)
    path = tmp_path / f"a{suffix}"
    if suffix == ".tif":
        import tifffile

        tifffile.imwrite(path, pixels)
    elif suffix == ".npy":
        np.save(path, pixels)
    else:
        from PIL import Image as Pillow

        Pillow.fromarray(pixels).save(path)
    content = path.read_bytes()
    assert look(path).whole is True

    path.write_bytes(content[: len(content) * 3 // 4])
    assert look(path).whole is False


@pytest.mark.parametrize("content", [b"", b"\0" * 5000, b"SIMPLE", b"\x89PNG\r\n\x1a\n"])
def test_what_has_only_begun_is_not_whole(tmp_path, content):
    path = tmp_path / "a.fits"
    path.write_bytes(content)
    assert look(path).whole is False
    assert look(path).why


def test_what_is_no_image_cannot_become_whole(tmp_path):
    path = tmp_path / "a.fits"
    path.write_bytes(b"Dear all, the telescope is closed tonight.\n" * 100)
    shown = look(path)
    assert shown.whole is None
    assert "not a FITS file" in shown.why


def test_a_fits_file_without_an_image_may_get_one(tmp_path):
    path = tmp_path / "a.fits"
    path.write_bytes(as_bytes(fits.PrimaryHDU(header=fits.Header({"EXPTIME": 3.0}))))
    shown = look(path)
    assert (shown.whole, shown.facts["exposure_time"]) == (None, 3.0)


def test_who_has_it_open(tmp_path, make_fits):
    path = tmp_path / "a.fits"
    path.write_bytes(make_fits())
    if look(path).closed is None:
        pytest.skip("this file system does not tell who has a file open")
    with path.open("rb"):
        assert look(path).closed is True
    with path.open("ab"):
        assert look(path).closed is False
    assert look(path).closed is True


def test_network_file_systems_cannot_tell_who_has_it_open(tmp_path, make_fits, monkeypatch):
    monkeypatch.setattr(closed, "LOCAL", frozenset())
    path = tmp_path / "a.fits"
    path.write_bytes(make_fits())
    assert look(path).closed is None


def test_a_file_that_is_opened_while_we_look_does_no_harm(tmp_path, make_fits):
    """The kernel tells us with a signal that somebody wants to write; it must not end the process."""
    import threading

    path = tmp_path / "a.fits"
    path.write_bytes(make_fits())
    done = threading.Event()

    def write():
        while not done.is_set():
            with path.open("ab"):
                os.utime(path)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        end = time.monotonic() + 1.0
        while time.monotonic() < end:
            inspect_files([str(path)] * 20)
    finally:
        done.set()
        thread.join()


def test_facts_of_a_header(tmp_path, make_fits):
    cards = {
        "DATE-OBS": "2026-03-21T03:30:00",
        "INSTRUME": "cam1",
        "XBINNING": 2,
        "YBINNING": 2,
        "IMAGETYP": "Flat Field",
    }
    path = tmp_path / "a.fits"
    path.write_bytes(make_fits(**cards))

    facts = look(path).facts

    assert facts["object_name"] == "M31"
    assert (facts["filter"], facts["exposure_time"], facts["instrument"]) == ("R", 10.0, "cam1")
    assert (facts["binning"], facts["size"], facts["image_type"]) == ([2, 2], [8, 10], "flat")
    assert facts["observation_time"] == "2026-03-21 03:30:00+00:00"
    assert facts["night"] == "2026-03-20"
    assert (facts["frame_type"], facts["why_unknown"]) == ("flat", "")


def test_noon_divides_the_nights(tmp_path, make_fits):
    path = tmp_path / "a.fits"
    path.write_bytes(make_fits(**{"DATE-OBS": "2026-03-21T14:00:00"}))
    assert look(path).facts["night"] == "2026-03-21"
    assert look(path, noon=22.0).facts["night"] == "2026-03-20"  # in Chile or Hawaii the day is not over


def test_rules_of_the_configuration_tell_the_frame_type(tmp_path, make_fits):
    path = tmp_path / "a.fits"
    path.write_bytes(make_fits(IMAGETYP="weird"))
    unknown = look(path).facts
    assert unknown["frame_type"] == ""
    assert "IMAGETYP = 'weird'" in unknown["why_unknown"]
    rules = [{"type": "bias", "when": {"IMAGETYP": "weird"}}]
    assert look(path, frame_types=rules).facts["frame_type"] == "bias"
    assert "frame_type" not in look(path, frame_types=None).facts


def test_the_first_choice_that_holds_counts(tmp_path, make_fits):
    path = tmp_path / "a.fits"
    path.write_bytes(make_fits(EXPTIME=10.0))
    choose = [{"exposure_time": "> 30"}, {"FILTER": "R"}, None]
    assert look(path, choose=choose).facts["choice"] == 1
    assert look(path, choose=choose[:1]).facts["choice"] is None
    assert look(path, choose=choose[:1] + choose[2:]).facts["choice"] == 1
    path.write_bytes(make_fits(EXPTIME="ten"))  # makes no sense, so no test of it holds
    assert look(path, choose=choose[:1] + choose[2:]).facts["choice"] == 1


def test_what_has_no_header_is_taken_by_a_choice_without_conditions(tmp_path):
    path = tmp_path / "a.fits"
    path.write_bytes(b"no FITS file, and no other")

    facts = look(path, choose=[{"exposure_time": "> 30"}, None]).facts

    assert facts["choice"] == 1
    assert facts["unreadable"].startswith("not a FITS file")
    assert look(path, choose=[{"exposure_time": "> 30"}]).facts["choice"] is None


def test_keywords_and_extension_of_a_chain(tmp_path):
    second = fits.ImageHDU(np.zeros((3, 4), np.float32), fits.Header({"XPOSURE": 7.0}), name="CCD2")
    path = tmp_path / "a.fits"
    path.write_bytes(as_bytes(fits.PrimaryHDU(np.zeros((5, 6), np.int16)), second))
    facts = look(path, read={"data": "CCD2"}, keywords={"exposure_time": ["XPOSURE"]}).facts
    assert (facts["size"], facts["exposure_time"]) == ([3, 4], 7.0)


def test_one_bad_file_does_not_hide_the_others(tmp_path, make_fits):
    good = tmp_path / "good.fits"
    good.write_bytes(make_fits())
    (tmp_path / "folder.fits").mkdir()
    os.mkfifo(tmp_path / "pipe.fits")
    (tmp_path / "loop.fits").symlink_to(tmp_path / "loop.fits")
    card = "EXPTIME = 'not closed".ljust(80).encode()
    damaged = make_fits().replace("EXPTIME =                 10.0".ljust(80).encode(), card)
    (tmp_path / "damaged.fits").write_bytes(damaged)
    names = ["missing.fits", "folder.fits", "pipe.fits", "loop.fits", "damaged.fits", "a\0b.fits", "good.fits"]

    shown = [Inspected.from_json(one) for one in inspect_files([str(tmp_path / name) for name in names])]

    assert [one.exists for one in shown] == [False, True, True, True, True, False, True]
    assert [one.why for one in shown[1:3]] == ["is no regular file"] * 2
    assert (shown[-1].whole, shown[-1].facts["exposure_time"]) == (True, 10.0)


def test_bombs_are_told_without_being_unpacked(tmp_path):
    packed = tmp_path / "bomb.fits.gz"
    with gzip.open(packed, "wb") as file:
        for _ in range(64):
            file.write(bytes(1 << 20))
    shown = look(packed, largest=10_000_000)
    assert shown.hostile
    assert "unpacks to more than 10000000 bytes" in shown.why

    from PIL import Image as Pillow

    picture = tmp_path / "bomb.png"
    Pillow.new("1", (20000, 20000)).save(picture)
    assert look(picture).hostile

    tiles = as_bytes(fits.PrimaryHDU(), fits.CompImageHDU(np.zeros((8, 8), np.int16)))
    claims = tiles.replace(b"ZNAXIS1 =                    8", b"ZNAXIS1 =            900000000")
    (tmp_path / "bomb.fits.fz").write_bytes(claims)
    assert look(tmp_path / "bomb.fits.fz").hostile
