"""What happens, in the words of /ws: from messages of the bus to named events for lights, buttons, displays, pages.

Names and data follow the peripheral API of linux-voice-assistant where it has one (wake_word_detected, listening,
stt_text, thinking, tts_text, tts_speaking, tts_finished, idle, muted, volume_changed, volume_muted, pipeline_error):
docs/peripheral_api.md of OHF-Voice/linux-voice-assistant, 2026-08. There, "muted" is the microphone's.
"""

from collections import OrderedDict
from typing import Any, NamedTuple

import msgspec

from assistant.core.snapshot import named
from assistant.core.turnfacts import TurnRecord
from assistant.messages import (
    LIVE,
    CameraState,
    Cleared,
    DialogueState,
    Heard,
    Hearing,
    Heartbeat,
    Message,
    MicrophoneState,
    PictureBound,
    ReplyEnded,
    ReplySentence,
    ReplyToken,
    SpeakerIdle,
    SpeakerState,
    Speaking,
    SpeechDropped,
    SpeechStarted,
    Spoken,
    Thinking,
    Turn,
    TurnStarted,
    WakeWord,
)

HEALTH_S = 2.0  # figures of a service are told no oftener, unless its state changes
TURNS = 32  # whose sentences are remembered, until they are spoken
BROKEN = {"error": "see the device's log: journalctl -u assistant-dialogue", "lost": "ask once more"}  # reason -> mend

KINDS: tuple[type[Message], ...] = (
    WakeWord, SpeechStarted, Hearing, Heard, SpeechDropped, TurnStarted, PictureBound, Thinking, ReplyToken,
    ReplySentence, ReplyEnded, Speaking, Spoken, SpeakerIdle, MicrophoneState, CameraState, SpeakerState, DialogueState,
    Heartbeat, Cleared,
)  # fmt: skip


class Event(NamedTuple):
    name: str
    data: dict[str, Any]


class Facts(msgspec.Struct):
    """Of a turn, what later events of it tell."""

    asked_at: int = 0  # end of the question
    sentences: dict[int, str] = {}


