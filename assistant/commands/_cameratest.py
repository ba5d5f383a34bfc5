"""``assistant devices --test``: open a camera, count its pictures and look at the last one."""

import time

import msgspec

from pipelines import camera
from pipelines.camera.opencv import shown
from pipelines.image.quality import fault

OPENING_S = 15.0  # until the first picture


class Result(msgspec.Struct, kw_only=True):
    """``problem`` says what does not work, "" if nothing."""

    camera: str
    width: int = 0
    height: int = 0
    fps: float = 0.0  # pictures a second, as they came
    opened_ms: float = 0.0  # until the first picture
    problem: str = ""


def measure(source: str, seconds: float) -> Result:
    """``source``: a device, a URL or a file. ``seconds`` of counting. Raises EngineError for what is no camera."""
    result = Result(camera=shown(source))
    one = camera.load("opencv", {"source": source, "decoded_fps": 0})
    try:
        _measure(one, seconds, result)
    except camera.CameraLost as error:
        result.problem = str(error)
    finally:
        one.close()
    return result


def _measure(one: camera.Camera, seconds: float, result: Result) -> None:
    began = time.monotonic()
    first = last = one.read(OPENING_S)
    if first is None or last is None:
        result.problem = f"it gave no picture within {OPENING_S:g} s"
        return
    result.opened_ms = round((time.monotonic() - began) * 1000, 1)
    count, until = 0, time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        taken = one.read(left)
        if taken is not None:
            last, count = taken, count + 1
    result.height, result.width = last.picture.shape[:2]
    result.fps = round(count * 1e9 / (last.at - first.at), 1) if count else 0.0
    if not count:
        result.problem = f"no other picture came within {seconds:g} s"
    elif (wrong := fault(last.picture)) is not None:
        result.problem = f"nothing is to be seen on its picture, it is {wrong}"


def told(result: Result) -> list[str]:
    """A result for people."""
    lines = [f"camera: {result.camera}"]
    if result.width:
        size = f"{result.width}x{result.height}"
        lines.append(f"  {size}, {result.fps:g} pictures a second, the first after {result.opened_ms:.0f} ms")
    return [*lines, *([f"  {result.problem}"] if result.problem else [])]
