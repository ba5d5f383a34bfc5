"""Network cameras, on real servers on loopback: the newest picture only, and every way in which one is lost."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from pipelines import camera
from pipelines.camera import Camera, CameraLost, Shot
from pipelines.camera.opencv import shown
from pipelines.engine import EngineError
from tests.pipelines.mjpeg_server import Manner, mjpeg

PATIENCE_S = 20.0
SECRET = "ge-heim"
RTSP_SERVER = Path(__file__).parent.parent / "rtsp_server.py"
SYSTEM_PYTHON = "/usr/bin/python3"  # GStreamer's bindings belong to it


@contextmanager
def opened(source: str, **options: float) -> Iterator[Camera]:
    one = camera.load("opencv", {"source": source, "open_timeout_s": 2.0, "read_timeout_s": 0.6, **options})
    try:
        yield one
    finally:
        one.close()


def shot(one: Camera) -> Shot:
    taken = one.read(PATIENCE_S)
    assert taken is not None
    return taken


def lost(one: Camera) -> str:
    """Read until it is lost; gives what is said of it."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        try:
            one.read(PATIENCE_S)
        except CameraLost as error:
            return str(error)
    raise AssertionError("it was never lost")


def grabbing() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("grab")]


def test_a_picture_is_rgb_and_knows_when_it_came() -> None:
    red = np.zeros((48, 64, 3), np.uint8)
    red[:, :, 0] = 200
    before = time.monotonic_ns()
    with mjpeg(red) as server, opened(server.url) as one:
        taken = shot(one)
    assert taken.picture.shape == (48, 64, 3)
    assert np.abs(taken.picture[24, 32].astype(int) - (200, 0, 0)).max() < 12
    assert before < taken.at < time.monotonic_ns()


def test_only_the_newest_is_kept() -> None:
    """A reader that comes late finds no backlog. At 30 a second and 10 decoded, three are one behind."""
    with mjpeg() as server, opened(server.url) as one:
        server.until("sent > 60")
        taken = shot(one)
        assert taken.picture.mean() > 60 - 20
        assert time.monotonic_ns() - taken.at < 2e9
        assert one.read() is None, "the same picture was given twice"
        assert shot(one).at > taken.at


@pytest.mark.parametrize("how", ["stalls", "dies"])
def test_a_lost_stream_stays_lost_and_a_new_object_finds_it_again(how: str) -> None:
    with mjpeg() as server:
        with opened(server.url) as one:
            shot(one)
            if how == "stalls":
                server.manner = "stalls"
            else:
                server.off()
            assert lost(one) == f"{server.url} gives no pictures any more"
            if how == "dies":
                with opened(server.url) as none:
                    assert lost(none) == f"{server.url} cannot be opened"
                server.on()
            server.manner = "plays"
            with pytest.raises(CameraLost):
                one.read()
        with opened(server.url) as another:
            assert shot(another).picture.shape == (48, 64, 3)


@pytest.mark.parametrize("manner", ["silent", "refuses"])
def test_a_server_that_gives_nothing_is_given_up(manner: Manner) -> None:
    with mjpeg() as server:
        server.manner = manner
        began = time.monotonic()
        with opened(server.url, open_timeout_s=0.5) as one:
            assert lost(one) == f"{server.url} cannot be opened"
        assert time.monotonic() - began < 10.0


def test_close_returns_when_the_stream_is_released() -> None:
    with mjpeg() as server:
        with opened(server.url) as one:
            shot(one)
            assert grabbing()
        assert grabbing() == []
        server.until("watching == 0")


def test_a_camera_that_is_closed_while_it_opens_is_released_too() -> None:
    with mjpeg() as server:
        server.manner = "silent"
        with opened(server.url, open_timeout_s=0.5):
            server.until("watching == 1")
        assert grabbing() == []


