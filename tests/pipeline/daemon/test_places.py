"""Folders that look the same, and are not."""

from pathlib import Path

import pytest

from etendue.pipeline import ConfigError
from etendue.pipeline.daemon.places import check_destinations
from etendue.pipeline.daemon.settings import DestinationSettings
from etendue.pipeline.daemon.work.destinations import make_destination


def products_in(folder: Path, state: Path):
    return {"products": make_destination("products", DestinationSettings(url=str(folder)), state)}


def test_a_folder_is_known_again(tmp_path: Path):
    for _ in range(2):
        check_destinations(products_in(tmp_path / "products", tmp_path), tmp_path)


def test_a_disk_that_is_not_mounted_is_noticed_at_the_start(tmp_path: Path):
    check_destinations(products_in(tmp_path / "products", tmp_path), tmp_path)
    (tmp_path / "products").rename(tmp_path / "unmounted")

    with pytest.raises(ConfigError, match="another folder than when the daemon last ran; is its disk mounted"):
        check_destinations(products_in(tmp_path / "products", tmp_path), tmp_path)


def test_a_destination_elsewhere_is_a_new_one(tmp_path: Path):
    check_destinations(products_in(tmp_path / "products", tmp_path), tmp_path)

    check_destinations(products_in(tmp_path / "elsewhere", tmp_path), tmp_path)
