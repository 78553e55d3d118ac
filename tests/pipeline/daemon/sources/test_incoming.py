"""Files that are sent: complete under their name, or refused without a trace."""

import asyncio
import gzip
import io

import pytest

from etendue.pipeline.daemon.settings import UploadSource
from etendue.pipeline.daemon.sources.incoming import NotAnImage, TooLarge, Truncated, safe_name, store
from etendue.pipeline.daemon.sources.upload import UploadRunner


async def pieces_of(content, size=1000):
    for start in range(0, len(content), size):
        yield content[start : start + size]


def stored(folder, content, name="a.fits", **options):
    options = {"limit": 10**6, **options}
    return asyncio.run(store(pieces_of(content), name, folder, **options))


def left_in(folder):
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_a_file_is_stored(tmp_path, make_fits):
    content = make_fits(shape=(100, 100))
    path = stored(tmp_path / "in", content, length=len(content))
    assert (path.name, path.read_bytes()) == ("a.fits", content)
    assert left_in(tmp_path / "in") == ["a.fits"]


def test_the_same_file_again_is_the_same_file(tmp_path, make_fits):
    first = stored(tmp_path, make_fits(1), "a.fits.gz".removesuffix(".gz"))
    when = first.stat().st_mtime_ns
    assert stored(tmp_path, make_fits(1)) == first
    assert stored(tmp_path, make_fits(2)).name == "a-2.fits"
    assert stored(tmp_path, make_fits(2)).name == "a-2.fits"
    assert first.stat().st_mtime_ns == when
    assert left_in(tmp_path) == ["a-2.fits", "a.fits"]


def test_without_hard_links(tmp_path, make_fits, monkeypatch):
    from pathlib import Path

    def refuse(self, target):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    assert stored(tmp_path, make_fits(1)).name == "a.fits"
    assert stored(tmp_path, make_fits(1)).name == "a.fits"
    assert stored(tmp_path, make_fits(2)).name == "a-2.fits"


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../a.fits", "/etc/a.fits", "b/a.fits", "b\\a.fits", ".a.fits", "a\n.fits", "a\0.fits", "a.txt",
     "a", "a\u202estif.fits", "a\ud800.fits", "x" * 300 + ".fits", "..fits", "a.fits/"],
)  # fmt: skip
def test_names_that_are_refused(tmp_path, make_fits, name):
    with pytest.raises(NotAnImage):
        stored(tmp_path / "in", make_fits(), name)
    assert left_in(tmp_path / "in") == []


@pytest.mark.parametrize("name", ["a b.fits", "-a.fits", "M 31 – ü.FITS", "a;rm -rf.fits", "<b>.fits", "星.fits.gz"])
def test_names_that_are_kept(name):
    assert safe_name(name) == name


def test_files_that_are_too_large(tmp_path, make_fits):
    content = make_fits(shape=(100, 100))
    asked = []

    async def counted():
        for start in range(0, len(content), 1000):
            asked.append(start)
            yield content[start : start + 1000]

    with pytest.raises(TooLarge) as refused:
        asyncio.run(store(counted(), "a.fits", tmp_path, limit=5000))
    assert refused.value.status == 413
    assert len(asked) == 6  # it is not taken to its end first
    with pytest.raises(TooLarge, match="at most 5 kB are taken"):
        stored(tmp_path, content, limit=5000, length=len(content))
    assert left_in(tmp_path) == []


def test_files_that_end_too_early(tmp_path, make_fits):
    content = make_fits()
    with pytest.raises(Truncated, match=f"1000 of {len(content)} bytes have come"):
        stored(tmp_path, content[:1000], length=len(content))
    with pytest.raises(Truncated, match="the file is empty"):
        stored(tmp_path, b"")
    assert left_in(tmp_path) == []


def test_senders_that_are_too_slow(tmp_path, make_fits):
    async def one_piece():
        yield make_fits()
        await asyncio.Event().wait()

    async def byte_by_byte():
        for byte in make_fits():
            yield bytes([byte])
            await asyncio.sleep(0.02)

    with pytest.raises(Truncated, match=r"nothing has come for 0\.1 s"):
        asyncio.run(store(one_piece(), "a.fits", tmp_path, limit=10**6, idle=0.1))
    with pytest.raises(Truncated, match=r"did not come within 0\.3 s"):
        asyncio.run(store(byte_by_byte(), "a.fits", tmp_path, limit=10**6, total=0.3))
    assert left_in(tmp_path) == []


def test_a_sender_that_goes_away_leaves_nothing(tmp_path, make_fits):
    async def gone():
        yield make_fits()
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        asyncio.run(store(gone(), "a.fits", tmp_path, limit=10**6))
    assert left_in(tmp_path) == []


def test_what_is_no_image_is_refused_before_it_has_come(tmp_path):
    asked = []

    async def endless():
        while True:
            asked.append(1)
            yield b"MZ this is a program" * 100

    with pytest.raises(NotAnImage, match="the content is not an image"):
        asyncio.run(store(endless(), "a.fits", tmp_path, limit=10**9))
    assert len(asked) <= 3
    with pytest.raises(NotAnImage, match="the content is not an image"):
        stored(tmp_path, b"short")
    assert left_in(tmp_path) == []


def test_a_wrong_suffix_is_refused(tmp_path, make_fits):
    with pytest.raises(NotAnImage, match=r"by its content this is FITS, not PNG; its name should end with \.fits"):
        stored(tmp_path, make_fits(), "a.png")


@pytest.fixture
def upload(tmp_path, desk):
    source = UploadSource(upload="camera", chain="c", limit=10**6)
    return UploadRunner(source, folder=tmp_path / "in", known=desk.known, inspect=desk.look)


def test_an_upload_becomes_a_job(upload, desk, make_fits):
    async def scenario():
        return await upload.take(pieces_of(make_fits()), "a.fits", who="ali", found=desk.hand)

    assert asyncio.run(scenario()) == 0
    (found,) = desk.found
    assert (found.source, found.path.name, found.origin) == ("camera", "a.fits", "uploaded by ali")
    assert found.facts["object_name"] == "M31"
    assert (found.size, found.mtime_ns) == (found.path.stat().st_size, found.path.stat().st_mtime_ns)


def test_uploads_that_are_refused(upload, desk, make_fits, tmp_path):
    bomb = io.BytesIO()
    with gzip.GzipFile(fileobj=bomb, mode="wb") as file:
        file.write(b"SIMPLE  =" + bytes(10000))
    for content, reason in ((make_fits(shape=(50, 50))[:4000], "truncated"), (bomb.getvalue()[:-20], "truncated")):

        async def scenario(content=content):
            await upload.take(pieces_of(content), "a.fits", found=desk.hand)

        with pytest.raises(NotAnImage, match=reason):
            asyncio.run(scenario())
    assert desk.found == []
    assert left_in(tmp_path / "in") == []


def test_uploads_that_the_daemon_could_not_tell_of_are_found(upload, desk, make_fits, tmp_path):
    """It was ended after the file was stored and before its job was in the queue."""
    stored(tmp_path / "in", make_fits(1), "told.fits")
    stored(tmp_path / "in", make_fits(2), "untold.fits")
    (tmp_path / "in/.0123.part").write_bytes(b"unfinished")

    async def scenario():
        desk._newest["camera", tmp_path / "in/told.fits"] = (5760, 0)
        async with desk.runs(upload):
            await desk.until_found(1)
            await asyncio.sleep(0.2)

    asyncio.run(scenario())
    assert desk.names == ["untold.fits"]
