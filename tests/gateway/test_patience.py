"""Half-open connections, slow writers and slow readers: none holds on for ever."""

import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from assistant.bus import Bus
from assistant.messages import CameraState, Frame
from tests.gateway.door import Door, answer, opened
from tests.processes import PATIENCE_S

LIMITS = {"header_s": 0.4, "body_s": 0.8, "write_s": 1.0}


@pytest.fixture(scope="module")
def door() -> Iterator[Door]:
    with tempfile.TemporaryDirectory(prefix="ea-", dir="/tmp") as folder, opened(Path(folder), limits=LIMITS) as one:
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


def test_who_takes_nothing_is_dropped(door: Door) -> None:
    """A page that shows a camera and was put to sleep: what it does not take is not kept for it."""
    camera = Bus(door.runtime, "camera")
    reader = socket.socket()
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    reader.connect(("127.0.0.1", door.port))
    reader.settimeout(PATIENCE_S)
    camera.publish(CameraState(camera="main", state="live", called=("main",)))
    deadline = time.monotonic() + PATIENCE_S
    while "main" not in door.ask("GET", "/api/v1/state").json["camera"]:
        assert time.monotonic() < deadline
        camera.receive(0.05)
    reader.sendall(f"GET /api/v1/stream.mjpg?fps=15 HTTP/1.1\r\nHost: 127.0.0.1:{door.port}\r\n\r\n".encode())
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
    assert door.ask("GET", "/api/v1/state").status == 200
