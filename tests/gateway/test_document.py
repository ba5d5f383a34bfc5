"""The OpenAPI document, and the API held against it by schemathesis."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import schemathesis
from schemathesis import Case, GenerationMode
from schemathesis.checks import load_all_checks
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from assistant.client import Client, private
from assistant.gateway import server
from assistant.messages import Heartbeat
from tests.gateway.door import Door
from tests.processes import PATIENCE_S

SETS = ["log.level=warning", "gateway.limits.requests_per_s=1e6", "gateway.limits.burst=1000000"]
EXAMPLES = 5  # of each operation
ENDLESS = ("/api/v1/stream.mjpg",)


@pytest.fixture(scope="module")
def door() -> Iterator[Door]:
    with private("demo", SETS, gateway=True) as runtime:
        client = Client(runtime)
        client.await_ready()
        told = client.bus.wait_for(Heartbeat, PATIENCE_S, lambda beat: beat.detail.startswith("http"))
        client.close()
        assert told is not None
        yield Door(told.detail, Path("/nowhere"), runtime)


def test_it_tells_of_every_route(door: Door) -> None:
    told = door.ask("GET", "/api/v1/openapi.json").json
    routes = {(route.path, route.method.lower()) for table in (*server.TABLES, server.OWN) for route in table}
    assert {(path, method) for path, methods in told["paths"].items() for method in methods} == routes
    names = [one["operationId"] for methods in told["paths"].values() for one in methods.values()]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("mode", GenerationMode, ids=lambda mode: str(mode.value))
def test_what_it_answers_is_what_the_document_says(door: Door, mode: GenerationMode) -> None:
    """Of requests as the document asks for them, and of those that it does not allow."""
    load_all_checks()
    document = schemathesis.openapi.from_url(f"{door.url}/api/v1/openapi.json")
    checked = 0
    for found in document.include(path_regex="^/(api|v1|rkllm_chat)").get_all_operations():
        assert isinstance(found, Ok)
        operation = found.ok()
        if operation.path in ENDLESS:
            continue
        if mode.is_negative and not (operation.body or operation.query):
            continue  # nothing of it can be wrong
        checked += 1

        @hypothesis.settings(
            max_examples=EXAMPLES,
            derandomize=True,
            database=None,
            deadline=None,
            suppress_health_check=list(hypothesis.HealthCheck),
        )
        @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
        def hold(case: "Case[Any]") -> None:
            answer = case.call(base_url=door.url, timeout=PATIENCE_S)
            assert answer.status_code < 500, (case.method, case.path, case.body, answer.text)
            kept = [status_code_conformance, content_type_conformance, response_schema_conformance]
            case.validate_response(answer, checks=kept)

        hold()
    assert checked >= 8
    assert door.ask("GET", "/api/v1/state").status == 200
