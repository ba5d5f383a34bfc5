"""/healthz, /readyz and /metrics of a real daemon; and what they say when something is missing."""

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from assistant.bus import Bus
from assistant.client import Client, private
from assistant.core.readiness import SILENT_S
from assistant.gateway.link import Link
from assistant.gateway.monitor import Monitor
from assistant.messages import CameraState, Heartbeat, Mute
from assistant.notify import Notifier
from assistant.service import Service
from tests.gateway.door import TOKEN, opened
from tests.gateway.test_server import get, where
from tests.processes import PATIENCE_S


@pytest.fixture(scope="module")
def daemon() -> Iterator[tuple[Client, str]]:
    with private("demo", ["log.level=warning"], gateway=True) as runtime:
        client = Client(runtime)
        try:
            yield client, where(runtime)
        finally:
            client.close()


def figures(url: str) -> dict[str, float]:
    status, headers, body = get(f"{url}/metrics")
    assert (status, headers["content-type"].partition(";")[0]) == (200, "text/plain")
    found = {}
    for family in text_string_to_metric_families(body.decode()):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}"] = sample.value
    return found


def until(holds: Callable[[], Any], client: Client) -> Any:
    """What it gives, once that is something; asked again with each heartbeat."""
    client.bus.listen(Heartbeat)
    for _ in range(60):
        if found := holds():
            return found
        client.bus.wait_for(Heartbeat, PATIENCE_S)
    raise AssertionError("it never was")


def test_a_daemon_that_works_is_alive_and_ready(daemon: tuple[Client, str]) -> None:
    client, url = daemon
    assert get(f"{url}/healthz")[::2] == (200, b'{"alive":true}')
    until(lambda: get(f"{url}/readyz")[::2] == (200, b'{"ready":true,"missing":[]}'), client)


def test_what_is_answered_is_counted(daemon: tuple[Client, str]) -> None:
    client, url = daemon
    before = figures(url)
    for _ in client.ask("hello"):
        pass
    program = Client(client.runtime, "api-1")
    try:
        for _ in program.ask("what color is the ball"):
            pass
    finally:
        program.close()
    key = "assistant_turns_total{{asker={},outcome=stop}}"
    until(lambda: figures(url)[key.format("keyboard")] == before[key.format("keyboard")] + 1, client)
    told = until(
        lambda: (now := figures(url))[key.format("program")] == before[key.format("program")] + 1 and now, client
    )
    assert told["assistant_tokens_total{kind=generated}"] > before["assistant_tokens_total{kind=generated}"]
    assert told["assistant_first_audio_seconds_count{asker=keyboard}"] == 1
    assert told["assistant_first_audio_seconds_sum{asker=keyboard}"] > 0
    for stage in ("first_token", "decode", "prefill"):
        assert told[f"assistant_stage_seconds_count{{stage={stage}}}"] >= 2
    for service in ("microphone", "camera", "vision", "dialogue", "speaker", "gateway"):
        assert told[f"assistant_service_up{{service={service}}}"] == 1
        assert told[f"assistant_process_resident_memory_bytes{{service={service}}}"] > 1e6
        assert told[f"assistant_bus_gaps_total{{service={service}}}"] == 0
    assert told["assistant_camera_frames_total{camera=main}"] > 0
    until(lambda: figures(url)["assistant_speaker_audio_seconds_total{}"] > 0, client)
    assert told["assistant_context_tokens{}"] > 0
    assert told["assistant_http_requests_total{route=/metrics,status=200}"] >= 1
    assert told["assistant_http_open_requests{kind=http}"] == 1  # this one
    assert "assistant_http_requests_total{route=elsewhere,status=404}" not in told
    get(f"{url}/no/such/page")
    assert figures(url)["assistant_http_requests_total{route=elsewhere,status=404}"] == 1


def test_a_muted_camera_is_not_missing_and_one_that_is_lost_is(daemon: tuple[Client, str]) -> None:
    client, url = daemon
    client.bus.send(Mute(device="camera", muted=True))
    assert client.bus.wait_for(CameraState, PATIENCE_S, lambda state: state.state == "muted")
    until(lambda: figures(url)["assistant_device_muted{camera=main,device=camera}"] == 1, client)
    assert get(f"{url}/readyz")[0] == 200
    client.bus.send(Mute(device="camera", muted=False))
    until(lambda: figures(url)["assistant_device_live{camera=main,device=camera}"] == 1, client)


class Stopwatch:
    """A gateway without a web server, whose clock is set by hand."""

    def __init__(self, join: Callable[..., Bus], state: Path, *services: str) -> None:
        self.now = time.monotonic_ns()  # that of the others on the bus
        self.service = Service(join("gateway"), Notifier(), state, lambda: self.now)
        self.link = Link(self.service, services, "1.0")
        self.monitor = Monitor(self.link, lambda: self.now, "1.0")


def test_a_loop_that_hangs_is_not_alive(join: Callable[..., Bus], tmp_path: Path) -> None:
    gateway = Stopwatch(join, tmp_path)
    gateway.link.pump()
    gateway.now += int(SILENT_S * 1e9)
    assert gateway.monitor.alive
    gateway.now += 1
    assert not gateway.monitor.alive
    gateway.link.pump()
    assert gateway.monitor.alive


def test_who_died_is_missing_until_it_is_back(join: Callable[..., Bus], tmp_path: Path) -> None:
    gateway = Stopwatch(join, tmp_path, "gateway", "vision")
    gateway.service.ready()
    vision = join("vision")

    async def hear() -> None:
        gateway.link.connect(asyncio.get_running_loop())
        while not vision.wanted(Heartbeat):
            vision.receive(0.02)
        vision.publish(Heartbeat(state="ready", figures={"pid": 1.0}))
        for _ in range(100):
            gateway.link.pump()
            await asyncio.sleep(0)
            if not gateway.monitor.missing():
                return

    assert [one.what for one in gateway.monitor.missing()] == ["vision"]
    asyncio.run(hear())
    assert gateway.monitor.missing() == ()
    gateway.now += 60 * 10**9
    gateway.link.pump()
    assert json.dumps([one.why for one in gateway.monitor.missing()]) == '["nothing was heard of it for 60 s"]'
    assert b'assistant_service_up{service="vision"} 0.0' in gateway.monitor.render("")[0]
    assert b'assistant_service_up{service="gateway"} 1.0' in gateway.monitor.render("")[0]


def test_figures_are_for_who_has_the_token_and_a_sign_of_life_is_for_all(runtime: Path) -> None:
    with opened(runtime, token=TOKEN) as door:
        assert door.ask("GET", "/healthz").status == 200
        for path in ("/readyz", "/metrics"):
            assert door.ask("GET", path).status == 401
        told = door.ask("GET", "/metrics", authorization=f"Bearer {TOKEN}")
        assert told.status == 200
        assert b'assistant_http_requests_total{route="/metrics",status="401"} 1.0' in told.body
        assert TOKEN.encode() not in told.body
