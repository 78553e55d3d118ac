"""What the arguments of commands mean."""

import sys

import pytest

from etendue.pipeline import ConfigError
from etendue.pipeline.cli.arguments import assignments, byte_size, duration, know_local_modules


@pytest.mark.parametrize(
    ("text", "expected"),
    [("4GB", 4_000_000_000), ("500 MB", 500_000_000), ("2GiB", 2 * 1024**3), ("1.5g", 1_500_000_000), ("4096", 4096)],
)
def test_amounts_of_memory_are_understood(text, expected):
    assert byte_size(text) == expected


@pytest.mark.parametrize("text", ["", "lots", "4 XB", "-1GB", "0GB"])
def test_what_is_no_amount_of_memory_is_refused(text):
    with pytest.raises(ConfigError, match="write for example 4GB"):
        byte_size(text)


def test_time_limits_have_units():
    assert duration("5 min", "--timeout") == 300


@pytest.mark.parametrize("text", ["soon", "0", "-3"])
def test_a_time_limit_that_is_none_is_refused(text):
    with pytest.raises(ConfigError, match="--timeout"):
        duration(text, "--timeout")


def test_assignments_keep_everything_after_the_first_equals_sign():
    assert assignments(["a=1", "b=x=y"], "--var") == {"a": "1", "b": "x=y"}


def test_an_assignment_without_a_value_says_how_to_write_it():
    with pytest.raises(ConfigError, match="--var threshold: write it as --var name=value"):
        assignments(["threshold"], "--var")


def test_local_folders_come_last_on_the_path(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", ["/first"])
    monkeypatch.chdir(tmp_path)
    (tmp_path / "night").mkdir()
    chain = tmp_path / "night" / "chain.yaml"
    chain.touch()

    know_local_modules(str(chain))
    know_local_modules(str(chain))

    assert sys.path == ["/first", str(tmp_path / "night"), str(tmp_path)]
