"""How the daemon is now, folded from the messages on the bus: what a client is shown when it connects.

``State`` is also the document of GET /api/v1/state. A turn's ``start`` is text there: JavaScript's numbers hold 53
bits, and nanoseconds of a machine that was up for 105 days need more.
"""

from typing import Literal

import msgspec

from assistant.messages import (
    LIVE,
    CameraState,
    Cleared,
    DialogueState,
    Heard,
    Heartbeat,
    Message,
    MicrophoneState,
    PictureBound,
    ReplyEnded,
    ReplyToken,
    SpeakerIdle,
    SpeakerState,
    Speaking,
    SpeechDropped,
    SpeechEnded,
    SpeechStarted,
    Turn,
    TurnStarted,
    WakeWord,
)

Phase = Literal["starting", "idle", "listening", "thinking", "speaking"]
SILENT_S = 5.0  # a service of which nothing was heard for so long is no longer what it last said
REPLY_LIMIT = 100_000  # characters of a reply in progress that are kept


class TurnName(msgspec.Struct, frozen=True):
    """Names a turn to a client."""

    conversation: str
    start: str  # CLOCK_MONOTONIC ns, as text
    revision: int = 0


class ServiceNow(msgspec.Struct, frozen=True):
    state: Literal["absent", "silent", "starting", "ready", "degraded", "stopping"]
    detail: str = ""
    figures: dict[str, float] = {}


class MicrophoneNow(msgspec.Struct, frozen=True):
    state: Literal["unknown", "live", "muted", "lost", "bus"] = "unknown"
    detail: str = ""
    muted: bool = False


class CameraNow(msgspec.Struct, frozen=True):
    state: Literal["starting", "live", "muted", "lost"]
    detail: str = ""
    called: tuple[str, ...] = ()  # what a question may call it


class SpeakerNow(msgspec.Struct, frozen=True):
    volume: float | None = None  # None: the speaker has not told yet
    muted: bool = False


class DialogueNow(msgspec.Struct, frozen=True):
    """How questions are answered. Empty while dialogue has not told."""

    persona: str = ""
    language: str = ""
    picture: str = ""
    model: str = ""  # "": there is none
    wants: str = "text"
    context: int = 0  # tokens
    used: int = 0  # of them, by the spoken conversation
    slots: int = 1
    tools: bool = False


class TurnNow(msgspec.Struct, frozen=True):
    """The spoken turn in progress, or the last one."""

    turn: TurnName
    text: str = ""
    spoken: bool = True
    reply: str = ""  # as far as it was generated
    picture: str = ""  # identity of the frame that it is about
    done: bool = False


class State(msgspec.Struct, frozen=True):
    services: dict[str, ServiceNow]
    microphone: MicrophoneNow
    camera: dict[str, CameraNow]
    speaker: SpeakerNow
    dialogue: DialogueNow
    phase: Phase
    turn: TurnNow | None
    version: str
    at: int  # CLOCK_MONOTONIC ns


def named(turn: Turn) -> TurnName:
    return TurnName(turn.conversation, str(turn.start), turn.revision)


class Snapshot:
    """Give it every message, with who sent it and when; ``now`` tells how things are."""

    def __init__(self, services: tuple[str, ...], version: str) -> None:
        """``services``: those that the settings ask for."""
        self._expected, self._version = services, version
        self._beats: dict[str, tuple[int, Heartbeat]] = {}
        self._microphone = MicrophoneNow()
        self._cameras: dict[str, CameraNow] = {}
        self._speaker = SpeakerNow()
        self._dialogue = DialogueNow()
        self._phase: Phase = "idle"
        self._turn: TurnNow | None = None
        self._of: Turn | None = None  # the turn that the phase is of

    def note(self, message: Message, sender: str, sent_at: int) -> None:
        match message:
            case Heartbeat():
                self._beats[sender] = (sent_at, message)
            case MicrophoneState(state=state, detail=detail):
                self._microphone = MicrophoneNow(state, detail, state == "muted")
            case CameraState(camera=camera, state=state, detail=detail, called=called) if called or not message.label:
                self._cameras[camera] = CameraNow(state, detail, called)
            case SpeakerState(volume=volume, muted=muted):
                self._speaker = SpeakerNow(volume, muted)
            case DialogueState():
                self._dialogue = DialogueNow(**msgspec.structs.asdict(message))
            case Cleared(conversation=name) if name == LIVE:
                self._turn = None
            case WakeWord():
                self._phase = "listening"
            case _:
                turn = getattr(message, "turn", None)
                if isinstance(turn, Turn) and turn.conversation == LIVE:
                    self._live(message, turn)

    def _live(self, message: Message, turn: Turn) -> None:
        newer = self._of is None or turn.start >= self._of.start
        if not newer:
            return
        match message:
            case SpeechStarted():
                self._of, self._phase = turn, "listening"
            case SpeechEnded() | Heard():
                self._phase = "thinking"
            case SpeechDropped():
                self._phase = "idle"
            case TurnStarted(text=text, spoken=spoken):
                self._of, self._phase = turn, "thinking"
                self._turn = TurnNow(named(turn), text, spoken)
            case Speaking():
                self._phase = "speaking"
            case SpeakerIdle():
                self._phase = "idle"
            case ReplyEnded(sentences=sentences, text=text):
                self._phase = self._phase if sentences else "idle"
                self._change(turn, reply=text, done=True)
            case ReplyToken(text=text) if self._turn is not None:
                self._change(turn, reply=(self._turn.reply + text)[:REPLY_LIMIT])
            case PictureBound(identity=identity):
                self._change(turn, picture=identity)

    def _change(self, turn: Turn, **fields: str | bool) -> None:
        if self._turn is not None and self._turn.turn.start == str(turn.start):
            self._turn = msgspec.structs.replace(self._turn, **fields)

    def service(self, name: str, now: int) -> ServiceNow:
        """How a service is, as far as its heartbeats tell."""
        if name not in self._beats:
            return ServiceNow("absent", "nothing was heard of it")
        at, beat = self._beats[name]
        silent = (now - at) / 1e9
        if silent > SILENT_S and beat.state != "starting":
            return ServiceNow("silent", f"nothing was heard of it for {silent:.0f} s", beat.figures)
        return ServiceNow(beat.state, beat.detail, beat.figures)

    def now(self, at: int) -> State:
        """All of it, at this time."""
        names = dict.fromkeys((*self._expected, *self._beats))
        services = {name: self.service(name, at) for name in names}
        starting = services.get("dialogue", ServiceNow("ready")).state in ("absent", "starting")
        return State(
            services=services,
            microphone=self._microphone,
            camera=dict(self._cameras),
            speaker=self._speaker,
            dialogue=self._dialogue,
            phase="starting" if starting else self._phase,
            turn=self._turn,
            version=self._version,
            at=at,
        )
