"""What can be told to the daemon. Each is confirmed by the event that it causes, or is told not to have been.

Used by /api/v1 and by /ws alike.
"""

import time
from collections.abc import Callable, Sequence
from typing import Annotated, Literal

import msgspec

from assistant.core.snapshot import TurnName, named
from assistant.gateway.errors import Refusal
from assistant.gateway.routes import Gate
from assistant.messages import (
    LIVE,
    CameraState,
    Clear,
    Cleared,
    DialogueState,
    Interrupt,
    Language,
    Message,
    MicrophoneState,
    Mute,
    Persona,
    Policy,
    Prefer,
    PushToTalk,
    ReplyEnded,
    Say,
    SpeakerIdle,
    SpeakerState,
    Turn,
    TurnStarted,
    Volume,
)
from assistant.wire import Received

CONFIRM_S = 5.0

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=8000)]
Spoken = Annotated[str, msgspec.Meta(min_length=1, max_length=2000)]
Code = Annotated[str, msgspec.Meta(pattern=r"^([a-z]{2,3})?$")]
Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]  # of a conversation


class Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Of a body: a field that is not known is an error, not a wish that is not heeded."""


class SayBody(Strict, frozen=True, kw_only=True):
    text: Spoken
    language: Code = ""  # "": as each sentence is


class OfConversation(Strict, frozen=True, kw_only=True):
    conversation: Name = LIVE


class MuteBody(Strict, frozen=True, kw_only=True):
    device: Literal["microphone", "camera", "speaker"]
    muted: bool


class VolumeBody(Strict, frozen=True, kw_only=True):
    """One of the two."""

    level: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None  # as it is heard
    step: Annotated[int, msgspec.Meta(ge=-20, le=20)] | None = None  # so many steps louder or softer


class PreferBody(Strict, frozen=True, kw_only=True):
    """At least one; until the daemon is started again."""

    persona: Persona | None = None
    language: Language | None = None
    picture: Policy | None = None


class Said(msgspec.Struct, frozen=True):
    turn: TurnName


class Interrupted(msgspec.Struct, frozen=True):
    interrupted: bool  # False: nothing was being answered or said


class Confirmed(msgspec.Struct, frozen=True):
    conversation: str


class Loudness(msgspec.Struct, frozen=True):
    volume: float
    muted: bool


async def confirmed(
    gate: Gate,
    message: Message,
    kinds: Sequence[type[Message]],
    holds: Callable[[Received | None], bool],
    to: Sequence[str] = (),
) -> Received | None:
    """Send it and wait until ``holds``, which is asked at once and after each message of these kinds; gives the one
    that settled it. Raises Refusal (504), Unreachable."""
    deadline = time.monotonic() + CONFIRM_S
    with gate.link.follow(*kinds) as inbox:
        await gate.link.send(message, to=to)
        if holds(None):
            return None
        while True:
            received = await inbox.get(deadline - time.monotonic())
            if received is None:
                raise Refusal(
                    504,
                    "unconfirmed",
                    f"{type(message).__name__} was sent and nothing came of it within {CONFIRM_S:g} s.",
                    mend="See how the services are: GET /api/v1/health.",
                )
            if holds(received):
                return received


async def say(gate: Gate, body: SayBody) -> Said:
    if "speaker" not in gate.link.services:
        raise Refusal(503, "no_speaker", "This daemon runs without a speaker.", mend="Add it to supervisor.services.")
    turn = Turn(LIVE, gate.clock())

    def begun(received: Received | None) -> bool:
        return received is not None and isinstance(received.message, TurnStarted) and received.message.turn == turn

    await confirmed(gate, Say(turn=turn, text=body.text, language=body.language), [TurnStarted], begun)
    return Said(named(turn))


async def interrupt(gate: Gate, conversation: str) -> Interrupted:
    """Whatever is being answered or said there ends. Of other conversations only those are known that were asked in
    through this gateway."""
    phase = gate.link.state.phase
    busy = phase in ("thinking", "speaking") if conversation == LIVE else conversation in gate.asking
    message = Interrupt(conversation=conversation, before=gate.clock())
    if not busy:
        await gate.link.send(message)
        return Interrupted(False)

    def over(received: Received | None) -> bool:
        turn: Turn | None = getattr(received and received.message, "turn", None)
        return turn is not None and turn.conversation == conversation and turn.start < message.before

    await confirmed(gate, message, [ReplyEnded, SpeakerIdle], over)
    return Interrupted(True)


async def clear(gate: Gate, conversation: str) -> Confirmed:
    def cleared(received: Received | None) -> bool:
        message = received and received.message
        return isinstance(message, Cleared) and message.conversation == conversation

    await confirmed(gate, Clear(conversation=conversation), [Cleared], cleared)
    return Confirmed(conversation)


async def mute(gate: Gate, body: MuteBody) -> MuteBody:
    def so(_: Received | None) -> bool:
        now = gate.link.state
        if body.device == "microphone":
            return now.microphone.state != "unknown" and now.microphone.muted == body.muted
        if body.device == "speaker":
            return now.speaker.volume is not None and now.speaker.muted == body.muted
        return bool(now.camera) and all((each.state == "muted") == body.muted for each in now.camera.values())

    message = Mute(device=body.device, muted=body.muted)
    await confirmed(gate, message, [MicrophoneState, CameraState, SpeakerState], so, to=(body.device,))
    return body


async def volume(gate: Gate, body: VolumeBody) -> Loudness:
    if (body.level is None) == (body.step is None):
        raise Refusal(400, "invalid_field", "Give either level (0 to 1) or step (louder or softer).", "level")
    message = Volume(level=body.level, step=body.step or 0)
    told = await confirmed(gate, message, [SpeakerState], lambda received: received is not None)
    assert told is not None
    assert isinstance(told.message, SpeakerState)
    return Loudness(told.message.volume, told.message.muted)


async def prefer(gate: Gate, body: PreferBody) -> PreferBody:
    wanted = {field: value for field, value in msgspec.structs.asdict(body).items() if value is not None}
    if not wanted:
        raise Refusal(400, "invalid_field", "Give at least one of persona, language and picture.", "persona")

    def so(received: Received | None) -> bool:
        return received is not None and all(getattr(received.message, name) == wanted[name] for name in wanted)

    told = await confirmed(gate, Prefer(**wanted), [DialogueState], so)
    assert told is not None
    return PreferBody(**{name: getattr(told.message, name) for name in PreferBody.__struct_fields__})


async def push_to_talk(gate: Gate, pressed: bool) -> None:
    """The button at the device. What follows is told by events. Raises Refusal (409) where it cannot hear."""
    ear = gate.link.state.microphone
    if pressed and ear.state in ("muted", "lost"):
        mend = "Turn it on first." if ear.state == "muted" else "See GET /api/v1/health."
        raise Refusal(409, f"microphone_{ear.state}", f"The microphone is {ear.state}. {ear.detail}".strip(), mend=mend)
    await gate.link.send(PushToTalk(pressed=pressed, at=gate.clock()))
