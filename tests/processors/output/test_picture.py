"""Pictures show the image with the sources where they are, row 0 at the bottom."""

import asyncio
import io

import numpy as np
import pytest
from astropy.table import Table
from PIL import Image as Pillow

from etendue.images import Image
from etendue.processors import RunContext, run_context
from etendue.processors.output import SavePicture
from etendue.processors.output.overlay import CLEAN, FLAGGED, MASKED, draw_mask, draw_sources, outlines


def drawn(image, tmp_path, **options):
    suffix = options.pop("suffix", ".png")
    image.name = "a.fits"
    with run_context(RunContext(output=tmp_path)):
        asyncio.run(SavePicture(filename="{stem}" + suffix, **options)(image))
    return np.asarray(Pillow.open(io.BytesIO((tmp_path / f"a{suffix}").read_bytes())))


def coloured(picture, colour):
    """Columns and rows of pixels of nearly this colour."""
    rows, columns = np.nonzero(np.abs(picture.astype(int) - colour).max(axis=-1) < 60)
    return columns, rows


def test_the_first_row_is_at_the_bottom(tmp_path):
    data = np.zeros((40, 60), dtype=np.float32)
    data[0, 5] = 1000

    shown = drawn(Image(data), tmp_path, vmin=0, vmax=1000)

    assert shown.shape == (40, 60)
    assert np.argwhere(shown == 255).tolist() == [[39, 5]]


def test_a_source_is_circled_where_it_is(tmp_path):
    catalog = Table({"x": [70.0], "y": [20.0], "a": [4.0], "b": [4.0]})

    shown = drawn(Image(np.zeros((60, 100), dtype=np.float32), catalog=catalog), tmp_path)

    columns, rows = coloured(shown, CLEAN)
    assert columns.mean() == pytest.approx(70, abs=0.2)
    assert rows.mean() == pytest.approx(59 - 20, abs=0.2)
    assert (columns.max() - columns.min()) / 2 == pytest.approx(12, abs=1)


def test_an_ellipse_leans_as_theta_says():
    """theta = 30 deg goes up to the right on a picture whose y axis points up."""
    catalog = Table({"x": [50.0], "y": [50.0], "a": [12.0], "b": [2.0], "theta": [30.0]})

    columns, rows = coloured(draw_sources(np.zeros((101, 101), np.uint8), catalog), CLEAN)

    u, v = columns - 50.0, (100 - rows) - 50.0
    angle = 0.5 * np.arctan2(2 * (u * v).sum(), (u**2 - v**2).sum())
    assert np.degrees(angle) == pytest.approx(30, abs=2)


def test_sources_follow_when_the_picture_is_reduced(tmp_path):
    catalog = Table({"x": [300.0], "y": [100.0], "fwhm": [20.0]})

    shown = drawn(Image(np.zeros((200, 400), dtype=np.float32), catalog=catalog), tmp_path, max_size=100)

    columns, rows = coloured(shown, CLEAN)
    assert shown.shape == (50, 100, 3)
    assert columns.mean() == pytest.approx((300 + 0.5) / 4 - 0.5, abs=0.3)
    assert rows.mean() == pytest.approx(49 - ((100 + 0.5) / 4 - 0.5), abs=0.3)


def test_flagged_sources_have_another_colour():
    catalog = Table({"x": [20.0, 70.0], "y": [25.0, 25.0], "flags": [0, 4]})

    shown = draw_sources(np.zeros((50, 90), np.uint8), catalog)

    assert coloured(shown, CLEAN)[0].mean() == pytest.approx(20, abs=0.5)
    assert coloured(shown, FLAGGED)[0].mean() == pytest.approx(70, abs=0.5)


def test_sources_without_a_place_or_off_the_frame_are_left_out(tmp_path):
    catalog = Table(
        {"x": [np.nan, -500.0, 1e9], "y": [5.0, 5.0, np.inf], "a": [1.0, np.nan, 1.0], "b": [1.0, 1.0, 1.0]}
    )

    shown = drawn(Image(np.zeros((30, 30), dtype=np.float32), catalog=catalog), tmp_path)

    assert shown.max() == 0
    assert len(outlines(catalog)) == 1


def test_a_masked_catalogue_column_is_unknown():
    from astropy.table import MaskedColumn

    catalog = Table({"x": MaskedColumn([5.0, 6.0], mask=[False, True]), "y": [5.0, 6.0]})

    assert len(outlines(catalog)) == 1


def test_a_catalogue_without_sources_leaves_the_picture(tmp_path):
    data = np.random.default_rng(1).normal(size=(30, 40)).astype(np.float32)
    empty = Table({"x": np.zeros(0), "y": np.zeros(0)})

    with_none = drawn(Image(data, catalog=empty), tmp_path, suffix="_1.png")
    without = drawn(Image(data), tmp_path, suffix="_2.png")

    assert np.array_equal(with_none[..., 0], without)


def test_a_catalogue_without_positions_is_not_drawn(tmp_path):
    assert drawn(Image(np.zeros((9, 9)), catalog=Table({"flux": [1.0]})), tmp_path).shape == (9, 9)


@pytest.mark.parametrize("stretch", ["asinh", "linear", "zscale"])
@pytest.mark.parametrize("value", [np.nan, 0.0, 7.0])
def test_frames_without_contrast_are_black(stretch, value, tmp_path):
    shown = drawn(Image(np.full((20, 30), value, dtype=np.float32)), tmp_path, stretch=stretch)

    assert shown.max() == 0


def test_colour_and_movies(tmp_path):
    colour = np.zeros((3, 20, 30), dtype=np.float32)
    colour[0] = 100
    movie = np.zeros((5, 20, 30), dtype=np.float32)
    movie[:, 2] = 10
    catalog = Table({"x": [5.0], "y": [5.0]})

    red = drawn(Image(colour), tmp_path, vmin=0, vmax=100)
    film = drawn(Image(movie, catalog=catalog), tmp_path, vmin=0, vmax=10, max_size=10)

    assert red.shape == (20, 30, 3)
    assert red[0, 0, 0] >= 254
    assert red[..., 1:].max() == 0
    assert film.shape == (6, 10, 3)


def test_masked_pixels_are_tinted():
    mask = np.zeros((20, 30), dtype=np.uint8)
    mask[2, 7] = 4

    shown = draw_mask(np.zeros((20, 30), np.uint8), mask)
    half = draw_mask(np.zeros((10, 15), np.uint8), mask, factor=2)

    assert np.argwhere(shown.any(axis=-1)).tolist() == [[17, 7]]
    assert np.argwhere(half.any(axis=-1)).tolist() == [[8, 3]]
    assert np.argmax(shown[17, 7]) == np.argmax(MASKED)


def test_numbers_are_written_beside_sources():
    catalog = Table({"id": [17], "x": [30.0], "y": [25.0]})
    plain = draw_sources(np.zeros((50, 90), np.uint8), catalog)

    labelled = draw_sources(np.zeros((50, 90), np.uint8), catalog, labels=True)

    assert np.argwhere((labelled != plain).any(axis=-1))[:, 1].min() > 30


def test_a_jpeg_is_a_jpeg(tmp_path):
    drawn(Image(np.zeros((20, 30), dtype=np.float32)), tmp_path, suffix=".jpg")

    assert (tmp_path / "a.jpg").read_bytes()[:3] == b"\xff\xd8\xff"
