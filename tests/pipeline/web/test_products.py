"""Products on the page: pictures, catalogues, headers, downloads."""

import io
import json
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest
from astropy.table import Table
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pillow

from etendue.images import Image, ImageError
from etendue.images.display import picture
from etendue.pipeline.web.clerk.opened import halved
from etendue.pipeline.web.clerk.pictures import image_picture
from etendue.pipeline.web.clerk.products import image_header, image_info, image_sources
from etendue.pipeline.web.endpoints.products import file_headers
from tests.pipeline.web.demo import DemoService


@pytest.fixture
def ramp(tmp_path: Path) -> Path:
    """A file whose pixel (x, y) is x + 100 y."""
    y, x = np.indices((60, 80), dtype=np.float32)
    path = tmp_path / "ramp.fits"
    Image(data=x + 100 * y, header={"OBJECT": "M 51", "BUNIT": "electron"}).writeto(path)
    return path


def pixels(made: dict[str, Any]) -> np.ndarray:
    return np.asarray(Pillow.open(io.BytesIO(made["content"])))


def raw(path: Path, **options: Any) -> np.ndarray:
    return pixels(image_picture(path=str(path), format="png", **options))


def test_a_whole_picture_is_what_display_makes_of_it(ramp: Path):
    shown = raw(ramp, stretch="linear", low=0.0, high=6000.0)

    expected = picture(Image.from_file(ramp).data, vmin=0.0, vmax=6000.0)
    assert np.array_equal(shown, expected)


def test_a_region_is_that_part_of_the_whole_with_its_last_row_on_top(ramp: Path):
    shown = raw(ramp, x0=10, y0=20, width=30, height=5, scale=1, stretch="linear", low=0.0, high=6000.0)

    data = Image.from_file(ramp).data[20:25, 10:40]
    assert np.array_equal(shown, picture(data, vmin=0.0, vmax=6000.0))


def test_magnified_pixels_are_squares(ramp: Path):
    shown = raw(ramp, x0=3, y0=4, width=5, height=2, scale=8, stretch="linear", low=400.0, high=510.0)

    once = raw(ramp, x0=3, y0=4, width=5, height=2, scale=1, stretch="linear", low=400.0, high=510.0)
    assert np.array_equal(shown, once.repeat(8, axis=0).repeat(8, axis=1))


def test_a_reduced_picture_averages(ramp: Path):
    made = image_picture(path=str(ramp), scale=0.25, stretch="linear", low=0.0, high=6000.0, format="png")

    data = Image.from_file(ramp).data.reshape(15, 4, 20, 4).mean(axis=(1, 3))
    assert made["size"] == [20, 15]
    assert np.abs(pixels(made).astype(int) - picture(data, vmin=0.0, vmax=6000.0)).max() <= 1


@given(
    x0=st.integers(-20, 100), y0=st.integers(-20, 80), width=st.integers(1, 120), height=st.integers(1, 90),
    scale=st.floats(0.01, 20),
)  # fmt: skip
def test_any_region_is_cut_to_the_image(tmp_path_factory, x0, y0, width, height, scale):
    path = tmp_path_factory.getbasetemp() / "any.fits"
    if not path.exists():
        Image(data=np.arange(60 * 80, dtype=np.float32).reshape(60, 80)).writeto(path)
    left, right = max(0, x0), min(80, x0 + width)
    bottom, top = max(0, y0), min(60, y0 + height)
    if left >= right or bottom >= top:
        with pytest.raises(ImageError, match="nothing at"):
            image_picture(path=str(path), x0=x0, y0=y0, width=width, height=height, scale=scale)
        return

    made = image_picture(path=str(path), x0=x0, y0=y0, width=width, height=height, scale=scale)

    assert made["region"] == [left, bottom, right - left, top - bottom]
    shown = pixels(made)
    assert list(shown.shape[1::-1]) == made["size"]
    assert max(made["size"]) <= 2400
    if max(made["size"]) > 2:
        ratio = max(made["size"]) / max(right - left, top - bottom)
        assert abs(ratio - scale) <= 0.5 / max(right - left, top - bottom) + 1e-6 or ratio < scale


