"""The OpenAPI document, made from the table of routes and the models of the answers."""

import inspect
import re
from collections.abc import Iterable
from typing import Any

from pydantic.json_schema import models_json_schema

from .routes import JSON, Route
from .shapes import Problem, shapes

REFERENCE = "#/components/schemas/{model}"
SENTENCES = {
    400: "the request is malformed",
    401: "a token is needed",
    403: "this is not allowed",
    404: "there is no such thing",
    408: "the body did not come in time",
    409: "it is not as it was, or does not allow this",
    413: "too much was sent",
    415: "what was sent is of another kind",
    422: "what was sent cannot be used; the sentence says why",
    503: "not now; try again",
    507: "there is no room for it",
}
ALWAYS = (400, 401, 403, 503)


def document(routes: Iterable[Route], *, title: str, version: str) -> dict[str, Any]:
    """The description of the API (OpenAPI 3.1)."""
    paths: dict[str, Any] = {}
    for route in routes:
        paths.setdefault(_plain(route.path), {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": title,
            "version": version,
            "description": "Everything that the page shows. Errors are JSON with a sentence in `error`.",
        },
        "paths": paths,
        "components": {
            "schemas": _schemas(),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"token": []}],
    }


def _schemas() -> dict[str, Any]:
    """Schemas of all models; of requests as they are validated, of answers as they are written."""
    requests = {"JobFilter", "PauseRequest", "ChainText", "ChainChange", "MasterDecision"}
    wanted: list[Any] = [(model, "validation" if model.__name__ in requests else "serialization") for model in shapes()]
    _, made = models_json_schema(wanted, ref_template=REFERENCE)
    return made["$defs"]


def _operation(route: Route) -> dict[str, Any]:
    text = inspect.cleandoc(route.endpoint.__doc__ or "")
    summary, _, rest = text.partition("\n")
    operation: dict[str, Any] = {
        "operationId": getattr(route.endpoint, "__name__", route.path),
        "summary": summary.rstrip("."),
        "parameters": [*_path_parameters(route), *_query_parameters(route)],
        "responses": {str(route.status): {"description": "as asked for", "content": _content(route.answer)}},
    }
    if rest.strip():
        operation["description"] = rest.strip()
    if route.right == "none":
        operation["security"] = []
    elif route.right == "save":
        operation["security"] = [{"token": []}]
    if route.body is bytes:
        binary = {"schema": {"type": "string", "format": "binary"}}
        operation["requestBody"] = {"required": True, "content": {"application/octet-stream": binary}}
    elif route.body is not None:
        reference = {"$ref": REFERENCE.format(model=route.body.__name__)}
        operation["requestBody"] = {"required": True, "content": {JSON: {"schema": reference}}}
    statuses = {*ALWAYS, *route.errors}
    if "{" in route.path:
        statuses.add(404)
    if route.query is not None or route.body is not None:
        statuses.add(422)
    if route.body is not None:
        statuses |= {408, 413, 415}
    elif route.method != "GET":
        statuses.add(415)
    for status in sorted(statuses):
        operation["responses"][str(status)] = {"description": SENTENCES[status], "content": _content(Problem)}
    return operation


def _content(answer: Any) -> dict[str, Any]:
    if isinstance(answer, str):
        kinds = [kind.strip() for kind in answer.split(",")]
        return {kind: {"schema": {}} if kind.startswith(JSON) else {"schema": {"type": "string"}} for kind in kinds}
    return {JSON: {"schema": {"$ref": REFERENCE.format(model=answer.__name__)}}}


def _plain(path: str) -> str:
    return re.sub(r"{(\w+):\w+}", r"{\1}", path)


def _path_parameters(route: Route) -> list[dict[str, Any]]:
    found = []
    for name, kind in re.findall(r"{(\w+)(?::(\w+))?}", route.path):
        schema: dict[str, Any] = {"type": "string", "minLength": 1}
        if kind == "int":
            schema = {"type": "integer", "minimum": 0}
        found.append(
            {
                "name": name,
                "in": "path",
                "required": True,
                "description": route.parts.get(name, "its number" if kind == "int" else "its name"),
                "schema": schema,
            }
        )
    return found


def _query_parameters(route: Route) -> list[dict[str, Any]]:
    if route.query is None:
        return []
    schema = route.query.model_json_schema(ref_template=REFERENCE)
    inner = schema.get("$defs", {})
    found = []
    for name, described in schema["properties"].items():
        plain = {**_inlined(described, inner)}
        description = described.get("description", "")
        plain.pop("description", None)
        plain.pop("title", None)
        found.append(
            {
                "name": name,
                "in": "query",
                "required": name in schema.get("required", ()),
                "description": description,
                "schema": plain,
            }
        )
    return found


def _inlined(schema: Any, inner: dict[str, Any]) -> Any:
    """A schema without references, and without null: a query cannot say it."""
    if isinstance(schema, list):
        return [_inlined(part, inner) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _inlined(inner[schema["$ref"].rpartition("/")[2]], inner)
    made = {key: _inlined(value, inner) for key, value in schema.items()}
    if made.get("default", ...) is None:
        del made["default"]
    if "anyOf" in made:
        made["anyOf"] = [part for part in made["anyOf"] if part != {"type": "null"}]
        if len(made["anyOf"]) == 1:
            made |= made.pop("anyOf")[0]
    return made
