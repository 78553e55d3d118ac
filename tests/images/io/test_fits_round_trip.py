"""What is written to FITS comes back the same: values, types, headers, tables, axes, provenance."""

import io
import string

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from astropy.table import Column, MaskedColumn, Table
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from etendue.images import Image, ImageError
from etendue.images.flags import PixelFlag
from etendue.images.io import read_bytes, read_file, write_file, write_fits
from etendue.images.planes import Planes
from etendue.images.provenance import Activity, InputFile

NUMBERS = ["uint8", "int8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float16", "float32", "float64"]
QUICK = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])

shapes = hnp.array_shapes(min_dims=2, max_dims=3, min_side=1, max_side=6)
pixel_types = st.sampled_from(NUMBERS).map(np.dtype)
ascii_text = st.text(string.ascii_letters + string.digits + " '&/=()-+,.", max_size=150).map(str.rstrip)


def there_and_back(planes, **options):
    stream = io.BytesIO()
    write_fits(planes, stream, **options)
    return read_bytes(stream.getvalue())


def same(first, second):
    if first is None or second is None:
        return first is second
    return first.dtype == second.dtype and np.array_equal(first, second, equal_nan=first.dtype.kind == "f")


@st.composite
def images(draw):
    data = draw(hnp.arrays(draw(pixel_types), draw(shapes)))
    plane = data.shape[-2:]
    return Planes(
        data=data,
        header=fits.Header(),
        mask=draw(st.none() | hnp.arrays(st.sampled_from(["bool", "uint8", "int16", "uint32"]).map(np.dtype), plane)),
        uncertainty=draw(st.none() | hnp.arrays(st.sampled_from(["float32", "float64"]).map(np.dtype), plane)),
        raw=draw(st.none() | hnp.arrays(draw(pixel_types), plane)),
        axes={2: "YX", 3: "TYX"}[data.ndim],
    )


@QUICK
@given(images(), st.sampled_from([None, "gzip"]))
def test_pixels_keep_values_and_types(planes, compression):
    back = there_and_back(planes, compression=compression)

    for plane in ("data", "mask", "uncertainty", "raw"):
        assert same(getattr(planes, plane), getattr(back, plane)), plane
    assert back.axes == (planes.axes if planes.data.ndim == 3 else None)
    assert len(back.header) == 0


@pytest.mark.parametrize("dtype", [*NUMBERS, "bool"])
@pytest.mark.parametrize("shape", [(5, 7), (3, 4, 6)])
def test_tile_compression_is_lossless(rng, dtype, shape):
    if dtype == "bool":
        data = rng.random(shape) < 0.5
    elif np.dtype(dtype).kind == "f":
        data = rng.normal(size=shape).astype(dtype)
        data.flat[:3] = np.nan, np.inf, -np.inf
    else:
        limits = np.iinfo(dtype)
        data = rng.integers(limits.min, limits.max, shape, dtype, endpoint=True)
        data.flat[:2] = limits.min, limits.max
    planes = Planes(data=data, mask=data[..., :, :].astype(bool).reshape(-1, *shape[-2:])[0], axes="TYX")

    back = there_and_back(planes, compression="rice")

    assert same(planes.data, back.data)
    assert same(planes.mask, back.mask)


def test_astropy_reads_the_same_pixels(rng):
    planes = Planes(data=rng.integers(0, 65535, (40, 30), np.uint16), mask=np.eye(40, 30, dtype=bool))
    stream = io.BytesIO()
    write_fits(planes, stream)

    with fits.open(io.BytesIO(stream.getvalue())) as hdus:
        hdus.verify("exception")
        assert [hdu.name for hdu in hdus] == ["PRIMARY", "MASK"]
        assert np.array_equal(hdus[0].data, planes.data)
        assert np.array_equal(hdus["MASK"].data.astype(bool), planes.mask)


def test_order_of_the_extensions():
    catalog = Table({"x": [1.0]})
    pixels = np.zeros((2, 2), np.float32)
    stream = io.BytesIO()
    planes = Planes(pixels, None, pixels > 0, pixels, catalog, pixels, None, (Activity("Read", "read"),))
    write_fits(planes, stream)

    with fits.open(io.BytesIO(stream.getvalue())) as hdus:
        hdus.verify("exception")
        assert [hdu.name for hdu in hdus] == ["PRIMARY", "CAT", "MASK", "UNCERT", "RAW", "PROVENANCE"]


# --- headers ----------------------------------------------------------------------------------------------------

words = st.text(string.ascii_uppercase + string.digits, min_size=1, max_size=8).filter(
    lambda key: key not in ("END", "COMMENT", "HISTORY", "CONTINUE", "HIERARCH")
)


def astropy_can_read(text: str) -> bool:
    """Whether astropy's own parser of cards reads the text back; it stumbles over quotes before slashes."""
    return fits.Card.fromstring(str(fits.Card("KEY", text))).value == text


values = (
    ascii_text.filter(astropy_can_read)
    | st.integers(-(2**62), 2**62)
    | st.booleans()
    | st.floats(allow_nan=False, allow_infinity=False)
)


