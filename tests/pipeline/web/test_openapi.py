"""The API keeps what its document promises: schemathesis asks everything, right and wrong."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import jsonschema
import numpy as np
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import positive_data_acceptance

from etendue.images import Image
from etendue.pipeline.daemon.queue import JobState, Record
from etendue.pipeline.web.app import ROUTES
from etendue.pipeline.web.openapi import document
from tests.pipeline.web.conftest import Page
from tests.pipeline.web.demo import CHANGE_TOKEN, DemoService
from tests.pipeline.web.serving import WAIT, serving

EXAMPLES = 12


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A page with jobs in all states, and a product."""
    service = DemoService(tmp_path_factory.mktemp("service"), tokens=True)
    service.add_many(60)
    path = service.products / "a.fits"
    Image.from_ndarray(np.arange(64 * 48, dtype=np.float32).reshape(48, 64)).writeto(path)
    service.add_product(path)
    service.add("late.fits")
    service.end(JobState.FAILED, Record(error="bad", traceback="Traceback", log="said"))
    with closing(service), serving(service) as served:
        yield served.address


CONFIG = SchemathesisConfig.from_dict({"generation": {"database": "none"}})
SCHEMA = schemathesis.openapi.from_dict(document(ROUTES, title="Etendue", version="1"), config=CONFIG)
OPERATIONS: list[Any] = [found.ok() for found in SCHEMA.get_all_operations()]  # type: ignore[union-attr]
ENDLESS = "GET /api/events"
"""It never ends; it has tests of its own."""

NOT_BY_SCHEMA = ("/api/jobs/retry", "/api/jobs/drop", "/api/products/{id}/sources", "/api/products/{id}/picture",
                 "/api/products/{id}/pixel")  # fmt: skip
"""A filter that means everything, a catalogue that the image lacks, a place beside it: right by form, and refused."""


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize("operation", [one for one in OPERATIONS if one.label != ENDLESS], ids=lambda one: one.label)
def test_answers_are_as_described(address: str, operation: Any, mode: GenerationMode):
    names_only = all(parameter.name in ("name", "night") for parameter in operation.path_parameters)
    if mode is GenerationMode.NEGATIVE and not operation.query and not operation.body and names_only:
        pytest.skip("it takes nothing that could be wrong by its form")
    excluded = [positive_data_acceptance] if operation.path in NOT_BY_SCHEMA else []

    @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: schemathesis.Case) -> None:
        case.call_and_validate(
            base_url=address,
            headers={"Authorization": f"Bearer {CHANGE_TOKEN}"},
            timeout=WAIT,
            excluded_checks=excluded,
        )

    ask()


def test_the_document_is_openapi(page: Page):
    told = page.get("/openapi.json").json()

    assert told["openapi"] == "3.1.0"
    for model in told["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(model)


def test_every_address_says_what_it_does_and_what_it_needs(page: Page):
    paths = page.get("/openapi.json").json()["paths"]

    operations = [operation for methods in paths.values() for operation in methods.values()]
    assert len(operations) == len(ROUTES)
    assert len({operation["operationId"] for operation in operations}) == len(operations)
    for operation in operations:
        assert len(operation["summary"]) > 10
        assert all(parameter["description"] for parameter in operation["parameters"])
    assert paths["/healthz"]["get"]["security"] == []
    assert paths["/api/chains/{name}"]["put"]["security"] == [{"token": []}]
