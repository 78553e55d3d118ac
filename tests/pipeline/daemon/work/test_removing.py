"""Outdated products are removed: exactly those, and only where the file is still what was published."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from etendue.pipeline.daemon.queue import DaemonFacts, Job, JobQueue, JobState, NewJob, Record
from etendue.pipeline.daemon.work import removing
from etendue.pipeline.daemon.work.destinations import Destination
from etendue.pipeline.daemon.work.folders import FolderDestination
from etendue.pipeline.daemon.work.publish import make_staging, manifest_of, publish, staging_of
from etendue.pipeline.daemon.work.removing import remove_outdated
from etendue.pipeline.daemon.work.storage import StorageError
from etendue.pipeline.daemon.work.stores import StoreDestination


class KilledError(BaseException):
    """The process ends here."""


@pytest.fixture(params=["folder", "object store", "other store"])
def destination(request: pytest.FixtureRequest, tmp_path: Path) -> Destination:
    match request.param:
        case "folder":
            return FolderDestination("products", tmp_path / "out")
        case "object store":
            return StoreDestination("products", f"memory://{tmp_path}/out", {}, tmp_path / "staging")
    return StoreDestination("products", f"file://{tmp_path}/out", {}, tmp_path / "staging")


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[JobQueue]:
    with JobQueue.open(tmp_path / "queue.db") as queue:
        yield queue
        assert queue.check() == []


@pytest.fixture
def run(queue: JobQueue, destination: Destination) -> Callable[..., Job]:
    """``run("a.fits", …)``: the next run of an image, whose products are put into their places."""
    me = queue.register(DaemonFacts.of_this_process())

    def make(*names: str) -> Job:
        number = queue.search(limit=1).total
        path = Path("/night/0001.fits")
        new = NewJob(key=f"{number}", source="camera", chain="c", label=path.name, path=path, size=number, mtime_ns=1)
        queue.add([new])
        (job,) = queue.claim(me, limit=1)
        staging = staging_of(destination, job.id, job.token)
        make_staging(destination, staging)
        for name in names:
            (staging / name).parent.mkdir(parents=True, exist_ok=True)
            (staging / name).write_text(f"{name} of job {job.id}")
        manifest = manifest_of(staging, [staging / name for name in names], "products")
        queue.commit_manifest(job.id, job.token, manifest)
        publish(manifest, {"products": destination})
        queue.finish(job.id, job.token, JobState.DONE, Record())
        return job

    return make


def there(destination: Destination, *names: str) -> list[str]:
    return [name for name in names if destination.size(name) is not None]


def remove_all(queue: JobQueue, destination: Destination) -> list[tuple[bool, str]]:
    return [remove_outdated(queue, one, {"products": destination}) for one in queue.outdated()]


def test_exactly_the_outdated_ones_are_removed(queue: JobQueue, destination: Destination, run: Callable[..., Job]):
    run("night/a.fits", "night/a.png", "b.png")
    new = run("night/a.fits", "c.png")

    assert remove_all(queue, destination) == [(True, ""), (True, "")]

    assert there(destination, "night/a.fits", "c.png", "night/a.png", "b.png") == ["night/a.fits", "c.png"]
    with destination.open("night/a.fits") as file:
        assert file.read().decode() == f"night/a.fits of job {new.id}"
    assert queue.outdated() == []


def put_there(destination: Any, name: str, content: bytes) -> None:
    """Put a file of somebody's own into the place of a product."""
    if destination.folder is not None:
        (destination.folder / name).write_bytes(content)
    else:
        destination._system.pipe_file(destination._key(name), content)


@pytest.fixture
def outdated(destination: Destination, run: Callable[..., Job]) -> str:
    """The name of a product that is outdated."""
    run("night/a.png")
    run("night/b.png")
    return "night/a.png"


@pytest.mark.parametrize("within", ["", "/night"])
def test_what_may_be_a_product_of_another_destination_is_left_alone(
    queue: JobQueue, destination: Destination, outdated: str, tmp_path: Path, within: str
):
    """One folder by two names: what is outdated by the one may be the newest by the other."""
    place = f"{destination.url}{within}"
    is_folder = destination.folder is not None
    other = FolderDestination("web", Path(place)) if is_folder else StoreDestination("web", place, {}, tmp_path / "web")
    (found,) = queue.outdated()

    is_gone, why = remove_outdated(queue, found, {"products": destination, "web": other})

    assert (is_gone, why) == (False, "it lies in 'web', too, and may be a product of that destination")
    assert there(destination, outdated) == [outdated]


def test_a_file_of_another_size_is_left_alone(queue: JobQueue, destination: Destination, outdated: str):
    put_there(destination, outdated, b"mine")

    ((is_gone, why),) = remove_all(queue, destination)

    assert not is_gone
    assert why == "it is not the file that was published: it has 4 bytes, and had 20"
    assert there(destination, outdated) == [outdated]
    assert len(queue.outdated()) == 1


