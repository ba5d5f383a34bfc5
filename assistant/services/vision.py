"""Vision: answer each Look with the embedding of the newest frame, or say why there is nothing to see."""

import logging
from collections.abc import Mapping
from typing import ClassVar

import msgspec

from assistant import config, thumbs
from assistant.album import Album, unchanged
from assistant.config import Engine
from assistant.core import closer, frames
from assistant.core.gaze import Gaze, Watch
from assistant.encoding import Encoded, Encoding, Job, Why, identity
from assistant.journal import about, of
from assistant.loading import Loading
from assistant.messages import (
    LIVE,
    CameraState,
    Frame,
    Heartbeat,
    Look,
    SpeechDropped,
    SpeechEnded,
    Turn,
    Unseen,
    Voice,
)
from assistant.service import Service, Unfit
from assistant.views import Seen, Views
from assistant.wire import Received
from pipelines import vision
from pipelines.engine import EngineError, told
from pipelines.image.quality import Limits
from pipelines.npu.lock import Rank

log = logging.getLogger(__name__)


class Settings(config.Settings, frozen=True, kw_only=True):
    """Section [vision]."""

    roles: ClassVar[Mapping[str, str]] = {"encoder": "vision"}

    encoder: Engine = Engine("auto")
    camera: str = "main"  # which one is meant when a Look names none
    wait_ms: int = 1500  # how long a Look waits for a frame that is fresh enough
    loading_ms: int = 5000  # how long it waits for a model that is still loading
    same_scene: float = frames.SAME_SCENE  # worst block difference up to which a picture still shows the same
    kept: int = 4  # embeddings held, newest first
    closer: float = closer.SHARE  # of width and height that "look closer" shows
    quality: Limits = Limits()  # a picture that nothing can be seen on is refused, in words
    load_s: float = 120.0  # a model may take this long to load
    # The share of the time that may be spent on encoding pictures that nobody has asked about: while someone speaks, as
    # far as nothing comes of it; and while nobody does.
    speech_duty: float = 0.1
    idle_duty: float = 0.02


def run(service: Service, settings: Settings) -> None:
    service.listen(Frame, CameraState, Look, Voice, SpeechEnded, SpeechDropped, Heartbeat)
    service.busy("loading the image encoder", settings.load_s)
    chosen = settings.encoder
    loading = Loading(lambda: vision.load(chosen.engine, chosen.options), service.wake, settings.load_s)
    eyes = Eyes(service, settings)
    encoder: vision.Encoder | None = None
    for received in service.messages(idle_s=0.1):
        if encoder is None and loading.done:
            try:
                encoder = loading.result()
            except EngineError as error:
                raise Unfit(str(error)) from error
            eyes.open(encoder)
            service.figures["embedding_width"] = encoder.width  # dialogue compares it with its model's
            service.ready(told(encoder))
        if received is not None:
            eyes.take(received)
        eyes.take_encoded()
        eyes.answer_waiting()
        eyes.look_ahead()
    eyes.close()