def test_a_large_region_is_made_smaller_instead_of_larger_than_allowed(ramp: Path):
    assert max(image_picture(path=str(ramp), scale=64)["size"]) == 2400


@pytest.mark.parametrize("stretch", ["asinh", "linear", "log", "sqrt", "zscale"])
def test_brighter_is_never_darker(ramp: Path, stretch: str):
    shown = raw(ramp, stretch=stretch, low=0.0, high=6000.0).astype(int)

    assert (np.diff(shown, axis=0) <= 0).all()
    assert (shown[0, -1], shown[-1, 0]) == (pytest.approx(255, abs=3), 0)


def test_masked_pixels_are_tinted(tmp_path: Path):
    mask = np.zeros((40, 40), bool)
    mask[30, 7] = True
    Image(data=np.zeros((40, 40), np.float32), mask=mask).writeto(tmp_path / "masked.fits")

    shown = raw(tmp_path / "masked.fits", mask=True)

    assert shown.shape == (40, 40, 3)
    assert shown[39 - 30, 7].tolist() == [102, 60, 83]
    assert (shown.sum(axis=2) > 0).sum() == 1


def test_colour_images_and_movies_are_shown(tmp_path: Path):
    cube = np.stack([np.full((20, 30), level, np.float32) for level in (0.0, 50.0, 100.0)])
    Image(data=cube, axes="CYX").writeto(tmp_path / "colour.fits")
    Image(data=cube, axes="TYX").writeto(tmp_path / "movie.fits")

    colour = raw(tmp_path / "colour.fits", stretch="linear", low=0.0, high=100.0)
    movie = raw(tmp_path / "movie.fits", stretch="linear", low=0.0, high=100.0)

    assert colour[0, 0].tolist() == [0, 127, 255]
    assert movie[0, 0] == 127
    assert json.loads(image_info(path=str(tmp_path / "movie.fits"), id=1)["json"])["frames"] == 3


def test_an_image_without_a_good_pixel_is_black(tmp_path: Path):
    Image(data=np.full((20, 30), np.nan, np.float32)).writeto(tmp_path / "nothing.fits")

    assert raw(tmp_path / "nothing.fits").max() == 0
    info = json.loads(image_info(path=str(tmp_path / "nothing.fits"), id=1)["json"])
    assert (info["lowest"], info["median"]) == (None, None)


def test_halving_leaves_out_nan_and_keeps_odd_edges():
    data = np.array([[1, 3, 5], [np.nan, 5, 7], [4, 4, np.nan]], np.float32)

    assert np.array_equal(halved(data), [[3, 6], [4, np.nan]], equal_nan=True)


def test_a_replaced_file_is_read_again(ramp: Path):
    before = raw(ramp, low=0.0, high=1.0)
    Image(data=np.zeros((60, 80), np.float32)).writeto(ramp)

    assert before.max() == 255
    assert raw(ramp, low=0.0, high=1.0).max() == 0


# --- header and catalogue --------------------------------------------------------------------------------------------


def test_a_header_is_told_card_by_card(tmp_path: Path):
    image = Image(data=np.zeros((4, 4), np.float32), header={"OBSERVER": "<b>me</b>", "EXPTIME": 1.5, "DONE": True})
    image.header["HISTORY"] = "first"
    image.header["HISTORY"] = "second"
    image.header["LONGTEXT"] = "x" * 200
    image.writeto(tmp_path / "a.fits")

    cards = json.loads(image_header(path=str(tmp_path / "a.fits"))["json"])["cards"]

    values = {card["key"]: card["value"] for card in cards}
    assert (values["OBSERVER"], values["EXPTIME"], values["DONE"]) == ("<b>me</b>", 1.5, True)
    assert values["LONGTEXT"] == "x" * 200
    assert [card["value"] for card in cards if card["key"] == "HISTORY"][:2] == ["first", "second"]


