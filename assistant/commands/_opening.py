"""``assistant doctor``: open the settings' sound devices and cameras, as ``assistant devices --test`` does."""

from collections.abc import Iterator

from assistant.commands import _cameratest, _settings, _soundtest
from assistant.config import Config
from assistant.core.doctor.facts import Opened
from assistant.messages import SERVICES
from pipelines.audio import AudioError
from pipelines.camera.opencv import shown
from pipelines.engine import EngineError

LISTEN_S, LOOK_S = 1.0, 1.0


def opened(found: Config) -> Iterator[Opened]:
    """Those that are devices or URLs; sound over the bus and pictures in files need nothing."""
    values = found.resolved()
    microphone, speaker = values["microphone"], values["speaker"]
    if "device" in (microphone["source"], speaker["output"]):
        yield _sound(microphone["device"], speaker["device"])
    for source in dict.fromkeys(_sources(found)):
        yield _camera(source)


def _sound(microphone: str, speaker: str) -> Opened:
    try:
        result = _soundtest.measure(microphone, speaker, LISTEN_S)
    except AudioError as error:
        return Opened(kind="sound", name=", ".join(filter(None, (microphone, speaker))), problem=str(error), fatal=True)
    return Opened(kind="sound", name=f"{result.microphone} / {result.speaker}", problem=result.problem)


def _sources(found: Config) -> Iterator[str]:
    for service in SERVICES:
        for _, role, chosen in _settings.engines(found, service):
            source = str(chosen.all_options.get("opencv", {}).get("source", ""))
            if role == "camera" and (source.startswith("/dev/") or "://" in source):
                yield source


def _camera(source: str) -> Opened:
    try:
        result = _cameratest.measure(source, LOOK_S)
    except EngineError as error:
        return Opened(kind="camera", name=shown(source), problem=str(error), fatal=True)
    return Opened(kind="camera", name=shown(source), problem=result.problem, fatal=not result.width)
