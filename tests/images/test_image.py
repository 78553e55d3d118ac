"""The container: planes, what is shared and what is not, shapes, meta."""

import copy
import gc
import timeit
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from etendue.images import EtendueError, Image, ImageError, PixelFlag, TransientError
from etendue.images.meta import ExpTime, OnSkyDistance, PixelOffsets, SkyOffsets
from etendue.images.provenance import Activity

PLANES = ("data", "mask", "uncertainty", "raw")


@pytest.fixture
def image():
    return Image(
        np.arange(12, dtype=np.float32).reshape(3, 4),
        {"OBJECT": "M31"},
        mask=np.zeros((3, 4), bool),
        uncertainty=np.ones((3, 4), np.float32),
        catalog=Table({"x": [1.0, 2.0]}),
        raw=np.ones((3, 4), np.uint16),
    )


# --- sharing ---------------------------------------------------------------------------------------------------


def test_a_copy_shares_pixels(image):
    twin = image.copy()

    for plane in PLANES:
        assert getattr(twin, plane) is getattr(image, plane)


@pytest.mark.parametrize("plane", PLANES)
def test_planes_are_handed_out_read_only(image, plane):
    with pytest.raises(ValueError, match="read-only"):
        getattr(image, plane)[0, 0] = 1
    with pytest.raises(ValueError, match="read-only"):
        getattr(image, plane)[1:][0] += 1


@pytest.mark.parametrize("duplicate", [Image.copy, copy.copy, copy.deepcopy, Image.replace])
def test_no_change_of_one_image_is_seen_by_another(image, duplicate):
    twin = duplicate(image)

    for plane in PLANES:
        with twin.edit(plane) as pixels:
            pixels[:] = 1
    twin.header["OBJECT"] = "M33"
    twin.catalog["y"] = [0.0, 0.0]
    twin.set_meta(ExpTime(1.0))
    twin.data = twin.data + 1

    assert image.data.tolist() == np.arange(12).reshape(3, 4).tolist()
    assert not image.mask.any()
    assert image.header["OBJECT"] == "M31"
    assert image.catalog.colnames == ["x"]
    assert not image.has_meta(ExpTime)


@pytest.mark.parametrize("duplicate", [Image.copy, copy.copy, copy.deepcopy, Image.replace])
def test_no_later_change_of_the_original_is_seen_by_its_copy(image, duplicate):
    image.catalog  # noqa: B018 - its table exists before the copy is made
    twin = duplicate(image)

    with image.edit("data") as pixels:
        pixels[:] = 99
    image.header["OBJECT"] = "M33"
    image.catalog["y"] = [0.0, 0.0]
    image.catalog.rename_column("x", "X")
    image.set_meta(ExpTime(1.0))

    assert twin.data[0, 1] == 1
    assert twin.header["OBJECT"] == "M31"
    assert twin.catalog.colnames == ["x"]
    assert not twin.meta


def test_editing_copies_only_what_somebody_else_can_see():
    image = Image(np.zeros((2, 2)))
    address = image.data.__array_interface__["data"][0]
    with image.edit("data") as pixels:
        pixels[0, 0] = 1
    assert image.data.__array_interface__["data"][0] == address
    del pixels

    twin = image.copy()
    with image.edit("data") as pixels:
        pixels[0, 0] = 2
    assert twin.data[0, 0] == 1
    assert twin.data.__array_interface__["data"][0] == address

    del twin
    gc.collect()


def test_editing_does_not_change_what_was_handed_out():
    image = Image(np.zeros((2, 2)))
    whole, row = image.data, Image(np.zeros((2, 2))).data
    with image.edit("data") as pixels:
        pixels[:] = 1
    assert whole.sum() == 0

    row = image.data[0]
    with image.edit("data") as pixels:
        pixels[:] = 2
    assert row.tolist() == [1, 1]


def test_after_editing_pixels_are_read_only_again(image):
    with image.edit("data") as pixels:
        pixels[0, 0] = 5
    with pytest.raises(ValueError, match="read-only"):
        pixels[0, 0] = 6
    with pytest.raises(RuntimeError), image.edit("data") as pixels:
        raise RuntimeError
    assert not pixels.flags.writeable


