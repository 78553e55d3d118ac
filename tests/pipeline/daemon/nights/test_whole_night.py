"""Frames of a night come in, in whatever order: in the end it is the same as if the night had been reduced at once."""

import random

import numpy as np
import pytest

from etendue.images import Image
from etendue.pipeline import parse_pipeline
from etendue.pipeline.daemon.nights import night_summary
from etendue.pipeline.daemon.queue import Filter, JobKind, JobState
from etendue.pipeline.night import reduce_night

from .conftest import NIGHT, SHORT

COMPLETE = {"bias": 6, "dark": 5, "flat": 5}


@pytest.fixture(scope="module")
def at_once(raw_night, tmp_path_factory):
    """The night, reduced by `etendue reduce`."""
    return reduce_night(raw_night, parse_pipeline(SHORT), output=tmp_path_factory.mktemp("reduced"))


@pytest.mark.parametrize("seed", [1, 2])
def test_random_order_gives_the_same_masters_and_catalogues(bench, frames, at_once, seed):
    night = bench(complete=COMPLETE)
    paths = frames("*")
    order = random.Random(seed)
    order.shuffle(paths)

    while paths:
        some = [paths.pop() for _ in range(min(len(paths), order.randint(1, 4)))]
        night.add(*some)
        night.tend()
        night.work()
    night.settle()

    jobs = night.queue.search(Filter(), limit=100).jobs
    assert {job.state for job in jobs} == {JobState.DONE}
    for master in at_once.masters:
        (own,) = [path for path in night.library.glob("*.fits") if path.name.startswith(master.path.name[:4])]
        _assert_same(Image.from_file(own), Image.from_file(master.path))
    for outcome in at_once.science.outcomes:
        product = outcome.products[-1]
        _assert_same(Image.from_file(night.folder / "products" / product.name), Image.from_file(product))


def test_the_summary_shows_groups_masters_and_quality(bench, frames):
    night = bench(complete=COMPLETE)
    night.add(*frames("*"))
    night.settle()

    told = night_summary(night.queue, NIGHT, night.settings.masters)

    assert [(g["label"], g["frames"], g["needed"], g["state"]) for g in told["groups"]] == [
        ("bias", 6, 6, "built"), ("dark 120 s", 5, 5, "built"), ("flat R", 5, 5, "built"),
    ]  # fmt: skip
    assert [(m["kind"], m["status"]) for m in told["masters"]] == [
        ("bias", "accepted"), ("dark", "accepted"), ("flat", "accepted"), ("bad_pixels", "accepted"),
    ]  # fmt: skip
    assert told["science"] == {"done": 6}
    assert len(told["series"]) == 6
    assert all(point["seeing"] > 0.5 and point["sky"] > 0 and point["n_sources"] > 3 for point in told["series"])
    assert told["series"] == sorted(told["series"], key=lambda point: point["time"])


def test_one_job_builds_what_is_complete_at_the_same_time(bench, frames):
    night = bench(complete=COMPLETE)
    night.add(*frames("*"))

    night.settle()

    assert len(night.built) == 1
    assert night.queue.search(Filter(kind=JobKind.MASTERS)).total == 1


def _assert_same(one, other):
    assert np.array_equal(one.data, other.data, equal_nan=True)
    if other.safe_uncertainty is not None:
        assert np.array_equal(one.uncertainty, other.uncertainty, equal_nan=True)
    if other.safe_mask is not None:
        assert np.array_equal(one.mask, other.mask)
    if other.safe_catalog is not None:
        assert one.catalog.colnames == other.catalog.colnames
        for name in other.catalog.colnames:
            assert np.array_equal(np.asarray(one.catalog[name]), np.asarray(other.catalog[name]), equal_nan=True)
