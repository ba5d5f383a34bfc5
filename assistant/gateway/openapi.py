"""The OpenAPI document, made of the tables of routes: what is not in a table is not served, and what is, is told."""

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from assistant.gateway.errors import ErrorDocument
from assistant.gateway.routes import Route

SCHEMA = "#/components/schemas/{name}"
ABOUT = (
    "What this assistant is, sees, hears and says. Times named _at are nanoseconds of the device's monotonic clock, "
    "those named _ms are durations. Events are at /ws (WebSocket)."
)


def document(routes: Iterable[Route], version: str) -> dict[str, Any]:
    """An OpenAPI 3.1 document. The refusals of paths that follow another API are in that API's shape."""
    table = list(routes)
    kinds = [kind for route in table for kind in (route.body, route.answer) if _modelled(kind)]
    shapes, components = msgspec.json.schema_components([*kinds, ErrorDocument], ref_template=SCHEMA)
    shape_of = {id(kind): shape for kind, shape in zip([*kinds, ErrorDocument], shapes, strict=True)}
    paths: dict[str, dict[str, Any]] = {}
    for route in table:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, shape_of)
    return {
        "openapi": "3.1.0",
        "info": {"title": "edge-assistant", "version": version, "description": ABOUT},
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "cookie": {"type": "apiKey", "in": "cookie", "name": "assistant"},
            },
        },
    }


def _modelled(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _operation(route: Route, shape_of: dict[int, Any]) -> dict[str, Any]:
    told: dict[str, Any] = {
        "summary": route.summary,
        "operationId": route.handler.__name__,
        "tags": list(route.tags),
        "parameters": [*_parameters(route)],
        "responses": {**_answer(route, shape_of), "default": _refusal(route, shape_of)},
        "security": [] if route.access == "open" else [{"token": []}, {"cookie": []}, {}],
    }
    if route.body is not None:
        shape = shape_of.get(id(route.body), {"type": "object"})
        told["requestBody"] = {"required": True, "content": {"application/json": {"schema": shape}}}
    return told


def _parameters(route: Route) -> Iterable[dict[str, Any]]:
    for name in re.findall(r"{(\w+)}", route.path):
        yield {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
    for name, kind in route.query.items():
        yield {"name": name, "in": "query", "required": False, "schema": msgspec.json.schema(kind)}


def _answer(route: Route, shape_of: dict[int, Any]) -> dict[str, Any]:
    if route.answer is None:
        return {"204": {"description": "Done"}}
    if isinstance(route.answer, str):
        return {"200": {"description": route.summary, "content": {route.answer: {}}}}
    shape = shape_of.get(id(route.answer), {"type": "object"})
    content = {"application/json": {"schema": shape}, **{kind: {} for kind in route.also}}
    return {"200": {"description": route.summary, "content": content}}


def _refusal(route: Route, shape_of: dict[int, Any]) -> dict[str, Any]:
    ours = route.path.startswith("/api/v1/")
    shape = shape_of[id(ErrorDocument)] if ours else {"type": "object"}
    return {"description": "What is wrong, and the mend", "content": {"application/json": {"schema": shape}}}
