"""Reading FITS files of others: the pixels that astropy gives, headers, damage, and which extension is what."""

import bz2
import gzip
import io
import lzma

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import MaskedColumn, Table
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from etendue.images import ImageError
from etendue.images.flags import PixelFlag
from etendue.images.io import read_bytes, read_file, read_fits, write_fits
from etendue.images.io.fits import pixels as fits_pixels
from etendue.images.planes import Planes
from etendue.images.provenance import Activity


def fits_bytes(*hdus):
    stream = io.BytesIO()
    fits.HDUList(list(hdus)).writeto(stream, output_verify="ignore")
    return stream.getvalue()


def plain(stored, **cards):
    """A FITS file of stored (unscaled) numbers with the given cards, put together by hand."""
    header = fits.PrimaryHDU(stored).header
    header.update(cards)
    data = stored.astype(stored.dtype.newbyteorder(">")).tobytes()
    return header.tostring().encode() + data.ljust(-(-len(data) // 2880) * 2880, b"\0")


pytestmark = pytest.mark.filterwarnings("ignore:overflow encountered in cast", "ignore:The following header keyword")

# --- pixels -----------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=150)
@given(
    hnp.arrays(
        st.sampled_from(["u1", "i2", "i4", "i8", "f4", "f8"]).map(np.dtype),
        hnp.array_shapes(min_dims=2, max_dims=2, max_side=9),
    ),
    st.sampled_from([{}, {"BZERO": 32768}, {"BZERO": -128}, {"BZERO": 2**31}, {"BZERO": 2.0**63}, {"BSCALE": 0.1},
                     {"BSCALE": 2.5, "BZERO": -7.25}, {"BZERO": 32768.0, "BSCALE": 1.0}]),
    st.sampled_from([None, "float32", "float64"]),
)  # fmt: skip
def test_pixels_are_those_of_astropy(stored, scaling, dtype):
    content = plain(stored, **scaling)
    expected = fits.getdata(io.BytesIO(content))

    pixels = read_bytes(content, dtype=dtype).data

    wanted = expected.dtype.newbyteorder("=") if dtype is None else np.dtype(dtype)
    assert (pixels.dtype, pixels.flags.owndata) == (wanted, True)
    assert np.array_equal(pixels, expected.astype(wanted), equal_nan=True)


def test_chunks_join_without_a_seam(monkeypatch, rng):
    monkeypatch.setattr(fits_pixels, "CHUNK", 100)
    stored = rng.integers(-(2**15), 2**15, (37, 23), np.int16)

    assert np.array_equal(read_bytes(plain(stored, BZERO=32768)).data, stored.astype(np.float32) + 32768)


@pytest.mark.parametrize("scaling", [{}, {"BSCALE": 2.0, "BZERO": 1.0}, {"BZERO": 32768}])
def test_blank_pixels_are_nan(scaling):
    stored = np.array([[-999, 5]], np.int16)

    pixels = read_bytes(plain(stored, BLANK=-999, **scaling)).data

    assert np.isnan(pixels[0, 0])
    assert pixels[0, 1] == 5 * scaling.get("BSCALE", 1) + scaling.get("BZERO", 0)


def test_nan_stays_nan_and_makes_no_mask():
    planes = read_bytes(fits_bytes(fits.PrimaryHDU(np.array([[np.nan, 1.0]]))))

    assert np.isnan(planes.data[0, 0])
    assert planes.mask is None


def test_float32_unless_asked_otherwise():
    content = fits_bytes(fits.PrimaryHDU(np.array([[1, 2]], np.uint16)))

    assert read_bytes(content).data.dtype == np.float32
    assert read_bytes(content, dtype=None).data.dtype == np.uint16
    assert read_bytes(content, dtype="float64").data.dtype == np.float64


def test_floats_are_not_cut_to_integers():
    with pytest.raises(ImageError, match="floating-point"):
        read_bytes(fits_bytes(fits.PrimaryHDU(np.array([[1.5]]))), dtype="int16")


def test_type_note_is_ignored_when_somebody_changed_the_pixels():
    header = fits.Header({"ETDTYPE": "uint16"})

    pixels = read_bytes(fits_bytes(fits.PrimaryHDU(np.array([[0.5]]), header))).data

    assert (pixels.dtype, pixels[0, 0]) == (np.float32, 0.5)


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_packed_files_are_unpacked(pack):
    content = fits_bytes(fits.PrimaryHDU(np.array([[1.0, 2.0]])))

    assert read_bytes(pack(content)).data.tolist() == [[1, 2]]


def test_leading_axes_of_length_one_are_left_out():
    cube = np.arange(6.0).reshape(1, 1, 2, 3)

    assert read_bytes(fits_bytes(fits.PrimaryHDU(cube))).data.shape == (2, 3)


@pytest.mark.parametrize("shape", [(7,), (2, 2, 2, 2)])
def test_other_dimensions_are_refused(shape):
    with pytest.raises(ImageError, match="dimensional"):
        read_bytes(fits_bytes(fits.PrimaryHDU(np.zeros(shape))))


# --- headers ----------------------------------------------------------------------------------------------------


def test_header_has_no_storage_cards():
    hdu = fits.PrimaryHDU(np.zeros((2, 2), np.uint16))
    hdu.header["OBJECT"] = "M31"
    hdu.add_checksum()

    assert list(read_bytes(fits_bytes(hdu)).header) == ["OBJECT"]


def test_header_of_a_compressed_image_has_no_table_cards():
    hdu = fits.CompImageHDU(np.zeros((20, 20), np.int16), fits.Header({"OBJECT": "M31", "EXPTIME": 3.5}))

    header = read_bytes(fits_bytes(fits.PrimaryHDU(), hdu)).header

    assert dict(header) == {"OBJECT": "M31", "EXPTIME": 3.5}


def chip(inherit=None):
    primary = fits.PrimaryHDU()
    primary.header["OBJECT"], primary.header["GAIN"], primary.header["LONG"] = "M31", 1.0, "text " * 30
    primary.header["HISTORY"] = "made"
    extension = fits.ImageHDU(np.zeros((2, 2)), name="SCI")
    extension.header["GAIN"] = 2.0
    if inherit is not None:
        extension.header["INHERIT"] = inherit
    return read_bytes(fits_bytes(primary, extension)).header


def test_extension_inherits_from_the_primary_header():
    header = chip()

    assert (header["OBJECT"], header["GAIN"], header["LONG"]) == ("M31", 2.0, ("text " * 30).rstrip())
    assert list(header["HISTORY"]) == ["made"]


def test_inherit_false_is_respected():
    assert "OBJECT" not in chip(inherit=False)


def test_strange_bytes_in_a_header_do_not_stop_reading():
    content = bytearray(plain(np.zeros((2, 2), np.float32), SITE="45 deg", OBJECT="M31"))
    content[content.index(b"45 deg") + 2] = 0xB0

    header = read_bytes(bytes(content)).header

    assert header["OBJECT"] == "M31"


def test_a_bad_card_is_kept_and_harmless():
    content = plain(np.zeros((2, 2), np.float32), FOCUS=1.0, OBJECT="M31")
    content = content.replace(b"FOCUS   =                  1.0", b"FOCUS   =                 1..0")

    assert read_bytes(content).header["OBJECT"] == "M31"


# --- damage -----------------------------------------------------------------------------------------------------


def image_file(tmp_path, content, name="frame.fits"):
    path = tmp_path / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("keep", [0.999, 0.6, 0.3, 0.02])
@pytest.mark.parametrize("suffix", [".fits", ".fits.gz", ".fits.fz"])
def test_truncated_files_are_refused(tmp_path, rng, keep, suffix):
    pixels = rng.normal(size=(60, 60))
    image = fits.CompImageHDU(pixels, quantize_level=0.0) if suffix == ".fits.fz" else fits.ImageHDU(pixels)
    content = fits_bytes(fits.PrimaryHDU(), image).rstrip(b"\0")
    content = gzip.compress(content) if suffix.endswith("gz") else content
    path = image_file(tmp_path, content[: int(len(content) * keep)], f"frame{suffix}")

    with pytest.raises(ImageError, match=r"frame\.fits.*(truncated|END card)"):
        read_file(path)


def test_a_file_without_the_filling_of_its_last_block_is_read():
    content = plain(np.ones((2, 2), np.float32))

    assert read_bytes(content[: 2880 + 16]).data.tolist() == [[1, 1], [1, 1]]


FOUR_PIXELS = plain(np.zeros((2, 2), np.int16))
SIMPLE_GROUPS = plain(np.zeros((2, 2), np.int16), GROUPS=True, PCOUNT=1, GCOUNT=1)


def card(keyword, value, content=FOUR_PIXELS):
    """The file with another value in one of its cards."""
    start = content.index(keyword.ljust(8).encode() + b"=")
    return content[:start] + f"{keyword:<8}= {value:>20}".encode() + content[start + 30 :]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"just a text\n" * 300, "not a FITS file"),
        (b"", "empty"),
        (b"SIMPLE  =                    T" + b" " * 50, "END card"),
        (b"SIMPLE  = " * 2000, "END card"),
        (card("BITPIX", "17"), "BITPIX"),
        (card("NAXIS1", "-2"), "NAXIS1"),
        (FOUR_PIXELS.replace(b"NAXIS1  =                    2", b"NAXIS1  =       8888888888888"), "truncated"),
        (FOUR_PIXELS.replace(b"NAXIS2  ", b"NAXISX  "), "NAXIS2 is missing"),
        (plain(np.zeros((2, 2), np.int16), BZERO="much"), "BZERO"),
        (fits_bytes(fits.PrimaryHDU()), "holds no image"),
        (fits_bytes(fits.PrimaryHDU(), fits.BinTableHDU.from_columns([fits.Column("x", "E", array=[1.0])])), "a table"),
        (card("NAXIS1", "0", SIMPLE_GROUPS), "random groups"),
    ],
)  # fmt: skip
def test_damaged_or_unfit_files_are_refused(tmp_path, content, reason):
    with pytest.raises(ImageError, match=f"(?s)frame.fits.*{reason}"):
        read_file(image_file(tmp_path, content))


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_random_damage_is_read_or_refused_but_never_crashes(data):
    original = DAMAGED[data.draw(st.integers(0, len(DAMAGED) - 1))]
    content = bytearray(original)
    written = [i for i, byte in enumerate(original) if byte not in b" \0"]
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.sampled_from(written))] = data.draw(st.integers(0, 255))
    try:
        planes = read_fits(bytes(content))
    except ImageError:
        return
    assert planes.data.size > 0


