"""Passwords and credentials: the daemon uses them, and tells them to nobody, whatever it is asked for."""

import sys
from io import BytesIO
from pathlib import Path

import httpx
import pytest
from PIL import Image as Picture
from typer.testing import CliRunner

from etendue.pipeline.cli import app
from tests.brokers import Mosquitto, NatsServer
from tests.certificates import LOOPBACK, Authority
from tests.chaos.frames import frame, put
from tests.chaos.observatory import Observatory, wait_for
from tests.s3 import object_server, object_store  # noqa: F401 - fixtures

RIGHT, WRONG = "open-sesame-4711", "close-sesame-4711"


@pytest.mark.slow
def test_brokers_with_tls_and_an_object_store_and_no_secret_is_ever_told(
    tmp_path: Path,
    object_store,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(sys, "path", list(sys.path))
    authority = Authority(tmp_path / "authority")
    certificate = authority.vouch(LOOPBACK)
    brokers = [Mosquitto(tmp_path / "mosquitto"), NatsServer(tmp_path / "nats")]
    sources = []
    for broker, what in zip(brokers, ({"topic": "images"}, {"subject": "images"}), strict=True):
        broker.certificate, broker.authority, broker.login = certificate, authority.file, ("ali", RIGHT)
        password = tmp_path / f"{broker.program}.password"
        password.write_text(WRONG)
        kind = "mqtt" if "topic" in what else "nats"
        common = {"roots": [str(tmp_path)], "chain": "reduce", "password_file": str(password)}
        sources.append({"name": kind, kind: broker.url, **what, **common})
    # Whoever does write the secret into the configuration: it is not shown either.
    careless = {"url": "s3://night/careless", "options": {**object_store.options, "secret": object_store.secret}}
    destinations = {"products": {"url": "s3://night/reduced", "options": object_store.options}, "careless": careless}

    with Observatory(tmp_path / "dome", sources=sources, destinations=destinations, log={"level": "debug"}) as dome:
        dome.environment = {**object_store.environment, "SSL_CERT_FILE": str(authority.file)}
        try:
            for broker in brokers:
                broker.start()
            daemon = dome.start()
            wait_for("both are refused", lambda: _states(dome) == {"mqtt": "failed", "nats": "failed"}, every=0.2)
            told = [str(dome.now()["sources"])]
            for broker in brokers:
                (tmp_path / f"{broker.program}.password").write_text(RIGHT)
            wait_for("both are let in", lambda: _states(dome) == {"mqtt": "ok", "nats": "ok"}, every=0.2)
            put(tmp_path / "one.fits", frame(1))
            put(tmp_path / "two.fits", frame(2))
            brokers[0].publish("images", ["one.fits"])
            brokers[1].publish("images", [b"two.fits"], stream=False)
            dome.wait_until_settled(2)
            assert dome.counts()["done"] == 2

            page = httpx.Client(base_url=f"http://127.0.0.1:{dome.port}", timeout=30)
            products = {one.name: one for job in dome.jobs() for one in dome.queue.products(job.id)}
            kept = object_store.objects("night")
            for name, product in products.items():
                assert page.get(f"/api/products/{product.id}").content == kept[f"reduced/{name}"]
            picture = page.get(f"/api/products/{products['one_reduced.fits'].id}/picture")
            assert Picture.open(BytesIO(picture.content)).size == (96, 96)

            addresses = ["/", "/api/now", "/api/system", "/api/jobs", "/metrics", "/readyz", "/openapi.json"]
            addresses += [f"/api/jobs/{job.id}" for job in dome.jobs()]
            told += [page.get(address).raise_for_status().text for address in addresses]
            told += [_said("serve", "--check", dome.config), _said("queue", "show", dome.config, 1, "--log")]
            told += [_said("queue", "list", dome.config), _said("queue", "export", dome.config)]
            assert daemon.end() == 0
            told.append(dome.log.read_text())
        finally:
            for broker in brokers:
                broker.stop()

    assert "refuses the connection" in told[-1]
    assert "s3://night/reduced" in "".join(told)
    for secret in (RIGHT, WRONG, object_store.secret):
        assert not [text for text in told if secret in text]


def _states(dome: Observatory) -> dict[str, str]:
    return {one["name"]: one["state"] for one in dome.now()["sources"]}


def _said(*words: object) -> str:
    answer = CliRunner().invoke(app, [str(word) for word in words])
    assert answer.output
    return answer.output
