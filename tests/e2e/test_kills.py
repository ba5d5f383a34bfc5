"""Any process may be killed with -9 at any moment: the next question is answered, with the history intact."""

import os
import random
import signal
import time
from collections.abc import Iterator
from typing import Literal

import psutil
import pytest

from assistant.client import Client, private
from assistant.messages import (
    LIVE,
    SERVICES,
    Ask,
    CameraState,
    Heartbeat,
    MicrophoneState,
    Mute,
    ReplyEnded,
    Turn,
)
from tests.processes import PATIENCE_S

SEED = 20261121  # the moments are random, but the same in each run


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with private("demo", ["supervisor.restarts=100"], gateway=True) as runtime:
        client = Client(runtime)
        yield client
        client.close()


def answer(client: Client, question: str) -> ReplyEnded:
    return next(r.message for r in client.ask(question) if isinstance(r.message, ReplyEnded))


def wait_until_reborn(client: Client, service: str, old: int) -> None:
    reborn = client.bus.wait_for(
        Heartbeat,
        PATIENCE_S,
        lambda beat: beat.state == "ready" and beat.figures["pid"] not in (0, old) and client.pid(service) != old,
    )
    assert reborn is not None
    deadline = time.monotonic() + PATIENCE_S
    while client.pid(service) in (None, old):
        assert time.monotonic() < deadline
        client.bus.receive(0.05)
    client.await_ready([service])


@pytest.mark.parametrize("service", SERVICES)
def test_the_turn_after_a_kill_is_answered_from_history(client: Client, service: str) -> None:
    moments = random.Random(f"{SEED}-{service}")
    for _ in range(3):
        client.clear()
        first = answer(client, "what does the gauge read")
        assert first.reason == "stop", first
        pid = client.pid(service)
        assert pid is not None
        client.bus.send(Ask(turn=Turn(LIVE, time.monotonic_ns()), text="what do you see"))
        deadline = time.monotonic() + moments.uniform(0.0, 0.05)  # within the answer, most of the time
        while (left := deadline - time.monotonic()) > 0:
            client.bus.receive(left)
        os.kill(pid, signal.SIGKILL)
        wait_until_reborn(client, service, pid)
        after = answer(client, "and the lamp")
        assert after.reason == "stop", after
        assert after.usage.prompt_tokens > first.usage.prompt_tokens  # what was said before is in the prompt
        assert "about" not in after.text  # it was understood from history, not asked back


@pytest.mark.parametrize(("device", "kind"), [("camera", CameraState), ("microphone", MicrophoneState)])
def test_what_was_muted_is_muted_after_a_kill(
    client: Client, device: Literal["camera", "microphone"], kind: type[CameraState | MicrophoneState]
) -> None:
    client.bus.listen(kind)
    client.bus.send(Mute(device=device, muted=True))
    assert client.bus.wait_for(kind, PATIENCE_S, lambda state: state.state == "muted") is not None
    pid = client.pid(device)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    told = client.bus.wait_for(kind, PATIENCE_S)
    assert told is not None
    assert told.state == "muted"
    wait_until_reborn(client, device, pid)
    client.bus.send(Mute(device=device, muted=False))
    assert client.bus.wait_for(kind, PATIENCE_S, lambda state: state.state != "muted") is not None


def test_nothing_is_left_when_the_daemon_is_killed() -> None:
    with private("demo", gateway=True) as runtime:
        client = Client(runtime)
        pids = [client.pid(name) for name in SERVICES]
        supervisor = client.pid("supervisor")
        client.close()
        assert supervisor is not None
        processes = [psutil.Process(pid) for pid in pids if pid]
        assert len(processes) == len(SERVICES)
        os.kill(supervisor, signal.SIGKILL)
        _, alive = psutil.wait_procs(processes, timeout=PATIENCE_S)
        assert alive == []
        assert [path.name for path in runtime.iterdir() if not path.is_dir()] == []
