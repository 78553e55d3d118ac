"""Products get into their place exactly once, wherever it is interrupted, and never anywhere else."""

import errno
import os
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from etendue.images import ImageError
from etendue.pipeline.daemon.queue.job import Piece
from etendue.pipeline.daemon.settings import DestinationSettings
from etendue.pipeline.daemon.work.destinations import make_destination
from etendue.pipeline.daemon.work.folders import FolderDestination
from etendue.pipeline.daemon.work.publish import (
    clear_staging,
    make_staging,
    manifest_of,
    publish,
    staged_jobs,
    staging_of,
    sweep,
)
from etendue.pipeline.daemon.work.storage import StorageError, is_storage_problem, probe
from etendue.pipeline.daemon.work.stores import StoreDestination

from .conftest import fill

NAMES = ("a.fits", "M31/b.fits", "M31/deep/c d\nä.fits")


class KilledError(BaseException):
    """The process ends here."""


@pytest.fixture
def destination(tmp_path: Path) -> FolderDestination:
    return FolderDestination("products", tmp_path / "out")


def stage(destination, *names: str, job: int = 1, token: str = "token") -> tuple[Path, tuple[Piece, ...]]:
    staging = staging_of(destination, job, token)
    make_staging(destination, staging)
    for name in names:
        (staging / name).parent.mkdir(parents=True, exist_ok=True)
        (staging / name).write_text(f"content of {name}")
    return staging, manifest_of(staging, [staging / name for name in names], destination.name)


def contents(folder: Path) -> dict[str, str]:
    """All files below, by name, without our own."""
    files = (path for path in folder.rglob("*") if path.is_file())
    found = {path.relative_to(folder).as_posix(): path.read_text() for path in files}
    return {name: text for name, text in found.items() if not name.startswith(".etendue/")}


WHOLE = {name: f"content of {name}" for name in NAMES}


def test_products_go_into_place(destination, tmp_path):
    staging, manifest = stage(destination, *NAMES)
    assert [(piece.name, piece.size) for piece in manifest] == [(name, len(WHOLE[name].encode())) for name in NAMES]

    publish(manifest, {"products": destination})
    clear_staging(staging)

    assert contents(tmp_path / "out") == WHOLE
    assert staged_jobs(destination) == set()


@pytest.mark.parametrize("other_disk", [False, True])
@pytest.mark.parametrize("when", ["before", "after"])
def test_it_can_be_killed_between_any_two_operations(tmp_path, monkeypatch, when, other_disk):
    """Killed before or after each operation in turn, then done again by somebody else: everything is there once."""
    operations = {name: getattr(os, name) for name in ("fsync", "mkdir", "open", "replace", "unlink")}

    def rename(source, target, **options):
        if other_disk and "src_dir_fd" not in options:
            raise OSError(errno.EXDEV, "another disk is mounted there")
        return operations["replace"](source, target, **options)

    for nth in range(1000):
        destination = FolderDestination("products", tmp_path / str(nth))
        (destination.folder / "a.fits").write_text("of an earlier version")
        _, manifest = stage(destination, *NAMES)
        killer = Killer(nth, when)
        with monkeypatch.context() as patch:
            for name, operation in operations.items():
                patch.setattr(os, name, killer.watch(rename if name == "replace" else operation))
            with suppress(KilledError):
                publish(manifest, {"products": destination})
        with monkeypatch.context() as patch:
            patch.setattr(os, "replace", rename)
            publish(manifest, {"products": destination})
        found = {name: text for name, text in contents(destination.folder).items() if not name.endswith(".part")}
        assert found == WHOLE
        if killer.calls <= nth:
            break

    assert nth > 12


class Killer:
    """Ends everything at the nth operation of those that it watches."""

    def __init__(self, nth: int, when: str) -> None:
        self.nth, self.when, self.calls = nth, when, 0

    def watch(self, operation: Callable) -> Callable:
        def watched(*arguments, **options):
            self.calls += 1
            if self.calls - 1 == self.nth and self.when == "before":
                raise KilledError
            try:
                return operation(*arguments, **options)
            finally:
                if self.calls - 1 == self.nth and self.when == "after":
                    raise KilledError

        return watched


def test_a_product_that_somebody_removed_is_missed(destination):
    staging, manifest = stage(destination, "a.fits")
    (staging / "a.fits").unlink()

    with pytest.raises(FileNotFoundError, match="neither"):
        publish(manifest, {"products": destination})


def test_a_file_of_the_same_name_is_not_taken_for_the_product(destination, tmp_path):
    staging, manifest = stage(destination, "a.fits")
    (staging / "a.fits").unlink()
    (tmp_path / "out" / "a.fits").write_text("something else")

    with pytest.raises(FileNotFoundError):
        publish(manifest, {"products": destination})


