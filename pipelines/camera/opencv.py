"""Cameras through OpenCV (Apache-2.0, with FFmpeg under the LGPL; on the CPU): /dev/videoN, RTSP and HTTP, files."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias
from urllib.parse import urlsplit

import msgspec

from pipelines import engine
from pipelines.camera import Camera, CameraLost, Shot
from pipelines.camera._pictures import Pictures

if TYPE_CHECKING:
    import cv2

VIDEOS = (".mp4", ".m4v", ".avi", ".mkv", ".mov", ".webm", ".mpg", ".mpeg", ".ts")
SCHEMES = ("rtsp", "rtsps", "http", "https")
# Both are read by OpenCV when it opens a capture. FFmpeg's own complaints would show a URL with its password; and
# RTSP over UDP loses pictures in silence. Who wants it sets the variable.
ENVIRON = {"OPENCV_FFMPEG_CAPTURE_OPTIONS": "rtsp_transport;tcp", "OPENCV_FFMPEG_LOGLEVEL": "-8"}

Seconds = Annotated[float, msgspec.Meta(gt=0, le=60)]
Pixels = Annotated[int, msgspec.Meta(ge=0, le=16384)]
Rate = Annotated[float, msgspec.Meta(ge=0, le=1000)]


class Options(engine.Options, frozen=True, kw_only=True):
    source: str  # /dev/video0, rtsp://…, http://…, a video file, a picture file, or a folder of pictures
    every_s: float = 0.0  # a folder goes on to its next picture after this long; 0: it stays on the first
    width: Pixels = 0  # what a device is asked for; 0: its own choice. It may give something near
    height: Pixels = 0
    fps: Rate = 0
    fourcc: Annotated[str, msgspec.Meta(pattern="^(.{4})?$")] = "MJPG"  # USB carries 1080p as MJPEG alone; "": as it is
    open_timeout_s: Seconds = 3.0  # of a URL
    read_timeout_s: Seconds = 2.0  # of a URL: no picture for so long is a loss
    decoded_fps: Rate = 10.0  # at most so many a second are decoded, the others dropped unseen; 0: all


class Engine:
    """Picks how a source is read by what it looks like."""

    Options: TypeAlias = Options

    def __init__(self, options: Options) -> None:
        """Raises EngineError for a source that can never be one; what is merely not there now is told by ``read``."""
        self._camera = _camera(options)

    def read(self, wait_s: float = 0.0) -> Shot | None:
        return self._camera.read(wait_s)

    def stop(self) -> None:
        self._camera.stop()

    def close(self) -> None:
        self._camera.close()


def shown(source: str) -> str:
    """A source as it may be told: a URL without the user, the password and the query, which often is a password."""
    scheme, separator, rest = source.partition("://")
    if not separator:
        return source
    place = rest.rpartition("@")[2]  # first of all: a password may hold any of the other signs
    return f"{scheme}://{re.split('[?#]', place)[0]}"


def _camera(options: Options) -> Camera:
    source = options.source
    scheme, separator, _ = source.partition("://")
    if not separator and not source.startswith("/dev/") and Path(source).suffix.lower() not in VIDEOS:
        return Pictures(source, options.every_s)
    from pipelines.camera._stream import Stream

    for name, value in ENVIRON.items():
        os.environ.setdefault(name, value)
    if separator:
        _check_url(source, scheme)
        return Stream(shown(source), lambda: _open_url(options), options.decoded_fps)
    if source.startswith("/dev/"):
        return Stream(source, lambda: _open_device(options), options.decoded_fps)
    if not Path(source).is_file():
        raise engine.EngineError(f"camera: there is no video file {source}; set opencv.source")
    return Stream(source, lambda: _open_file(source), options.decoded_fps, paced=True)


def _check_url(source: str, scheme: str) -> None:
    if scheme.lower() not in SCHEMES:
        raise engine.EngineError(f"camera: {shown(source)} is no URL of a camera; it begins with {', '.join(SCHEMES)}")
    try:
        host = urlsplit(source).hostname
    except ValueError:  # its text may hold the password
        host = None
    if not host:
        raise engine.EngineError(
            f"camera: {shown(source)} names no host; escape special characters of a password (%40)"
        )


def _open_url(options: Options) -> "cv2.VideoCapture":
    import cv2

    settings = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, round(options.open_timeout_s * 1000)]
    settings += [cv2.CAP_PROP_READ_TIMEOUT_MSEC, round(options.read_timeout_s * 1000)]
    return _opened(lambda: cv2.VideoCapture(options.source, cv2.CAP_FFMPEG, settings), shown(options.source))


def _open_device(options: Options) -> "cv2.VideoCapture":
    import cv2

    path = os.path.realpath(options.source)  # by-id links are stable names of what V4L2 knows by number
    if not os.path.exists(path):
        raise CameraLost(f"there is no camera {options.source}; is it plugged in?")
    if not os.access(path, os.R_OK | os.W_OK):
        raise CameraLost(f"{options.source} may not be opened; add this user to the group 'video'")
    number = re.fullmatch(r"/dev/video(\d+)", path)
    target: int | str = int(number.group(1)) if number else path
    capture = _opened(lambda: cv2.VideoCapture(target, cv2.CAP_V4L2), options.source)
    # Each is a wish, and in this order: the format decides which sizes there are, and those which rates.
    if options.fourcc:
        capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*options.fourcc))
    wishes = {cv2.CAP_PROP_FRAME_WIDTH: options.width, cv2.CAP_PROP_FRAME_HEIGHT: options.height}
    for wish, value in {**wishes, cv2.CAP_PROP_FPS: options.fps, cv2.CAP_PROP_BUFFERSIZE: 1}.items():
        if value:
            capture.set(wish, value)
    return capture


def _open_file(source: str) -> "cv2.VideoCapture":
    import cv2

    return _opened(lambda: cv2.VideoCapture(source, cv2.CAP_FFMPEG), source)


def _opened(opens: "Callable[[], cv2.VideoCapture]", name: str) -> "cv2.VideoCapture":
    import cv2

    try:
        capture = opens()
    except cv2.error as error:
        raise CameraLost(f"{name} cannot be opened") from error
    if not capture.isOpened():
        capture.release()
        raise CameraLost(f"{name} cannot be opened")
    return capture
