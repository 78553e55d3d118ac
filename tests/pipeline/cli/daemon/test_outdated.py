"""`etendue queue outdated`: what it lists, and what it removes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from etendue.pipeline.daemon.configuration import load_observatory
from etendue.pipeline.daemon.places import open_destinations
from etendue.pipeline.daemon.queue import Job, JobQueue, JobState, NewJob, Piece, Record


@pytest.fixture
def products(config: Path, queue: JobQueue) -> Path:
    """The folder of products, as a daemon has left it."""
    open_destinations(load_observatory(config))
    return config.parent / "products"


@pytest.fixture
def run(queue: JobQueue, products: Path, daemon: str) -> Callable[..., Job]:
    """``run(1, "a.fits")``: the first version of an image is done."""

    def make(version: int, *names: str) -> Job:
        path = Path("/data/a.fits")
        new = NewJob(key=f"{version}", source="incoming", chain="photometry", label="a.fits", path=path, size=version)
        queue.add([new])
        (job,) = queue.claim(daemon, limit=1)
        for name in names:
            (products / name).write_text("12345")
        queue.commit_manifest(job.id, job.token, [Piece(f"x/{name}", "products", name, 5) for name in names])
        queue.finish(job.id, job.token, JobState.DONE, Record())
        return job

    return make


@pytest.fixture
def two_runs(run: Callable[..., Job]) -> tuple[Job, Job]:
    return run(1, "a.fits", "old.png", "changed.png"), run(2, "a.fits")


def test_they_are_listed_with_job_and_reason(command: Callable[..., Any], config: Path, two_runs: tuple[Job, Job]):
    result = command("queue", "outdated", config)

    assert result.exit_code == 0, result.output
    _, first, second, end = result.stdout.splitlines()
    assert first.split()[:4] == [str(two_runs[0].id), "a.fits", "old.png", "products"]
    assert second.split()[2] == "changed.png"
    assert f"job {two_runs[1].id} has done a newer version of the file" in first
    assert end == "2 outdated products (10 B); --remove removes them"


def test_as_json(command: Callable[..., Any], config: Path, two_runs: tuple[Job, Job]):
    told = json.loads(command("queue", "outdated", config, "--json").stdout)["products"]

    assert [(one["job"], one["name"], one["newest"]) for one in told] == [
        (two_runs[0].id, "old.png", two_runs[1].id),
        (two_runs[0].id, "changed.png", two_runs[1].id),
    ]


def test_nothing_is_outdated(command: Callable[..., Any], config: Path, run: Callable[..., Job]):
    run(1, "a.fits")

    assert command("queue", "outdated", config).stdout == "No product is outdated\n"
    assert command("queue", "outdated", config, "--remove").stdout == "0 outdated products removed\n"


def test_they_are_removed_and_what_is_not_ours_stays(
    command: Callable[..., Any], config: Path, products: Path, two_runs: tuple[Job, Job]
):
    (products / "changed.png").write_text("by somebody")

    result = command("queue", "outdated", config, "--remove", "--yes")

    assert result.exit_code == 1
    assert result.stdout == "1 outdated product (5 B) removed\n"
    assert "changed.png in products: it is not the file that was published" in result.stderr
    assert "1 product left alone" in result.stderr
    assert sorted(path.name for path in products.glob("[!.]*")) == ["a.fits", "changed.png"]
    assert "changed.png" in command("queue", "outdated", config).stdout


def test_without_anybody_to_ask_nothing_is_removed(
    command: Callable[..., Any], config: Path, products: Path, two_runs: tuple[Job, Job]
):
    result = command("queue", "outdated", config, "--remove")

    assert result.exit_code == 2
    assert "add --yes" in result.output
    assert (products / "old.png").exists()


@pytest.mark.parametrize(("answer", "names"), [("n\n", ["a.fits", "changed.png", "old.png"]), ("y\n", ["a.fits"])])
def test_a_person_is_asked(
    command: Callable[..., Any],
    config: Path,
    products: Path,
    two_runs: tuple[Job, Job],
    monkeypatch: pytest.MonkeyPatch,
    answer: str,
    names: list[str],
):
    monkeypatch.setattr("etendue.pipeline.cli.daemon.queue.selection._is_somebody_there", lambda: True)

    result = command("queue", "outdated", config, "--remove", input=answer)

    assert "Remove 2 outdated products (10 B)?" in result.output
    assert "old.png" in result.output
    assert sorted(path.name for path in products.glob("[!.]*")) == names


def test_a_disk_that_is_not_mounted_keeps_its_products(
    command: Callable[..., Any], config: Path, products: Path, two_runs: tuple[Job, Job]
):
    away = products.rename(products.with_name("away"))

    result = command("queue", "outdated", config, "--remove", "--yes")

    assert result.exit_code == 1
    assert "not mounted" in result.stderr
    assert not products.exists()
    away.rename(products)
    assert command("queue", "outdated", config, "--remove", "--yes").exit_code == 0


def test_products_at_another_address_are_not_looked_for(
    command: Callable[..., Any], config: Path, products: Path, two_runs: tuple[Job, Job]
):
    config.write_text(config.read_text() + "destinations: {products: elsewhere}\n")

    result = command("queue", "outdated", config, "--remove", "--yes")

    assert result.exit_code == 1
    assert "no daemon of this configuration has written to 'products' where it is now" in result.stderr
    assert not (config.parent / "elsewhere").exists()


def test_a_database_does_not_tell_where_products_are(
    command: Callable[..., Any], config: Path, two_runs: tuple[Job, Job]
):
    place = config.parent / "state" / "queue.db"

    assert "old.png" in command("queue", "outdated", place).stdout
    result = command("queue", "outdated", place, "--remove", "--yes")
    assert result.exit_code == 2
    assert "name the configuration" in result.output


def test_a_job_whose_details_were_removed_says_so(
    command: Callable[..., Any], config: Path, queue: JobQueue, two_runs: tuple[Job, Job]
):
    old, _ = two_runs
    assert "Attempts\n" in command("queue", "show", config, old.id).stdout

    queue.prune([old.id], 9e9)

    shown = command("queue", "show", config, old.id).stdout
    assert "Its attempts, log and times of steps were removed, so long after its end (queue: keep)" in shown
    assert "old.png in products" in shown