class Eyes:
    def __init__(self, service: Service, settings: Settings) -> None:
        self._service, self._settings = service, settings
        self._encoding: Encoding | None = None  # None: the encoder is still loading
        self._gaze = Gaze(settings.same_scene, settings.speech_duty, settings.idle_duty)
        self._album, self._views = Album(settings.kept), Views(settings.quality)
        self._about: tuple[str, str] | None = None  # camera and region that the spoken conversation asked about last
        self._watched: Look | None = None  # the newest of those ahead
        self._checked = 0  # number of the frame that was last looked at ahead
        self._spared = True  # nothing is to be encoded but for a question: dialogue is not there, or too hot
        self._waiting: dict[str, tuple[Look, int]] = {}  # conversation -> its newest Look, and when to give up

    def open(self, encoder: vision.Encoder) -> None:
        self._encoding = Encoding(encoder, self._settings.closer, self._service.wake)

    def close(self) -> None:
        if self._encoding is not None:
            self._encoding.close()

    def take(self, received: Received) -> None:
        match received.message:
            case Frame() as frame:
                self._views.show(Seen(frame, received.payload))
            case CameraState() as state:
                self._views.note(state)
            case Look() as look if look.until > self._service.clock():
                if look.ahead:
                    self._gaze.begin(look)
                    self._watched = look
                    self._checked = 0
                    return
                wait_ms = self._settings.wait_ms if self._encoding is not None else self._settings.loading_ms
                deadline = self._service.clock() + wait_ms * 1_000_000
                self._waiting[look.turn.conversation] = (look, deadline)
            case Voice():
                self._gaze.voice(self._service.clock())
                self._checked = 0
            case SpeechEnded(turn=turn, last_sample_at=at):
                self._gaze.spoken(turn, at)
                self._gaze.stop(turn)
            case SpeechDropped(turn=turn):
                self._gaze.stop(turn)
            case Heartbeat(figures=figures) if received.stamp.sender == "dialogue":
                self._spared = figures.get("spare_npu", 1.0) > 0

    # --- what was asked ---

    def answer_waiting(self) -> None:
        job = self._encoding.job if self._encoding is not None else None
        for conversation, (look, deadline) in list(self._waiting.items()):
            if job is not None and job.look is look:
                continue  # its picture is being encoded
            with about(look.turn):
                answered = self._answer(look, last_chance=self._service.clock() >= deadline)
            if answered:
                del self._waiting[conversation]

    def _answer(self, look: Look, last_chance: bool) -> bool:
        name = look.camera or self._settings.camera
        state, seen = self._views.state(name), self._views.newest(name)
        if state is not None and state.state == "muted":
            self._service.publish(Unseen(turn=look.turn, why="muted"))
        elif state is not None and state.state == "lost":
            self._service.publish(Unseen(turn=look.turn, why="lost", detail=state.detail))
        elif self._encoding is None:
            if not last_chance:
                return False
            self._service.publish(Unseen(turn=look.turn, why="loading", detail="the image encoder is still loading"))
        elif seen is None or self._too_old(seen.frame, look):
            if not last_chance:
                return False
            self._service.publish(Unseen(turn=look.turn, why="none" if seen is None else "stale"))
        elif look.known and frames.same_scene(look.known_signature, seen.frame.signature, self._settings.same_scene):
            self._noted(look, seen.frame)
            self._album.asked(look.known)
            self._service.publish(unchanged(look, seen.frame))
        else:
            return self._show(look, seen)
        return True

    def _noted(self, look: Look, frame: Frame) -> None:
        if look.turn.conversation == LIVE:
            self._about = frame.camera, look.region
            self._gaze.asked(look.turn, frame)

    def _too_old(self, frame: Frame, look: Look) -> bool:
        return 0 < look.max_age_ms * 1_000_000 < self._service.clock() - frame.captured_at

    def _show(self, look: Look, seen: Seen) -> bool:
        """False: not yet. What is at work must come to its end first; it may be the very picture."""
        shown = identity(seen.frame, look.region)
        found = self._gaze.in_hand(self._album.unasked(), look, seen.frame)
        if shown in self._album or found is not None:
            self._noted(look, seen.frame)
            held = shown if found is None or shown in self._album else found.identity
            self._service.publish(*self._album.again(held, look, seen.frame))
            return True
        assert self._encoding is not None
        if self._encoding.job is not None:
            return False
        self._noted(look, seen.frame)
        if (why := self._views.fault(seen)) is not None:
            self._service.publish(Unseen(turn=look.turn, why=why))
            return True
        self._encoding.begin(Job(look, seen.frame, seen.picture, Rank.USER_WAITS, "asked"))
        return False

    # --- what nobody has asked yet ---

    def look_ahead(self) -> None:
        """While somebody speaks, and when nobody does: keep a picture in hand that shows the scene as it is."""
        if self._encoding is None or self._encoding.job is not None:
            return
        watch = self._gaze.watch
        if watch is not None and watch.look.until > self._service.clock():
            seen = self._views.newest(watch.look.camera or self._settings.camera)
            if seen is not None and seen.frame.seq != self._checked:
                self._checked = seen.frame.seq
                self._attend(watch, seen)
        elif self._watched is not None and self._gaze.may_begin(self._service.clock()):
            self._begin(self._watched)
        elif self._about is not None and not self._spared and not self._waiting:
            self._refresh(*self._about)

    def _attend(self, watch: Watch, seen: Seen) -> None:
        look, frame = watch.look, seen.frame
        if self._too_old(frame, look) or (watch.shown is not None and self._gaze.same(watch.shown, frame.signature)):
            return
        if look.known and self._gaze.same(look.known_signature, frame.signature):
            watch.shown = frame.signature
            self._service.publish(unchanged(look, frame))
            return
        found = self._gaze.in_hand(self._album.held(), look, frame)
        if found is not None:
            watch.shown = frame.signature
            self._service.publish(*self._album.again(found.identity, look, frame))
            return
        if not self._gaze.may_encode(watch, frame, self._service.clock()):
            return
        self._unbidden(look, seen, Rank.USER_SPEAKS, "spoken")

    def _begin(self, before: Look) -> None:
        """Somebody may be beginning to speak: as likely as not, of what they spoke of last."""
        seen, now = self._views.newest(before.camera or self._settings.camera), self._service.clock()
        if seen is None or seen.frame.seq == self._checked or before.anew or self._spared or self._waiting:
            return
        self._checked = seen.frame.seq
        look = msgspec.structs.replace(before, turn=Turn(LIVE, now))
        known = bool(look.known) and self._gaze.same(look.known_signature, seen.frame.signature)
        held = known or self._gaze.in_hand(self._album.held(), look, seen.frame) is not None
        if not held and not self._too_old(seen.frame, look):
            self._unbidden(look, seen, Rank.USER_SPEAKS, "voice")

    def _refresh(self, camera: str, region: str) -> None:
        """The scene that the conversation is about has changed while nobody spoke."""
        seen, now = self._views.newest(camera), self._service.clock()
        if seen is None or seen.frame.seq == self._checked or not self._gaze.may_refresh(now):
            return
        resting = self._gaze.rests(seen.frame)
        self._checked = seen.frame.seq
        look = Look(turn=Turn(LIVE, now), camera=camera, region=region, until=0)
        if resting and self._gaze.in_hand(self._album.held(), look, seen.frame) is None:
            self._unbidden(look, seen, Rank.IDLE, "idle")

    def _unbidden(self, look: Look, seen: Seen, rank: Rank, why: Why) -> None:
        """Encode a frame that nobody waits for, if there is anything to be seen on it."""
        assert self._encoding is not None
        if self._views.fault(seen) is None:
            self._encoding.begin(Job(look, seen.frame, seen.picture, rank, why))

    # --- what was encoded ---

    def take_encoded(self) -> None:
        """Raises TimeoutError for an encoder that hangs."""
        done = self._encoding.take() if self._encoding is not None else None
        if self._encoding is None or done is None:
            return
        job, now = done.job, self._service.clock()
        if done.error is not None:
            if not isinstance(done.error, EngineError):
                raise done.error
            self._failed(job, str(done.error))
            return
        awaited = job.why == "asked" and self._awaits(job)
        self._album.keep(done, unasked=not awaited)
        ms = done.message.engine_ms
        self._gaze.encoded(ms)
        match job.why:
            case "asked" if awaited:  # else it serves whatever look has replaced that one, if it will do
                del self._waiting[job.look.turn.conversation]
                self._service.publish(done.message, done.payload)
            case "spoken":
                self._seen_ahead(done)
            case "voice":
                self._gaze.begun(ms, now)
            case "idle":
                self._gaze.refreshed(ms, now)
        thumbs.show(self._service, done.message, self._encoding.shown(job))  # at last: nobody waits for it

    def _seen_ahead(self, done: Encoded) -> None:
        """Told while it still shows the scene, and the question has not come, whose look is answered with it."""
        job, watch = done.job, self._gaze.watch
        if watch is None or not watch.look.turn.same(job.look.turn):
            return
        self._gaze.spend(watch, done.message.engine_ms, self._service.clock())
        newest = self._views.newest(job.frame.camera)
        if newest is not None and not self._gaze.same(newest.frame.signature, job.frame.signature):
            return  # a prompt with it would only keep the NPU from the next picture
        watch.shown = job.frame.signature
        look, _ = self._waiting.get(job.look.turn.conversation, (None, 0))
        if look is None or not look.turn.same(job.look.turn):
            self._service.publish(msgspec.structs.replace(done.message, turn=watch.look.turn), done.payload)

    def _failed(self, job: Job, error: str) -> None:
        if job.why != "asked":
            with about(None if job.rank is Rank.IDLE else job.look.turn):
                log.warning("a picture could not be encoded ahead: %s", error)
            return
        log.warning("a picture could not be encoded: %s", error, extra=of(job.look.turn))
        if self._awaits(job):
            del self._waiting[job.look.turn.conversation]
            self._service.publish(Unseen(turn=job.look.turn, why="unreadable", detail=error))

    def _awaits(self, job: Job) -> bool:
        """Is the newest look of its conversation the one that the job is for?"""
        look, _ = self._waiting.get(job.look.turn.conversation, (None, 0))
        return look is job.look