def test_a_password_is_never_told(tmp_path: Path) -> None:
    """Neither by us nor, on stderr, by the libraries. In a process of its own: these write to the file descriptor."""
    with mjpeg() as server:
        server.manner = "refuses"
        urls = [server.url.replace("//", f"//joe:{SECRET}@") + f"?pwd={SECRET}"]
        urls += [f"rtsp://joe:{SECRET}@127.0.0.1:9/x", f"http://joe:{SECRET}@[::1]:9/x?token={SECRET}"]
        urls += [f"gopher://joe:{SECRET}@host/", f"rtsp://joe:{SECRET}@/x", f"http://joe:{SECRET}@[::x/y"]
        text = (
            "import logging, sys\nlogging.basicConfig(level=0)\nfrom pipelines import camera\n"
            "for url in sys.argv[1:]:\n"
            "    try:\n        camera.load('opencv', {'source': url}).read(20)\n"
            "    except Exception as error:\n        print(repr(error))\n"
        )
        done = subprocess.run([sys.executable, "-c", text, *urls], capture_output=True, text=True, timeout=60)
    assert done.stdout.count("CameraLost") == 3
    assert done.stdout.count("EngineError") == 3
    assert SECRET not in done.stdout + done.stderr
    assert "joe" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("rtsp://joe:a/b@c?d#e@10.0.0.7:554/stream1", "rtsp://10.0.0.7:554/stream1"),
        ("http://10.0.0.7/video.cgi?user=joe&pwd=x", "http://10.0.0.7/video.cgi"),
        ("http://10.0.0.7/#x", "http://10.0.0.7/"),
        ("/dev/video0", "/dev/video0"),
        ("a@b?c.mp4", "a@b?c.mp4"),
    ],
)
def test_how_a_source_is_told(source: str, told: str) -> None:
    assert shown(source) == told


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("ftp://host/x", "ftp://host/x is no URL of a camera; it begins with rtsp, rtsps, http, https"),
        ("rtsp:///x", "rtsp:///x names no host"),
        ("nowhere.mp4", "there is no video file nowhere.mp4"),
        ("nowhere.png", "there is no picture, video or folder nowhere.png"),
    ],
)
def test_what_can_never_be_a_camera(source: str, says: str) -> None:
    with pytest.raises(EngineError, match=says):
        camera.load("opencv", {"source": source})


@pytest.mark.parametrize("options", [{"fourcc": "MJPEG"}, {"width": -1}, {"read_timeout_s": 0}, {"fps": "fast"}])
def test_options_are_checked(options: dict[str, object]) -> None:
    with pytest.raises(EngineError, match=next(iter(options))):
        camera.load("opencv", {"source": "/dev/video0", **options})


def test_devices_that_are_none() -> None:
    with opened("/dev/video97") as one:
        assert lost(one) == "there is no camera /dev/video97; is it plugged in?"
    with opened("/dev/null") as one:
        assert lost(one) == "/dev/null cannot be opened"


@contextmanager
def rtsp() -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    if not os.path.exists(SYSTEM_PYTHON):
        pytest.skip("RTSP: there is no system Python")
    with subprocess.Popen(
        [SYSTEM_PYTHON, str(RTSP_SERVER)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as server:
        try:
            assert server.stdout is not None
            port = server.stdout.readline().strip()
            if not port:
                why = server.communicate()[1].strip().splitlines()[-1:]
                pytest.skip(f"RTSP: GStreamer's server is not installed (gir1.2-gst-rtsp-server-1.0): {why}")
            yield f"rtsp://joe:{SECRET}@127.0.0.1:{port}/camera", server
        finally:
            server.kill()


def test_rtsp() -> None:
    with rtsp() as (url, server), opened(url, open_timeout_s=10.0, read_timeout_s=3.0) as one:
        taken = shot(one)
        assert taken.picture.shape == (240, 320, 3)
        assert taken.picture.std() > 40, "not the test card"
        assert shot(one).at > taken.at
        server.kill()
        assert lost(one) == f"{shown(url)} gives no pictures any more"
        with opened(url) as none:
            assert lost(none) == f"{shown(url)} cannot be opened"