@QUICK
@given(st.dictionaries(words.map("K".__add__).map(lambda k: k[:8]), values, max_size=8))
def test_header_values_survive(cards):
    header = fits.Header()
    for key, value in cards.items():
        header[key] = value

    back = there_and_back(Planes(data=np.zeros((2, 2), np.float32), header=header)).header

    assert dict(back) == dict(header)


@pytest.mark.parametrize("compression", [None, "rice"])
def test_comments_hierarch_history_and_long_strings_survive(compression):
    header = fits.Header()
    header["EXPTIME"] = (30.5, "exposure time [s]")
    header["LONG"] = ("word " * 40 + "end", "a long one")
    header["HIERARCH ESO DET CHIP NAME"] = ("e2v", "with spaces")
    header["COMMENT"] = "first"
    header["COMMENT"] = "second"
    header["HISTORY"] = "made by hand"
    header["OBJECT"] = "Barnard's star"

    back = there_and_back(Planes(data=np.zeros((2, 2), np.int16), header=header), compression=compression).header

    assert [(c.keyword, c.value, c.comment) for c in back.cards] == [
        (c.keyword, c.value, c.comment) for c in header.cards
    ]


def test_storage_cards_in_the_header_do_not_reach_the_file():
    header = fits.Header({"BITPIX": 8, "BZERO": 32768.0, "NAXIS3": 7, "CHECKSUM": "x", "EXTNAME": "MASK", "GAIN": 2.0})

    back = there_and_back(Planes(data=np.ones((2, 2), np.float32), header=header))

    assert list(back.header) == ["GAIN"]
    assert back.data.tolist() == [[1, 1], [1, 1]]


def test_a_card_that_cannot_be_written_is_named():
    header = fits.Header()
    header["HIERARCH " + "A VERY LONG NAME " * 4] = "and a value for which no room is left"

    with pytest.raises(ImageError, match="A VERY LONG NAME"):
        there_and_back(Planes(data=np.ones((2, 2), np.float32), header=header))


# --- axes, mask flags, provenance -----------------------------------------------------------------------------------


def test_a_movie_of_one_frame_stays_a_movie():
    header = fits.Header({"OBJECT": "Mars"})
    planes = Planes(data=np.zeros((1, 3, 4), np.uint8), header=header, axes="TYX")

    back = there_and_back(planes)

    assert (back.data.shape, back.axes, list(back.header)) == ((1, 3, 4), "TYX", ["OBJECT"])


def test_three_frames_are_not_taken_for_colours():
    planes = Planes(data=np.zeros((3, 3, 4), np.uint8), axes="TYX")
    stream = io.BytesIO()
    write_fits(planes, stream)

    assert read_bytes(stream.getvalue()).axes == "TYX"
    assert fits.getheader(io.BytesIO(stream.getvalue()))["CTYPE3"] == "FRAME"


def test_flags_keep_their_bits():
    mask = np.array([[0, PixelFlag.BAD], [PixelFlag.SATURATED | PixelFlag.EDGE, 0]], np.int16)

    back = there_and_back(Planes(data=np.zeros((2, 2), np.float32), mask=mask))

    assert same(back.mask, mask)


STEPS = (
    Activity("Read", "read", "etendue 0.1", {}, (InputFile("/data/ä.fits", 12, "ab" * 32),), "2026-01-01T00:00:00"),
    Activity("Trim", "Trim", "etendue 0.1", {"section": [1, None], "name": "x"}, seconds=0.25),
    Activity("Trim", "Trim", "etendue 0.1", {}, outcome="warned", message="no TRIMSEC"),
)


def test_provenance_comes_back_and_stands_in_the_history():
    back = there_and_back(Planes(data=np.zeros((2, 2), np.float32), provenance=STEPS))

    assert back.provenance == STEPS
    assert list(back.header["HISTORY"]) == [step.summary() for step in STEPS]


def test_history_is_not_repeated_when_a_product_is_written_again():
    twice = (*STEPS, STEPS[1])
    once = there_and_back(Planes(data=np.zeros((2, 2), np.float32), provenance=STEPS))
    once.provenance = twice

    again = there_and_back(there_and_back(once))

    assert list(again.header["HISTORY"]) == [step.summary() for step in twice]


# --- tables -----------------------------------------------------------------------------------------------------


def table_back(table):
    return there_and_back(Planes(data=np.zeros((2, 2), np.float32), catalog=table)).catalog


def assert_same_table(first, second):
    assert first.colnames == second.colnames
    assert dict(first.meta) == dict(second.meta)
    for name in first.colnames:
        one, two = first[name], second[name]
        assert one.dtype == two.dtype, name
        assert one.shape == two.shape
        assert (one.unit, one.description, one.format) == (two.unit, two.description, two.format)
        assert dict(one.meta) == dict(two.meta)
        assert isinstance(one, MaskedColumn) == isinstance(two, MaskedColumn)
        mask = np.ma.getmaskarray(one)
        assert np.array_equal(mask, np.ma.getmaskarray(two)), name
        ours, theirs = np.asarray(one)[~mask], np.asarray(two)[~mask]
        assert np.array_equal(ours, theirs, equal_nan=one.dtype.kind in "fc"), name


