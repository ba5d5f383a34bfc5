"""Camera: show the newest picture of each camera, a few times a second, until muted."""

import itertools
import time
from typing import ClassVar

from assistant.core import frames
from assistant.eye import Eye, Source, framed
from assistant.messages import (
    CameraState,
    Mute,
    Picture,
    SpeechDropped,
    SpeechEnded,
    SpeechStarted,
    Voice,
)
from assistant.service import Service, Unfit
from assistant.wire import Received
from pipelines import camera, image
from pipelines.engine import EngineError


class Settings(Source, frozen=True, kw_only=True):
    """Section [camera]: the default camera. Each table [cameras.NAME] is another."""

    beside: ClassVar[tuple[str, ...]] = ("cameras",)

    name: str = "main"
    cameras: dict[str, Source] = {}  # noqa: RUF012 (msgspec copies it)


VOICE_S = 0.5  # after the first sound it is known by then whether somebody speaks
SPEECH_S = 30.0  # for so long at most a microphone is believed that somebody does


def run(service: Service, settings: Settings) -> None:
    service.listen(Voice, SpeechStarted, SpeechEnded, SpeechDropped)
    eyes = Eyes(service, settings)
    service.ready()
    eyes.tell_health()
    while service.running:
        received = service.receive(max(0.0, eyes.due - time.monotonic()))
        if received is not None:
            eyes.obey(received)
        else:
            eyes.look()
        eyes.tell_health()
    eyes.close()


class Eyes:
    """The configured cameras, and pictures that programs send in their place or beside them."""

    def __init__(self, service: Service, settings: Settings) -> None:
        """Raises Unfit where a camera can never work as it is configured."""
        self._service, self._default = service, settings.name
        self._seq = itertools.count()
        self._hurry_until = 0.0  # CLOCK_MONOTONIC s; 0: nobody speaks
        if settings.name in settings.cameras:
            raise Unfit(f"two cameras are called {settings.name!r}: rename [cameras.{settings.name}] or camera.name")
        sources: dict[str, Source] = {settings.name: settings, **settings.cameras}
        self._eyes = {
            name: Eye(name, source, service.publish, self._seq, service.clock) for name, source in sources.items()
        }
        try:
            for eye in self._eyes.values():
                eye.mute(True) if service.muted else eye.open()
        except EngineError as error:
            self.close()
            raise Unfit(str(error)) from error
        for eye in self._eyes.values():
            eye.tell()
        self.look()

    @property
    def due(self) -> float:
        return min(eye.due for eye in self._eyes.values())

    def obey(self, received: Received) -> None:
        match received.message:
            case Mute(device="camera", muted=muted):
                self._service.mute(muted)
                if muted:
                    self.close()
                for eye in self._eyes.values():
                    eye.mute(muted)
            case Voice():
                self._hurry(VOICE_S)
            case SpeechStarted():
                self._hurry(SPEECH_S)
            case SpeechEnded() | SpeechDropped():
                self._hurry(0.0)
            case Picture(camera=name, label=label):
                self._put(name or self._default, label, bytes(received.payload))

    def look(self) -> None:
        """Publish what is to be seen now, of each camera whose turn it is."""
        now = time.monotonic()
        if 0 < self._hurry_until <= now:
            self._hurry(0.0)
        for eye in self._eyes.values():
            if eye.due <= now:
                eye.look()

    def _hurry(self, seconds: float) -> None:
        self._hurry_until = time.monotonic() + seconds if seconds else 0.0
        for eye in self._eyes.values():
            eye.hurry(seconds > 0)

    def close(self) -> None:
        """Release every device. Those that hang are waited for together."""
        for eye in self._eyes.values():
            eye.stop()
        for eye in self._eyes.values():
            eye.close()

    def tell_health(self) -> None:
        for name, eye in self._eyes.items():
            self._service.figures |= {f"frames.{name}": eye.shown, f"fps.{name}": eye.fps}
        states = [eye.state for eye in self._eyes.values()]
        lost = [state for state in states if state.state == "lost"]
        if lost:
            told = [f"{state.camera}: {state.detail}" if len(states) > 1 else state.detail for state in lost]
            self._service.be("degraded", "; ".join(told))
        elif any(state.state == "muted" for state in states):
            self._service.be("ready", "muted")
        else:
            self._service.well()

    def _put(self, name: str, label: str, encoded: bytes) -> None:
        """A program's picture: for a configured camera from now on, for any other name once."""
        eye = self._eyes.get(name)
        try:
            picture = image.limit(image.decode(encoded))
        except image.PictureError as error:
            self._service.publish(CameraState(camera=name, state="lost", detail=str(error), label=label), once=True)
            if eye is not None:
                eye.tell()  # it goes on showing what it did
            return
        if eye is not None:
            eye.put(picture, label)
            return
        shot = camera.Shot(picture, self._service.clock())
        self._service.publish(framed(name, next(self._seq), shot, frames.signature(picture)), picture)
        self._service.publish(CameraState(camera=name, state="live", label=label), once=True)
