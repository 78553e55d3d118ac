"""The job that builds masters: its names, damaged frames, and what is nobody's frames' fault."""

import errno
import os
import shutil

import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st

from etendue.images import Image, TransientError
from etendue.pipeline.daemon.nights.building import build_masters, setup_word
from etendue.pipeline.daemon.queue import Filter, JobKind
from etendue.pipeline.daemon.work.storage import StorageError
from etendue.pipeline.running.causes import cause_of


def test_a_damaged_frame_fails_and_the_others_make_the_master(bench, frames):
    night = bench(complete={"bias": 6})
    paths = frames("bias*")
    _damage_pixels(paths[2])
    jobs = night.add(*paths)

    night.settle()

    assert night.states(*jobs[:2], *jobs[3:]) == {"done"}
    assert night.states(jobs[2]) == {"failed"}
    assert "bias_0003.fits" in night.job(jobs[2]).error
    assert Image.from_file(night.library / night.masters()[0]).header["NCOMBINE"] == 5


def test_a_frame_that_has_gone_fails_and_the_others_make_the_master(bench, frames):
    night = bench(complete={"bias": 6})
    paths = frames("bias*")
    jobs = night.add(*paths)
    paths[0].unlink()

    night.settle()

    assert night.states(jobs[0]) == {"failed"}
    assert night.job(jobs[0]).error == "the file is not there any more"
    assert night.states(*jobs[1:]) == {"done"}


def test_cameras_do_not_mix(bench, frames, changed):
    night = bench(complete={"bias": 3})
    paths = frames("bias*")
    for path in paths[3:]:
        changed(path, INSTRUME="another camera")

    night.add(*paths)
    night.settle()

    assert len(night.masters()) == 2
    assert {Image.from_file(night.library / name).header["NCOMBINE"] for name in night.masters()} == {3}


def test_names_of_masters_of_two_cameras_differ_whatever_the_order(bench, frames, changed):
    night = bench(complete={"bias": 3})
    paths = frames("bias*")
    for path in paths[3:]:
        changed(path, INSTRUME="CAM_2")
    for path in paths[:3]:
        changed(path, INSTRUME="CAM-2")
    night.add(*paths[:3])
    night.settle()
    night.add(*paths[3:])
    night.settle()

    assert len(night.masters()) == 2


def test_darks_are_built_for_each_exposure_time(bench, frames, changed):
    night = bench(complete={"bias": 6, "dark": 4})
    darks = frames("dark*")
    shutil.copy2(darks[0], darks[0].with_name("dark_0006.fits"))
    more = []
    for number, path in enumerate(darks):
        copy = path.with_name(f"short_{number}.fits")
        shutil.copy2(path, copy)
        more.append(changed(copy, EXPTIME=30.0))
    night.add(*frames("bias*"), *darks, *more)

    night.settle()

    labels = {master["label"] for job in night.queue.search(Filter(kind=JobKind.MASTERS)).jobs
              for master in job.facts["nights"]["masters"]}  # fmt: skip
    assert labels == {"bias", "dark 30 s", "dark 120 s", "dark current", "bad pixels"}


def test_filters_that_differ_by_a_prime_have_masters_of_their_own(bench, frames, changed):
    night = bench(complete={"flat": 3}, chain="steps: [{class: Calibration, bias: false, dark: false}]")
    flats = [changed(path, FILTER="g") for path in frames("flat*")]
    others = [shutil.copy2(path, path.with_name(f"other_{path.name}")) for path in flats]

    night.add(*flats, *[changed(path, FILTER="g'") for path in others])
    night.settle()

    made = [Image.from_file(night.library / name) for name in night.masters() if name.startswith("flat")]
    assert sorted(master.filter for master in made) == ["g", "g'"]


def test_a_full_disk_is_no_reason_against_the_frames(bench, frames, monkeypatch):
    def full(self, filename, **options):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(filename))

    night = bench(complete={"bias": 6})
    night.add(*frames("bias*"))
    night.tend()
    (job,) = night.queue.claim(night.me, limit=1)
    monkeypatch.setattr(Image, "writeto", full)

    with pytest.raises(StorageError, match="No space left") as caught:
        build_masters(**job.payload)

    assert cause_of(caught.value) == "storage"


def test_a_folder_that_is_away_is_no_reason_against_the_frames(bench, frames):
    night = bench(complete={"bias": 6})
    paths = frames("bias*")
    night.add(*paths)
    night.tend()
    (job,) = night.queue.claim(night.me, limit=1)
    paths[0].parent.rename(paths[0].parent.with_name("away"))

    with pytest.raises(TransientError, match="is not there"):
        build_masters(**job.payload)


@pytest.mark.parametrize(
    ("setup", "word"),
    [
        (("CAM1", (2048, 1024), (1, 1), ""), "CAM1_2048x1024"),
        (("CAM1", (2048, 1024), (2, 2), "fast"), "CAM1_2048x1024_bin2x2_fast"),
        (("", (64, 64), (1, 1), ""), "64x64"),
        (("Deep Camera", (64, 64), (1, 1), ""), "Deep-Camera_64x64"),
    ],
)
def test_the_word_for_a_setup_is_readable(setup, word):
    assert setup_word(setup) == word


@given(
    one=st.tuples(
        st.text("A_-/ é1", max_size=4), st.just((8, 8)), st.sampled_from([(1, 1), (2, 2)]), st.text("a-_ ", max_size=2)
    ),
    other=st.tuples(
        st.text("A_-/ é1", max_size=4), st.just((8, 8)), st.sampled_from([(1, 1), (2, 2)]), st.text("a-_ ", max_size=2)
    ),
)
def test_words_for_different_setups_differ(one, other):
    assert (setup_word(one) == setup_word(other)) == (one == other)


def _damage_pixels(path):
    """Compress a frame and damage its pixels; its header remains readable."""
    with fits.open(path) as units:
        packed = fits.CompImageHDU(units[0].data, units[0].header, compression_type="GZIP_1")
    packed.writeto(path, overwrite=True)
    content = bytearray(path.read_bytes())
    middle = content.rindex(b"\x1f\x8b", 0, len(content) // 2) + 12
    content[middle : middle + 100] = bytes(100)
    path.write_bytes(content)
