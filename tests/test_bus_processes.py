"""The bus between processes: one that is stopped, one that dies and comes back."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from assistant.bus import Bus
from assistant.messages import CameraState, Frame, Unseen
from tests.processes import PATIENCE_S, ROOT

Join = Callable[..., Bus]
PIXELS = bytes(1280 * 720 * 3)


@contextmanager
def peer(runtime: Path, role: str) -> "Iterator[subprocess.Popen[bytes]]":
    with subprocess.Popen([sys.executable, "-m", "tests.bus_peer", str(runtime), role], cwd=ROOT) as process:
        try:
            yield process
        finally:
            process.kill()


def show(camera: Bus, seq: int) -> None:
    camera.receive(0.0)
    camera.publish(Frame(camera="main", seq=seq, captured_at=seq, width=1280, height=720, signature=b""), PIXELS)


def seen(camera: Bus, seq: int) -> int:
    """Show frames from this number on until the other one has seen one of them; gives the next number."""
    deadline = time.monotonic() + PATIENCE_S
    first = seq
    while time.monotonic() < deadline:
        show(camera, seq)
        seq += 1
        received = camera.receive(0.1)
        if received is not None and isinstance(received.message, Unseen) and received.message.turn.start >= first:
            return seq
    raise AssertionError("no frame was seen")


def test_a_subscriber_that_is_stopped_neither_blocks_nor_bloats_the_publisher(runtime: Path, join: Join) -> None:
    camera = join("camera")
    camera.listen(Unseen)
    with peer(runtime, "vision") as vision:
        seq = seen(camera, 0)
        vision.send_signal(signal.SIGSTOP)
        before = psutil.Process().memory_info().rss
        began = time.monotonic()
        for more in range(200):  # 550 MB
            show(camera, seq + more)
        took, grown = time.monotonic() - began, psutil.Process().memory_info().rss - before
        vision.send_signal(signal.SIGCONT)
        assert took < PATIENCE_S
        assert grown < 16 * len(PIXELS)
        seen(camera, seq + 200)


def from_process(pid: int) -> Callable[[CameraState], bool]:
    return lambda state: state.detail == str(pid)


def test_a_subscriber_goes_on_when_its_publisher_was_killed_and_is_back(runtime: Path, join: Join) -> None:
    client = join()
    client.listen(CameraState)
    for _ in range(3):
        with peer(runtime, "camera") as camera:
            for _ in range(3):
                assert client.wait_for(CameraState, PATIENCE_S, from_process(camera.pid))
            camera.kill()
    assert client.wire.gaps == 0
    assert not client.wire.refused
