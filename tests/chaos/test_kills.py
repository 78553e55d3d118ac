"""``kill -9`` of the daemon and of its workers while images come in. A thousand times: ``make chaos``."""

import pytest

from .kills import torment


@pytest.mark.slow
def test_every_image_survives_kills(tmp_path):
    killed = torment(tmp_path, kills=16, images=40, seed=20260101)

    assert killed.daemon + killed.worker == 16
    assert killed.sound, str(killed)
    assert killed.verdict.done + len(killed.verdict.failed) == 40