@pytest.mark.parametrize("name", ["../up.fits", "a/../../up.fits", "/etc/x", "", ".", "a//b", ".etendue/x", "a\0b"])
def test_a_name_out_of_the_destination_is_refused(destination, name):
    with pytest.raises(ImageError, match="no name for a product"):
        publish([Piece("1-token/a", "products", name, 1)], {"products": destination})
    with pytest.raises(ImageError, match="no name for a product"):
        destination.open(name)


def test_a_subfolder_that_leads_out_is_refused_and_one_that_stays_is_followed(destination, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out" / "real").mkdir()
    (tmp_path / "out" / "away").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "out" / "near").symlink_to("real")

    _, away = stage(destination, "away/a.fits")
    with pytest.raises(ImageError, match="symbolic link"):
        publish(away, {"products": destination})
    _, near = stage(destination, "near/a.fits", job=2)
    publish(near, {"products": destination})

    assert not list((tmp_path / "elsewhere").iterdir())
    assert (tmp_path / "out" / "real" / "a.fits").is_file()


def test_a_link_under_the_products_own_name_is_replaced_not_followed(destination, tmp_path):
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "out" / "a.fits").symlink_to(tmp_path / "victim")
    _, manifest = stage(destination, "a.fits")

    publish(manifest, {"products": destination})

    assert (tmp_path / "victim").read_text() == "precious"
    assert not (tmp_path / "out" / "a.fits").is_symlink()


def test_only_files_within_the_staging_folder_are_products(destination, tmp_path):
    staging, _ = stage(destination)
    (tmp_path / "secret").touch()
    (staging / "link").symlink_to(tmp_path / "secret")
    (staging / "folder").symlink_to(tmp_path)
    os.mkfifo(staging / "pipe")

    for product in (staging / "link", staging / "folder" / "secret", staging / "pipe", tmp_path / "secret", staging):
        with pytest.raises(ImageError):
            manifest_of(staging, [product], "products")


def test_a_folder_of_that_name_is_no_storage_problem(destination, tmp_path):
    (tmp_path / "out" / "a.fits").mkdir()
    _, manifest = stage(destination, "a.fits")

    with pytest.raises(ImageError, match="choose another file name") as caught:
        publish(manifest, {"products": destination})

    assert not is_storage_problem(caught.value)


def test_what_nobody_will_finish_is_swept_away(destination):
    for job in (1, 2, 3):
        stage(destination, "a.fits", job=job)
    staged = staged_jobs(destination)
    stage(destination, "a.fits", job=4)  # by another daemon, meanwhile

    sweep(destination, staged - {(2, "token")})

    assert staged_jobs(destination) == {(2, "token"), (4, "token")}


def test_folders_of_another_queue_are_left_alone(destination):
    stage(destination, "a.fits", job=1, token="ours1")
    stage(destination, "a.fits", job=1, token="theirs1")

    sweep(destination, staged_jobs(destination, "ours"))

    assert staged_jobs(destination) == {(1, "theirs1")}


def test_a_folder_is_known_again(tmp_path):
    first = FolderDestination("products", tmp_path / "out")

    assert FolderDestination("products", tmp_path / "out").identity == first.identity
    (tmp_path / "out").rename(tmp_path / "away")
    with pytest.raises(StorageError, match="not there"):
        first.check()
    FolderDestination("products", tmp_path / "out")
    with pytest.raises(StorageError, match="another folder"):
        first.check()


# --- disks ----------------------------------------------------------------------------------------------------------


def test_a_full_disk_holds_and_loses_nothing(disk, tmp_path):
    destination = FolderDestination("products", disk)
    _, manifest = stage(destination, *NAMES)
    fill(disk / "filler")

    assert "too little" in str(probe(destination, tmp_path))
    problem = None
    try:
        publish(manifest, {"products": destination})  # renames need no room, new folders may
    except StorageError as error:
        problem = error
    assert problem is None or is_storage_problem(problem)
    with pytest.raises(OSError, match="space"):
        stage(destination, "d.fits", job=2)
    (disk / "filler").unlink()
    publish(manifest, {"products": destination})

    assert contents(disk) == WHOLE


def test_a_read_only_disk_holds(disk, tmp_path):
    destination = FolderDestination("products", disk)
    _, manifest = stage(destination, *NAMES)
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)

    with pytest.raises(StorageError, match="Read-only") as caught:
        publish(manifest, {"products": destination})
    assert is_storage_problem(caught.value)
    assert probe(destination, tmp_path) is not None
    subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
    publish(manifest, {"products": destination})

    assert contents(disk) == WHOLE


