"""The watched folder: every file once, when it is complete, whatever happens to the folder."""

import asyncio
import os
import shutil
import subprocess
import time

import pytest

from etendue.pipeline.daemon.settings import WatchSource
from etendue.pipeline.daemon.sources.watch import WatchRunner, candidates, runner


@pytest.fixture
def night(tmp_path):
    folder = tmp_path / "night"
    folder.mkdir()
    return folder


@pytest.fixture
def watching(desk, night):
    """``watching(**settings)``: a source on the folder `night`."""

    def make(apart=(), **settings):
        source = WatchSource(watch=night, name="night", chain="c", **{"scan": 30, "settle": 1, **settings})
        return WatchRunner(source, known=desk.known, inspect=desk.look, apart=apart)

    return make


def test_files_that_are_there_and_files_that_come_are_found_once(watching, desk, night, put):
    put(night / "old.fits")

    async def scenario():
        async with desk.runs(watching(scan=0.5)):
            await desk.until_found(1)
            put(night / "new.fits")
            put(night / "sub/deeper/new too.fits")
            await desk.until_found(3)
            await asyncio.sleep(1.2)  # two more searches

    asyncio.run(scenario())
    assert desk.names == ["new too.fits", "new.fits", "old.fits"]
    assert all(one.problem == "" and one.facts["object_name"] == "M31" for one in desk.found)
    assert desk.found[0].size == (night / "old.fits").stat().st_size
    assert desk.found[0].mtime_ns == (night / "old.fits").stat().st_mtime_ns


def test_events_alone_find_what_comes(watching, desk, night, put):
    async def scenario():
        async with desk.runs(watching(scan=3600)):
            await asyncio.sleep(0.3)
            put(night / "moved in.fits")
            (night / "a/b").mkdir(parents=True)
            put(night / "a/b/in a new folder.fits")
            (night / "written.fits").write_bytes((night / "moved in.fits").read_bytes())
            elsewhere = night.parent / "elsewhere"
            put(elsewhere / "c/in a folder that was moved here.fits")
            elsewhere.rename(night / "elsewhere")
            await desk.until_found(4)

    asyncio.run(scenario())


def test_searches_alone_find_what_comes(watching, desk, night, put, monkeypatch):
    def deaf(self):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(runner.FolderEvents, "__init__", deaf)
    watch = watching(scan=0.2)

    async def scenario():
        async with desk.runs(watch):
            put(night / "a.fits")
            await desk.until_found(1)
            put(night / "b/b.fits")
            await desk.until_found(2)

    asyncio.run(scenario())
    assert "does not tell of all changes (Too many open files)" in watch.state.notes[0]
    assert watch.state.state == "ok"


def test_after_a_restart_only_what_is_new_is_found(watching, desk, night, put):
    put(night / "a.fits")

    async def scenario():
        async with desk.runs(watching()):
            await desk.until_found(1)
        put(night / "b.fits")
        before = desk.inspections
        async with desk.runs(watching()):
            await desk.until_found(2)
        assert desk.inspections == before + 1

    asyncio.run(scenario())
    assert desk.names == ["a.fits", "b.fits"]


@pytest.mark.parametrize("keep_open", [True, False])
def test_a_file_that_is_written_slowly_is_found_when_it_is_whole(watching, desk, night, make_fits, keep_open):
    content = make_fits(shape=(100, 100))
    path = night / "slow.fits"

    async def scenario():
        async with desk.runs(watching(settle=0.3)):
            await asyncio.sleep(0.2)
            file = path.open("wb", buffering=0)
            for start in range(0, len(content), 4000):
                if not keep_open:
                    file = path.open("ab", buffering=0)
                file.write(content[start : start + 4000])
                if not keep_open:
                    file.close()
                await asyncio.sleep(0.4)  # longer than `settle`
                assert start + 4000 >= len(content) or not desk.found
            file.close()
            await desk.until_found(1)

    asyncio.run(scenario())
    (found,) = desk.found
    assert (found.size, found.problem) == (len(content), "")


def test_a_whole_file_that_is_kept_open_is_found_when_it_is_closed(watching, desk, night, make_fits):
    async def scenario():
        async with desk.runs(watching(settle=0.1)):
            with (night / "open.fits").open("wb", buffering=0) as file:
                file.write(make_fits())
                await asyncio.sleep(1.0)
                assert not desk.found
            await desk.until_found(1)

    asyncio.run(scenario())