def test_a_slice_that_outlives_the_editing_writes_nowhere():
    image = Image(np.zeros((3, 4), np.float32))
    with image.edit("data") as pixels:
        for row in pixels:
            row[0] = 1.0
    row[:] = 7.0

    assert image.data.tolist() == [[1.0, 0.0, 0.0, 0.0]] * 3
    assert not image.data.flags.writeable


@pytest.mark.parametrize("duplicate", [Image.copy, lambda i: i.replace(header={"A": 1}), lambda i: i.flip().copy()])
def test_a_copy_made_while_editing_does_not_see_what_follows(duplicate):
    image = Image(np.zeros((2, 2), np.float32))
    with image.edit("data") as pixels:
        pixels[0, 0] = 1.0
        twin = duplicate(image)
        pixels[:] = 7.0

    assert twin.data.tolist() == [[1.0, 0.0], [0.0, 0.0]]
    assert image.data.tolist() == [[7.0, 7.0], [7.0, 7.0]]


def test_assigning_a_plane_while_it_is_edited_wins():
    image = Image(np.zeros((2, 2), np.float32))
    with image.edit("data") as pixels:
        view = pixels[0]
        image.data = np.ones((2, 2), np.float32)
        view[:] = 7.0

    assert image.data.tolist() == [[1.0, 1.0], [1.0, 1.0]]


def test_editing_the_catalogue(image):
    twin = image.copy()
    with image.edit("catalog") as table:
        table["x"][0] = 7.0
        table.add_row([3.0])

    assert image.catalog["x"].tolist() == [7.0, 2.0, 3.0]
    assert twin.catalog["x"].tolist() == [1.0, 2.0]


def test_an_absent_plane_cannot_be_edited():
    with pytest.raises(ImageError, match="mask"), Image(np.zeros((2, 2))).edit("mask"):
        pass


def test_the_given_arrays_are_not_changed_nor_watched():
    data = np.zeros((2, 2))
    image = Image(data)
    data[0, 0] = 1

    assert image.data[0, 0] == 0
    assert data.flags.writeable


def test_replace_adopts_arrays(image):
    data = np.zeros((3, 4), np.float32)

    other = image.replace(data=data)

    assert other.data is data
    assert not data.flags.writeable


def test_a_view_of_somebodys_memory_is_copied(image):
    base = np.zeros((6, 4), np.float32)
    frozen = base[:3]
    frozen.flags.writeable = False

    views = [
        image.replace(data=base[:3]),
        image.replace(data=frozen),
        image.replace(data=np.broadcast_to(base[0], (3, 4))),
    ]
    base[:] = 1

    assert [view.data.sum() for view in views] == [0, 0, 0]


def test_replace_changes_several_planes_at_once(image):
    small = image.replace(
        data=np.zeros((2, 2)), mask=np.zeros((2, 2), np.uint8), uncertainty=None, raw=None, catalog=None
    )

    assert small.shape == (2, 2)
    assert small.safe_uncertainty is small.safe_raw is small.safe_catalog is None
    assert (small.header["NAXIS1"], small.header["NAXIS2"]) == (2, 2)
    assert (image.header["NAXIS1"], image.header["NAXIS2"]) == (4, 3)
    assert image.safe_uncertainty is not None


def test_what_does_not_fit_leaves_the_image_as_it_was(image):
    data = image.data
    for change in ({"data": np.zeros((2, 2))}, {"mask": np.zeros((9, 9))}, {"data": np.zeros(3), "mask": None}):
        with pytest.raises(ImageError):
            image.replace(**change)
    with pytest.raises(ImageError, match="mask has shape"):
        image.data = np.zeros((2, 2))

    assert image.data is data
    assert image.header["NAXIS1"] == 4


# --- planes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("plane", [*PLANES, "catalog"])
def test_an_absent_plane_is_named(plane):
    image = Image(name="m31.fits")

    assert getattr(image, f"safe_{plane}") is None
    with pytest.raises(ImageError, match=plane) as error:
        getattr(image, plane)
    assert "m31.fits" in str(error.value)