class Teller:
    """Give it every message of KINDS; ``told`` are the events that follow from it. One for all that listen."""

    def __init__(self) -> None:
        self._turns: OrderedDict[tuple[str, int], Facts] = OrderedDict()
        self._health: dict[str, tuple[str, str, int]] = {}  # service -> state, detail, told at
        self._muted: dict[str, bool] = {}

    def told(self, message: Message, sender: str, sent_at: int, mine: bool = False) -> list[Event]:
        """``mine``: of the listener's own conversation."""
        turn = getattr(message, "turn", None)
        if isinstance(turn, Turn):
            return self._of_turn(message, turn, mine)
        match message:
            case WakeWord(phrase=phrase):
                return [Event("wake_word_detected", {"phrase": phrase})]
            case MicrophoneState(state=state, detail=detail):
                told = [Event("microphone", {"state": state, "detail": detail})]
                return told + self._changed("muted", state == "muted", {"device": "microphone"})
            case CameraState(camera=name, state=state, detail=detail, called=called) if called:
                return [Event("camera", {"name": name, "state": state, "detail": detail})]
            case SpeakerState(volume=volume, muted=muted):
                told = [
                    Event("volume", {"volume": volume, "muted": muted}),
                    Event("volume_changed", {"volume": volume}),
                ]
                return told + self._changed("volume_muted", muted, {})
            case DialogueState():
                return [Event("dialogue", msgspec.structs.asdict(message))]
            case Cleared(conversation=name, why=why):
                return [Event("cleared", {"conversation": name, "why": why})]
            case Heartbeat():
                return self._beat(message, sender, sent_at)
        return []

    def _changed(self, name: str, value: bool, more: dict[str, Any]) -> list[Event]:
        if self._muted.get(name, False) == value:
            return []
        self._muted[name] = value
        return [Event(name, {**more, "muted": value})]

    def _beat(self, beat: Heartbeat, sender: str, sent_at: int) -> list[Event]:
        state, detail, at = self._health.get(sender, ("", "", 0))
        if (state, detail) == (beat.state, beat.detail) and sent_at - at < HEALTH_S * 1e9:
            return []
        self._health[sender] = (beat.state, beat.detail, sent_at)
        told = {"service": sender, "state": beat.state, "detail": beat.detail, "figures": beat.figures}
        return [Event("health", told)]

    def _of_turn(self, message: Message, turn: Turn, mine: bool) -> list[Event]:
        name = msgspec.structs.asdict(named(turn))
        live = turn.conversation == LIVE
        match message:
            case SpeechStarted(stream=stream):
                return [Event("listening", {"turn": name, "stream": stream})]
            case Hearing(text=text):
                return [Event("stt_partial", {"turn": name, "text": text})]
            case Heard(text=text):
                return [Event("stt_text", {"turn": name, "text": text})]
            case SpeechDropped(why=why):
                return [Event("dropped", {"turn": name, "why": why}), *idle(live)]
            case TurnStarted(text=text, spoken=spoken, last_sample_at=at):
                self._facts(turn).asked_at = at
                return [
                    Event("turn_started", {"turn": name, "text": text, "spoken": spoken, "mine": mine}),
                    Event("thinking", {"turn": name, "done": 0, "total": 0}),
                ]
            case PictureBound():
                return [Event("picture", picture(message, name, self._facts(turn).asked_at))]
            case Thinking(done=done, total=total, ahead=False):
                return [Event("thinking", {"turn": name, "done": done, "total": total})]
            case ReplyToken(text=text, index=index):
                return [Event("token", {"turn": name, "text": text, "index": index})]
            case ReplySentence(index=index, text=text):
                self._facts(turn).sentences[index] = text
            case Speaking(index=index):
                text = self._facts(turn).sentences.get(index, "")
                return [Event("tts_speaking", {"turn": name, "index": index, "text": text})]
            case Spoken(index=index, text=text, complete=complete):
                return [Event("spoken", {"turn": name, "index": index, "text": text, "complete": complete})]
            case SpeakerIdle():
                self._turns.pop((turn.conversation, turn.start), None)
                return [Event("tts_finished", {"turn": name}), *idle(live)]
            case ReplyEnded():
                return self._ended(message, name, live)
        return []

    def _ended(self, ended: ReplyEnded, name: dict[str, Any], live: bool) -> list[Event]:
        told = {
            "turn": name,
            "text": ended.text,
            "reason": ended.reason,
            "usage": msgspec.to_builtins(ended.usage),
            "detail": ended.detail,
        }
        events = [Event("reply", told)]
        if ended.text:
            events.append(Event("tts_text", {"turn": name, "text": ended.text}))
        if ended.reason in BROKEN:
            why = ended.detail or ended.reason
            mend = BROKEN[ended.reason]
            events.append(Event("pipeline_error", {"where": "dialogue", "detail": why, "reason": why, "mend": mend}))
        return events if ended.sentences else [*events, *idle(live)]

    def _facts(self, turn: Turn) -> Facts:
        facts = self._turns.setdefault((turn.conversation, turn.start), Facts())
        while len(self._turns) > TURNS:
            self._turns.popitem(last=False)
        return facts


def idle(live: bool) -> list[Event]:
    return [Event("idle", {})] if live else []


def picture(bound: PictureBound, turn: dict[str, Any], asked_at: int) -> dict[str, Any]:
    """Which picture an answer is about. ``age_ms``: how long before the question's end it was last known to be so."""
    return {
        "turn": turn,
        "camera": bound.camera,
        "identity": bound.identity,
        "captured_at": bound.captured_at,
        "age_ms": max(0.0, (asked_at - bound.verified_at) / 1e6) if asked_at else None,
        "region": bound.region,
        "fresh": bound.fresh,
        "url": picture_url(bound.identity),
    }


def picture_url(identity: str) -> str:
    """Where a thumbnail is to be had. A camera's name is one word, and a region's; only # and @ need care."""
    return "/api/v1/frame.jpg?picture=" + identity.replace("%", "%25").replace("#", "%23").replace("&", "%26")


def record(told: TurnRecord) -> dict[str, Any]:
    """A turn that is over, as JSON: its name as a client knows it."""
    return {**msgspec.to_builtins(told), "turn": msgspec.structs.asdict(named(told.turn))}
