"""Real raw frames: what an inspection tells groups them as their headers do when a night is reduced at once."""

import pytest

from etendue.pipeline.daemon.nights.frames import Placed, setup_of
from etendue.pipeline.daemon.sources.inspect import inspect_files
from etendue.pipeline.night.sorting import FITS_SUFFIXES, raw_frame


@pytest.fixture(scope="module")
def real_frames(shared_data):
    paths = [path for path in sorted(shared_data.rglob("*")) if path.name.lower().endswith(FITS_SUFFIXES)]
    if not paths:
        pytest.skip(f"no FITS files in {shared_data}")
    by_folder = {}
    for path in paths:
        by_folder.setdefault(path.parent, []).append(path)
    return [path for members in by_folder.values() for path in members[:12]]


@pytest.mark.filterwarnings("ignore:The following header keyword is invalid")
def test_types_setups_and_times_agree(real_frames):
    compared = 0
    for seen in inspect_files([str(path) for path in real_frames]):
        if seen["why"] or len(seen["facts"].get("size", ())) < 2:
            continue  # damaged, or without an image
        frame = raw_frame(next(path for path in real_frames if str(path) == seen["path"]))
        facts = seen["facts"]
        placed = Placed.of(facts)
        assert (None if placed is None else placed.type) == frame.type, frame.path
        assert setup_of(facts) == frame.setup, frame.path
        if placed is not None:
            assert (placed.filter, placed.exposure_time) == (frame.filter, frame.exposure_time), frame.path
        compared += 1
    assert compared > 20
