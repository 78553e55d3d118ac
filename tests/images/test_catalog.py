"""Catalogues: columns, sharing, files."""

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import MaskedColumn, Table
from hypothesis import given, settings
from hypothesis import strategies as st

from etendue.images import COLUMNS, make_catalog
from etendue.images.catalog import FAMILIES, SharedTable, aperture_column, column_named, read_table, write_table


@pytest.fixture
def catalog():
    return make_catalog(
        id=[1, 2],
        x=[1.5, 2.5],
        y=[3.0, 4.0],
        flux=[10.0, np.nan],
        flags=[0, 3],
        flux_aper_1=[1.0, 2.0],
        name=["a", "bcd"],
        unit="electron",
        radii={1: 4.0},
    )


# --- columns -------------------------------------------------------------------------------------------------------


def test_known_columns_have_type_unit_and_description(catalog):
    assert catalog["x"].unit == "pix"
    assert catalog["flux"].unit == "electron"
    assert catalog["id"].dtype == np.int32
    assert "0-based" in catalog["x"].description
    assert catalog["flux_aper_1"].unit == "electron"
    assert catalog["flux_aper_1"].meta["radius"] == 4.0


def test_columns_come_in_a_fixed_order():
    table = make_catalog(
        {"other": [1], "flux_aper_2": [1.0], "flags": [0], "flux_err_aper_1": [1.0]}, y=[1.0], id=[1], x=[1.0]
    )

    assert table.colnames == ["id", "x", "y", "flags", "flux_err_aper_1", "flux_aper_2", "other"]


def test_none_leaves_a_column_out_and_unknown_columns_have_their_own_unit():
    table = make_catalog(x=[1.0], flux=None, colour=[0.3], units={"colour": "mag"})

    assert table.colnames == ["x", "colour"]
    assert table["colour"].unit == "mag"


def test_an_empty_catalogue_has_all_columns():
    table = make_catalog(x=[], flux=[], flags=[])

    assert len(table) == 0
    assert table["flags"].dtype == np.int32
    assert table["flux"].unit == "adu"


def test_masked_values_stay_masked():
    table = make_catalog(x=np.ma.array([1.0, 2.0], mask=[False, True]))

    assert isinstance(table["x"], MaskedColumn)
    assert table["x"].mask.tolist() == [False, True]


def test_lengths_must_agree():
    with pytest.raises(ValueError, match="x 2, y 1"):
        make_catalog(x=[1, 2], y=[1])


def test_every_column_says_what_it_is():
    for name, column in {**COLUMNS, **FAMILIES}.items():
        assert column.description
        assert name == name.lower()
        assert name.isidentifier()
        np.dtype(column.dtype)
    assert column_named("mag_aper_12").description == "magnitude of flux_aper_12"
    assert column_named("flux_radius_50").role == "length"
    assert column_named("unheard_of") is column_named("x_1") is None


def test_aperture_columns_are_counted_from_one():
    assert aperture_column("flux_aper", 2) == "flux_aper_2"
    with pytest.raises(ValueError, match="from 1"):
        aperture_column("flux_aper", 0)
    with pytest.raises(ValueError, match="flux_aper, flux_err_aper"):
        aperture_column("fluxes", 1)


# --- sharing -------------------------------------------------------------------------------------------------------


def test_values_are_shared_and_read_only(catalog):
    one = SharedTable(catalog)
    two = one.share()

    assert np.shares_memory(one.table["x"], two.table["x"])
    for owner in (one, two):
        with pytest.raises(ValueError, match="read-only"):
            owner.table["x"][0] = 5.0
        with pytest.raises(ValueError, match="read-only"):
            owner.table["x"] += 1.0


def test_a_scalar_for_a_column_that_exists_would_write_into_its_values(catalog):
    shared = SharedTable(catalog)

    with pytest.raises(ValueError, match="read-only"):
        shared.table["x"] = 1.0
    shared.table["x"] = np.ones(len(catalog))

    assert shared.table["x"].tolist() == [1.0] * len(catalog)


def test_missing_values_cannot_be_changed_either():
    shared = SharedTable(Table({"x": MaskedColumn([1.0, 2.0], mask=[True, False])}))

    for change in (lambda c: c.mask.__setitem__(1, True), lambda c: c.__setitem__(1, np.ma.masked)):
        with pytest.raises(ValueError, match="read-only"):
            change(shared.share().table["x"])


CHANGES = {
    "add": lambda t: t.__setitem__("new", np.arange(len(t))),
    "add scalar": lambda t: t.__setitem__("one", 1) if "one" not in t.colnames else None,
    "remove": lambda t: t.remove_column("x"),
    "rename": lambda t: t.rename_column("x", "X"),
    "replace": lambda t: t.replace_column("x", np.zeros(len(t))),
    "unit": lambda t: setattr(t["y"], "unit", "mm"),
    "description": lambda t: setattr(t["y"], "description", "else"),
    "format": lambda t: setattr(t["y"], "format", ".3f"),
    "column meta": lambda t: t["flux_aper_1"].meta.__setitem__("radius", 9.0),
    "meta": lambda t: t.meta.__setitem__("k", 2),
    "nested meta": lambda t: t.meta["list"].append(1),
    "remove row": lambda t: t.remove_row(0),
    "add row": lambda t: t.add_row([7] * (len(t.colnames) - 1) + ["z"]) if t.colnames[-1] == "name" else None,
    "reorder": lambda t: t.keep_columns(list(reversed(t.colnames))),
}


