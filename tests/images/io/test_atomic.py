"""A file is complete under its final name, or it is not there."""

import os

import numpy as np
import pytest

from etendue.images import ImageError
from etendue.images.io import atomic_write, is_image_file, write_file
from etendue.images.planes import Planes


def test_the_file_appears_when_the_block_ends(tmp_path):
    path = tmp_path / "new" / "folder" / "frame.fits"

    with atomic_write(path) as stream:
        stream.write(b"whole")
        assert not path.exists()
        (temporary,) = path.parent.iterdir()
        assert temporary.name.startswith(".")
        assert temporary.name.endswith(".part")
        assert not is_image_file(temporary)

    assert path.read_bytes() == b"whole"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_failure_leaves_the_earlier_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "frame.fits"
    path.write_bytes(b"before")

    def write_half():
        with atomic_write(path) as stream:
            stream.write(b"half")
            raise error

    with pytest.raises(error):
        write_half()

    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_an_existing_file_can_be_protected(tmp_path):
    path = tmp_path / "frame.fits"
    path.write_bytes(b"before")

    with pytest.raises(FileExistsError, match=r"frame\.fits"), atomic_write(path, overwrite=False):
        pass

    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_somebody_makes_meanwhile_is_protected_too(tmp_path):
    path = tmp_path / "frame.fits"

    def write_while_another_does():
        with atomic_write(path, overwrite=False) as stream:
            stream.write(b"ours")
            path.write_bytes(b"theirs")

    with pytest.raises(FileExistsError):
        write_while_another_does()

    assert path.read_bytes() == b"theirs"
    assert list(tmp_path.iterdir()) == [path]


def test_without_hard_links_it_works_as_well(tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise PermissionError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    with atomic_write(tmp_path / "frame.fits", overwrite=False) as stream:
        stream.write(b"whole")

    assert [path.name for path in tmp_path.iterdir()] == ["frame.fits"]


def test_names_of_full_length_can_be_written(tmp_path):
    path = tmp_path / ("ä" * 125 + ".fits")

    with atomic_write(path) as stream:
        stream.write(b"whole")

    assert path.exists()


def test_a_full_disk_leaves_nothing(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_file(Planes(data=np.zeros((2, 2))), tmp_path / "frame.fits")

    assert list(tmp_path.iterdir()) == []


def test_an_image_that_cannot_be_written_leaves_nothing(tmp_path):
    with pytest.raises(ImageError, match=r"frame\.fits: .*complex128"):
        write_file(Planes(data=np.zeros((2, 2), complex)), tmp_path / "frame.fits")

    assert list(tmp_path.iterdir()) == []


def test_errors_name_the_file_and_not_the_temporary_one(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()

    with pytest.raises(IsADirectoryError) as onto_a_folder, atomic_write(tmp_path / "folder"):
        pass
    with pytest.raises(NotADirectoryError) as below_a_file, atomic_write(tmp_path / "file" / "frame.fits"):
        pass

    assert onto_a_folder.value.filename == str(tmp_path / "folder")
    assert below_a_file.value.filename == str(tmp_path / "file" / "frame.fits")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]
