"""`etendue masters`: what an observer types to build, see and judge master frames."""

import json

import numpy as np
import pytest

from etendue.images import Image


@pytest.fixture
def put(tmp_path):
    """``put("masters/f.fits", "master flat", FILTER="R")`` writes a small frame."""

    def write(name, kind, *, level=1.0, noise=0.0, shape=(64, 64), seed=1, **cards):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        data = level + noise * np.random.default_rng(seed).standard_normal(shape)
        header = {"IMAGETYP": kind, "INSTRUME": "Cam", "DATE-OBS": "2026-03-20T20:00:00"} | cards
        dtype = np.float32 if "master" in kind else np.uint16
        Image(data.astype(dtype), header).writeto(path)
        return path

    return write


def test_list_shows_what_there_is(command, put):
    put("masters/flat_R.fits", "master flat", FILTER="R", NCOMBINE=7, XBINNING=2, YBINNING=2)
    put("masters/d.fits", "master dark", EXPTIME=300.0, MSTATUS="candidate")
    put("masters/raw.fits", "flat", level=1000)

    result = command("masters", "list", "masters")

    assert result.exit_code == 0, result.output
    dark, flat, last = result.stdout.splitlines()[-3:]
    assert dark.split()[:3] == ["dark", "300", "s"]
    assert "candidate" in dark
    assert flat.split()[:3] == ["flat", "R", "2×2"]
    assert flat.endswith("flat_R.fits")
    assert last == "2 masters in masters, 1 other file"


def test_list_as_json_for_machines(command, put):
    path = put("masters/d.fits", "master dark", EXPTIME=300.0)
    (path.parent / "broken.fits").write_bytes(b"SIMPLE  = T")

    told = json.loads(command("masters", "list", "masters", "--json").stdout)

    assert told["masters"][0]["kind"] == "dark"
    assert told["masters"][0]["exposure_time"] == 300
    assert list(told["damaged"]) == [str(path.parent / "broken.fits")]


def test_why_names_the_master_or_the_reason(command, put):
    put("masters/flat.fits", "master flat", FILTER="R", **{"DATE-OBS": "2026-03-08T20:00:00"})
    put("masters/bias.fits", "master bias")
    frame = put("raw.fits", "object", level=500, FILTER="R", EXPTIME=60.0)

    result = command("masters", "why", frame, "-m", "masters", "--max-age", "5")

    assert result.exit_code == 0, result.output
    assert "bias.fits, taken 0 min before the frame" in result.stdout
    assert (
        "none: no flat for filter R, instrument Cam: 1 flat matches, the nearest is 12 days away and max_age is 5 days"
        in (result.stdout)
    )
    told = json.loads(command("masters", "why", frame, "-m", "masters", "--json").stdout)
    by_kind = {one["kind"]: one for one in told["masters"]}
    assert by_kind["flat"]["path"].endswith("flat.fits")
    assert by_kind["flat"]["age_days"] == pytest.approx(12)
    assert "holds 1 bias, 1 flat" in by_kind["dark"]["reason"]


def test_why_takes_library_and_limits_from_a_chain(command, put, write_chain):
    put("masters/flat.fits", "master flat", FILTER="R", **{"DATE-OBS": "2026-03-08T20:00:00"})
    frame = put("raw.fits", "object", level=500, FILTER="R", EXPTIME=60.0)
    chain = write_chain("- class: Calibration\n  library: masters\n  max_age: 3")

    result = command("masters", "why", frame, "-p", chain)

    assert "max_age is 3 days" in result.stdout
    assert "masters: say which library" not in result.output


def test_why_without_a_library_says_what_to_do(command, put):
    frame = put("raw.fits", "object", level=500, EXPTIME=60.0)

    result = command("masters", "why", frame)

    assert result.exit_code != 0
    assert "--masters" in str(result.exception) + result.output


def test_a_person_accepts_a_candidate(command, put):
    path = put("masters/flat.fits", "master flat", FILTER="R", MSTATUS="candidate")
    frame = put("raw.fits", "object", level=500, FILTER="R", EXPTIME=60.0)
    assert "only a candidate" in command("masters", "why", frame, "-m", "masters").stdout

    result = command("masters", "accept", path, "--because", "new filter wheel")

    assert result.exit_code == 0, result.output
    accepted = Image.from_file(path)
    assert accepted.header["MSTATUS"] == "accepted"
    assert any("new filter wheel" in str(line) for line in accepted.header["HISTORY"])
    assert "flat.fits, taken" in command("masters", "why", frame, "-m", "masters").stdout
    command("masters", "reject", path)
    assert "is rejected" in command("masters", "why", frame, "-m", "masters").stdout


def test_build_makes_masters_and_does_not_make_them_twice(command, put):
    for k in range(4):
        put(f"night/b{k}.fits", "bias", level=1000, noise=5, seed=k, EXPTIME=0.0)
        put(f"night/d{k}.fits", "dark", level=1060, noise=5, seed=9 + k, EXPTIME=60.0)
        put(f"night/f{k}.fits", "flat", level=21000, noise=100, seed=19 + k, EXPTIME=2.0, FILTER="R")
    put("night/odd.fits", "whatever", level=5)

    result = command("masters", "build", "night", "-m", "masters")

    assert result.exit_code == 0, result.output
    assert "odd.fits left alone: IMAGETYP = 'whatever'" in result.stdout
    told = json.loads(command("masters", "list", "masters", "--json").stdout)["masters"]
    assert {"bias", "dark", "flat"} <= {one["kind"] for one in told}
    assert {one["status"] for one in told} == {"accepted"}
    paths = {one["path"] for one in told}
    second = json.loads(command("masters", "build", "night", "-m", "masters", "--json").stdout)
    assert {one["status"] for one in second["masters"]} == {"reused"}
    assert {one["path"] for one in second["masters"]} == paths


def test_too_few_frames_are_told_and_end_with_exit_code_1(command, put):
    put("night/b.fits", "bias", level=1000, noise=5, EXPTIME=0.0)

    result = command("masters", "build", "night", "-m", "masters")

    assert result.exit_code == 1
    assert "bias: not built from 1 frame: 1 frame, and it takes 3" in result.stdout


def test_check_compares_a_new_master_with_the_last(command, put):
    facts = {"NCOMBINE": 9, "MNOISE": 5.0}
    put("masters/old.fits", "master bias", level=1000, noise=1, **facts)
    put("masters/same.fits", "master bias", level=1000, noise=1, seed=2, MSTATUS="candidate", **facts)
    result = command("masters", "check", "masters")
    assert result.exit_code == 0, result.output
    assert "same.fits (candidate) passes against old.fits" in result.stdout

    moved = put("masters/moved.fits", "master bias", level=1100, noise=1, seed=3, MSTATUS="candidate", **facts)
    result = command("masters", "check", "masters", moved)

    assert result.exit_code == 1
    assert "moved.fits (candidate) differs against old.fits" in result.stdout


def test_check_names_damaged_files(command, put):
    (put("masters/old.fits", "master bias").parent / "broken.fits").write_bytes(b"SIMPLE  = T")

    result = command("masters", "check", "masters")

    assert result.exit_code == 1
    assert "broken.fits cannot be used" in result.stdout