@st.composite
def columns(draw, rows):
    dtype = draw(st.sampled_from([*NUMBERS, "bool", "complex64", "complex128", "U7", "S5"]).map(np.dtype))
    shape = (rows, *draw(st.sampled_from([(), (2,), (2, 3)])))
    elements = st.text("ab çλ🔭", max_size=7) if dtype.kind == "U" else None
    array = draw(hnp.arrays(dtype, shape, elements=elements))
    described = {
        "unit": draw(st.sampled_from([None, "pix", "adu", "mag", "erg / (s cm2)", "electron", "mag(AB)", "furlong7"])),
        "description": draw(st.sampled_from([None, "x position", "it's here", "größer", "long " * 30])),
        "format": draw(st.sampled_from([None, ".3f", "%d"])),
        "meta": draw(st.sampled_from([{}, {"ucd": "pos.x", "n": [1, 2]}])),
    }
    described["unit"] = described["unit"] and u.Unit(described["unit"], parse_strict="silent")
    if draw(st.booleans()):
        return MaskedColumn(array, mask=draw(hnp.arrays(bool, shape)), **described)
    return Column(array, **described)


@st.composite
def tables(draw):
    rows = draw(st.integers(0, 5))
    names = draw(
        st.lists(st.sampled_from(["x", "y", "flux_3", "Flux_3", "Δm", "a'b", "NAME"]), max_size=5, unique=True)
    )
    table = Table({name: draw(columns(rows)) for name in names})
    table.meta.update(draw(st.sampled_from([{}, {"comments": ["a", "b"], "threshold": 1.5, "nested": {"k": "it's"}}])))
    return table


@QUICK
@given(tables())
def test_tables_come_back_whole(table):
    assert_same_table(table, table_back(table))


def test_astropy_reads_our_tables():
    table = Table({"x": [1.5, 2.5], "n": np.array([1, 60000], np.uint16), "name": ["a", "bc"], "ok": [True, False]})
    table["x"].unit, table["x"].description = u.pix, "column"
    table["m"] = MaskedColumn([1, 2], mask=[False, True])
    stream = io.BytesIO()
    write_fits(Planes(data=np.zeros((2, 2), np.float32), catalog=table), stream)

    read = Table.read(io.BytesIO(stream.getvalue()), hdu="CAT")

    assert read["x"].unit == u.pix
    assert read["x"].tolist() == [1.5, 2.5]
    assert read["n"].tolist() == [1, 60000]
    assert read["name"].astype(str).tolist() == ["a", "bc"]
    assert read["ok"].tolist() == [True, False]
    assert read["m"].mask.tolist() == [False, True]


def test_tables_of_others_are_read():
    stream = io.BytesIO()
    table = fits.table_to_hdu(Table({"x": [1.0, 2.0] * u.pix, "name": ["a", "b"]}))
    table.name = "CAT"
    fits.HDUList([fits.PrimaryHDU(np.zeros((2, 2))), table]).writeto(stream)

    catalog = read_bytes(stream.getvalue()).catalog

    assert catalog["x"].unit == u.pix
    assert catalog["name"].tolist() == ["a", "b"]


def test_a_column_of_sky_coordinates_comes_back():
    from astropy.coordinates import SkyCoord

    back = table_back(Table({"sky": SkyCoord([1.0, 2.0], [3.0, 4.0], unit="deg")}))

    assert back["sky"].ra.deg == pytest.approx([1, 2])


@pytest.mark.parametrize(
    ("table", "named"),
    [(Table({"cutout": [{}, {}]}), "cutout"), (Table({"x": [1]}, meta={"when": object()}), "meta of the table CAT")],
)
def test_what_a_table_cannot_hold_is_named(table, named):
    with pytest.raises(ImageError, match=named):
        table_back(table)


# --- suffixes -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".fits", ".fit", ".FTS", ".fits.gz", ".fits.fz"])
def test_every_fits_suffix_round_trips(tmp_path, rng, suffix):
    planes = Planes(data=rng.integers(0, 60000, (30, 20), np.uint16), mask=rng.random((30, 20)) < 0.1)
    path = tmp_path / f"frame{suffix}"

    write_file(planes, path)

    assert same(read_file(path).data, planes.data)
    assert same(read_file(path).mask, planes.mask)
    magic = path.read_bytes()[:2]
    assert (magic == b"\x1f\x8b") == suffix.endswith("gz")


@pytest.mark.parametrize("compression", [None, "rice"])
def test_a_product_that_is_cut_within_the_filling_of_a_block_is_truncated(compression):
    """The planes that came after it would be missing without a word."""
    image = Image(np.ones((5, 7), np.float32), mask=np.eye(5, 7, dtype=bool), uncertainty=np.ones((5, 7), np.float32))
    whole = image.to_bytes(compression=compression)
    with fits.open(io.BytesIO(whole)) as hdus:
        ends = [hdu._data_offset + hdu._data_size for hdu in hdus if hdu._data_size]

    for end in ends:
        for cut in (end - 1, end - 2000):
            with pytest.raises(ImageError, match="truncated"):
                Image.from_bytes(whole[:cut])
