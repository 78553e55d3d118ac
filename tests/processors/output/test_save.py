"""Products are complete, named as asked, and never on top of what must not be lost."""

import asyncio
import errno
import os
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table
from pydantic import ValidationError

from etendue.images import Activity, Image, ImageError, TransientError, make_catalog
from etendue.images.catalog import read_table
from etendue.processors import RunContext, run_context
from etendue.processors.output import Save, SaveCatalog, SavePicture
from etendue.processors.output.product import new_product


@pytest.fixture
def image():
    catalog = make_catalog(x=[3.0, 10.0], y=[4.0, 7.0], flux=[100.0, 200.0], unit="electron")
    return Image(
        np.arange(20 * 30, dtype=np.float32).reshape(20, 30),
        header={"OBJECT": "M 31", "FILTER": "R", "EXPTIME": 10.0, "DATE-OBS": "2026-03-20T21:30:00"},
        mask=np.zeros((20, 30), dtype=bool),
        catalog=catalog,
        name="0042.fits.gz",
    )


def run(step, image, folder, **context):
    with run_context(RunContext(output=folder, **context)) as current:
        return asyncio.run(step(image)), current


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_an_image_is_written_with_all_its_planes(image, tmp_path):
    saved, context = run(Save(), image, tmp_path)

    assert files(tmp_path) == ["0042_reduced.fits"]
    assert context.products == [tmp_path / "0042_reduced.fits"]
    back = Image.from_file(tmp_path / "0042_reduced.fits")
    assert np.array_equal(back.data, image.data)
    assert back.mask.dtype == bool
    assert back.catalog["flux"].unit == "electron"
    assert saved.header["FNAME"] == back.header["FNAME"] == "0042_reduced.fits"
    assert "FNAME" not in image.header


def test_the_stem_is_that_of_the_source(image, tmp_path):
    run(Save(filename="{stem}.fits"), image, tmp_path, source=Path("night/raw/a.b.fits"))

    assert files(tmp_path) == ["a.b.fits"]


def test_placeholders_and_folders(image, tmp_path):
    run(Save(filename="{OBJECT}/{DATE-OBS|date}-{FILTER}.fits.fz"), image, tmp_path)

    assert files(tmp_path) == ["M 31/2026-03-20-R.fits.fz"]


def test_the_first_pattern_that_can_be_filled_is_used(image, tmp_path):
    run(Save(filename=["{NIGHT}.fits", "{OBJECT}.fits"]), image, tmp_path)

    assert files(tmp_path) == ["M 31.fits"]


def test_an_image_without_a_name_has_no_stem(image, tmp_path):
    image.name = None

    with pytest.raises(ImageError, match=r"give it a name .* or a filename without \{stem\}"):
        run(Save(), image, tmp_path)


def test_a_missing_card_is_named(image, tmp_path):
    with pytest.raises(ImageError, match="no header card NIGHT"):
        run(Save(filename="{NIGHT}.fits"), image, tmp_path)


def test_a_header_cannot_lead_out_of_the_folder(image, tmp_path):
    image.header["OBJECT"] = "../../etc/passwd"

    run(Save(filename="{OBJECT}.fits"), image, tmp_path / "out")

    assert all(name.startswith("out/") for name in files(tmp_path))
    with pytest.raises(ImageError, match="leads out of the output folder"):
        run(Save(filename="../x.fits"), image, tmp_path / "out")


def test_raw_input_is_never_overwritten(image, tmp_path):
    raw = tmp_path / "0042.fits"
    raw.write_bytes(b"raw")

    with pytest.raises(ImageError, match="raw input"):
        run(Save(filename="{stem}.fits"), image, tmp_path, source=raw)
    assert raw.read_bytes() == b"raw"


@pytest.mark.parametrize("step", [Save, SaveCatalog, SavePicture])
def test_an_earlier_product_can_be_protected(step, image, tmp_path):
    run(step(), image, tmp_path)
    written = (tmp_path / files(tmp_path)[0]).read_bytes()

    with pytest.raises(ImageError, match="exists"):
        run(step(overwrite=False), image + 1000, tmp_path)
    assert (tmp_path / files(tmp_path)[0]).read_bytes() == written


def test_a_product_tells_of_the_step_that_wrote_it(image, tmp_path):
    saved, _ = run(Save(), image, tmp_path, activity=Activity("Save", "Save"))

    assert [a.step for a in Image.from_file(tmp_path / "0042_reduced.fits").provenance] == ["Save"]
    assert saved.provenance == ()  # the framework records the step when it has ended


