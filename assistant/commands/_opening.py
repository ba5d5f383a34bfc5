"""``assistant doctor``: open the settings' sound devices and cameras, as ``assistant devices --test`` does."""

from collections.abc import Iterator, Mapping
from typing import Any

from assistant.checkup.models import places
from assistant.commands import _cameratest, _soundtest
from assistant.core.doctor.facts import Opened
from pipelines.audio import AudioError
from pipelines.camera.opencv import shown
from pipelines.engine import EngineError

LISTEN_S, LOOK_S = 1.0, 1.0


def opened(resolved: Mapping[str, Any]) -> Iterator[Opened]:
    """Those that are devices or URLs; sound over the bus and pictures in files need nothing."""
    microphone, speaker = resolved["microphone"], resolved["speaker"]
    if "device" in (microphone["source"], speaker["output"]):
        yield _sound(microphone["device"], speaker["device"])
    for source in dict.fromkeys(_sources(resolved)):
        yield _camera(source)


def _sound(microphone: str, speaker: str) -> Opened:
    try:
        result = _soundtest.measure(microphone, speaker, LISTEN_S)
    except AudioError as error:
        return Opened(kind="sound", name=", ".join(filter(None, (microphone, speaker))), problem=str(error), fatal=True)
    return Opened(kind="sound", name=f"{result.microphone} / {result.speaker}", problem=result.problem)


def _sources(resolved: Mapping[str, Any]) -> Iterator[str]:
    for place in places(resolved):
        source = str(place.engine.all_options.get("opencv", {}).get("source", ""))
        if place.role == "camera" and (source.startswith("/dev/") or "://" in source):
            yield source


def _camera(source: str) -> Opened:
    try:
        result = _cameratest.measure(source, LOOK_S)
    except EngineError as error:
        return Opened(kind="camera", name=shown(source), problem=str(error), fatal=True)
    return Opened(kind="camera", name=shown(source), problem=result.problem, fatal=not result.width)
