"""Camera: show the newest picture of the source, a few times a second, until muted."""

import logging
import time
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from assistant import config
from assistant.config import Engine
from assistant.core import frames
from assistant.messages import CameraState, Frame, Mute, Picture
from assistant.service import Service, Unfit
from assistant.wire import Received
from pipelines import camera, image
from pipelines.engine import EngineError

log = logging.getLogger(__name__)


class Settings(config.Settings, frozen=True, kw_only=True):
    """Section [camera]."""

    roles: ClassVar[Mapping[str, str]] = {"source": "camera"}

    name: str = "main"
    source: Engine = Engine("opencv")
    fps: float = 5.0
    retry_s: float = 2.0  # after a loss, how long until the source is opened again


def run(service: Service, settings: Settings) -> None:
    eye = Eye(service, settings)
    eye.open()
    service.ready()
    while service.running:
        received = service.receive(max(0.0, eye.due - time.monotonic()))
        if received is not None:
            eye.obey(received)
        elif time.monotonic() >= eye.due:
            eye.look()
    eye.close()


class Eye:
    """The default camera, and pictures that programs send in its place or beside it."""

    def __init__(self, service: Service, settings: Settings) -> None:
        self._service, self._settings = service, settings
        self._camera: camera.Camera | None = None
        self._sent: NDArray[np.uint8] | None = None  # a program's picture, shown instead of the source
        self._label = ""
        self._muted = False
        self._seq = 0
        self._marked: tuple[int, bytes] = (0, b"")
        self.due = time.monotonic()

    def open(self) -> None:
        try:
            self._camera = camera.load(self._settings.source.engine, self._settings.source.options)
        except camera.CameraLost as error:
            self._lost(str(error))
        except EngineError as error:
            raise Unfit(str(error)) from error
        else:
            self._say("live")

    def close(self) -> None:
        if self._camera is not None:
            self._camera.close()
            self._camera = None

    def obey(self, received: Received) -> None:
        match received.message:
            case Mute(device="camera", muted=muted):
                self._mute(muted)
            case Picture(camera=name, label=label):
                self._show(name or self._settings.name, label, bytes(received.payload))

    def look(self) -> None:
        """Publish what is to be seen now."""
        self.due = max(self.due + 1.0 / self._settings.fps, time.monotonic())
        if self._muted:
            return
        if self._sent is not None:
            self._publish(self._settings.name, self._sent)
        elif self._camera is None:
            self.open()
        else:
            try:
                self._publish(self._settings.name, self._camera.read())
            except camera.CameraLost as error:
                self._lost(str(error))

    def _publish(self, name: str, picture: NDArray[np.uint8]) -> None:
        height, width = picture.shape[:2]
        if self._marked[0] != id(picture):  # the same array again is the same picture again
            self._marked = (id(picture), frames.signature(picture))
        frame = Frame(
            camera=name,
            seq=self._seq,
            captured_at=self._service.clock(),
            width=width,
            height=height,
            signature=self._marked[1],
        )
        self._seq += 1
        self._service.publish(frame, np.ascontiguousarray(picture))

    def _show(self, name: str, label: str, encoded: bytes) -> None:
        """A program's picture: for the default camera from now on, for any other name once."""
        try:
            picture = image.limit(image.decode(encoded))
        except image.PictureError as error:
            self._service.publish(CameraState(camera=name, state="lost", detail=str(error), label=label))
            return
        if name == self._settings.name:
            if self._muted:
                self._sent, self._label = picture, label
                self._say("muted")
                return
            self._sent, self._label = picture, label
            self.due = time.monotonic() + 1.0 / self._settings.fps
        self._publish(name, picture)
        self._service.publish(CameraState(camera=name, state="live", label=label))

    def _mute(self, muted: bool) -> None:
        """Muting really closes the device."""
        self._muted = muted
        if muted:
            self.close()
            self._say("muted")
        elif self._sent is not None:
            self._say("live")
        else:
            self.open()
        self.due = time.monotonic()

    def _lost(self, why: str) -> None:
        log.warning("the camera is lost: %s", why)
        self.close()
        self._say("lost", why)
        self.due = time.monotonic() + self._settings.retry_s

    def _say(self, state: str, detail: str = "") -> None:
        name = self._settings.name
        match state:
            case "live":
                self._service.publish(CameraState(camera=name, state="live", label=self._label))
                self._service.well()
            case "muted":
                self._service.publish(CameraState(camera=name, state="muted", label=self._label))
                self._service.be("ready", "muted")
            case _:
                self._service.publish(CameraState(camera=name, state="lost", detail=detail))
                self._service.be("degraded", detail)