def test_a_whole_file_that_is_kept_open_for_ever_is_found_at_last(watching, desk, night, make_fits, monkeypatch):
    monkeypatch.setattr(candidates, "HELD_OPEN", 1.0)

    async def scenario():
        async with desk.runs(watching(settle=0.1)):
            with (night / "open.fits").open("wb", buffering=0) as file:
                file.write(make_fits())
                await desk.until_found(1)

    asyncio.run(scenario())
    assert desk.found[0].problem == ""


def test_a_file_that_never_becomes_whole_is_reported_and_found_when_it_does(
    watching, desk, night, make_fits, put, monkeypatch
):
    monkeypatch.setattr(candidates, "NEVER_WHOLE", 0.8)
    content = make_fits(shape=(100, 100))
    put(night / "cut.fits", content[:9000])
    put(night / "empty.fits", b"")

    async def scenario():
        async with desk.runs(watching(settle=0.1)):
            await desk.until_found(2)
            put(night / "cut.fits", content)
            await desk.until_found(3)

    asyncio.run(scenario())
    problems = {one.path.name: one.problem for one in desk.found[:2]}
    assert "truncated: the data of HDU 0 end at byte 22880, the file at byte 9000" in problems["cut.fits"]
    assert "the file is empty" in problems["empty.fits"]
    assert (desk.found[2].path.name, desk.found[2].problem) == ("cut.fits", "")


def test_a_replaced_file_is_found_again(watching, desk, night, put, make_fits):
    put(night / "a.fits", make_fits(1))

    async def scenario():
        async with desk.runs(watching()):
            await desk.until_found(1)
            put(night / "a.fits", make_fits(2))  # of the same size
            await desk.until_found(2)

    asyncio.run(scenario())
    first, second = desk.found
    assert first.path == second.path
    assert first.size == second.size
    assert first.mtime_ns != second.mtime_ns


@pytest.mark.parametrize(
    "name",
    ["with space.fits", "new\nline.fits", "-rf.fits", b"\xff\xfe latin \xe9.fits", "ü€星.fits", "x" * 250 + ".fit"],
)
def test_names_of_all_kinds(watching, desk, night, make_fits, name):
    async def scenario():
        async with desk.runs(watching(scan=3600)):
            await asyncio.sleep(0.2)
            (night / os.fsdecode(name)).write_bytes(make_fits())
            await desk.until_found(1)

    asyncio.run(scenario())
    assert os.fsencode(desk.found[0].path.name) == os.fsencode(name)
    assert desk.found[0].facts["object_name"] == "M31"
    assert desk.found[0].label.isprintable()


def test_links(watching, desk, night, put, tmp_path):
    inside = put(night / "a.fits")
    outside = put(tmp_path / "elsewhere/b.fits")
    (night / "to-inside.fits").symlink_to(inside)
    (night / "to-outside.fits").symlink_to(outside)
    (night / "to-nothing.fits").symlink_to(tmp_path / "nothing.fits")
    (night / "to-itself.fits").symlink_to(night / "to-itself.fits")
    (night / "folder-outside").symlink_to(outside.parent)
    (night / "loop").symlink_to(night)
    (night / "sub").mkdir()
    (night / "sub/loop").symlink_to(night)

    watch = watching()

    async def scenario():
        async with desk.runs(watch):
            await desk.until_found(1)
            await asyncio.sleep(1.5)

    asyncio.run(scenario())
    assert desk.names == ["a.fits"]
    assert sum("is a link out of the folder and is not followed" in note for note in watch.state.notes) == 2
    desk.forget()

    async def following():
        async with desk.runs(watching(follow_links=True)):
            await desk.until_found(3)
            await asyncio.sleep(1.5)

    asyncio.run(following())
    assert desk.names == ["a.fits", "b.fits", "to-outside.fits"]


def test_hard_links_are_files(watching, desk, night, put):
    put(night / "a.fits")
    (night / "b.fits").hardlink_to(night / "a.fits")

    async def scenario():
        async with desk.runs(watching()):
            await desk.until_found(2)

    asyncio.run(scenario())


