"""The daemon's page in the user guide says what is true."""

import importlib
import re
import sys

import pytest

from etendue.pipeline import ConfigError
from etendue.pipeline.cli.daemon import queue as queue_commands
from etendue.pipeline.daemon import settings
from etendue.pipeline.daemon.configuration import load_observatory, parse_observatory
from etendue.pipeline.daemon.queue.job import JobState


@pytest.fixture
def page(repository):
    return (repository / "docs" / "daemon.md").read_text()


def test_the_complete_example_is_valid(page, tmp_path):
    (example,) = re.findall(r"^```yaml\n(.*?)^```", page, re.M | re.S)
    (tmp_path / "chains").mkdir()
    for name in ("night", "sky_camera"):
        (tmp_path / "chains" / f"{name}.yaml").write_text("steps: []\n")

    observatory = parse_observatory(example, base=tmp_path)

    assert {type(source) for source in observatory.sources} == set(settings.SOURCES.values())


def test_the_example_to_be_run_is_valid(repository):
    folder = repository / "examples" / "observatory"

    observatory = load_observatory(folder / "observatory.yaml")

    (source,) = observatory.sources
    assert isinstance(source, settings.WatchSource)
    assert source.watch == folder / "incoming"


def test_the_message_on_the_page_is_the_real_one(page, repository):
    text = (repository / "examples" / "observatory" / "observatory.yaml").read_text()

    with pytest.raises(ConfigError) as caught:
        parse_observatory(text.replace("patterns:", "pattern:"), filename="observatory.yaml")

    assert f"`{caught.value}`" in page


def test_all_states_are_explained(page):
    assert set(re.findall(r"^\| `(\w+)` \| ", page, re.M)) == {str(state) for state in JobState}


def test_all_commands_are_listed(page):
    there = {command.name or command.callback.__name__ for command in queue_commands.app.registered_commands}
    assert set(re.findall(r"^\| `etendue queue (\w+) ", page, re.M)) == there


def test_all_keys_are_listed_with_their_meaning(repository, monkeypatch):
    monkeypatch.syspath_prepend(str(repository / "docs"))
    listed = importlib.import_module("generated_pages").observatory_settings()
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \| (.*?) \| (.+) \|$", listed, re.M)

    named = [model for model in vars(settings).values() if isinstance(model, type) and hasattr(model, "model_fields")]
    public = [model for model in named if not model.__name__.startswith("_") and model.__module__ == settings.__name__]
    assert {key for key, *_ in rows} == {name for model in public for name in model.model_fields}
    assert "Settings" not in listed
    for name in ("generated_pages", "observatory_page"):
        sys.modules.pop(name, None)
