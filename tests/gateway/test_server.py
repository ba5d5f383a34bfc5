"""The gateway as a real process, with the daemon of the demo: reached by HTTP."""

import json
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from assistant.client import Client, private
from assistant.gateway import server
from assistant.gateway.settings import Settings
from assistant.messages import Heartbeat
from tests.processes import PATIENCE_S


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with private("demo", ["log.level=warning"], gateway=True) as runtime:
        yield where(runtime)


def where(runtime: Path) -> str:
    client = Client(runtime)
    try:
        told = client.bus.wait_for(Heartbeat, PATIENCE_S, lambda beat: beat.detail.startswith("http"))
    finally:
        client.close()
    assert told is not None
    assert told.detail.endswith(f":{told.figures['port']:.0f}")
    return told.detail


def get(url: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=PATIENCE_S) as answer:
            return answer.status, dict(answer.headers), answer.read()
    except urllib.error.HTTPError as refused:
        return refused.code, dict(refused.headers), refused.read()


def test_the_state_tells_of_every_service_and_device(url: str) -> None:
    status, _, body = get(f"{url}/api/v1/state")
    told = json.loads(body)
    assert (status, told["phase"]) == (200, "idle")
    assert {name: one["state"] for name, one in told["services"].items()} == dict.fromkeys(
        ("microphone", "camera", "vision", "dialogue", "speaker", "gateway"), "ready"
    )
    assert (told["microphone"]["state"], told["camera"]["main"]["state"]) == ("bus", "live")


def test_a_token_does_not_wait_for_the_one_before_to_be_acknowledged() -> None:
    with closing(server._listener(Settings(port=0))) as listener:
        listener.setblocking(True)
        with socket.create_connection(listener.getsockname(), timeout=PATIENCE_S):
            connection, _ = listener.accept()
            with connection:
                assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_what_is_not_there_is_said_in_the_shape_of_the_path(url: str) -> None:
    for path, shape in (("/api/v1/nothing", "mend"), ("/v1/nothing", "type")):
        status, _, body = get(url + path)
        assert (status, shape in json.loads(body)["error"]) == (404, True)
    status, headers, _ = get(f"{url}/api/v1/state", Host="rebound.example")
    assert (status, headers["content-type"]) == (421, "application/json")
