"""Every disturbance at small size, on the real program. The full size: ``make chaos``."""

import os
import random

import pytest

from .case import Case, Setting
from .cases import CASES


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_nothing_is_lost_doubled_or_wrong(case: Case, tmp_path):
    lacking = case.lacking()
    if lacking and not os.environ.get("CI"):
        pytest.skip(lacking)
    rows = case.run(Setting(tmp_path, full=False, rng=random.Random(11)))
    assert rows