@pytest.mark.parametrize("suffix", ["ecsv", "fits", "vot", "parquet", "csv"])
def test_a_catalogue_keeps_values_and_units(suffix, image, tmp_path):
    run(SaveCatalog(filename="{stem}_cat." + suffix), image, tmp_path)

    table = read_table(tmp_path / f"0042_cat.{suffix}")
    assert list(table["flux"]) == [100.0, 200.0]
    if suffix != "csv":
        assert str(table["flux"].unit) == "electron"
    if suffix in ("ecsv", "fits", "parquet"):
        assert table.meta["OBJECT"] == "M 31"


def test_a_catalogue_tells_its_history(image, tmp_path):
    past = image.with_provenance(Activity("SepSourceDetection", "SepSourceDetection"))

    run(SaveCatalog(), past, tmp_path, activity=Activity("SaveCatalog", "SaveCatalog"))

    history = Table.read(tmp_path / "0042_cat.ecsv").meta["HISTORY"]
    assert [line.split()[1] for line in history] == ["SepSourceDetection", "SaveCatalog"]


def test_an_empty_catalogue_is_written_with_its_columns(image, tmp_path):
    run(SaveCatalog(), image.replace(catalog=image.catalog[:0]), tmp_path)

    table = read_table(tmp_path / "0042_cat.ecsv")
    assert len(table) == 0
    assert "flux" in table.colnames


def test_without_a_catalogue_there_is_nothing_to_write(image, tmp_path):
    with pytest.raises(ImageError, match="no catalog"):
        run(SaveCatalog(), image.replace(catalog=None), tmp_path)
    assert files(tmp_path) == []


@pytest.mark.parametrize(
    ("step", "filename", "reason"),
    [
        (Save, "x.bmp", "no image format has the suffix '.bmp'"),
        (Save, "x", "no image format has the suffix ''"),
        (Save, "{stem|shout}.fits", "unknown method 'shout'"),
        (Save, "{stem.fits", "brace"),
        (Save, "", "at least 1 character"),
        (SaveCatalog, "x.jpg", "no table format has the suffix '.jpg'"),
        (SavePicture, "x.fits", "no picture format has the suffix '.fits'"),
    ],
)
def test_a_bad_name_is_refused_before_any_image(step, filename, reason):
    with pytest.raises(ValidationError, match=reason):
        step(filename=filename)


@pytest.mark.parametrize("step", [Save, SaveCatalog, SavePicture])
def test_the_configuration_comes_back_equal(step):
    configured = step(filename=["{FNAME}", step().filename], overwrite=False)

    assert step.model_validate_json(configured.model_dump_json()) == configured


@pytest.mark.parametrize(
    ("number", "kind", "advice"),
    [
        (errno.ENOSPC, TransientError, "the disk is full; make room"),
        (errno.EROFS, TransientError, "read-only"),
        (errno.EACCES, TransientError, "no permission"),
        (errno.EIO, ImageError, "cannot be written"),
    ],
)
def test_what_a_disk_refuses_is_explained(number, kind, advice, tmp_path):
    with run_context(RunContext(output=tmp_path)) as context:
        with pytest.raises(kind, match=advice), new_product("a.fits", overwrite=True):
            raise OSError(number, os.strerror(number))
        assert context.products == []


@contextmanager
def full_device(path):
    """A file system of 64 KiB."""
    import subprocess

    path.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(path)], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a small file system is not allowed here")
    try:
        yield path
    finally:
        subprocess.run(["umount", str(path)], check=True)


@pytest.mark.parametrize("step", [Save(), SavePicture(sources=False)])
def test_a_full_disk_leaves_nothing_half_written(step, tmp_path):
    noise = np.random.default_rng(1).normal(size=(400, 400)).astype(np.float32)

    with full_device(tmp_path / "small") as folder:
        with pytest.raises(TransientError, match="the disk is full"):
            run(step, Image(noise, name="a.fits"), folder)
        assert list(folder.iterdir()) == []


def test_an_output_folder_that_is_a_file_is_named(image, tmp_path):
    (tmp_path / "out").write_text("a file")

    with pytest.raises(ImageError, match="out"):
        run(Save(), image, tmp_path / "out")


def test_two_images_cannot_write_the_same_product(image, tmp_path):
    (tmp_path / "claims").mkdir()
    options = {"claims": tmp_path / "claims"}
    run(Save(filename="{OBJECT}.fits"), image, tmp_path / "out", source=Path("a.fits"), **options)

    with pytest.raises(ImageError, match=r"already written for a\.fits"):
        run(Save(filename="{OBJECT}.fits"), image, tmp_path / "out", source=Path("b.fits"), **options)