@pytest.mark.parametrize("plane", ["mask", "uncertainty"])
def test_shapes_are_checked(plane):
    with pytest.raises(ImageError, match=plane):
        Image(np.zeros((4, 4)), **{plane: np.zeros((4, 5))})
    assert Image(np.zeros((3, 4, 4)), **{plane: np.zeros((4, 4))}).axes == "CYX"
    assert Image(np.zeros((3, 4, 4)), **{plane: np.zeros((3, 4, 4))}).axes == "CYX"


@pytest.mark.parametrize("shape", [(), (4,), (1, 2, 3, 4)])
def test_other_dimensions_are_refused(shape):
    with pytest.raises(ImageError, match="dimensional"):
        Image(np.zeros(shape))


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (np.zeros((2, 2), ">f4"), np.float32),
        (np.zeros((2, 2), ">u2"), np.uint16),
        (np.zeros((2, 2), np.float16), np.float32),
        (np.zeros((2, 2), bool), np.uint8),
        ([[1.0, 2.0]], np.float32),
        ([[1, 2]], np.int64),
    ],
)
def test_types_of_pixels(given, kept):
    image = Image(given)

    assert image.data.dtype == kept
    assert image.data.dtype.isnative


@pytest.mark.parametrize("data", [np.zeros((2, 2), complex), np.array([["a"]]), np.ma.zeros((2, 2))])
def test_what_is_no_image_is_refused(data):
    with pytest.raises(ImageError, match="data"):
        Image(data)


def test_a_unit_that_numpy_would_drop_is_refused():
    from astropy import units as u

    with pytest.raises(ImageError, match="BUNIT"):
        Image(np.ones((2, 2)) * u.electron)
    image = Image(np.ones((2, 2)))
    with pytest.raises(ImageError, match="uncertainty has the unit"):
        image.uncertainty = np.ones((2, 2)) * u.electron


def test_masks_are_bool_or_flags():
    assert Image(mask=np.array([[0.0, 1.0]])).mask.dtype == bool
    assert Image(mask=np.array([[0, 6]], ">i2")).mask.tolist() == [[0, PixelFlag.BAD | PixelFlag.SATURATED]]


def test_axes():
    assert Image(np.zeros((2, 2))).axes == "YX"
    assert Image(np.zeros((3, 2, 2))).is_color
    assert Image(np.zeros((5, 2, 2))).axes == "TYX"
    assert Image(np.zeros((3, 2, 2)), axes="TYX").axes == "TYX"
    assert Image(np.zeros((3, 2, 2)), {"CTYPE3": "FRAME"}).axes == "TYX"
    with pytest.raises(ImageError, match="3 planes"):
        Image(np.zeros((5, 2, 2)), axes="CYX")
    with pytest.raises(ImageError, match="axes"):
        Image(np.zeros((5, 2, 2)), axes="YX")
    with pytest.raises(ImageError, match="axes"):
        Image(np.zeros((2, 2)), axes="XY")


def test_the_mean_of_a_movie_is_an_image():
    movie = Image(np.ones((5, 2, 2)), axes="TYX")

    assert movie.replace(data=movie.data.mean(axis=0)).axes == "YX"
    assert movie.axes == "TYX"


def test_setting_planes():
    image = Image(np.zeros((2, 2)))
    image.mask = np.ones((2, 2), bool)
    image.uncertainty = np.ones((2, 2))
    image.raw = np.ones((5, 5))
    image.catalog = Table({"x": [1]})
    image.header = {"A": 1}

    assert image.header["NAXIS1"] == 2
    image.mask = image.uncertainty = image.raw = image.catalog = None
    assert [image.safe_mask, image.safe_uncertainty, image.safe_raw, image.safe_catalog] == [None] * 4


def test_the_catalogue_that_is_given_is_not_watched():
    table = Table({"x": [1.0]})
    image = Image(catalog=table)
    table["x"][0] = 5.0

    assert image.catalog["x"][0] == 1.0
    with pytest.raises(ValueError, match="read-only"):
        image.catalog["x"][0] = 2.0


def test_unit():
    assert Image().unit == "adu"
    assert Image(header={"BUNIT": " Electron "}).unit == "electron"


