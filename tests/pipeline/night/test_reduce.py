"""A small night from raw frames to the report: what is built, what is fallen back on, what is done again."""

import shutil

import numpy as np
import pytest

from etendue.images import Image
from etendue.images.catalog import read_table
from etendue.pipeline import load_pipeline, parse_pipeline
from etendue.pipeline.errors import ConfigError
from etendue.pipeline.night import reduce_night
from etendue.pipeline.night.truth import NightTruth
from etendue.processors.calibration.library import set_status

SHORT = """
steps:
  - class: Calibration
    bad_pixels: null
  - class: SubtractBackground
  - class: SepSourceDetection
    subtract_background: false
  - class: SepPhotometry
    apertures: [3, 5]
    annulus: [10, 16]
  - class: MeasureQuality
  - class: Save
"""


@pytest.fixture(scope="module")
def chain():
    return parse_pipeline(SHORT)


@pytest.fixture(scope="module")
def reduced(raw_night, tmp_path_factory, chain):
    """The whole night, reduced once."""
    output = tmp_path_factory.mktemp("reduced")
    return reduce_night(raw_night, chain, output=output, report=output / "report.html")


def test_every_master_is_built_and_every_frame_reduced(reduced):
    assert [master.label for master in reduced.masters] == ["bias", "dark 120 s", "flat R", "bad pixels"]
    assert all(master.status == "accepted" for master in reduced.masters)
    assert len(reduced.science.done) == 10
    assert reduced.notes == []
    assert (reduced.output / "report.html").stat().st_size > 20_000


def test_masters_are_right_to_their_noise(reduced, raw_night):
    truth = NightTruth(raw_night / "truth")

    pulls = [truth.master_pulls(master) for master in reduced.masters]

    for found in filter(None, pulls):
        assert abs(found.mean) < 0.05, found
        assert found.width == pytest.approx(1, abs=0.08), found


def test_quality_follows_the_conditions(reduced, raw_night):
    truth = {row["file"]: row for row in NightTruth(raw_night / "truth").frames}

    for row in reduced.quality:
        true = truth[row.path.name]
        assert row.values["sky"] == pytest.approx(true["sky_electrons"], rel=0.01)
        assert row.values["fwhm"] == pytest.approx(true["fwhm"], rel=0.08)  # the pixels widen the stars a little
        assert 18 < row.values["limiting_magnitude"] < 24
    table = read_table(reduced.output / "quality.ecsv")
    assert len(table) == 10
    assert str(table["seeing"].unit) == "arcsec"


def test_products_name_the_masters_that_made_them(reduced):
    image = Image.from_file(reduced.science.done[0].products[-1])

    assert image.header["CALBIAS"] == reduced.masters[0].path.name
    assert image.header["CALNOT"] == "none"
    assert image.unit == "electron"


def test_all_frames_are_listed_with_their_types(reduced):
    table = read_table(reduced.output / "frames.ecsv")

    assert sorted(set(table["type"])) == ["bias", "dark", "flat", "science"]
    assert len(table) == 26


def test_nothing_is_done_twice(raw_night, chain, tmp_path):
    first = reduce_night(raw_night, chain, output=tmp_path)
    written = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.fits")}

    again = reduce_night(raw_night, chain, output=tmp_path, resume=True)

    assert [master.status for master in again.masters] == ["reused"] * 4
    assert [outcome.status for outcome in again.science.outcomes] == ["resumed"] * 10
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.fits")} == written
    assert [master.reasons for master in again.masters] == [master.reasons for master in first.masters]


def test_frames_are_reduced_again_when_a_master_has_changed(raw_night, chain, tmp_path, copy_of):
    night = copy_of(raw_night, "*.fits")
    reduce_night(night, chain, output=tmp_path / "out")
    (night / "bias_0006.fits").unlink()

    again = reduce_night(night, chain, output=tmp_path / "out", resume=True)

    assert again.masters[0].status == "accepted"
    assert {outcome.status for outcome in again.science.outcomes} == {"done"}


