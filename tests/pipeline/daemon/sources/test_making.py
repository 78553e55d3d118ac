"""The sources of an observatory, with a real queue and a real clerk."""

import asyncio
import os
from types import SimpleNamespace

import pytest

from etendue.pipeline.daemon.settings import Observatory
from etendue.pipeline.daemon.sources import make_sources
from etendue.pipeline.daemon.work.clerk import Clerk


class Queue:
    """What sources ask the queue, answered by a desk."""

    def __init__(self, desk):
        self.known, self.search = desk.known, self._search
        self.queue = self
        self.open_runs = 0

    async def _search(self, wanted, *, limit):
        return SimpleNamespace(total=self.open_runs)

    async def read(self, function, *arguments, **options):
        return await function(*arguments, **options)


@pytest.fixture
def observatory(tmp_path):
    """``observatory(*sources, **settings)``: a configuration with absolute paths."""

    def make(*sources, **settings):
        return Observatory.model_validate(
            {
                "state": tmp_path / "state",
                "chains": {"c": {"file": "photometry", "order": "newest"}, "d": "photometry"},
                "destinations": {"products": str(tmp_path / "night/products"), "far": "memory://far"},
                "sources": sources,
                **settings,
            }
        )

    return make


@pytest.fixture
def chains():
    return {name: SimpleNamespace(read={}, keywords={}) for name in ("c", "d")}


def test_all_kinds_are_made(observatory, chains, desk, tmp_path):
    sources = make_sources(
        observatory(
            {"watch": tmp_path / "night", "chain": "c"},
            {"upload": "camera", "chain": "c"},
            {"interval": 60, "name": "sky", "chain": "c"},
            {"mqtt": "mqtt://ali@broker", "topic": "images/#", "roots": [tmp_path], "chain": "c"},
            {"nats": "nats://server", "subject": "images", "urls": ["https://archive.org/"], "chain": "c"},
        ),
        chains,
        queue=Queue(desk),
        inspect=Clerk().call,
    )
    assert {name: (one.kind, one.where) for name, one in sources.items()} == {
        "night": ("watch", str(tmp_path / "night")),
        "camera": ("upload", "/api/upload/camera"),
        "sky": ("interval", "every 60 s"),
        "mqtt": ("mqtt", "mqtt://broker:1883 images/#"),
        "nats": ("nats", "nats://server:4222 images"),
    }


def test_a_file_comes_with_its_facts_and_its_choice(observatory, chains, desk, tmp_path, put, make_fits):
    night = tmp_path / "night"
    put(night / "a.fits", make_fits(EXPTIME=60.0, IMAGETYP="dark"))
    put(night / os.fsdecode(b"\xff.fits"), make_fits(EXPTIME=5.0))
    put(night / "products/b.fits")
    choose = [{"when": {"exposure_time": "> 30"}, "chain": "c"}, {"when": {"exposure_time": "< 30"}, "chain": "d"}]
    settings = observatory({"watch": night, "choose": choose}, nights={"library": tmp_path / "masters"})

    async def scenario():
        clerk = Clerk()
        try:
            (runner,) = make_sources(settings, chains, queue=Queue(desk), inspect=clerk.call).values()
            async with desk.runs(runner):
                await desk.until_found(2)
        finally:
            await clerk.close()

    asyncio.run(scenario())
    facts = {os.fsencode(one.path.name): one.facts for one in desk.found}
    assert (facts[b"a.fits"]["choice"], facts[b"a.fits"]["frame_type"]) == (0, "dark")
    assert (facts[b"\xff.fits"]["choice"], facts[b"\xff.fits"]["frame_type"]) == (1, "")


def test_a_file_on_which_the_clerk_dies_holds_up_no_other(observatory, chains, desk, tmp_path, put, make_fits):
    from etendue.pipeline.daemon.sources import inspect_files
    from etendue.pipeline.daemon.work.calls import CallError

    for name in ("a.fits", "poison.fits", "z.fits"):
        put(tmp_path / "night" / name)

    async def call(function, arguments):
        if any("poison" in path for path in arguments["paths"]):
            raise CallError("not finished within 60 s", kind="TimeoutError", cause="time")
        return inspect_files(**arguments)

    async def scenario():
        settings = observatory({"watch": tmp_path / "night", "chain": "c"})
        (runner,) = make_sources(settings, chains, queue=Queue(desk), inspect=call).values()
        async with desk.runs(runner):
            await desk.until_found(3)

    asyncio.run(scenario())
    problems = {one.path.name: one.problem for one in desk.found}
    assert problems.pop("poison.fits") == "could not be looked at: not finished within 60 s"
    assert problems == {"a.fits": "", "z.fits": ""}
