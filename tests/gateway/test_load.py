"""Many who do not read: they are dropped, nobody waits for them, and the gateway does not grow."""

import contextlib
import json
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from websockets.sync.client import ClientConnection, connect

from assistant.bus import Bus
from assistant.gateway.machine import resident_bytes
from assistant.lock import holder
from assistant.messages import LIVE, Ask, ReplyEnded, ReplyToken, Turn, TurnStarted
from tests.gateway.door import Door, opened
from tests.processes import PATIENCE_S

SLOW, SIZE = 3, 6_000
# 15 MB for each: more than what may wait for one client, and what the kernel takes for it.
TOKENS = 2500


@pytest.fixture
def door(runtime: Path) -> Iterator[Door]:
    with opened(runtime, services=("dialogue",)) as opened_:
        yield opened_


@pytest.fixture
def dialogue(join: Callable[..., Bus], door: Door) -> Bus:
    bus = join("dialogue")
    deadline = time.monotonic() + PATIENCE_S
    while not (bus.wanted(ReplyToken) and bus.wanted(ReplyEnded)):
        assert time.monotonic() < deadline
        bus.receive(0.02)
    return bus


def slow(door: Door, head: str) -> socket.socket:
    """Asks, and reads nothing; the kernel takes little for it."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    connection.settimeout(PATIENCE_S)
    connection.connect(("127.0.0.1", door.port))
    connection.sendall(head.replace("\n", "\r\n").encode())
    return connection


def listener(door: Door) -> socket.socket:
    return slow(
        door,
        f"GET /ws HTTP/1.1\nHost: 127.0.0.1:{door.port}\nConnection: Upgrade\nUpgrade: websocket\n"
        "Sec-WebSocket-Version: 13\nSec-WebSocket-Key: MTIzNDU2Nzg5MDEyMzQ1Ng==\n\n",
    )


def asker(door: Door) -> socket.socket:
    body = json.dumps({"text": "what do you see", "stream": True})
    return slow(
        door,
        f"POST /api/v1/ask HTTP/1.1\nHost: 127.0.0.1:{door.port}\nContent-Type: application/json\n"
        f"Connection: close\nContent-Length: {len(body)}\n\n{body}",
    )


def memory(door: Door) -> int:
    pid = holder(door.runtime / "gateway.lock")
    assert pid is not None
    return resident_bytes(pid) or 0


def speak(dialogue: Bus, turn: Turn, each: Callable[[int], None] = lambda _: None) -> None:
    """A reply that is far longer than anybody's. ``each`` is called after each token."""
    dialogue.publish(TurnStarted(turn=turn, text="?", spoken=False, last_sample_at=turn.start))
    text = "x" * SIZE
    for index in range(TOKENS):
        dialogue.publish(ReplyToken(turn=turn, text=text, index=index))
        each(index)
    dialogue.publish(ReplyEnded(turn=turn, reason="stop", text="x", sentences=0))


def rest(connection: socket.socket, bye: bytes = b"\0never") -> int:
    """Bytes that still come, until the gateway closes it, or says so."""
    count, last = 0, b""
    with connection, contextlib.suppress(ConnectionResetError):
        while not last.endswith(bye) and (more := connection.recv(1 << 20)):
            count, last = count + len(more), (last + more)[-100:]
    return count


def figure(door: Door, *words: str) -> float:
    """The sum of the series that have all of these words."""
    lines = door.ask("GET", "/metrics").body.decode().splitlines()
    found = [line for line in lines if not line.startswith("#") and all(word in line for word in words)]
    return sum(float(line.rpartition(" ")[2]) for line in found)


def until_taken(door: Door, dialogue: Bus, turns: int) -> None:
    """Has the gateway taken all that was said of so many turns?"""
    deadline = time.monotonic() + PATIENCE_S
    while figure(door, "assistant_turns_total", 'outcome="stop"') < turns:
        assert time.monotonic() < deadline
        dialogue.receive(0.05)


def test_who_listens_and_does_not_read_is_dropped_and_the_others_miss_nothing(door: Door, dialogue: Bus) -> None:
    idle = [listener(door) for _ in range(SLOW)]
    with connect(f"ws://127.0.0.1:{door.port}/ws", max_size=None) as quick:
        assert json.loads(quick.recv(PATIENCE_S))["event"] == "snapshot"
        sizes = []
        for number in range(3):
            assert heard(quick, dialogue) == list(range(TOKENS))
            until_taken(door, dialogue, number + 1)
            sizes.append(memory(door))
        assert door.ask("GET", "/healthz").status == 200
    assert sizes[2] - sizes[0] < TOKENS * SIZE  # half of what would wait for them by now
    for connection in idle:
        assert rest(connection, b"too slow; connect again") < TOKENS * SIZE
    assert figure(door, "assistant_slow_clients_dropped_total") == SLOW


def heard(quick: ClientConnection, dialogue: Bus) -> list[int]:
    """What a client that reads is told of a long reply."""
    indices: list[int] = []

    def read(index: int) -> None:
        """Now and then all that was said up to here."""
        while index % 250 == 249 and len(indices) <= index:
            event = json.loads(quick.recv(PATIENCE_S))
            if event["event"] == "token":
                indices.append(event["data"]["index"])

    speak(dialogue, Turn(LIVE, time.monotonic_ns()), read)
    return indices


def test_who_asks_and_does_not_read_the_answer_is_dropped(door: Door, dialogue: Bus) -> None:
    idle = [asker(door) for _ in range(SLOW)]
    turns: list[Turn] = []
    while len(turns) < SLOW:
        received = dialogue.receive(PATIENCE_S)
        assert received is not None
        if isinstance(received.message, Ask):
            turns.append(received.message.turn)
    for number, turn in enumerate(turns):
        speak(dialogue, turn)
        until_taken(door, dialogue, number + 1)
    assert door.ask("GET", "/healthz").status == 200
    for connection in idle:
        assert rest(connection) < TOKENS * SIZE
    assert figure(door, "assistant_slow_clients_dropped_total") == SLOW
    assert door.ask("GET", "/api/v1/state").status == 200
    assert "Traceback" not in door.said
