"""The registry of formats, and the formats besides FITS."""

import asyncio
import hashlib
import io
import warnings

import numpy as np
import pytest
from PIL import Image as Pillow

from etendue.images import Image, ImageError
from etendue.images.io import (
    Format,
    file_checksum,
    formats,
    image_suffixes,
    is_image_file,
    load_planes,
    read_bytes,
    read_file,
    registry,
    save_planes,
    write_file,
)
from etendue.images.planes import Planes


def png(pixels, mode=None, kind="PNG"):
    stream = io.BytesIO()
    picture = Pillow.fromarray(pixels)
    (picture.convert(mode) if mode else picture).save(stream, kind)
    return stream.getvalue()


# --- which format ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["a.fits", "A.FITS", "a.fit", "b.fts", "c.fits.gz", "d.fits.fz", "e.TIFF", "f.npy", "g.JPG"]
)
def test_image_files_are_known_by_name(name, tmp_path):
    assert is_image_file(tmp_path / name)


@pytest.mark.parametrize("name", [".a.fits", "notes.txt", "a.fits.part", "fits", "a.gz", "a.fits.txt"])
def test_other_files_are_not_images(name, tmp_path):
    assert not is_image_file(tmp_path / name)


def test_suffixes_are_listed_once():
    assert len(set(image_suffixes())) == len(image_suffixes())
    assert {".fits", ".fits.gz", ".fits.fz", ".tif", ".npy", ".png", ".jpeg"} <= set(image_suffixes())


@pytest.mark.parametrize("suffix", ["fits", "npy", "tif"])
def test_content_decides_when_the_suffix_is_wrong_or_missing(tmp_path, suffix):
    right = tmp_path / f"frame.{suffix}"
    write_file(Planes(data=np.array([[1.0, 2.0]], np.float32)), right)

    for name in ("frame", "frame.png"):
        wrong = right.rename(tmp_path / name)
        assert read_file(wrong).data.tolist() == [[1, 2]]
        right = wrong


@pytest.mark.parametrize("suffix", ["fits", "tiff", "npy", "png", "jpg", "dat"])
@pytest.mark.parametrize("content", [b"", b"This is a text.\n" * 50])
def test_what_is_no_image_is_refused_by_name(tmp_path, suffix, content):
    path = tmp_path / f"frame.{suffix}"
    path.write_bytes(content)

    with pytest.raises(ImageError, match=rf"frame\.{suffix}: "):
        read_file(path)


def test_packing_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(ImageError, match=r"compress \(\.Z\)"):
        read_bytes(b"\x1f\x9d\x90S\x924\x81")


def test_a_folder_is_no_image(tmp_path):
    with pytest.raises(ImageError, match="folder"):
        read_file(tmp_path)


@pytest.mark.parametrize("name", ["frame.xyz", "frame", "frame.fits.bz2"])
def test_an_unknown_suffix_is_not_written(tmp_path, name):
    with pytest.raises(ImageError, match=rf"{name}: .*\.fits"):
        write_file(Planes(data=np.zeros((2, 2))), tmp_path / name)


def test_an_option_that_the_reader_does_not_have_is_named(tmp_path):
    write_file(Planes(data=np.zeros((2, 2))), tmp_path / "a.npy")

    with pytest.raises(TypeError, match="NPY reader has no option 'mask'; it has dtype"):
        read_file(tmp_path / "a.npy", mask="DQ")


class Entry:
    """What importlib.metadata gives for an entry point."""

    def __init__(self, plugin):
        self.name, self.value, self.plugin = "mine", "mine:FORMAT", plugin
        self.dist = type("Distribution", (), {"name": "etendue-mine"})

    def load(self):
        if isinstance(self.plugin, Exception):
            raise self.plugin
        return self.plugin


@pytest.fixture
def plugin(monkeypatch):
    def install(plugin):
        monkeypatch.setattr(registry, "entry_points", lambda group: [Entry(plugin)])
        formats.cache_clear()

    yield install
    formats.cache_clear()


def test_a_plugin_adds_a_format(plugin, tmp_path):
    def read(source, *, name):
        return Planes(data=np.full((1, 1), len(source.read_bytes())))

    plugin(Format("Length", (".len",), lambda head: head.startswith(b"LEN"), read))
    (tmp_path / "a.len").write_bytes(b"LENGTH")

    assert read_file(tmp_path / "a.len").data.tolist() == [[6]]
    assert is_image_file(tmp_path / "a.len")


@pytest.mark.parametrize("broken", [ImportError("no module named zarr"), "not a format"])
def test_a_broken_plugin_is_reported_and_harmless(plugin, broken):
    plugin(broken)

    with pytest.warns(RuntimeWarning, match="etendue-mine"):
        found = formats()

    assert [form.name for form in found] == ["FITS", "TIFF", "NPY", "PNG", "JPEG"]


# --- TIFF, NPY --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize(
    ("shape", "axes"), [((5, 7), "YX"), ((4, 5, 7), "TYX"), ((3, 5, 7), "TYX"), ((3, 5, 7), "CYX")]
)
def test_tiff_round_trip(tmp_path, rng, dtype, shape, axes):
    planes = Planes(data=(rng.random(shape) * 255).astype(dtype), axes=axes)

    write_file(planes, tmp_path / "a.tif")
    back = read_file(tmp_path / "a.tif")

    assert np.array_equal(back.data, planes.data)
    assert (back.data.dtype, back.axes) == (planes.data.dtype, None if axes == "YX" else axes)


