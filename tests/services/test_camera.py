"""The camera service, as a real process: every kind of picture it is sent, cameras that come and go, mute, names."""

import struct
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from assistant.bus import Bus
from assistant.messages import CameraState, Frame, Heartbeat, Picture, SpeechEnded, SpeechStarted, Turn
from tests import processes
from tests.pipelines.mjpeg_server import MjpegCamera, mjpeg
from tests.processes import ended, started

Join = Callable[..., Bus]
MODULE = "assistant.services.camera"
PATIENCE_S = 20.0
STILL = {"source": {"engine": "opencv", "opencv": {"source": str(processes.ROOT / "config/demo/table-1.png")}}}
SECRET = "ge-heim"
PICTURE = np.random.default_rng(3).integers(0, 256, (48, 64, 3), dtype=np.uint8)


class Watched:
    """A camera process, and what a client was last told by it."""

    def __init__(self, client: Bus) -> None:
        self.client = client
        self.states: dict[str, CameraState] = {}
        self.frames: dict[str, Frame] = {}
        self.labels: dict[str, CameraState] = {}
        self.beat = Heartbeat(state="starting")
        client.listen(Frame, CameraState, Heartbeat)

    def until(self, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not holds():
            assert time.monotonic() < deadline, (self.states, self.frames, self.beat)
            received = self.client.receive(0.5)
            match received.message if received is not None else None:
                case Frame() as frame:
                    self.frames[frame.camera] = frame
                case CameraState() as state:
                    self.states[state.camera] = self.labels[state.label] = state
                case Heartbeat() as beat:
                    self.beat = beat

    def state(self, state: str, camera: str = "main") -> CameraState:
        self.until(lambda: camera in self.states and self.states[camera].state == state)
        return self.states[camera]

    def frame(self, camera: str = "main", size: tuple[int, int] | None = None) -> Frame:
        """One that comes from now on, of this width and height if any is given."""
        self.frames.pop(camera, None)
        self.until(lambda: camera in self.frames and size in (None, _size(self.frames[camera])))
        return self.frames[camera]

    def health(self, *states: str) -> str:
        self.until(lambda: self.beat.state in states)
        return self.beat.detail

    def put(self, encoded: bytes, camera: str = "", label: str = "x") -> CameraState:
        self.client.send(Picture(camera=camera, label=label), encoded, timeout_s=PATIENCE_S)
        self.until(lambda: label in self.labels)
        return self.labels[label]


def _size(frame: Frame) -> tuple[int, int]:
    return frame.width, frame.height


@contextmanager
def watching(runtime: Path, join: Join, **settings: Any) -> Iterator[Watched]:
    with started(processes.service(runtime, module=MODULE, **settings)) as process:
        watched = Watched(join())
        watched.health("ready", "degraded")
        yield watched
        process.terminate()
        code, said = ended(process)
        assert (code, "Traceback" in said) == (0, False), said
        assert SECRET not in said


def network(camera: MjpegCamera, **options: object) -> dict[str, Any]:
    """Settings of a network camera with a password in its URL, that is given up and tried again at once."""
    url = camera.url.replace("//", f"//joe:{SECRET}@")
    quick = {"source": url, "open_timeout_s": 1.0, "read_timeout_s": 0.5}
    return {
        "source": {"engine": "opencv", "opencv": quick},
        "retry_s": 0.1,
        "retry_most_s": 0.4,
        "fps": 20.0,
        **options,
    }


def encoded(suffix: str, levels: Any, *flags: int) -> bytes:
    return bytes(cv2.imencode(suffix, levels, flags)[1])


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def bomb() -> bytes:
    """A PNG of 60000 by 60000 grey pixels, 10 GB once decoded, in some kilobytes."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 60000, 60000, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(5_000_000))) + chunk(b"IEND", b"")


def turned() -> bytes:
    """A JPEG whose EXIF says that it must be turned by a quarter."""
    exif = b"Exif\0\0MM" + struct.pack(">HIHHHIHHI", 42, 8, 1, 0x0112, 3, 1, 6, 0, 0)
    jpeg = encoded(".jpg", PICTURE)
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:]


def cmyk() -> bytes:
    """A JPEG of four components, as printers want it: OpenCV cannot write one, so a grey one is told to be four."""
    jpeg = encoded(".jpg", np.full((16, 16), 128, np.uint8))
    at = jpeg.index(b"\xff\xc0")
    one = jpeg[at + 10 : at + 13]
    four = b"".join(bytes([number, 0x11, one[2]]) for number in range(1, 5))
    head = b"\xff\xc0" + struct.pack(">HBHHB", 8 + 12, 8, 16, 16, 4) + four
    scan = jpeg.index(b"\xff\xda")
    table = jpeg[scan + 6]
    scans = b"".join(bytes([number, table]) for number in range(1, 5))
    opening = b"\xff\xda" + struct.pack(">HB", 6 + 8, 4) + scans + b"\x00\x3f\x00"
    return jpeg[:at] + head + jpeg[at + 13 : scan] + opening + jpeg[scan + 10 :]


GOOD: dict[str, tuple[bytes, tuple[int, int]]] = {
    "1x1": (encoded(".png", PICTURE[:1, :1]), (1, 1)),
    "grey": (encoded(".png", PICTURE[:, :, 0]), (64, 48)),
    "RGBA": (encoded(".png", np.dstack([PICTURE, PICTURE[:, :, 0]])), (64, 48)),
    "16 bits": (encoded(".png", PICTURE.astype(np.uint16) * 257), (64, 48)),
    "rotated": (turned(), (48, 64)),
    "CMYK": (cmyk(), (16, 16)),
    "huge": (encoded(".jpg", np.full((4000, 6000, 3), 90, np.uint8)), (1620, 1080)),
    "narrow": (encoded(".png", np.zeros((1, 20000, 3), np.uint8)), (1920, 1)),
}
BAD: dict[str, tuple[bytes, str]] = {
    "no bytes": (b"", "the picture is empty"),
    "no picture": (b"hello" * 50, "no picture in PNG, JPEG, BMP or WebP"),
    "truncated": (encoded(".png", PICTURE)[:60], "damaged"),
    "a bomb": (bomb(), "60000x60000 pixels; at most 25000000 are taken"),
    "too long": (encoded(".png", PICTURE) + bytes(17 << 20), "at most 16777216 are taken"),
}


def test_pictures_of_every_kind(runtime: Path, join: Join) -> None:
    with watching(runtime, join, **STILL) as camera:
        for kind, (data, size) in GOOD.items():
            assert camera.put(data, label=kind).state == "live", kind
            camera.frame(size=size)
        for kind, (data, why) in BAD.items():
            for name in ("", "upload-1"):
                refused = camera.put(data, name, f"{kind} {name}")
                assert (refused.state, why in refused.detail) == ("lost", True), (kind, refused)
            camera.state("live")  # it goes on showing what it did
        assert camera.frame().width == 1920
        camera.until(lambda: camera.beat.figures.get("frames.main", 0) > 0)
        shown = camera.beat.figures["frames.main"]
        camera.until(lambda: camera.beat.figures["frames.main"] > shown)
        assert camera.beat.figures["fps.main"] == 5.0
        camera.client.send(Picture(camera="upload-2"), GOOD["grey"][0])
        assert camera.frame("upload-2").width == 64


def test_while_somebody_speaks_pictures_come_faster(runtime: Path, join: Join) -> None:
    """A second frame would be ten minutes away."""
    microphone = join("microphone")
    with watching(runtime, join, fps=1 / 600, fps_speech=50, **STILL) as watched:
        watched.state("live")
        while not microphone.wanted(SpeechStarted):
            assert microphone.receive(0.01) is None
        microphone.publish(SpeechStarted(turn=Turn("live", 1), stream="s"))
        assert watched.frame().seq < watched.frame().seq < watched.frame().seq
        microphone.publish(SpeechEnded(turn=Turn("live", 1), stream="s", last_sample_at=1, why="silence"))


def test_a_camera_that_is_not_there_yet_is_waited_for(runtime: Path, join: Join) -> None:
    with mjpeg() as server:
        server.off()
        with watching(runtime, join, **network(server)) as camera:
            assert camera.health("degraded") == f"{server.url} cannot be opened"
            assert camera.state("lost").detail == f"{server.url} cannot be opened"
            server.on()
            assert camera.state("live").called == ("main",)
            assert camera.health("ready") == ""
            camera.frame()


@pytest.mark.parametrize("how", ["stalls", "dies"])
def test_a_camera_that_is_lost_is_said_and_found_again(runtime: Path, join: Join, how: str) -> None:
    with mjpeg() as server, watching(runtime, join, **network(server)) as camera:
        first = camera.frame()
        if how == "stalls":
            server.manner = "stalls"
        else:
            server.off()
        camera.until(lambda: camera.beat.detail == f"{server.url} gives no pictures any more")
        camera.state("lost")
        if how == "dies":
            server.on()
        server.manner = "plays"
        camera.state("live")
        camera.health("ready")
        assert camera.frame().captured_at > first.captured_at


def test_several_cameras_have_names_and_a_state_each(runtime: Path, join: Join) -> None:
    with mjpeg() as server:
        door = network(server, called=("front door", "门口"))
        gone = {"source": {"opencv": {"source": "/dev/video97"}}}
        with watching(runtime, join, **STILL, cameras={"door": door, "gone": gone}) as camera:
            assert camera.health("degraded") == "gone: there is no camera /dev/video97; is it plugged in?"
            assert camera.state("live", "door").called == ("door", "front door", "门口")
            camera.frame("door")
            camera.frame("main")
            server.off()
            camera.state("lost", "door")
            camera.frame("main")  # the others go on


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        (
            {"source": {"engine": "opencv", "opencv": {"source": "nowhere.png"}}},
            "no picture, video or folder nowhere.png",
        ),
        ({**STILL, "cameras": {"main": STILL}}, "two cameras are called 'main'"),
        ({**STILL, "cameras": {"door": {"source": {"opencv": {"source": "ftp://x/y"}}}}}, "is no URL of a camera"),
        ({**STILL, "fps": 0}, "camera.fps"),
    ],
)
def test_what_can_never_work_ends_it(runtime: Path, settings: dict[str, Any], why: str) -> None:
    with started(processes.service(runtime, module=MODULE, **settings)) as process:
        code, said = ended(process)
    assert code == 78
    assert why in said
    assert "Traceback" not in said


def test_a_picture_file_that_vanishes_is_lost_and_found(runtime: Path, join: Join, tmp_path: Path) -> None:
    path = tmp_path / "shown.png"
    path.write_bytes(encoded(".png", PICTURE))
    settings = {"source": {"opencv": {"source": str(path)}}, "retry_s": 0.1}
    with watching(runtime, join, **settings) as camera:
        camera.state("live")
        path.rename(tmp_path / "hidden.png")
        assert "holds no picture any more" in camera.state("lost").detail
        (tmp_path / "hidden.png").rename(path)
        camera.state("live")
