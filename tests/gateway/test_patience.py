"""Half-open connections, slow writers and slow readers: none holds on for ever."""

import contextlib
import json
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from websockets.sync.client import ClientConnection, connect

from assistant.bus import Bus
from assistant.messages import LIVE, CameraState, Frame, ReplyToken, Turn
from tests.gateway.door import Door, answer, opened
from tests.processes import PATIENCE_S

LIMITS = {"header_s": 1.0, "body_s": 1.0}
AMPLE = {"header_s": PATIENCE_S, "write_s": 2.0}


@pytest.fixture(scope="module")
def door() -> Iterator[Door]:
    with tempfile.TemporaryDirectory(prefix="ea-", dir="/tmp") as folder, opened(Path(folder), limits=LIMITS) as one:
        yield one


@pytest.fixture(scope="module")
def ample() -> Iterator[Door]:
    """One that waits as long as it should for those that are merely slow."""
    with tempfile.TemporaryDirectory(prefix="ea-", dir="/tmp") as folder, opened(Path(folder), limits=AMPLE) as one:
        yield one


def ends(connection: socket.socket) -> bool:
    """Does the gateway end this connection? (Else it times out.)"""
    try:
        while connection.recv(65536):
            pass
    except ConnectionResetError:
        pass
    return True


def test_who_never_gets_to_ask_is_shown_out(door: Door) -> None:
    silent, half, slow = door.connect(), door.connect(), door.connect()
    half.sendall(b"GET /api/v1/state HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A")
    slow.settimeout(0.05)
    for letter in b"GET /api/v1/state HTTP/1.1\r\nHost: 127.0.0.1\r\n" + b"X: y\r\n" * 10_000:
        try:
            slow.send(bytes([letter]))
            if slow.recv(1) == b"":
                break
        except TimeoutError:
            continue
        except OSError:
            break
    else:
        pytest.fail("a head that comes a letter at a time was waited for")
    slow.close()
    for connection in (silent, half):
        with connection:
            connection.settimeout(PATIENCE_S)
            assert ends(connection)


def test_a_second_head_on_a_kept_connection_is_not_waited_for_either(door: Door) -> None:
    with door.connect() as connection:
        connection.sendall(f"GET /api/v1/state HTTP/1.1\r\nHost: 127.0.0.1:{door.port}\r\n\r\n".encode())
        assert answer(connection).status == 200
        connection.sendall(b"GET /api/v1/st")
        assert ends(connection)


def test_a_body_that_comes_too_slowly_is_refused(door: Door) -> None:
    head = f"POST /api/v1/session HTTP/1.1\r\nHost: 127.0.0.1:{door.port}\r\nContent-Length: 100\r\n\r\n"
    with door.connect() as connection:
        connection.sendall(head.encode() + b'{"token"')
        refused = answer(connection)
        assert (refused.status, refused.code) == (408, "too_slow")
        assert ends(connection)


def test_the_others_are_served_meanwhile(door: Door) -> None:
    held = [door.connect() for _ in range(50)]
    assert door.ask("GET", "/api/v1/state").status == 200
    for connection in held:
        connection.close()


def test_who_takes_nothing_is_dropped(ample: Door) -> None:
    """A page that shows a camera and was put to sleep: what it does not take is not kept for it."""
    camera = Bus(ample.runtime, "camera")
    reader = socket.socket()
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    reader.connect(("127.0.0.1", ample.port))
    reader.settimeout(PATIENCE_S)
    camera.publish(CameraState(camera="main", state="live", called=("main",)))
    deadline = time.monotonic() + PATIENCE_S
    while "main" not in ample.ask("GET", "/api/v1/state").json["camera"]:
        assert time.monotonic() < deadline
        camera.receive(0.05)
    reader.sendall(f"GET /api/v1/stream.mjpg?fps=15 HTTP/1.1\r\nHost: 127.0.0.1:{ample.port}\r\n\r\n".encode())
    pixels = np.random.default_rng(7).integers(0, 256, (480, 640, 3), np.uint8).tobytes()  # no JPEG makes it small
    seq = 0
    while not camera.wanted(Frame):
        camera.receive(0.02)
    while camera.wanted(Frame):  # until the gateway does not look for it any more
        assert time.monotonic() < deadline + PATIENCE_S
        seq += 1
        frame = Frame(camera="main", seq=seq, captured_at=seq, width=640, height=480, signature=b"")
        camera.publish(frame, pixels)
        camera.receive(0.03)
    reader.close()
    camera.close()
    assert ample.ask("GET", "/api/v1/state").status == 200


class Listeners:
    """So many at /ws, each in a thread, and a dialogue that says words to them."""

    def __init__(self, door: Door, count: int) -> None:
        self._opened = contextlib.ExitStack()
        self._dialogue = self._opened.enter_context(contextlib.closing(Bus(door.runtime, "dialogue")))
        at = f"ws://127.0.0.1:{door.port}/ws"
        self._ears = [self._opened.enter_context(connect(at, max_size=None, close_timeout=0.1)) for _ in range(count)]
        self.heard: list[list[int]] = []

    def close(self) -> None:
        self._opened.close()

    def tell(self, words: int, size: int) -> None:
        """Say so many words of so many letters; returns when all have heard them, or have not."""
        threads = [threading.Thread(target=self._hear, args=(ear, words)) for ear in self._ears]
        for thread in threads:
            thread.start()
        while not self._dialogue.wanted(ReplyToken):
            self._dialogue.receive(0.02)
        turn = Turn(LIVE, time.monotonic_ns())
        for index in range(words):
            self._dialogue.publish(ReplyToken(turn=turn, text="x" * size, index=index))
            self._dialogue.receive(0.01)  # a model takes longer for a word
        for thread in threads:
            thread.join(PATIENCE_S)

    def _hear(self, ear: ClientConnection, words: int) -> None:
        mine: list[int] = []
        while not mine or mine[-1] < words - 1:
            told = json.loads(ear.recv(timeout=PATIENCE_S))
            if told["event"] == "token":
                mine.append(told["data"]["index"])
        self.heard.append(mine)


def test_fifty_listeners_hear_every_word(ample: Door) -> None:
    with contextlib.closing(Listeners(ample, 50)) as listeners:
        listeners.tell(words=40, size=5)
        assert listeners.heard == [list(range(40))] * 50


def test_a_listener_who_takes_nothing_is_dropped_and_the_others_hear_on(ample: Door) -> None:
    upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    with socket.socket() as slow, contextlib.closing(Listeners(ample, 2)) as listeners:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect(("127.0.0.1", ample.port))
        slow.sendall(f"GET /ws HTTP/1.1\r\nHost: 127.0.0.1:{ample.port}\r\n{upgrade}{key}\r\n".encode())
        listeners.tell(words=200, size=60_000)  # 12 MB: more than is kept for anybody
        assert listeners.heard == [list(range(200))] * 2
        slow.settimeout(PATIENCE_S)
        assert ends(slow)