def test_a_file_that_was_changed_later_is_left_alone(
    queue: JobQueue, destination: Destination, outdated: str, monkeypatch: pytest.MonkeyPatch
):
    """An hour later, of the same size; for stores, whose times nobody can set, the other clock is set back."""
    put_there(destination, outdated, b"x" * 20)
    if destination.folder is not None:
        os.utime(destination.folder / outdated, (time.time() + 3600.0,) * 2)
    else:
        monkeypatch.setattr(removing, "CLOCKS", -3600.0)

    ((is_gone, why),) = remove_all(queue, destination)

    assert not is_gone
    assert "somebody has changed it since it was published, at 20" in why
    assert there(destination, outdated) == [outdated]
    assert len(queue.outdated()) == 1


def test_a_file_that_is_not_there_any_more_is_forgotten(queue: JobQueue, destination: Destination, outdated: str):
    destination.remove(outdated)
    destination.remove(outdated)

    assert remove_all(queue, destination) == [(True, "its file was not there any more")]
    assert queue.outdated() == []


def test_what_was_made_again_meanwhile_is_left_alone(
    queue: JobQueue, destination: Destination, outdated: str, run: Callable[..., Job]
):
    (one,) = queue.outdated()
    run(outdated, "night/b.png")
    with destination.open(outdated) as file:  # as long as the first one: only the queue knows that it is another one
        assert file.read() == b"night/a.png of job 3"

    is_gone, why = remove_outdated(queue, one, {"products": destination})

    assert not is_gone
    assert "made again meanwhile" in why
    assert there(destination, outdated) == [outdated]


@pytest.mark.parametrize("when", ["before", "after"])
def test_it_can_be_killed_before_and_after_the_file_is_gone(
    queue: JobQueue, destination: Destination, outdated: str, monkeypatch: pytest.MonkeyPatch, when: str
):
    remove = destination.remove

    def killed(name: str) -> None:
        if when == "after":
            remove(name)
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(destination, "remove", killed)
        with pytest.raises(KilledError):
            remove_all(queue, destination)
    assert len(queue.outdated()) == 1

    remarks = {"before": "", "after": "its file was not there any more"}
    assert remove_all(queue, destination) == [(True, remarks[when])]
    assert there(destination, outdated) == []
    assert queue.outdated() == []


def test_what_cannot_be_removed_stays_in_the_list(
    queue: JobQueue, destination: Destination, outdated: str, monkeypatch: pytest.MonkeyPatch
):
    def refuse(name: str) -> None:
        raise StorageError(f"{name} cannot be reached or removed: Permission denied")

    monkeypatch.setattr(destination, "remove", refuse)

    assert remove_all(queue, destination) == [(False, f"{outdated} cannot be reached or removed: Permission denied")]
    assert len(queue.outdated()) == 1


def test_a_destination_that_is_not_known_is_left_alone(queue: JobQueue, outdated: str):
    (one,) = queue.outdated()

    is_gone, why = remove_outdated(queue, one, {})

    assert not is_gone
    assert "'products'" in why


# --- folders --------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(destination: Destination) -> Path:
    assert destination.folder is not None
    return destination.folder


of_folders = pytest.mark.parametrize("destination", ["folder"], indirect=True)


@of_folders
def test_a_disk_that_is_not_mounted_keeps_its_products(
    queue: JobQueue, destination: Destination, folder: Path, outdated: str
):
    away = folder.rename(folder.with_name("away"))
    folder.mkdir()

    ((is_gone, why),) = remove_all(queue, destination)

    assert not is_gone
    assert "not mounted" in why
    folder.rmdir()
    away.rename(folder)
    assert remove_all(queue, destination) == [(True, "")]


@of_folders
@pytest.mark.parametrize("what", ["link", "folder"])
def test_what_is_no_file_is_left_alone(
    queue: JobQueue, destination: Destination, folder: Path, outdated: str, what: str, tmp_path: Path
):
    moved = (folder / outdated).rename(tmp_path / "moved.png")
    if what == "link":
        (folder / outdated).symlink_to(moved)
    else:
        (folder / outdated).mkdir()

    ((is_gone, why),) = remove_all(queue, destination)

    assert not is_gone
    assert "no file any more, but a folder or a link" in why
    assert moved.exists()


@of_folders
def test_a_link_that_leads_out_is_not_followed(
    queue: JobQueue, destination: Destination, folder: Path, outdated: str, tmp_path: Path
):
    moved = (folder / "night").rename(tmp_path / "elsewhere")
    (folder / "night").symlink_to(moved)

    ((is_gone, why),) = remove_all(queue, destination)

    assert not is_gone
    assert "leads out" in why
    assert (moved / "a.png").exists()