def whole_product():
    stream = io.BytesIO()
    catalog = Table({"x": [1.0, 2.0], "name": ["a", "b"], "m": MaskedColumn([1, 2], mask=[True, False])}, meta={"k": 1})
    catalog["x"].unit = "pix"
    pixels = np.ones((4, 4), np.float32)
    write_fits(Planes(pixels, None, pixels > 1, pixels, catalog, pixels, None, (Activity("Read", "read"),)), stream)
    return stream.getvalue()


DAMAGED = (
    whole_product(),
    plain(np.arange(6, dtype=np.int16).reshape(2, 3), BZERO=32768, BLANK=3),
    fits_bytes(fits.PrimaryHDU(), fits.CompImageHDU(np.arange(100, dtype=np.int16).reshape(10, 10))),
)


def test_a_gzip_bomb_is_refused(monkeypatch):
    from etendue.images.io import content

    monkeypatch.setattr(content, "LARGEST_UNPACKED", 10**6)
    bomb = gzip.compress(plain(np.zeros((1000, 1000), np.uint8)))

    with pytest.raises(ImageError, match="unpacks to more"):
        read_bytes(bomb)


def test_missing_file_is_not_an_image_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_file(tmp_path / "nothing.fits")


# --- extensions -------------------------------------------------------------------------------------------------


