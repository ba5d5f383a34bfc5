"""List microphones, speakers and cameras, or try them: level, a tone, how long it takes to the ear, pictures a second.

A device is named by any part of its name that is its own; so it is found again when it is plugged into another port.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

from assistant.commands import FAILED, OK, USAGE, Failure, _cameratest, _soundtest
from pipelines.audio import AudioError
from pipelines.audio.devices import Device, devices

SYSFS = Path("/sys/class/video4linux")


class Camera(msgspec.Struct, frozen=True):
    device: str  # /dev/videoN
    name: str  # what its driver calls it


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument(
        "--test", action="store_true", help="open a microphone, a speaker and the cameras and measure them"
    )
    parser.add_argument("--seconds", type=float, default=3.0, metavar="N", help="how long to listen (default 3)")
    parser.add_argument("--microphone", default="", metavar="NAME", help="test this one (default: the system's)")
    parser.add_argument(
        "--camera", default="", metavar="SOURCE", help="test this alone: a device, a URL or a video file"
    )
    parser.add_argument("--speaker", default="", metavar="NAME", help="test this one (default: the system's)")


def run(asked: argparse.Namespace) -> int:
    if asked.seconds <= 0:
        raise Failure(f"--seconds {asked.seconds:g} is no time to listen; give more than 0", USAGE)
    if asked.test or asked.camera:
        return _test(asked)
    problem, sound = "", list[Device]()
    try:
        sound = devices(fresh=True)
    except AudioError as error:
        problem = str(error)
    if asked.json:
        print(msgspec.json.encode(_table(sound, problem)).decode())
    else:
        print("\n".join(_lines(sound)))
        if problem:
            print(f"assistant: {problem}", file=sys.stderr)
    return FAILED if problem else OK


def _test(asked: argparse.Namespace) -> int:
    """The sound devices first, unless it is about a camera alone."""
    sound = None if asked.camera else _soundtest.measure(asked.microphone, asked.speaker, asked.seconds)
    sources = [asked.camera] if asked.camera else [camera.device for camera in cameras()]
    pictures = [_cameratest.measure(source, asked.seconds) for source in sources]
    if asked.json:
        table = {**(msgspec.to_builtins(sound) if sound is not None else {}), "cameras": pictures}
        print(msgspec.json.encode(table).decode())
    else:
        lines = [_soundtest.told(sound)] if sound is not None else []
        print("\n".join(line for told in [*lines, *map(_cameratest.told, pictures)] for line in told))
    works = (sound is None or sound.works) and not any(result.problem for result in pictures)
    return OK if works else FAILED


def _table(sound: list[Device], problem: str) -> dict[str, object]:
    return {
        "microphones": [device for device in sound if device.inputs],
        "speakers": [device for device in sound if device.outputs],
        "cameras": cameras(),
        "problem": problem,
    }


def _lines(sound: list[Device]) -> Iterator[str]:
    yield "microphones:"
    yield from _rows([(d, d.inputs, d.default_input) for d in sound if d.inputs])
    yield "speakers:"
    yield from _rows([(d, d.outputs, d.default_output) for d in sound if d.outputs])
    yield "cameras:"
    yield from [f"  {camera.device}  {camera.name}" for camera in cameras()] or ["  none"]


def _rows(found: list[tuple[Device, int, bool]]) -> list[str]:
    width = max((len(device.label) for device, _, _ in found), default=0)
    rows = [
        f"  {device.label:<{width}}  {channels} channel{'s' if channels > 1 else ''}, {device.rate} Hz"
        + (", default" if default else "")
        for device, channels, default in found
    ]
    return rows or ["  none"]


def cameras(sysfs: Path = SYSFS) -> list[Camera]:
    """What the kernel shows as video devices, by number."""
    found = []
    for entry in sorted(sysfs.glob("video*"), key=lambda path: int(path.name.removeprefix("video") or 0)):
        try:
            name = (entry / "name").read_text().strip()
        except OSError:
            name = "unnamed"
        found.append(Camera(f"/dev/{entry.name}", name))
    return found