def test_what_is_no_file_is_never_opened(watching, desk, night, put):
    os.mkfifo(night / "pipe.fits")
    (night / "folder.fits").mkdir()
    import socket

    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(night / "socket.fits"))
        if os.geteuid() == 0:
            os.mknod(night / "device.fits", 0o600 | 0o020000, os.makedev(1, 5))  # /dev/zero never ends
        put(night / "a.fits")

        async def scenario():
            async with desk.runs(watching(scan=0.3)):
                await desk.until_found(1)
                await asyncio.sleep(1.0)

        asyncio.run(scenario())
    assert desk.names == ["a.fits"]
    assert desk.inspections == 1


def test_what_does_not_count_is_passed_over(watching, desk, night, put, tmp_path):
    for name in (".hidden.fits", "a.fits.part", "notes.txt", "dark-1.fits", "skip/a.fits", ".cache/a.fits", "B.FIT"):
        put(night / name)
    put(night / "products/m31.fits")
    put(night / "masters/bias.fits")
    put(night / "reduced/.etendue/journal.jsonl", b"")
    put(night / "reduced/a_reduced.fits")

    async def scenario():
        apart = (night / "products", night / "masters", tmp_path)
        watch = watching(apart, ignore=("dark*", "skip"), scan=0.3)
        async with desk.runs(watch):
            await desk.until_found(1)
            put(night / "products/m33.fits")
            put(night / "skip/new/b.fits")
            put(night / "products/new/c.fits")
            await asyncio.sleep(1.0)
        assert "holds products of a run" in watch.state.notes[0]

    asyncio.run(scenario())
    assert desk.names == ["B.FIT"]


def test_patterns_and_no_recursion(watching, desk, night, put):
    for name in ("a.fits", "b.raw", "sub/c.raw"):
        put(night / name)

    async def scenario():
        async with desk.runs(watching(patterns=("*.RAW",), recursive=False, scan=0.3)):
            await desk.until_found(1)
            put(night / "d/e.raw")
            await asyncio.sleep(0.8)

    asyncio.run(scenario())
    assert desk.names == ["b.raw"]


def test_a_folder_that_vanishes_and_comes_back(watching, desk, night, put, monkeypatch):
    put(night / "a.fits")
    watch = watching(scan=0.3)

    async def scenario():
        async with desk.runs(watch):
            await desk.until_found(1)
            night.rename(night.with_name("away"))
            await desk.until(lambda: watch.state.state == "holding")
            assert "No such file or directory" in watch.state.message
            put(night.with_name("away") / "b.fits")
            night.with_name("away").rename(night)
            await desk.until_found(2)
            assert watch.state.state == "ok"
            shutil.rmtree(night)
            await desk.until(lambda: watch.state.state == "holding")
            put(night / "c.fits")  # a new folder of that name
            await desk.until_found(3)
            put(night / "d.fits")
            await desk.until_found(4)

    asyncio.run(scenario())
    assert desk.names == ["a.fits", "b.fits", "c.fits", "d.fits"]


def test_a_folder_that_is_not_there_yet(watching, desk, night, put):
    night.rmdir()
    watch = watching(scan=0.3)

    async def scenario():
        async with desk.runs(watch):
            await desk.until(lambda: watch.state.state == "holding")
            put(night / "a.fits")
            await desk.until_found(1)

    asyncio.run(scenario())
    assert watch.state.state == "ok"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount file systems")
def test_an_empty_mount_point_is_not_an_empty_folder(watching, desk, night, put):
    def mount():
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", str(night)], capture_output=True)
        return done.returncode == 0

    def unmount():
        subprocess.run(["umount", "-l", str(night)], check=True)

    if not mount():
        pytest.skip("this machine does not let us mount file systems")
    watch = watching(scan=0.3)
    mounted = True
    try:
        put(night / "a.fits")
        content = night / "a.fits"
        kept, when = content.read_bytes(), content.stat().st_mtime_ns

        async def scenario():
            nonlocal mounted
            async with desk.runs(watch):
                await desk.until_found(1)
                unmount()
                mounted = False
                await desk.until(lambda: watch.state.state == "holding")
                assert "is it mounted?" in watch.state.message
                mounted = mount()
                put(night / "a.fits", kept)
                os.utime(night / "a.fits", ns=(when, when))
                put(night / "b.fits")
                await desk.until_found(2)

        asyncio.run(scenario())
    finally:
        if mounted:
            unmount()
    assert desk.names == ["a.fits", "b.fits"]
    assert watch.state.state == "ok"