def two_chips():
    hdus = [fits.PrimaryHDU()]
    for version in (1, 2):
        for name, value in (("SCI", 10.0), ("ERR", 2.0), ("DQ", 0)):
            hdu = fits.ImageHDU(
                np.full((2, 2), value * version if name != "DQ" else version - 1, np.float32), name=name
            )
            hdu.ver = version
            hdus.append(hdu)
    return fits_bytes(*hdus)


def test_sci_err_dq_are_understood():
    planes = read_bytes(two_chips())

    assert (planes.data[0, 0], planes.uncertainty[0, 0], planes.mask.any()) == (10, 2, False)
    assert planes.mask.dtype == bool


@pytest.mark.parametrize("extension", [("SCI", 2), "SCI,2", 4])
def test_another_chip_comes_with_its_own_errors_and_flags(extension):
    planes = read_bytes(two_chips(), data=extension)

    assert (planes.data[0, 0], planes.uncertainty[0, 0], planes.mask.all()) == (20, 4, True)


def test_parts_can_be_chosen_or_left_out():
    planes = read_bytes(two_chips(), mask={"extension": "DQ,2"}, uncertainty=False)

    assert planes.mask.all()
    assert planes.uncertainty is None


def test_wrong_shape_names_file_and_extension(tmp_path):
    content = fits_bytes(fits.PrimaryHDU(np.zeros((2, 2))), fits.ImageHDU(np.zeros((3, 2)), name="ERR"))

    with pytest.raises(ImageError, match=r"frame\.fits: HDU 1 \(ERR\) has shape \(3, 2\), the data have \(2, 2\)"):
        read_file(image_file(tmp_path, content))


@pytest.mark.parametrize("extension", ["SKY", 9, ("SCI", 3), -1])
def test_unknown_extension_says_what_there_is(extension):
    with pytest.raises(ImageError, match=r"no extension.*SCI"):
        read_bytes(two_chips(), data=extension)


