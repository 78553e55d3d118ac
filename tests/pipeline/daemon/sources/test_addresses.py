"""Messages may point to configured places, and to nothing that only looks like them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etendue.images import ImageError
from etendue.pipeline.daemon.sources.messages.addresses import beginnings, is_address, place_below
from etendue.processors.input.fetching import web_address


@pytest.mark.parametrize(
    ("begin", "url"),
    [
        ("https://archive.org/", "https://archive.org/a/b.fits?x=1"),
        ("https://archive.org", "HTTPS://Archive.ORG:443/a.fits"),
        ("http://archive.org:8080/data", "http://archive.org:8080/data/a.fits"),
        ("http://archive.org/data/", "http://archive.org/data/a.fits"),
        ("http://archive.org/my data", "http://archive.org/my%20data/a.fits"),
        ("http://[::1]/", "http://[0:0:0:0:0:0:0:1]/a.fits"),
        ("https://xn--mnchen-3ya.de/", "https://münchen.de/a.fits"),
    ],
)
def test_addresses_below_a_beginning(begin, url):
    assert beginnings(["https://elsewhere.org/", begin])(web_address(url)) == ""


@pytest.mark.parametrize(
    ("begin", "url"),
    [
        ("https://archive.org", "https://archive.org.evil.net/a.fits"),
        ("https://archive.org/", "https://evil.net/https://archive.org/"),
        ("https://archive.org/", "http://archive.org/a.fits"),
        ("https://archive.org/", "https://archive.org:8443/a.fits"),
        ("https://archive.org/data", "https://archive.org/database/a.fits"),
        ("https://archive.org/data", "https://archive.org/data/../secret"),
        ("https://archive.org/data", "https://archive.org/data/%2e%2e/secret"),
        ("https://archive.org/data", "https://archive.org/data/%252e%252e/secret"),
        ("https://archive.org/data", "https://archive.org/data/..%2fsecret"),
        ("https://archive.org/data", "https://archive.org/data/..%5csecret"),
        ("https://archive.org/data", "https://archive.org//data/a.fits"),
        ("https://archive.org/data", "https://archive.org/DATA/a.fits"),
        ("http://127.0.0.1/", "http://2130706433/"),
    ],
)
def test_addresses_that_only_look_so(begin, url):
    assert beginnings([begin])(web_address(url)) != ""


@pytest.mark.parametrize(
    "url", ["https://archive.org@evil.net/", "https://a:b@archive.org/", "file:///etc/passwd", "https:///a"]
)
def test_what_is_no_address_to_be_asked(url):
    with pytest.raises(ImageError):
        beginnings(["https://archive.org/"])(web_address(url))


def test_what_is_an_address():
    assert is_address("file:///etc/passwd")
    assert is_address("HTTP://a/b")
    assert not is_address("/data/a.fits")
    assert not is_address("night: 1/a.fits")


@pytest.fixture
def roots(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name / "night").mkdir(parents=True)
    (tmp_path / "two/night/a.fits").touch()
    (tmp_path / "secret.fits").touch()
    (tmp_path / "one/link.fits").symlink_to(tmp_path / "secret.fits")
    (tmp_path / "one/out").symlink_to(tmp_path)
    return [tmp_path / "one", tmp_path / "two"]


def test_paths_below_a_folder(roots):
    assert place_below(str(roots[1] / "night/a.fits"), roots) == roots[1] / "night/a.fits"
    assert place_below("night/a.fits", roots) == roots[1] / "night/a.fits"
    assert place_below("night/../night/b.fits", roots) == roots[0] / "night/b.fits"


@pytest.mark.parametrize(
    "text",
    ["/etc/passwd", "../secret.fits", "night/../../secret.fits", "link.fits", "out/secret.fits", "out/not there.fits",
     "", " ", ".", "a\0b", "x" * 5000],
)  # fmt: skip
def test_paths_that_lead_elsewhere(roots, text):
    with pytest.raises(ImageError):
        place_below(text, roots[:1])


def test_paths_are_refused_where_there_are_no_folders():
    with pytest.raises(ImageError, match="'roots' of the source"):
        place_below("/a.fits", [])


@given(text=st.text(alphabet="./\\%~ab\0\n", max_size=20))
def test_no_path_leads_out(tmp_path_factory, text):
    root = tmp_path_factory.getbasetemp() / "root"
    try:
        found = place_below(text, [root])
    except ImageError:
        return
    assert found.is_relative_to(root.resolve())
    assert found != root