def test_what_cannot_be_handed_over_is_handed_over_later(watching, desk, night, put):
    put(night / "a.fits")
    watch = watching(scan=0.3)
    desk.broken = RuntimeError("the database is away")

    async def scenario():
        async with desk.runs(watch):
            await desk.until(lambda: watch.state.state == "holding")
            assert "the database is away" in watch.state.message
            desk.broken = None
            await desk.until_found(1)
            await desk.until(lambda: watch.state.state == "ok")

    asyncio.run(scenario())
    assert desk.names == ["a.fits"]


def test_a_file_that_is_deleted_before_it_is_looked_at(watching, desk, night, put):
    looked = desk.look

    async def look(paths):
        for path in paths:
            if path.name == "gone.fits":
                path.unlink(missing_ok=True)
        return await looked(paths)

    desk.look = look
    put(night / "gone.fits")
    put(night / "a.fits")

    async def scenario():
        async with desk.runs(watching(scan=0.3)):
            await desk.until_found(1)
            await asyncio.sleep(0.6)

    asyncio.run(scenario())
    assert desk.names == ["a.fits"]


def test_what_is_no_image_is_handed_over_and_fails_there(watching, desk, night, put):
    put(night / "a.fits", b"this is a text, whatever its name says\n" * 100)

    async def scenario():
        async with desk.runs(watching(settle=0.3)):
            await desk.until_found(1)

    asyncio.run(scenario())
    assert desk.found[0].problem == ""


def test_a_file_that_nobody_may_read_is_reported(watching, desk, night, put, monkeypatch):
    monkeypatch.setattr(candidates, "NEVER_WHOLE", 0.5)
    put(night / "a.fits").chmod(0)
    if os.access(night / "a.fits", os.R_OK):
        pytest.skip("whoever runs this test may read everything")
    put(night / "later.fits").chmod(0)
    put(night / "closed/b.fits")
    (night / "closed").chmod(0)
    watch = watching()

    async def scenario():
        async with desk.runs(watch):
            await asyncio.sleep(0.2)
            (night / "later.fits").chmod(0o600)
            await desk.until_found(2)

    try:
        asyncio.run(scenario())
    finally:
        (night / "closed").chmod(0o700)
    problems = {one.path.name: one.problem for one in desk.found}
    assert problems["later.fits"] == ""
    assert "Permission denied" in problems["a.fits"]
    assert any("closed cannot be searched: Permission denied" in note for note in watch.state.notes)


@pytest.mark.slow
def test_five_thousand_files_at_once(watching, desk, night, make_fits):
    content = make_fits()

    async def scenario():
        watch = watching(scan=1)
        async with desk.runs(watch):
            await asyncio.sleep(0.2)
            await asyncio.to_thread(write_all)
            await desk.until(lambda: len(desk.found) >= 5000)
            await desk.until(lambda: watch.state.waiting == 0)
            assert watch.state.count == 5000

    def write_all():
        for number in range(5000):
            (night / f"{number:04d}.fits").write_bytes(content)

    asyncio.run(scenario())
    assert len(set(desk.paths)) == len(desk.found) == 5000
    assert max(desk.batches) <= 500


async def until(condition):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "waited too long"
        await asyncio.sleep(0.02)


def test_files_that_do_not_become_complete_are_named(watching, desk, night, put, monkeypatch):
    monkeypatch.setattr(runner, "LOOK_ANYWAY", 0.1)
    whole = put(night / "whole.fits").read_bytes()
    (night / "empty.fits").touch()
    (night / "cut.fits").write_bytes(whole[:2880])
    watch = watching(settle=0.2)

    async def scenario():
        async with desk.runs(watch):
            await desk.until_found(1)
            await until(lambda: len(watch.state.notes) == 2)
            assert watch.state.waiting == 2
            notes = sorted(watch.state.notes)
            (night / "empty.fits").unlink()
            (night / "cut.fits").write_bytes(whole)
            await desk.until_found(2)
            await until(lambda: not watch.state.notes)
            return notes

    cut, empty = asyncio.run(scenario())
    assert cut.startswith(f"{night}/cut.fits: truncated")
    assert empty == f"{night}/empty.fits: the file is empty"
