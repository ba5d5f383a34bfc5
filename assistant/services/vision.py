"""Vision: answer each Look with the embedding of the newest frame, or say why there is nothing to see."""

import logging
import time
from collections import OrderedDict
from collections.abc import Mapping
from typing import ClassVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from assistant import config
from assistant.config import Engine
from assistant.core import closer, frames
from assistant.journal import of
from assistant.messages import CameraState, Embedding, Frame, Look, NpuCost, Unseen
from assistant.service import Service, Unfit
from assistant.wire import Received
from pipelines import image, vision
from pipelines.engine import EngineError, told
from pipelines.image.quality import Fault, Limits, fault

log = logging.getLogger(__name__)


class Settings(config.Settings, frozen=True, kw_only=True):
    """Section [vision]."""

    roles: ClassVar[Mapping[str, str]] = {"encoder": "vision"}

    encoder: Engine = Engine("auto")
    camera: str = "main"  # which one is meant when a Look names none
    wait_ms: int = 1500  # how long a Look waits for a frame that is fresh enough
    same_scene: float = frames.SAME_SCENE  # worst block difference up to which a picture still shows the same
    kept: int = 4  # embeddings held, newest first
    closer: float = closer.SHARE  # of width and height that "look closer" shows
    quality: Limits = Limits()  # a picture that nothing can be seen on is refused, in words
    load_s: float = 120.0  # a model may take this long to load


SENT = 8  # pictures sent for one question each are a camera of their own


class Seen(msgspec.Struct, frozen=True):
    frame: Frame
    pixels: memoryview | bytes


def run(service: Service, settings: Settings) -> None:
    service.listen(Frame, CameraState, Look)
    service.busy("loading the image encoder", settings.load_s)
    try:
        encoder = vision.load(settings.encoder.engine, settings.encoder.options)
    except EngineError as error:
        raise Unfit(str(error)) from error
    eyes = Eyes(service, settings, encoder)
    service.figures["embedding_width"] = encoder.width  # dialogue compares it with its model's
    service.ready(told(encoder))
    for received in service.messages(idle_s=0.1):
        if received is not None:
            eyes.take(received)
        eyes.answer_waiting()


class Eyes:
    def __init__(self, service: Service, settings: Settings, encoder: vision.Encoder) -> None:
        self._service, self._settings, self._encoder = service, settings, encoder
        self._newest: OrderedDict[str, Seen] = OrderedDict()  # camera -> its newest frame
        self._states: dict[str, CameraState] = {}
        self._embeddings: OrderedDict[str, tuple[Embedding, bytes]] = OrderedDict()  # by identity
        self._waiting: dict[str, tuple[Look, int]] = {}  # conversation -> its newest Look, and when to give up

    def take(self, received: Received) -> None:
        match received.message:
            case Frame() as frame:
                self._newest[frame.camera] = Seen(frame, received.payload)
                self._newest.move_to_end(frame.camera)
                while len(self._newest) > SENT + len(self._states):
                    self._newest.popitem(last=False)
            case CameraState() as state:
                if state.called:
                    self._states[state.camera] = state
                if state.state != "live":
                    self._newest.pop(state.camera, None)
            case Look() as look if look.until > self._service.clock():
                deadline = self._service.clock() + self._settings.wait_ms * 1_000_000
                self._waiting[look.turn.conversation] = (look, deadline)

    def answer_waiting(self) -> None:
        for conversation, (look, deadline) in list(self._waiting.items()):
            if self._answer(look, last_chance=self._service.clock() >= deadline):
                del self._waiting[conversation]

    def _answer(self, look: Look, last_chance: bool) -> bool:
        name = look.camera or self._settings.camera
        state, seen = self._states.get(name), self._newest.get(name)
        if state is not None and state.state == "muted":
            self._service.publish(Unseen(turn=look.turn, why="muted"))
        elif state is not None and state.state == "lost":
            self._service.publish(Unseen(turn=look.turn, why="lost", detail=state.detail))
        elif seen is None or self._too_old(seen.frame, look):
            if not last_chance:
                return False
            self._service.publish(Unseen(turn=look.turn, why="none" if seen is None else "stale"))
        elif look.known and frames.same_scene(look.known_signature, seen.frame.signature, self._settings.same_scene):
            self._service.publish(_unchanged(look, seen.frame))
        else:
            self._show(look, seen)
        return True

    def _too_old(self, frame: Frame, look: Look) -> bool:
        return 0 < look.max_age_ms * 1_000_000 < self._service.clock() - frame.captured_at

    def _show(self, look: Look, seen: Seen) -> None:
        identity = f"{seen.frame.identity}#{look.region}" if look.region else seen.frame.identity
        if identity in self._embeddings:
            message, rows = self._embeddings[identity]
            self._service.publish(msgspec.structs.replace(message, turn=look.turn, engine_ms=0.0, npu=None), rows)
            return
        picture = np.frombuffer(seen.pixels, np.uint8).reshape(seen.frame.height, seen.frame.width, 3)
        why = self._fault(seen.frame.camera, picture)
        if why is not None:
            self._service.publish(Unseen(turn=look.turn, why=why))
            return
        size = seen.frame.width, seen.frame.height
        left, top, right, bottom = closer.window(look.region, *size, self._settings.closer)
        try:
            encoded = self._encode(look, seen.frame, identity, np.ascontiguousarray(picture[top:bottom, left:right]))
        except EngineError as error:
            log.warning("a picture could not be encoded: %s", error, extra=of(look.turn))
            self._service.publish(Unseen(turn=look.turn, why="unreadable", detail=str(error)))
            return
        self._service.publish(*encoded)
        self._embeddings[identity] = encoded
        while len(self._embeddings) > self._settings.kept:
            self._embeddings.popitem(last=False)

    def _encode(self, look: Look, frame: Frame, identity: str, picture: NDArray[np.uint8]) -> tuple[Embedding, bytes]:
        """``picture``: the frame, or the region of it that is looked at. Raises EngineError."""
        self._service.busy("encoding a picture", 60.0)
        began = time.perf_counter()
        encoding = self._encoder.encode(picture)
        cost = encoding.npu
        message = Embedding(
            turn=look.turn,
            identity=identity,
            camera=frame.camera,
            frame_seq=frame.seq,
            captured_at=frame.captured_at,
            verified_at=frame.captured_at,
            signature=frame.signature,
            region=look.region,
            form="rows" if self._encoder.width else "jpeg",
            tokens=encoding.rows.shape[0],
            width=encoding.rows.shape[1],
            grid=encoding.grid,
            engine_ms=(time.perf_counter() - began) * 1000,
            npu=None if cost is None else NpuCost(cost.wait_ms, cost.hold_ms, cost.behind),
        )
        if not self._encoder.width:
            return message, image.encode_jpeg(picture)
        return message, np.ascontiguousarray(encoding.rows, np.float32).tobytes()

    def _fault(self, camera: str, picture: NDArray[np.uint8]) -> Fault | None:
        """What is wrong with a camera's picture: with all of it, a part may well be a plain wall. A picture that was
        sent for a question is no camera's, and may be what it likes."""
        state = self._states.get(camera)
        return fault(picture, self._settings.quality) if state is not None and state.called else None


def _unchanged(look: Look, frame: Frame) -> Embedding:
    return Embedding(
        turn=look.turn,
        identity=look.known,
        camera=frame.camera,
        frame_seq=frame.seq,
        captured_at=frame.captured_at,
        verified_at=frame.captured_at,
        signature=frame.signature,
        region=look.region,
        form="unchanged",
    )
