"""One camera of the camera service: opened, read, lost and opened again, muted, or showing a program's picture."""

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from assistant import config
from assistant.config import Engine
from assistant.core import frames
from assistant.messages import CameraState, Frame, Message
from pipelines import camera
from pipelines.engine import AUTO, EngineError

log = logging.getLogger(__name__)

Positive = Annotated[float, msgspec.Meta(gt=0)]
Publish = Callable[[Message, Any], None]


class Source(config.Settings, frozen=True, kw_only=True):
    """A camera: what [camera] and each [cameras.NAME] have in common."""

    roles: ClassVar[Mapping[str, str]] = {"source": "camera"}

    source: Engine = Engine("opencv")
    called: tuple[str, ...] = ()  # what it is called in questions beside its name: "front door", "门口"
    fps: Positive = 5.0  # pictures shown a second …
    fps_speech: Positive = 10.0  # … and while somebody speaks: a scene that changes is known sooner to be at rest again
    retry_s: Positive = 1.0  # after a loss, how long until the source is opened again; twice as long each time …
    retry_most_s: Positive = 30.0  # … up to this


class Eye:
    """``look`` when it is ``due``; never waits for the source, except to release it (``close``)."""

    def __init__(
        self, name: str, source: Source, publish: Publish, seq: Iterator[int], clock: Callable[[], int]
    ) -> None:
        """``seq`` numbers the frames, ``clock`` gives ns."""
        self._source, self._publish, self._seq, self._clock = source, publish, seq, clock
        self._camera: camera.Camera | None = None
        self._sent: NDArray[np.uint8] | None = None  # a program's picture, shown instead of the source
        self._label = ""
        self._signed: tuple[NDArray[np.uint8] | None, bytes] = (None, b"")
        self._wait_s = source.retry_s
        self.state = CameraState(camera=name, state="starting", called=(name, *source.called))
        self.due = time.monotonic()
        self.shown = 0  # pictures
        self._hurries = False

    @property
    def fps(self) -> float:
        """How many pictures a second it is to show."""
        return self._source.fps

    def hurry(self, hurries: bool) -> None:
        """Somebody speaks, or no longer does: pictures follow each other faster meanwhile."""
        if hurries and not self._hurries and self.state.state == "live":
            self.due = min(self.due, time.monotonic() + 1.0 / self._fps(True))
        self._hurries = hurries

    def _fps(self, hurries: bool) -> float:
        return max(self._source.fps, self._source.fps_speech) if hurries else self._source.fps

    def open(self) -> None:
        """Begin to open the source. Raises EngineError where only new settings can help."""
        try:
            self._camera = _load(self._source.source)
        except camera.CameraLost as error:
            self._lose(str(error))

    def stop(self) -> None:
        if self._camera is not None:
            self._camera.stop()

    def close(self) -> None:
        if self._camera is not None:
            self._camera.close()
            self._camera = None

    def look(self) -> None:
        """Publish what is to be seen now, if it is new."""
        self.due = max(self.due + 1.0 / self._fps(self._hurries), time.monotonic())
        if self.state.state == "muted":
            return
        if self._sent is not None:
            self._show(camera.Shot(self._sent, self._clock()))
            return
        try:
            if self._camera is None:
                self._camera = _load(self._source.source)
            shot = self._camera.read()
        except (camera.CameraLost, EngineError) as error:  # the file was there once: it may come back
            self._lose(str(error))
            return
        if shot is not None:
            self._wait_s = self._source.retry_s
            self._show(shot)

    def put(self, picture: NDArray[np.uint8], label: str) -> None:
        """Show a program's picture from now on; the source is not needed any more."""
        self.close()
        self._sent, self._label = picture, label
        if self.state.state == "muted":
            self._be("muted")
            return
        self.due = time.monotonic() + 1.0 / self._fps(self._hurries)
        self._show(camera.Shot(picture, self._clock()))
        self._be("live")

    def mute(self, muted: bool) -> None:
        """The source is released before this is said."""
        if muted:
            self.close()
            self._be("muted")
            return
        self._be("live" if self._sent is not None else "starting")
        self._wait_s, self.due = self._source.retry_s, time.monotonic()
        self.look()

    def tell(self) -> None:
        """Say again how it is."""
        self._publish(self.state, None)

    def _show(self, shot: camera.Shot) -> None:
        if self.state.state != "live":
            if self.state.state == "lost":
                log.info("the camera %s is back", self.state.camera)
            self._be("live")
        if self._signed[0] is not shot.picture:  # the same array again is the same picture again
            self._signed = (shot.picture, frames.signature(shot.picture))
        frame = framed(self.state.camera, next(self._seq), shot, self._signed[1])
        self._publish(frame, np.ascontiguousarray(shot.picture))
        self.shown += 1

    def _lose(self, why: str) -> None:
        if self.state.state != "lost":
            log.warning("the camera %s is lost: %s", self.state.camera, why)
        self.close()
        self._be("lost", why)
        self.due = time.monotonic() + self._wait_s
        self._wait_s = min(2 * self._wait_s, self._source.retry_most_s)

    def _be(self, state: Literal["starting", "live", "muted", "lost"], detail: str = "") -> None:
        label = self._label if state in ("live", "muted") else ""
        self.state = msgspec.structs.replace(self.state, state=state, detail=detail, label=label)
        self.tell()


def framed(name: str, seq: int, shot: camera.Shot, signature: bytes) -> Frame:
    height, width = shot.picture.shape[:2]
    return Frame(camera=name, seq=seq, captured_at=shot.at, width=width, height=height, signature=signature)


def _load(chosen: Engine) -> camera.Camera:
    """Where there is one to choose from, ``auto`` has nothing to find out, or to log at every attempt."""
    name = AUTO["camera"][0] if chosen.engine == "auto" else chosen.engine
    return camera.load(name, chosen.all_options.get(name, {}))
