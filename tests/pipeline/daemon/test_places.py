"""Folders that look the same, and are not."""

import json
from pathlib import Path

import pytest

from etendue.pipeline.daemon.places import LIBRARY, open_destinations
from etendue.pipeline.daemon.settings import Observatory
from etendue.pipeline.daemon.work.storage import StorageError


def observatory(folder: Path, products: str = "products", nights: bool = False) -> Observatory:
    (folder / "state").mkdir(exist_ok=True)
    settings = {
        "state": folder / "state",
        "chains": {"reduce": "reduce.yaml"},
        "destinations": {"products": str(folder / products)},
        "sources": [{"watch": folder / "incoming", "chain": "reduce"}],
    }
    return Observatory.model_validate(settings | ({"nights": {"library": folder / "masters"}} if nights else {}))


def test_a_folder_is_known_again(tmp_path: Path):
    for _ in range(2):
        open_destinations(observatory(tmp_path))["products"].check()


def test_a_disk_that_is_not_mounted_is_noticed_at_the_start_and_nothing_is_written_there(tmp_path: Path):
    open_destinations(observatory(tmp_path))
    (tmp_path / "products").rename(tmp_path / "unmounted")
    (tmp_path / "products").mkdir()

    products = open_destinations(observatory(tmp_path))["products"]

    with pytest.raises(StorageError, match="or its disk is not mounted"):
        products.check()
    assert list((tmp_path / "products").iterdir()) == []
    (tmp_path / "products").rmdir()
    (tmp_path / "unmounted").rename(tmp_path / "products")
    products.check()


def test_another_disk_in_its_place_is_noticed(tmp_path: Path):
    open_destinations(observatory(tmp_path))
    (tmp_path / "products" / ".etendue" / "id").write_text("another one")

    with pytest.raises(StorageError, match=r"another folder than before.* remove destinations.json in the folder"):
        open_destinations(observatory(tmp_path))["products"].check()


def test_a_destination_elsewhere_is_a_new_one(tmp_path: Path):
    open_destinations(observatory(tmp_path))

    open_destinations(observatory(tmp_path, "elsewhere"))["products"].check()


def test_a_new_destination_that_cannot_be_made_is_refused(tmp_path: Path):
    (tmp_path / "file").write_text("no folder")

    with pytest.raises(StorageError, match="file/products cannot be written to"):
        open_destinations(observatory(tmp_path, "file/products"))


def test_the_library_of_masters_is_a_destination_where_there_are_nights(tmp_path: Path):
    assert LIBRARY not in open_destinations(observatory(tmp_path))
    library = open_destinations(observatory(tmp_path, nights=True))[LIBRARY]

    library.check()
    assert library.folder == tmp_path / "masters"


def test_a_record_that_somebody_has_damaged_is_written_anew(tmp_path: Path):
    open_destinations(observatory(tmp_path))
    record = tmp_path / "state" / "destinations.json"
    record.write_text('{"products": ')

    open_destinations(observatory(tmp_path))["products"].check()

    assert list(json.loads(record.read_text())) == ["products"]
