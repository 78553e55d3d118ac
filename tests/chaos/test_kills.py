"""``kill -9`` of the daemon and of its workers while images come in. A thousand times: ``make chaos``."""

import pytest

from .kills import Kills, together, torment
from .verify import Verdict


@pytest.mark.slow
def test_every_image_survives_kills(tmp_path):
    killed = torment(tmp_path, kills=16, images=40, seed=20260101)

    assert killed.daemon + killed.worker == 16
    assert killed.sound, str(killed)
    assert killed.verdict.done + len(killed.verdict.failed) == 40


def test_several_runs_count_as_one():
    sound = Kills(daemon=2, worker=3, seconds=5.0, verdict=Verdict(images=4, done=4))
    lossy = Kills(daemon=1, worker=1, seconds=9.0, verdict=Verdict(images=2, done=1, lost=["a.fits"]))

    whole = together([sound, lossy])

    assert (whole.daemon, whole.worker, whole.seconds) == (3, 4, 9.0)
    assert (whole.verdict.images, whole.verdict.done, whole.verdict.lost) == (6, 5, ["1/a.fits"])
    assert sound.sound
    assert not whole.sound
