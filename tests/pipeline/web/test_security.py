"""Who may do what. Each test is an attempt that a stranger could make."""

import hashlib
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from etendue.pipeline.daemon.settings import TokenSettings, WebSettings
from etendue.pipeline.web import security
from etendue.pipeline.web.security import Denied, token_hash, visitor_of
from tests.pipeline.web.demo import CHANGE_TOKEN, READ_TOKEN, DemoService


def ask(web: WebSettings, method: str = "GET", peer: str | None = "127.0.0.1", **headers: str) -> security.Visitor:
    sent = {"host": "127.0.0.1:8077", **{name.replace("_", "-"): value for name, value in headers.items()}}
    return visitor_of(web, method, [(k.encode(), v.encode()) for k, v in sent.items()], peer)


@pytest.fixture
def guarded(tmp_path: Path, open_page: Callable[..., Any]):
    service = DemoService(tmp_path, tokens=True)
    yield open_page(service)
    service.close()


# --- on this machine, without tokens ----------------------------------------------------------------------------


def test_a_program_on_this_machine_may_look_and_retry_but_not_save_chains():
    visitor = ask(WebSettings())

    assert visitor.may("read")
    assert visitor.may("change")
    assert not visitor.may("save")


@pytest.mark.parametrize("name", ["localhost:8077", "127.0.0.1:8077", "[::1]:8077", "LOCALHOST", "127.0.0.1"])
def test_loopback_names_are_known(name: str):
    assert ask(WebSettings(), host=name).may("read")


@pytest.mark.parametrize(
    "name",
    ["evil.example:8077", "127.0.0.1.evil.example", "localhost.evil.example:8077", "", "localhost:80:80", "[::1].evil"],
)
def test_a_foreign_name_with_our_address_is_refused(name: str):
    """DNS rebinding: the browser believes that it talks to the other site."""
    with pytest.raises(Denied, match="not known under the name"):
        ask(WebSettings(), host=name)


def test_configured_names_are_known():
    assert ask(WebSettings(names=("telescope.local",)), host="Telescope.local:8077").may("read")


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_requests_that_another_site_makes_are_refused(site: str, method: str):
    with pytest.raises(Denied, match="another site"):
        ask(WebSettings(), method, sec_fetch_site=site, sec_fetch_mode="no-cors", content_type="application/json")


def test_a_link_on_another_site_opens_the_page():
    visit = {"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate", "sec_fetch_dest": "document"}

    assert ask(WebSettings(), **visit).may("read")


def test_another_site_cannot_put_the_page_into_a_frame():
    frame = {"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate", "sec_fetch_dest": "iframe"}

    with pytest.raises(Denied, match="another site"):
        ask(WebSettings(), **frame)


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "null", "http://127.0.0.1:9999", "http://127.0.0.1:8077.evil.example", "http://["],
)
def test_a_foreign_origin_is_refused(origin: str):
    with pytest.raises(Denied, match="another site"):
        ask(WebSettings(), "POST", origin=origin, content_type="application/json")


def test_our_own_origin_is_fine():
    assert ask(WebSettings(), "POST", origin="http://127.0.0.1:8077", content_type="application/json").may("change")


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_what_a_form_can_send_changes_nothing(kind: str):
    """A form of another site can send these without asking first."""
    with pytest.raises(Denied) as refused:
        ask(WebSettings(), "POST", content_type=kind)
    assert refused.value.status == 415


def test_another_machine_is_refused_without_tokens():
    with pytest.raises(Denied, match="another machine"):
        ask(WebSettings(), peer="192.0.2.7")


@pytest.mark.parametrize("header", ["x_forwarded_for", "forwarded", "x_real_ip"])
def test_a_proxy_before_a_page_without_tokens_is_noticed(header: str):
    with pytest.raises(Denied, match="proxy"):
        ask(WebSettings(), **{header: "192.0.2.7"})


@pytest.mark.parametrize("header", ["host", "authorization", "origin", "content-length"])
def test_a_header_given_twice_is_refused(header: str):
    with pytest.raises(Denied) as refused:
        visitor_of(WebSettings(), "GET", [(header.encode(), b"a"), (header.encode(), b"b")], "127.0.0.1")
    assert refused.value.status == 400


# --- with tokens --------------------------------------------------------------------------------------------------


def web_with(*entries: tuple[str, str, str]) -> WebSettings:
    tokens = tuple(TokenSettings(name=n, hash=token_hash(t), right=r) for n, t, r in entries)
    return WebSettings(host="0.0.0.0", tokens=tokens)


def test_each_token_has_its_right():
    web = web_with(("reader", READ_TOKEN, "read"), ("operator", CHANGE_TOKEN, "change"))

    reader = ask(web, peer="192.0.2.7", authorization=f"Bearer {READ_TOKEN}")
    operator = ask(web, peer="192.0.2.7", authorization=f"bearer {CHANGE_TOKEN}")

    assert (reader.name, reader.may("read"), reader.may("change")) == ("reader", True, False)
    assert (operator.name, operator.may("change"), operator.may("save")) == ("operator", True, True)