def test_an_unmounted_disk_holds_and_nothing_is_written_under_it(disk, tmp_path):
    destination = FolderDestination("products", disk)
    _, manifest = stage(destination, *NAMES)
    subprocess.run(["umount", str(disk)], check=True)

    with pytest.raises(StorageError, match="not mounted"):
        publish(manifest, {"products": destination})
    with pytest.raises(StorageError, match="not mounted"):
        make_staging(destination, staging_of(destination, 2, "token"))
    assert "not mounted" in str(probe(destination, tmp_path))
    assert not list(disk.iterdir())


def test_a_disk_that_has_become_read_only_is_told_in_words(disk):
    destination = FolderDestination("products", disk)
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)

    with pytest.raises(StorageError, match=r"cannot be written to: Read-only file system"):
        make_staging(destination, staging_of(destination, 2, "token"))


def test_the_probe_leaves_nothing(destination, tmp_path):
    assert probe(destination, tmp_path) is None
    assert {path.name for path in (tmp_path / "out" / ".etendue").rglob("*")} == {"id", "staging"}


# --- stores ---------------------------------------------------------------------------------------------------------


@pytest.fixture(params=["memory", "file"])
def store(request, tmp_path) -> StoreDestination:
    """An object store, and a file system behind a driver."""
    url = f"memory://{tmp_path}/bucket" if request.param == "memory" else f"file://{tmp_path}/store"
    return StoreDestination("remote", url, {}, tmp_path / "state" / "staging" / "remote")


def test_products_go_into_a_store(store):
    staging, manifest = stage(store, *NAMES)

    publish(manifest, {"remote": store})

    for name in NAMES:
        with store.open(name) as stream:
            assert stream.read().decode() == WHOLE[name]
        assert store.size(name) == len(WHOLE[name].encode())
        assert store.location(name).endswith(f"/{name}")
    assert not [path for path in staging.rglob("*") if path.is_file()]
    publish(manifest, {"remote": store})  # once more changes nothing


def test_an_upload_can_be_killed_before_any_step(tmp_path, monkeypatch):
    for kind in ("memory", "file"):
        for nth in range(100):
            url = f"{kind}://{tmp_path}/{nth}"
            store = StoreDestination("remote", url, {}, tmp_path / "state" / kind / str(nth))
            _, manifest = stage(store, *NAMES)
            calls = 0
            original = StoreDestination._asked

            def asked(self, what, *arguments, original=original, nth=nth, **options):
                nonlocal calls
                calls += 1
                if calls - 1 == nth:
                    raise KilledError
                return original(self, what, *arguments, **options)

            with monkeypatch.context() as patch:
                patch.setattr(StoreDestination, "_asked", asked)
                try:
                    publish(manifest, {"remote": store})
                    killed = False
                except KilledError:
                    killed = True
            publish(manifest, {"remote": store})
            assert {name: store.open(name).read().decode() for name in NAMES} == WHOLE
            if not killed:
                break
        assert nth > 3


def test_an_upload_that_fails_holds_and_keeps_the_product(tmp_path, monkeypatch):
    store = StoreDestination("remote", f"memory://{tmp_path}/x", {}, tmp_path / "state")
    staging, manifest = stage(store, "a.fits")

    def refuse(*arguments, **options):
        raise RuntimeError("SlowDown: please reduce your request rate")

    with monkeypatch.context() as patch:
        patch.setattr(store._system, "put_file", refuse)
        with pytest.raises(StorageError, match="SlowDown") as caught:
            publish(manifest, {"remote": store})
    assert is_storage_problem(caught.value)
    assert (staging / "a.fits").exists()
    publish(manifest, {"remote": store})

    assert store.size("a.fits") == len(b"content of a.fits")


def test_a_product_of_a_store_is_copied_for_those_who_read_files(store, tmp_path):
    _, manifest = stage(store, "a.fits")
    publish(manifest, {"remote": store})

    copy = store.local("a.fits", tmp_path / "cache")

    assert copy.read_text() == "content of a.fits"
    assert copy.parent == tmp_path / "cache"
    assert store.local("a.fits", tmp_path / "cache") == copy


def test_the_configuration_tells_what_a_destination_is(tmp_path):
    state = tmp_path / "state"
    folder = make_destination("a", DestinationSettings(url=str(tmp_path / "a")), state)
    same = make_destination("b", DestinationSettings(url=f"file://{tmp_path}/a%20b"), state)
    memory = make_destination("c", DestinationSettings(url="memory://bucket"), state)

    assert folder.folder == tmp_path / "a"
    assert same.folder == tmp_path / "a b"
    assert memory.folder is None
    assert memory.staging_root == state / "staging" / "c"
    assert folder.space()[0] > 0
    with pytest.raises(StorageError, match="cannot be used"):
        make_destination("d", DestinationSettings(url="nosuch://bucket"), state)