def test_a_run_that_stopped_after_new_masters_leaves_no_frame_with_old_ones(
    raw_night, chain, tmp_path, copy_of, monkeypatch
):
    """Masters made anew, then an interruption: a third run must not take the first one's frames for done."""
    night = copy_of(raw_night, "*.fits")
    reduce_night(night, chain, output=tmp_path / "out")
    (night / "bias_0006.fits").unlink()
    with monkeypatch.context() as patch:
        patch.setattr("etendue.pipeline.night.reduce.run_pipeline", _stopped)
        with pytest.raises(KeyboardInterrupt):
            reduce_night(night, chain, output=tmp_path / "out", resume=True)

    again = reduce_night(night, chain, output=tmp_path / "out", resume=True)

    assert {master.status for master in again.masters} == {"reused"}
    assert {outcome.status for outcome in again.science.outcomes} == {"done"}


def _stopped(*_, **__):
    raise KeyboardInterrupt


def test_a_master_that_a_person_has_accepted_since_is_used_when_resumed(raw_night, chain, tmp_path, copy_of):
    night = copy_of(raw_night, "*.fits")
    first = reduce_night(night, chain, output=tmp_path / "out")
    old = next(master for master in first.masters if master.kind == "bad_pixels")
    set_status(old.path, "candidate", "to be looked at")
    without = parse_pipeline(SHORT.replace("bad_pixels: null", "bad_pixels: null\n    on_missing: warn"))
    reduce_night(night, without, output=tmp_path / "out", resume=True)

    set_status(old.path, "accepted", "by a person")
    again = reduce_night(night, without, output=tmp_path / "out", resume=True)

    assert {outcome.status for outcome in again.science.outcomes} == {"done"}
    assert again.notes == []


def test_masters_of_another_night_are_no_reason_to_do_frames_again(raw_night, chain, tmp_path, copy_of):
    night = copy_of(raw_night, "*.fits")
    library = tmp_path / "library"
    first = reduce_night(night, chain, output=tmp_path / "out", masters=library)
    image = Image.from_file(first.masters[0].path)
    image.header["DATE-OBS"] = "2026-05-20T00:00:00"
    image.writeto(library / "bias_2026-05-20.fits")

    again = reduce_night(night, chain, output=tmp_path / "out", masters=library, resume=True)

    assert {outcome.status for outcome in again.science.outcomes} == {"resumed"}


def test_the_flat_is_made_again_when_it_shall_be_normalised_otherwise(raw_night, tmp_path, copy_of):
    night = copy_of(raw_night, "bias*", "dark*", "flat*")
    reduce_night(night, parse_pipeline(SHORT), output=tmp_path / "out")

    chain = parse_pipeline("night:\n  normalise: amplifier\n" + SHORT)
    again = reduce_night(night, chain, output=tmp_path / "out", resume=True)

    assert [m.status for m in again.masters if m.kind in ("bias", "flat")] == ["reused", "accepted"]


def test_what_the_night_lacks_comes_from_the_library(raw_night, chain, tmp_path, copy_of):
    calibrations = copy_of(raw_night, "bias*", "dark*", "flat*", name="before")
    science = copy_of(raw_night, "science_0001*", "science_0002*", name="tonight")
    reduce_night(calibrations, chain, output=tmp_path / "first", masters=tmp_path / "library")

    second = reduce_night(science, chain, output=tmp_path / "second", masters=tmp_path / "library")

    assert second.masters == []
    assert len(second.science.done) == 2
    assert not (tmp_path / "second" / "masters").exists()


def test_a_frame_whose_master_is_missing_fails_and_says_why(raw_night, chain, tmp_path, copy_of):
    night = copy_of(raw_night, "bias*", "dark*", "science_0001*")

    results = reduce_night(night, chain, output=tmp_path / "out", report=tmp_path / "report.html")

    assert results.failed
    assert "no flat" in results.science.failed[0].error
    assert "no flat" in (tmp_path / "report.html").read_text()


def test_too_few_frames_make_no_master(raw_night, chain, tmp_path, copy_of):
    night = copy_of(raw_night, "bias_000[12]*")

    results = reduce_night(night, chain, output=tmp_path / "out")

    assert results.masters[0].status == "not built"
    assert results.masters[0].reasons == ("2 frames, and it takes 3",)
    assert "bias not built: 2 frames, and it takes 3" in results.summary()
    assert results.science is None