def test_the_hash_is_that_of_sha256sum():
    assert token_hash("abc") == "sha256:" + hashlib.sha256(b"abc").hexdigest()


def test_without_a_token_nothing_is_allowed_even_on_this_machine():
    assert not ask(web_with(("reader", READ_TOKEN, "read"))).may("read")


@pytest.mark.parametrize(
    "given",
    [
        f"Bearer {READ_TOKEN[:-1]}",
        f"Bearer {READ_TOKEN}x",
        "Bearer",
        "Bearer ",
        f"Basic {READ_TOKEN}",
        READ_TOKEN,
        "Bearer " + "x" * 10_000,
        f"Bearer {token_hash(READ_TOKEN)}",
        "Bearer \xff\xfe",
    ],
)
def test_a_wrong_token_is_refused(given: str):
    with pytest.raises(Denied) as refused:
        visitor_of(
            web_with(("reader", READ_TOKEN, "read")),
            "GET",
            [(b"host", b"x"), (b"authorization", given.encode("latin-1"))],
            None,
        )
    assert refused.value.status == 401


def test_tokens_are_compared_in_constant_time_and_always_all_of_them():
    source = inspect.getsource(security._with_token)

    assert "hmac.compare_digest" in source
    assert "break" not in source
    assert source.count("return") == 2


ADDRESSES = [
    ("GET", "/api/now"),
    ("GET", "/api/jobs"),
    ("GET", "/api/jobs/1"),
    ("GET", "/api/events"),
    ("GET", "/api/system"),
    ("GET", "/api/products/1"),
    ("GET", "/api/products/1/picture"),
    ("GET", "/api/chains/photometry"),
    ("GET", "/metrics"),
    ("GET", "/readyz"),
    ("POST", "/api/chains/validate"),
]
CHANGES = [
    ("POST", "/api/jobs/1/retry"),
    ("POST", "/api/jobs/drop"),
    ("POST", "/api/pause"),
    ("POST", "/api/reload"),
    ("POST", "/api/upload/camera?filename=a.fits"),
    ("PUT", "/api/chains/photometry"),
]


@pytest.mark.parametrize(("method", "address"), ADDRESSES + CHANGES)
def test_everything_needs_a_token(guarded: Any, method: str, address: str):
    answer = guarded.request(method, address, json={})

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert "token" in answer.json()["error"]


@pytest.mark.parametrize(("method", "address"), CHANGES)
def test_who_may_read_may_not_change(guarded: Any, method: str, address: str):
    answer = guarded.request(method, address, json={}, headers={"Authorization": f"Bearer {READ_TOKEN}"})

    assert answer.status_code == 403
    assert "reading only" in answer.json()["error"]


def test_page_files_and_health_need_no_token(guarded: Any):
    assert guarded.get("/healthz").json() == {"alive": True}
    assert guarded.get("/openapi.json").status_code == 200


def test_a_token_in_the_address_is_none(guarded: Any):
    """Addresses end up in logs and histories."""
    assert guarded.get(f"/api/now?token={READ_TOKEN}").status_code in (401, 422)


def test_saving_a_chain_needs_a_token_also_on_this_machine(page: Any, service: DemoService):
    before = service.chains["photometry"].file.read_text()

    answer = page.put("/api/chains/photometry", json={"text": "steps: []", "base": "0" * 64})

    assert answer.status_code == 401
    assert "etendue token" in answer.json()["error"]
    assert service.chains["photometry"].file.read_text() == before


# --- what every answer says ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["/", "/healthz", "/api/now", "/nowhere", "/api/jobs/999", "/static/../app.py"])
def test_answers_cannot_be_framed_sniffed_or_scripted(page: Any, address: str):
    headers = page.get(address).headers

    assert headers["x-content-type-options"] == "nosniff"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["referrer-policy"] == "no-referrer"
    assert "access-control-allow-origin" not in headers
    assert "set-cookie" not in headers


@pytest.mark.parametrize(
    "address",
    [
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/static/..%2fapp.py",
        "/static/%2e%2e%2f%2e%2e%2f%2e%2e%2f%2e%2e%2fetc/passwd",
        "/static//etc/passwd",
        "/static/..%5capp.py",
        "/static/main.js%00.py",
    ],
)
def test_static_files_lead_nowhere_else(page: Any, address: str):
    answer = page.get(address)

    assert answer.status_code == 404
    assert "import" not in answer.text


def test_a_browser_that_asks_whether_it_may_is_told_nothing(page: Any):
    answer = page.request(
        "OPTIONS",
        "/api/jobs/retry",
        headers={"Origin": "http://127.0.0.1:8077", "Access-Control-Request-Method": "POST"},
    )

    assert answer.status_code == 405
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_passwords_and_tokens_are_not_shown(guarded: Any):
    text = guarded.get("/api/system", headers={"Authorization": f"Bearer {READ_TOKEN}"}).text

    assert "secret" not in text
    assert "telescope@broker" in text
    assert "sha256:" not in text