def test_ccddata_uncertainties_of_any_kind():
    from astropy.nddata import CCDData, VarianceUncertainty

    ccd = CCDData(
        np.ones((2, 2)), unit="adu", mask=np.eye(2, dtype=bool), uncertainty=VarianceUncertainty(np.full((2, 2), 9.0))
    )
    stream = io.BytesIO()
    ccd.to_hdu().writeto(stream)

    planes = read_bytes(stream.getvalue())

    assert planes.uncertainty.tolist() == [[3, 3], [3, 3]]
    assert planes.mask.tolist() == [[True, False], [False, True]]


def test_weight_zero_is_no_data_of_infinite_uncertainty():
    weights = np.array([[4.0, 0.0, np.nan, -1.0]], np.float32)
    content = fits_bytes(fits.PrimaryHDU(np.zeros((1, 4))), fits.ImageHDU(weights, name="WHT"))

    planes = read_bytes(content, uncertainty={"extension": "WHT", "kind": "inverse_variance"})

    assert planes.uncertainty.tolist() == [[0.5, np.inf, np.inf, np.inf]]
    assert planes.mask.tolist() == [[0, *[PixelFlag.NO_DATA] * 3]]


def flags(values, **part):
    content = fits_bytes(fits.PrimaryHDU(np.zeros((1, 4))), fits.ImageHDU(np.array([values], np.int16), name="DQ"))
    return read_bytes(content, mask=part).mask[0].tolist()


def test_bits_are_translated():
    part = {"bits": {1: "BAD", 4: "SATURATED"}}

    assert flags([0, 5, 8, 4], **part) == [0, PixelFlag.BAD | PixelFlag.SATURATED, PixelFlag.OTHER, PixelFlag.SATURATED]
    assert flags([0, 5, 8, 4], unlisted=None, **part)[2] == 0


def test_codes_are_translated():
    assert flags([0, 1, 3, 9], codes={1: "BAD", 3: "cosmic_ray"}) == [
        0,
        PixelFlag.BAD,
        PixelFlag.COSMIC_RAY,
        PixelFlag.OTHER,
    ]


def test_the_highest_bit_of_a_signed_type_is_a_flag():
    assert flags([0, -32768, 1, 0], bits={32768: "SATURATED"}) == [0, PixelFlag.SATURATED, PixelFlag.OTHER, 0]


def test_a_map_of_good_pixels():
    assert flags([0, 1, 1, 2], good="nonzero") == [True, False, False, False]


@pytest.mark.parametrize(
    ("part", "problem"),
    [
        ({"bits": {3: "BAD"}}, "powers of two"),
        ({"bits": {1: "HOT"}}, "unknown flag 'HOT'"),
        ({"bits": {1: "BAD"}, "codes": {1: "BAD"}}, "not both"),
        ({"extention": "DQ"}, "extention"),
        ({"file": {"replace": "a", "by": "../b"}}, "folder"),
    ],
)
def test_a_wrong_description_says_what_is_wrong(part, problem):
    with pytest.raises(ImageError, match=f"(?s)layout.*mask.*{problem}"):
        flags([0, 0, 0, 0], **part)


def test_companion_files(tmp_path):
    image_file(tmp_path, fits_bytes(fits.PrimaryHDU(np.ones((1, 2)))), "a_ooi_r.fits")
    image_file(tmp_path, fits_bytes(fits.PrimaryHDU(np.array([[0, 7]], np.int16))), "a_ood_r.fits")
    image_file(tmp_path, fits_bytes(fits.PrimaryHDU(np.array([[0.25, 0.0]]))), "a_oow_r.fits")

    planes = read_file(tmp_path / "a_ooi_r.fits", layout="community_pipeline")

    assert planes.uncertainty.tolist() == [[2, np.inf]]
    assert planes.mask.tolist() == [[0, PixelFlag.OTHER | PixelFlag.NO_DATA]]


def test_missing_companion_is_named_unless_it_is_not_required(tmp_path):
    path = image_file(tmp_path, fits_bytes(fits.PrimaryHDU(np.ones((1, 2)))), "a_ooi_r.fits")
    file = {"replace": "_ooi_", "by": "_ood_"}

    with pytest.raises(FileNotFoundError, match=r"a_ood_r\.fits"):
        read_file(path, mask={"file": file})
    assert read_file(path, mask={"file": file, "required": False}).mask is None
    with pytest.raises(ImageError, match="does not contain"):
        read_file(path, mask={"file": {"replace": "_sci_", "by": "_dq_"}})