def test_a_damaged_frame_costs_its_master_and_nothing_else(raw_night, chain, tmp_path, copy_of):
    night = copy_of(raw_night, "bias*", "dark*", "flat*", "science_0001*")
    torn = night / "bias_0003.fits"
    content = torn.read_bytes()
    torn.unlink()
    torn.write_bytes(content[: len(content) // 2])

    results = reduce_night(night, chain, output=tmp_path / "out")

    assert [frame.path.name for frame in results.night.unknown] == ["bias_0003.fits"]
    assert results.masters[0].status == "accepted"
    assert len(results.masters[0].frames) == 5
    assert len(results.science.done) == 1


def test_a_master_unlike_the_last_waits_and_the_last_is_used(raw_night, chain, tmp_path, copy_of):
    night = copy_of(raw_night, "bias*", "dark*", "flat*", "science_0001*")
    library = tmp_path / "library"
    reduce_night(night, chain, output=tmp_path / "first", masters=library)
    last = {path.name for path in library.glob("flat*")}
    for path in sorted(night.glob("flat*")):
        image = Image.from_file(path)
        width = image.shape[1]
        image = image.replace(data=(1000 + (image.data - 1000.0) * np.linspace(0.7, 1.3, width)).astype(np.uint16))
        image.header["DATE-OBS"] = image.header["DATE-OBS"].replace("2026-03-20", "2026-03-22")
        path.unlink()
        image.writeto(path)
    for path in [*night.glob("bias*"), *night.glob("dark*")]:
        path.unlink()

    second = reduce_night(night, chain, output=tmp_path / "second", masters=library)

    flat = second.masters[0]
    assert flat.status == "candidate"
    assert "illumination" in flat.reasons[0]
    assert flat.compared_with.name in last
    assert Image.from_file(second.science.done[0].products[-1]).header["CALFLAT"] in last
    assert "waits for a person" in second.summary()


def test_raw_frames_are_never_written(raw_night, chain, tmp_path):
    copy = tmp_path / "night"
    shutil.copytree(raw_night, copy)
    for path in copy.rglob("*"):
        path.chmod(0o555 if path.is_dir() else 0o444)
    before = {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in copy.rglob("*")}

    reduce_night(copy, chain, output=tmp_path / "out")

    assert {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in copy.rglob("*")} == before


def test_a_folder_without_frames_is_a_mistake_of_the_user(chain, tmp_path):
    (tmp_path / "empty").mkdir()

    with pytest.raises(ConfigError, match="no frames in this folder"):
        reduce_night(tmp_path / "empty", chain, output=tmp_path / "out")


def test_a_chain_without_calibration_is_run_and_noted(raw_night, tmp_path, copy_of):
    night = copy_of(raw_night, "science_0001*")

    chain = parse_pipeline("steps:\n  - class: SepSourceDetection\n  - class: SaveCatalog\n")

    results = reduce_night(night, chain, output=tmp_path / "out")

    assert "no step Calibration" in results.notes[0]
    assert len(results.science.done) == 1


def test_the_rules_of_the_chain_tell_the_types(raw_night, tmp_path, copy_of):
    night = copy_of(raw_night, "science_0001*", "bias_0001*")
    rules = "night:\n  frame_types:\n    - type: other\n      when: {OBJECT: 'Etendue*'}\n"

    results = reduce_night(night, parse_pipeline(rules + SHORT), output=tmp_path / "out")

    assert results.night.counts() == {"bias": 1, "other": 1}


def test_the_keywords_of_the_chain_tell_filters_apart(raw_night, tmp_path, copy_of):
    night = copy_of(raw_night, "bias_*", "dark_*")
    flats = sorted(raw_night.glob("flat_*"))[:3]
    for name in ("R", "V"):
        for flat in flats:
            image = Image.from_file(flat, dtype=None)
            del image.header["FILTER"]
            image.header["MYBAND"] = name
            image.writeto(night / f"{name}-{flat.name}")

    results = reduce_night(night, parse_pipeline("keywords: {filter: [MYBAND]}\n" + SHORT), output=tmp_path / "out")

    flats_made = [master for master in results.masters if master.kind == "flat"]
    assert sorted(Image.from_file(master.path).header["MYBAND"] for master in flats_made) == ["R", "V"]


def test_the_built_in_chain_is_a_night_chain():
    chain = load_pipeline("night")

    assert chain.night is not None
    assert [step.label for step in chain.steps][0] == "Calibration"