def everything(table):
    return (
        [(n, c.tolist(), str(c.unit), c.description, c.format, dict(c.meta)) for n, c in table.columns.items()],
        dict(table.meta),
    )


def fresh():
    table = make_catalog(x=[1.5, 2.5], y=[3.0, 4.0], flux_aper_1=[1.0, 2.0], name=["a", "b"], radii={1: 4.0})
    table.meta["list"] = [1]
    return table


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from([*sorted(CHANGES), "share", "touch"])), max_size=12))
def test_owners_behave_like_separate_copies(steps):
    shared = [SharedTable(fresh())]
    shared += [shared[0].share(), shared[0].share()]
    separate = [fresh() for _ in range(3)]
    for which, change in steps:
        if change == "share":
            other = (which + 1) % 3
            shared[which], separate[which] = shared[other].share(), separate[other].copy()
        elif change == "touch":
            _ = shared[which].table
        else:
            outcomes = []
            for table in (shared[which].table, separate[which]):
                try:
                    CHANGES[change](table)
                    outcomes.append(None)
                except (KeyError, ValueError, TypeError, IndexError) as error:
                    outcomes.append(type(error))
            assert outcomes[0] == outcomes[1]
    assert [everything(owner.table) for owner in shared] == [everything(table) for table in separate]


# --- files ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".fits", ".ecsv", ".csv", ".vot", ".xml", ".parquet"])
@pytest.mark.parametrize("rows", [2, 0])
def test_tables_come_back(catalog, tmp_path, suffix, rows):
    catalog = catalog[:rows]
    path = tmp_path / "new folder" / f"catalog{suffix}"

    write_table(catalog, path)
    back = read_table(path)

    assert back.colnames == catalog.colnames
    for name in catalog.colnames:
        if catalog[name].dtype.kind == "f" and rows:
            assert np.ma.filled(back[name].astype(float), np.nan).tolist() == pytest.approx(
                catalog[name].tolist(), nan_ok=True
            )
        else:
            assert [str(v) for v in back[name]] == [str(v) for v in catalog[name]]
    if suffix != ".csv":
        assert back["x"].unit == "pix"
        assert back["flux"].unit == "electron"
        assert back["x"].description == catalog["x"].description
        assert back["id"].dtype.kind == "i"
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", [".fits", ".ecsv", ".vot", ".parquet"])
def test_missing_values_and_arrays_come_back(tmp_path, suffix):
    table = Table(
        {
            "number": MaskedColumn([1, 2, 3], mask=[False, True, False]),
            "text": ["a", "bb", "ü" if suffix != ".fits" else "c"],
            "flag": [True, False, True],
            "pair": np.arange(6.0).reshape(3, 2),
        }
    )
    write_table(table, tmp_path / f"t{suffix}")
    back = read_table(tmp_path / f"t{suffix}")

    assert back["number"].tolist() == [1, None, 3]
    assert list(back["text"]) == list(table["text"])
    assert back["flag"].tolist() == [True, False, True]
    assert back["pair"].tolist() == table["pair"].tolist()


def test_parquet_is_read_by_other_programs(catalog, tmp_path):
    from pyarrow import parquet

    write_table(catalog, tmp_path / "t.parquet")

    assert parquet.read_table(tmp_path / "t.parquet")["name"].to_pylist() == ["a", "bcd"]


@pytest.mark.filterwarnings("ignore:.*did not parse as fits unit")
def test_fits_is_read_by_other_programs(catalog, tmp_path):
    write_table(catalog, tmp_path / "t.fits")

    assert Table.read(tmp_path / "t.fits")["x"].unit == "pix"
    assert fits.getdata(tmp_path / "t.fits", 1)["name"].tolist() == ["a", "bcd"]


def test_an_unknown_suffix_lists_the_known(catalog, tmp_path):
    with pytest.raises(ValueError, match=r"\.xlsx.*\.fits.*\.parquet"):
        write_table(catalog, tmp_path / "t.xlsx")


def test_an_existing_file_is_kept_if_asked(catalog, tmp_path):
    (tmp_path / "t.csv").write_text("mine")
    with pytest.raises(FileExistsError):
        write_table(catalog, tmp_path / "t.csv", overwrite=False)
    assert (tmp_path / "t.csv").read_text() == "mine"


def test_a_file_that_fails_leaves_nothing(tmp_path):
    table = Table({"x": np.zeros((2, 2, 2))})
    with pytest.raises(ValueError, match="'x' cannot be written"):
        write_table(table, tmp_path / "t.parquet")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", [".fits", ".ecsv", ".vot", ".parquet"])
def test_damaged_files_are_named(tmp_path, suffix):
    path = tmp_path / f"bad{suffix}"
    path.write_bytes(b"nonsense" * 10)
    with pytest.raises(ValueError, match="bad"):
        read_table(path)
    with pytest.raises(FileNotFoundError):
        read_table(tmp_path / "absent.fits")


def test_an_image_writes_its_catalogue(catalog, tmp_path):
    from etendue.images import Image, ImageError

    Image(catalog=catalog).write_catalog(tmp_path / "c.ecsv")
    assert read_table(tmp_path / "c.ecsv")["x"].tolist() == [1.5, 2.5]
    with pytest.raises(ImageError, match="catalog"):
        Image().write_catalog(tmp_path / "none.ecsv")