def test_from_ndarray():
    image = Image.from_ndarray(np.ones((2, 2), np.uint8), {"DTYPE": "uint8", "OBJECT": "M31"})

    assert image.data.dtype == np.uint8
    assert "DTYPE" not in image.header
    assert image.header["OBJECT"] == "M31"


def test_planes_make_the_same_image(image):
    again = Image.from_planes(image.to_planes())

    for plane in PLANES:
        assert getattr(again, plane) is getattr(image, plane)
    assert again.header["OBJECT"] == "M31"


def test_repr():
    assert repr(Image()) == "<Image empty>"
    assert "data (2, 2) float32" in repr(Image([[1.0, 2.0], [3.0, 4.0]], name="a.fits"))


def test_deepcopy_has_pixels_of_its_own(image):
    twin = copy.deepcopy([image, image])

    assert twin[0] is twin[1]
    assert twin[0].data is not image.data
    assert np.array_equal(twin[0].data, image.data)


# --- meta and provenance -----------------------------------------------------------------------------------------


def test_meta_is_found_by_its_class():
    image = Image()
    image.set_meta(PixelOffsets(dx=3.2, dy=-1.7))
    image.set_meta(PixelOffsets(dx=1.0))

    assert image.get_meta(PixelOffsets) == PixelOffsets(1.0, 0.0)
    assert image.has_meta(PixelOffsets)
    assert image.get_meta_safe(ExpTime) is None
    assert image.get_meta_safe(ExpTime, ExpTime(2.0)).exptime == 2.0
    with pytest.raises(ImageError, match="ExpTime"):
        image.get_meta(ExpTime)


def test_meta_of_the_wrong_class_is_not_found():
    image = Image(meta={int: 3.5})

    assert not image.has_meta(int)
    assert image.get_meta_safe(int, 0) == 0
    with pytest.raises(ValueError, match="int"):
        image.get_meta(int)


def test_meta_objects_do_not_change():
    with pytest.raises(FrozenInstanceError):
        PixelOffsets().dx = 1.0  # type: ignore[misc]


def test_sky_offsets_against_closed_forms():
    from astropy.coordinates import Angle, SkyCoord

    offsets = SkyOffsets(SkyCoord(10.0, 60.0, unit="deg"), SkyCoord(10.2, 60.1, unit="deg"))

    east, north = offsets.spherical_offsets()
    assert east.deg == pytest.approx(0.2 * np.cos(np.deg2rad(60.1)), rel=1e-4)
    assert north.deg == pytest.approx(0.1, abs=2e-4)
    assert offsets.separation().deg == pytest.approx(offsets.separation("galactic").deg)
    assert OnSkyDistance(Angle("0.5d")).arcsec == 1800


def test_provenance_grows_on_the_copy_only():
    image = Image(np.zeros((2, 2)))

    after = image.with_provenance(Activity("step", "Step"))

    assert image.provenance == ()
    assert [activity.step for activity in after.replace(mask=None).provenance] == ["step"]


def test_errors_have_one_root():
    assert issubclass(ImageError, EtendueError)
    assert issubclass(ImageError, ValueError)
    assert issubclass(TransientError, EtendueError)
    assert not issubclass(TransientError, ValueError)


def test_naxis_cards_follow_the_pixels():
    given = fits.Header({"NAXIS": 2, "NAXIS1": 1, "NAXIS2": 1, "TEST": 1})
    image = Image(np.zeros((3, 4, 5)), given)

    assert [image.header[f"NAXIS{i}"] for i in (1, 2, 3)] == [5, 4, 3]
    assert "NAXIS3" not in image.replace(data=np.zeros((4, 5))).header
    assert given["NAXIS1"] == 1


def test_passing_an_image_on_costs_much_less_than_copying_its_header():
    header = fits.Header([(f"KEY{i}", i * 1.5, "a comment") for i in range(120)])
    image, data = Image(np.ones((4, 4), np.float32), header), np.ones((4, 4), np.float32)

    passing = min(timeit.repeat(lambda: image.copy().replace(data=data), number=200, repeat=7))
    copying = min(timeit.repeat(header.copy, number=20, repeat=7)) * 10

    assert passing < copying / 15  # some 5 and 300 microseconds
