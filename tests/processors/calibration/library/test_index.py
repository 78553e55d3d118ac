"""The index spares time and nothing else: no answer is out of date, whatever happens to files and index."""

import os
import sqlite3
import stat
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest

from etendue.images import Image
from etendue.processors.calibration.library import CalibrationLibrary, NoMatchError, index
from etendue.processors.calibration.library.index import INDEX_NAME, FolderIndex

R = Image(header={"FILTER": "R", "DATE-OBS": "2026-03-20T22:00:00"}).header


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "masters"
    made.mkdir()
    return made


def write_flat(path, filter_name="R", **cards):
    header = {"IMAGETYP": "master flat", "FILTER": filter_name, "DATE-OBS": "2026-03-20T20:00:00"} | cards
    Image(np.ones((4, 4), np.float32), header).writeto(path)
    return path


def settle(folder):
    """Make the files old enough to be told from later changes."""
    time.sleep(index.TICK + 0.02)
    FolderIndex(folder).entries()


def names(folder):
    return [entry.path.name for entry in FolderIndex(folder).entries()]


@pytest.fixture
def reads(monkeypatch):
    """The files whose headers are read."""
    seen = []

    def counted(path, read=index.read_entry):
        seen.append(path.name)
        return read(path)

    monkeypatch.setattr(index, "read_entry", counted)
    return seen


def test_a_new_process_reads_no_header_again(folder, reads):
    write_flat(folder / "a.fits")
    write_flat(folder / "deep" / "b.fits.gz")
    settle(folder)
    reads.clear()

    entries = FolderIndex(folder).entries()

    assert [entry.path for entry in entries] == [folder / "a.fits", folder / "deep" / "b.fits.gz"]
    assert entries[0].filter == "R"
    assert entries[0].time is not None
    assert entries[0].header["IMAGETYP"] == "master flat"
    assert reads == []


def test_what_comes_from_the_index_equals_what_is_read(folder):
    write_flat(folder / "a.fits", XBINNING=2, YBINNING=2, EXPTIME=3.5, NCOMBINE=7, MSTATUS="candidate", GAIN="odd")
    time.sleep(index.TICK + 0.02)
    (read,) = FolderIndex(folder).entries()

    (stored,) = FolderIndex(folder).entries()

    assert stored == read
    assert stored.problems == read.problems
    assert "gain" in stored.problems