def test_the_brightest_sources_come_first_with_their_outlines(tmp_path: Path):
    table = Table(
        {
            "x": [1.0, 2.0, 3.0, np.nan], "y": [5.0, 6.0, 7.0, 8.0], "flux": [10.0, np.nan, 30.0, 20.0],
            "a": [2.0, 1.0, 2.0, 1.0], "b": [1.0, 1.0, 1.0, 1.0], "theta": [0.0, 0.0, 90.0, 0.0],
            "flags": [0, 0, 1, 0], "name": ["<i>", "b", "c", "d"], "counts": np.arange(8).reshape(4, 2),
        },
        units={"x": "pix"}, descriptions={"x": "column"},
    )  # fmt: skip
    Image(data=np.zeros((9, 9), np.float32), catalog=table).writeto(tmp_path / "a.fits")

    found = json.loads(image_sources(path=str(tmp_path / "a.fits"), id=3, limit=3)["json"])

    assert (found["id"], found["total"], found["row"]) == (3, 4, [2, 3, 0])
    assert found["x"] == [3.0, None, 1.0]
    assert (found["a"][0], found["b"][0], found["theta"][0]) == (6.0, 3.0, 90.0)
    assert found["flagged"] == [True, False, False]
    names = [column["name"] for column in found["columns"]]
    assert found["columns"][0] == {"name": "x", "unit": "pix", "description": "column", "type": "number"}
    assert found["rows"][2][names.index("name")] == "<i>"
    assert found["rows"][0][names.index("counts")] == "4, 5"


@pytest.mark.parametrize("suffix", [".fits", ".csv", ".ecsv"])
def test_a_catalogue_in_a_file_of_its_own(tmp_path: Path, suffix: str):
    from etendue.images.catalog.files import write_table

    write_table(Table({"x": [1.0, 2.0], "y": [3.0, 4.0], "flux": [1.0, 2.0]}), tmp_path / f"a_cat{suffix}")

    found = json.loads(image_sources(path=str(tmp_path / f"a_cat{suffix}"), id=1)["json"])

    assert (found["total"], found["x"]) == (2, [2.0, 1.0])


def test_an_empty_catalogue_is_no_error(tmp_path: Path):
    Image(data=np.zeros((9, 9), np.float32), catalog=Table({"x": [], "y": []})).writeto(tmp_path / "a.fits")

    assert json.loads(image_sources(path=str(tmp_path / "a.fits"), id=1)["json"])["rows"] == []


# --- by HTTP ---------------------------------------------------------------------------------------------------------


def test_a_product_is_looked_at_and_downloaded(service: DemoService, page: Any):
    number = service.add_real(side=128)
    products = {p["kind"]: p for p in page.get(f"/api/jobs/{number}").json()["products"]}
    assert set(products) == {"image", "table", "picture"}
    image = f"/api/products/{products['image']['id']}"

    info = page.get(f"{image}/info").json()
    shown = page.get(f"{image}/picture?x0=10&y0=20&width=64&height=32&scale=2&stretch=log&format=png")

    assert (info["width"], info["height"], info["object"]) == (128, 128, "Field 1")
    assert shown.headers["x-etendue-region"] == "10,20,64,32"
    assert Pillow.open(io.BytesIO(shown.content)).size == (128, 64)
    again = page.get(f"{image}/picture?size=64", headers={"If-None-Match": "nothing"})
    assert page.get(f"{image}/picture?size=64", headers={"If-None-Match": again.headers["etag"]}).status_code == 304
    assert page.get(f"{image}/provenance").json()["steps"][0]["step"] == "read"
    assert page.get(f"{image}/sources?limit=5").json()["total"] == info["sources"]
    assert "<b>O'Brien</b>" in [card["value"] for card in page.get(f"{image}/header").json()["cards"]]
    assert "<b>O'Brien</b>" in [card["value"] for card in page.get(f"/api/jobs/{number}/raw-header").json()["cards"]]
    file = page.get(image)
    assert file.content == (service.products / products["image"]["name"]).read_bytes()
    assert page.get(image, headers={"Range": "bytes=0-79"}).content == file.content[:80]
    assert page.get(f"/api/products/{products['table']['id']}/sources").json()["total"] == info["sources"]