def test_tiff_of_others_becomes_float32(tmp_path):
    import tifffile

    tifffile.imwrite(tmp_path / "a.tif", np.array([[1, 60000]], np.uint16))

    assert read_file(tmp_path / "a.tif").data.dtype == np.float32
    assert read_file(tmp_path / "a.tif", dtype=None).data.dtype == np.uint16


def test_alpha_of_a_tiff_is_left_out(tmp_path, rng):
    import tifffile

    pixels = rng.integers(0, 255, (5, 7, 4), np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb", extrasamples=["unassalpha"])

    assert np.array_equal(read_file(tmp_path / "a.tif").data, np.moveaxis(pixels[..., :3], -1, 0))


@pytest.mark.parametrize("keep", [0.9, 0.5, 0.01])
@pytest.mark.parametrize("suffix", ["tif", "npy", "png", "jpg"])
def test_truncated_files_are_refused(tmp_path, rng, suffix, keep):
    path = tmp_path / f"a.{suffix}"
    write_file(Planes(data=rng.normal(size=(64, 64)).astype(np.float32)), path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])

    with pytest.raises(ImageError, match=rf"a\.{suffix}"):
        read_file(path)


@pytest.mark.parametrize("order", ["C", "F"])
def test_npy_is_read_as_it_is(tmp_path, order):
    array = np.array([[1, 2, 3], [4, 5, 6]], ">i4", order=order)
    np.save(tmp_path / "a.npy", array)

    pixels = read_file(tmp_path / "a.npy", dtype=None).data

    assert (pixels.tolist(), pixels.dtype) == (array.tolist(), np.dtype("int32"))


def test_pickles_are_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.array([[{}]]), allow_pickle=True)

    with pytest.raises(ImageError, match="not numbers"):
        read_file(tmp_path / "a.npy")


@pytest.mark.parametrize("array", [np.zeros(3), np.zeros((0, 3)), np.zeros((2, 2, 2, 2)), np.array(["a"])])
def test_npy_without_an_image_is_refused(tmp_path, array):
    np.save(tmp_path / "a.npy", array)

    with pytest.raises(ImageError, match=r"a\.npy"):
        read_file(tmp_path / "a.npy")


# --- PNG, JPEG --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_grey_png(rng, dtype):
    pixels = rng.integers(0, np.iinfo(dtype).max, (5, 7), dtype)

    planes = read_bytes(png(pixels), dtype=None)

    assert (planes.data.dtype, planes.axes) == (pixels.dtype, None)
    assert np.array_equal(planes.data, pixels)


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_colour_png(rng, mode):
    pixels = rng.integers(0, 255, (5, 7, 3), np.uint8)

    planes = read_bytes(png(pixels, mode))

    assert planes.axes == "CYX"
    assert np.array_equal(planes.data, np.moveaxis(pixels, -1, 0).astype(np.float32))


def test_jpeg_is_nearly_the_picture():
    pixels = np.add.outer(np.arange(64), np.arange(64)).astype(np.uint8)

    planes = read_bytes(png(pixels, kind="JPEG"))

    assert planes.data.shape == (64, 64)
    assert abs(planes.data - pixels).max() < 8


def test_a_decompression_bomb_is_refused(monkeypatch):
    monkeypatch.setattr(Pillow, "MAX_IMAGE_PIXELS", 100)

    with pytest.raises(ImageError, match="memory"):
        read_bytes(png(np.zeros((50, 50), np.uint8)))


def test_a_png_that_would_lose_bits_is_refused():
    content = bytearray(png(np.zeros((5, 7, 3), np.uint8)))
    content[24] = 16

    with pytest.raises(ImageError, match="16 bits"):
        read_bytes(bytes(content))


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_pictures_are_stretched_when_written(tmp_path, rng, suffix):
    write_file(Planes(data=rng.normal(1000, 5, (40, 50))), tmp_path / f"a.{suffix}")

    back = read_file(tmp_path / f"a.{suffix}").data

    assert back.shape == (40, 50)
    assert back.min() < 10
    assert back.max() > 245


# --- asynchronous twins, checksum -------------------------------------------------------------------------------


def test_load_and_save_do_not_block_the_loop(tmp_path):
    async def there_and_back():
        await save_planes(Planes(data=np.eye(3, dtype=np.float32)), tmp_path / "a.fits")
        return await load_planes(tmp_path / "a.fits")

    assert np.array_equal(asyncio.run(there_and_back()).data, np.eye(3))


def test_image_reads_and_writes_through_this_room(tmp_path):
    image = Image(data=np.eye(3), header={"OBJECT": "M31"})
    image.writeto(tmp_path / "a.fits")

    back = Image.from_file(tmp_path / "a.fits")

    assert np.array_equal(back.data, image.data)
    assert (back.header["OBJECT"], back.name) == ("M31", "a.fits")
    assert np.array_equal(Image.from_bytes(image.to_bytes(), data=0).data, image.data)


def test_checksum_is_that_of_the_whole_file(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"abc" * 100_000)

    found = file_checksum(path, "bias")

    assert (found.size, found.role, found.path) == (300_000, "bias", str(path))
    assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_reading_makes_no_warnings(tmp_path):
    write_file(Planes(data=np.eye(3)), tmp_path / "a.fits.fz")

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_file(tmp_path / "a.fits.fz")