def test_a_replaced_file_is_seen_though_its_size_and_time_are_the_same(folder):
    path = write_flat(folder / "a.fits")
    settle(folder)
    before = path.stat()
    library = CalibrationLibrary(folder)
    assert library.find("flat", R).path == path

    write_flat(path, "V")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    assert (path.stat().st_size, path.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    with pytest.raises(NoMatchError, match="its filter is V"):
        library.find("flat", R)


def test_a_file_changed_in_place_at_once_is_seen(folder):
    path = write_flat(folder / "a.fits")
    for number in range(20):
        wanted = "RV"[number % 2]
        content = path.read_bytes().replace(b"FILTER  = 'R", b"FILTER  = '#").replace(b"FILTER  = 'V", b"FILTER  = '#")
        path.write_bytes(content.replace(b"'#", f"'{wanted}".encode()))
        assert [entry.filter for entry in CalibrationLibrary(folder).entries()] == [wanted]


def test_removed_and_renamed_files_are_seen(folder):
    write_flat(folder / "a.fits")
    write_flat(folder / "b.fits")
    settle(folder)

    (folder / "a.fits").unlink()
    (folder / "b.fits").rename(folder / "c.fits")

    assert names(folder) == ["c.fits"]


@pytest.mark.parametrize("content", [b"", b"no data base" * 400, None])
def test_a_damaged_index_is_made_anew(folder, reads, content):
    for name in "abc":
        write_flat(folder / f"{name}.fits")
    settle(folder)
    file = folder / INDEX_NAME
    whole = file.read_bytes()
    file.write_bytes(whole[:100] + b"\xff" * (len(whole) - 100) if content is None else content)

    assert names(folder) == ["a.fits", "b.fits", "c.fits"]

    reads.clear()
    assert names(folder) == ["a.fits", "b.fits", "c.fits"]
    assert reads == []
    with sqlite3.connect(file) as base:
        assert base.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_an_index_of_another_version_is_made_anew(folder, reads):
    write_flat(folder / "a.fits")
    settle(folder)
    with sqlite3.connect(folder / INDEX_NAME) as base:
        base.execute("PRAGMA user_version = 1")
        base.execute("ALTER TABLE files RENAME COLUMN entry TO something")

    assert names(folder) == ["a.fits"]

    reads.clear()
    assert names(folder) == ["a.fits"]
    assert reads == []


def test_a_damaged_row_is_read_again(folder):
    write_flat(folder / "a.fits")
    settle(folder)
    with sqlite3.connect(folder / INDEX_NAME) as base:
        base.execute("UPDATE files SET entry = '[1, 2'")

    assert [entry.kind for entry in FolderIndex(folder).entries()] == ["flat"]


def test_an_index_that_is_gone_is_made_anew(folder):
    write_flat(folder / "a.fits")
    settle(folder)
    (folder / INDEX_NAME).unlink()

    assert names(folder) == ["a.fits"]
    assert (folder / INDEX_NAME).exists()


def test_a_folder_that_cannot_be_written_to_works(folder, monkeypatch):
    write_flat(folder / "a.fits")
    time.sleep(index.TICK + 0.02)

    def refuse(target, **options):
        if "mode=ro" in str(target):
            return connect(target, **options)
        raise sqlite3.OperationalError("attempt to write a readonly database")

    connect = sqlite3.connect
    monkeypatch.setattr(index.sqlite3, "connect", refuse)

    assert names(folder) == ["a.fits"]
    assert not (folder / INDEX_NAME).exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_works(folder):
    write_flat(folder / "a.fits")
    folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        assert names(folder) == ["a.fits"]
    finally:
        folder.chmod(stat.S_IRWXU)


def test_a_locked_index_delays_no_answer_for_long(folder, monkeypatch):
    monkeypatch.setattr(index, "BUSY", 0.05)
    write_flat(folder / "a.fits")
    settle(folder)
    write_flat(folder / "b.fits")
    time.sleep(index.TICK + 0.02)
    with sqlite3.connect(folder / INDEX_NAME, isolation_level=None) as base:
        base.execute("BEGIN EXCLUSIVE")

        assert names(folder) == ["a.fits", "b.fits"]


def test_a_damaged_file_is_listed_with_its_problem(folder):
    (folder / "broken.fits").write_bytes(b"SIMPLE  =                    T")
    write_flat(folder / "wrong.fits", MSTATUS="perhaps")

    broken, wrong = CalibrationLibrary(folder).files()

    assert "END" in broken.problems[""]
    assert broken.kind is None
    assert "MSTATUS = 'perhaps'" in wrong.problems[""]
    with pytest.raises(NoMatchError, match="cannot be read"):
        CalibrationLibrary(folder).find("flat", R)


def test_hidden_and_unfinished_files_links_in_circles_and_links_to_nowhere_are_passed_over(folder):
    write_flat(folder / "a.fits")
    write_flat(folder / ".hidden.fits")
    write_flat(folder / ".trash" / "b.fits")
    (folder / ".c.fits.1234.part").write_bytes(b"SIMPLE")
    (folder / "loop").symlink_to(folder)
    (folder / "gone.fits").symlink_to(folder / "nowhere.fits")

    assert names(folder) == ["a.fits"]


def test_several_folders_are_one_library(tmp_path, folder):
    write_flat(folder / "a.fits", "V")
    other = write_flat(tmp_path / "other" / "b.fits", "R")

    library = CalibrationLibrary([folder, tmp_path / "other"])

    assert library.find("flat", R).path == other
    assert len(library.entries()) == 2


def ask(folder):
    """What a worker process finds."""
    return [CalibrationLibrary(folder).find("flat", R).path.name for _ in range(20)]


@pytest.mark.slow
def test_several_processes_ask_while_masters_are_written(folder):
    write_flat(folder / "a.fits")
    with ProcessPoolExecutor(3, mp_context=get_context("spawn")) as pool:
        answers = [pool.submit(ask, folder) for _ in range(6)]
        for number in range(15):
            write_flat(folder / f"z{number}.fits", "V")
            time.sleep(0.02)
        assert all(answer.result() == ["a.fits"] * 20 for answer in answers)
    settle(folder)
    with sqlite3.connect(folder / INDEX_NAME) as base:
        assert base.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert base.execute("SELECT count(*) FROM files").fetchone() == (16,)


def test_a_writer_that_is_killed_leaves_a_usable_index(folder):
    write_flat(folder / "a.fits")
    settle(folder)
    program = (
        "import os, sqlite3\n"
        f"base = sqlite3.connect({str(folder / INDEX_NAME)!r}, isolation_level=None)\n"
        "base.execute('PRAGMA cache_size = 1')\n"
        "base.execute('BEGIN IMMEDIATE')\n"
        "base.execute(\"UPDATE files SET state = 'wrong', header = randomblob(200000)\")\n"
        "os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=False)

    assert [entry.kind for entry in FolderIndex(folder).entries()] == ["flat"]
    write_flat(folder / "b.fits")
    settle(folder)
    assert names(folder) == ["a.fits", "b.fits"]