@pytest.mark.parametrize(
    "query",
    [
        *("x0=5000", "width=0", "scale=0", "scale=nan", "scale=1e9", "low=inf", "size=100000", "x0=1&x0=2"),
        *("stretch=magic", "plane=raw", "plane=__class__", "format=svg"),
    ],
)
def test_a_picture_that_cannot_be_is_refused(service: DemoService, page: Any, query: str):
    Image(data=np.zeros((20, 30), np.float32)).writeto(service.products / "a.fits")
    number = service.add_product(service.products / "a.fits")

    answer = page.get(f"/api/products/{number}/picture?{query}")

    assert answer.status_code == 422
    assert answer.json()["error"]


def test_a_file_that_is_no_image_is_told_so(service: DemoService, page: Any):
    (service.products / "a.fits").write_bytes(b"SIMPLE  = nonsense")
    number = service.add_product(service.products / "a.fits")

    assert page.get(f"/api/products/{number}/info").status_code == 422
    assert page.get(f"/api/products/{number}/picture").status_code == 422


def test_a_product_that_somebody_has_removed(service: DemoService, page: Any):
    path = service.products / "a.fits"
    Image(data=np.zeros((4, 4), np.float32)).writeto(path)
    number = service.add_product(path)
    path.unlink()

    for what in ("", "/info", "/picture", "/header", "/sources", "/provenance"):
        assert page.get(f"/api/products/{number}{what}").status_code == 404
    assert page.get("/api/products/999").status_code == 404


def test_a_link_out_of_the_destination_is_not_followed(service: DemoService, page: Any, tmp_path: Path):
    (tmp_path / "secret").write_text("secret")
    (service.products / "a.fits").symlink_to(tmp_path / "secret")
    number = service.add_product(service.products / "a.fits")

    for what in ("", "/info", "/header"):
        answer = page.get(f"/api/products/{number}{what}")
        assert answer.status_code == 404
        assert "secret" not in answer.text


@pytest.mark.parametrize("name", ["a.html", "a.svg", "a.xml", "a.js", "noending"])
def test_nothing_that_is_downloaded_is_ever_run(service: DemoService, page: Any, name: str):
    (service.products / name).write_text("<script>alert(1)</script>")
    number = service.add_product(service.products / name)

    headers = page.get(f"/api/products/{number}").headers

    assert headers["content-type"] == "application/octet-stream"
    assert headers["content-disposition"].startswith("attachment")
    assert "sandbox" in headers["content-security-policy"]


@given(name=st.text(min_size=1, max_size=60))
def test_no_name_breaks_out_of_the_header(name: str):
    value = file_headers(name)["Content-Disposition"]

    assert value.isascii()
    assert value.isprintable()
    plain, _, encoded = value.removeprefix("attachment; filename=").rpartition("; filename*=UTF-8''")
    assert plain.startswith('"')
    assert plain.endswith('"')
    assert not set('"\\;/') & set(plain[1:-1])
    assert "/" not in unquote(encoded)


def test_a_product_in_an_object_store_is_copied_to_be_looked_at(service: DemoService, page: Any):
    content = Image(data=np.zeros((20, 30), np.float32)).to_bytes()
    (service.products / "a.fits").write_bytes(content)
    number = service.add_product(service.products / "a.fits")

    class Store:
        folder = None

        def local(self, name: str, cache: Path) -> Path:
            cache.mkdir(exist_ok=True)
            (cache / name).write_bytes(content)
            return cache / name

        def open(self, name: str) -> io.BytesIO:
            assert name == "a.fits"
            return io.BytesIO(content)

    service.destinations["products"] = Store()

    assert page.get(f"/api/products/{number}/info").json()["width"] == 30
    assert page.get(f"/api/products/{number}").content == content
