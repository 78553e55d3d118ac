"""The user guide's page about the page says what is true."""

import re

import pytest

from etendue.pipeline.web.app import ROUTES
from etendue.pipeline.web.metrics import Metrics
from etendue.pipeline.web.shapes import Now


@pytest.fixture
def guide(repository):
    return (repository / "docs" / "page.md").read_text()


def test_every_address_in_the_guide_exists(guide):
    patterns = [re.sub(r"\{(\w+)(:\w+)?\}", r"[^/]+", route.path) for route in ROUTES]

    told = set(re.findall(r"(?:localhost:\d+|example\.org|`)(/(?:api/|healthz|readyz|metrics|openapi)[\w./-]*)", guide))

    assert len(told) > 8
    assert [path for path in told if not any(re.fullmatch(pattern, path) for pattern in patterns)] == []


def test_the_guide_tells_of_every_metric_and_no_other(guide):
    metrics = Metrics()
    metrics.observe("photometry", "done", 1.0, [("Save", 0.1, "done")])
    tally = {"since": 0, "done": 0, "failed": 0, "skipped": 0, "per_hour": 0}
    empty = {"counts": {}, "today": tally, "steps": [], "paused": [], "daemons": [], "oldest_queued": None}
    text = metrics.text(Now.model_validate({"name": "", "version": "", "time": 0, **empty}), []).decode()
    shown = set(re.findall(r"^# TYPE (etendue_\w+)", text, re.M))
    shown = {name for name in shown if not name.endswith("_created")}

    assert set(re.findall(r"`(etendue_\w+)", guide)) == shown
