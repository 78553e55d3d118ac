"""Names of products that are staged first: they are checked against the place where they will be."""

from pathlib import Path

import pytest

from etendue.images import ImageError
from etendue.processors import RunContext, product_path, run_context


@pytest.fixture
def context(tmp_path: Path) -> RunContext:
    staging = tmp_path / "out" / ".etendue" / "staging" / "1-token"
    staging.mkdir(parents=True)
    return RunContext(output=staging, destination=tmp_path / "out")


def test_a_name_is_staged(context):
    with run_context(context):
        assert product_path("M31/a.fits") == context.output / "M31" / "a.fits"

    assert context.products == [context.output / "M31" / "a.fits"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("/tmp/elsewhere.fits", "is absolute"),
        ("../../../up.fits", "leads out"),
        ("M31/../../up.fits", "leads out"),
        (".etendue/x.fits", "reserved"),
        (".", "reserved"),
        ("link/a.fits", "symbolic link"),
    ],
)
def test_a_name_that_leads_elsewhere_is_refused(context, tmp_path, name, said):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out" / "link").symlink_to(tmp_path / "elsewhere")

    with run_context(context), pytest.raises(ImageError, match=said):
        product_path(name)


def test_what_is_in_place_already_counts_as_existing(context, tmp_path):
    (tmp_path / "out" / "a.fits").touch()

    with run_context(context):
        product_path("a.fits")
        with pytest.raises(ImageError, match=r"out/a\.fits exists"):
            product_path("a.fits", overwrite=False)


def test_raw_input_in_the_destination_is_never_overwritten(context, tmp_path):
    context.source = tmp_path / "out" / "raw.fits"

    with run_context(context), pytest.raises(ImageError, match="raw input"):
        product_path("raw.fits")
