"""A question, and what comes of it, for /api/v1/ask and for /ws."""

import secrets
import time
from collections.abc import AsyncIterator
from typing import Any

import msgspec

from assistant.core.events import Teller, picture_url
from assistant.core.snapshot import TurnName, named
from assistant.gateway.commanding import Name, Strict, Text
from assistant.gateway.errors import Refusal
from assistant.gateway.link import Closed, Overrun
from assistant.gateway.routes import Gate
from assistant.messages import (
    LIVE,
    Ask,
    Heartbeat,
    Interrupt,
    PictureBound,
    ReplyEnded,
    ReplySentence,
    ReplyToken,
    Thinking,
    Turn,
    TurnStarted,
    Usage,
)
from assistant.wire import Received

OF_A_TURN = (TurnStarted, PictureBound, Thinking, ReplyToken, ReplySentence, ReplyEnded)
QUIET_S = 120.0  # without a word from dialogue about a question: several may wait before it
TRY_S = "5"


class AskBody(Strict, frozen=True, kw_only=True):
    text: Text
    conversation: Name | None = None  # to go on with; "live" is the spoken one. None: the question stands for itself
    camera: str = ""  # "": the default one
    stream: bool = False  # events, as on /ws


class PictureShown(msgspec.Struct, frozen=True):
    camera: str
    identity: str
    captured_at: int
    url: str


class Answered(msgspec.Struct, frozen=True):
    turn: TurnName
    text: str
    reason: str
    picture: PictureShown | None
    usage: Usage
    detail: str = ""


def conversation_of(wanted: str | None) -> str:
    """The name of a program's conversation, which is never another client's by accident."""
    if wanted == LIVE:
        return LIVE
    return f"api-{wanted}" if wanted else f"api-once-{secrets.token_hex(6)}"


def check_camera(gate: Gate, name: str) -> None:
    """Raises Refusal (404) for a camera that there is not."""
    known = gate.link.state.camera
    if name and name not in known:
        there = ", ".join(known) or "none yet"
        raise Refusal(404, "unknown_camera", f"There is no camera {name[:80]!r}; there are: {there}.", "camera")


async def asked(
    gate: Gate, conversation: str, text: str, camera: str = "", start: int = 0, asked_at: int = 0
) -> AsyncIterator[Received]:
    """Ask; what dialogue tells of the turn, up to its ReplyEnded. Left early, the answer is broken off.
    ``start``: when what claimed the turn began, ns; 0: now. ``asked_at``: when the question was complete; 0: then.

    Raises Refusal: 404 (the camera), 429 (too many wait), 503 (dialogue died over it), 504 (nothing comes);
    Unreachable.
    """
    check_camera(gate, camera)
    waiting = gate.asking.total()
    if waiting >= gate.settings.limits.queue:
        raise Refusal(
            429,
            "busy",
            f"{waiting} questions wait already.",
            mend="Ask again later, or raise gateway.limits.queue.",
            headers={"Retry-After": TRY_S},
        )
    turn = Turn(conversation, start or gate.clock())
    pid = gate.link.state.services["dialogue"].figures.get("pid", 0.0)
    done = False
    gate.asking[conversation] += 1

    def mine(received: Received) -> bool:
        if isinstance(received.message, Heartbeat):
            return received.stamp.sender == "dialogue"
        return turn.concerns(received.message)

    with gate.link.follow(*OF_A_TURN, Heartbeat, where=mine) as inbox:
        try:
            await gate.link.send(Ask(turn=turn, text=text, camera=camera, asked_at=asked_at))
            deadline = time.monotonic() + QUIET_S
            while not done:
                received = await inbox.get(deadline - time.monotonic())
                if received is None:
                    raise Refusal(504, "no_answer", f"Nothing came of it within {QUIET_S:g} s.", mend="Ask once more.")
                if not isinstance(received.message, Heartbeat):
                    deadline = time.monotonic() + QUIET_S
                    done = isinstance(received.message, ReplyEnded)
                    yield received
                elif pid and received.message.figures.get("pid", pid) != pid:
                    done = True
                    raise Refusal(503, "lost", "Dialogue died over this question.", mend="Ask once more.")
        finally:
            gate.asking.subtract([conversation])
            if not gate.asking[conversation]:
                del gate.asking[conversation]
            if not done:
                gate.link.post(Interrupt(conversation=conversation, before=turn.start + 1), to=("dialogue",))


async def answer(gate: Gate, body: AskBody) -> Answered:
    """The whole answer. Raises as ``asked``; Refusal (503) where the model failed."""
    shown: PictureShown | None = None
    async for received in asked(gate, conversation_of(body.conversation), body.text, body.camera):
        match received.message:
            case PictureBound() as bound:
                url = picture_url(bound.identity)
                shown = PictureShown(bound.camera, bound.identity, bound.captured_at, url)
            case ReplyEnded(reason="error" | "lost", detail=detail, text=text):
                raise Refusal(503, "model_failed", detail or text, mend="Ask once more; see GET /api/v1/health.")
            case ReplyEnded() as ended:
                usage, detail = ended.usage, ended.detail
                return Answered(named(ended.turn), ended.text, ended.reason, shown, usage, detail)
    raise Refusal(504, "no_answer", "The answer did not come to its end.", mend="Ask once more.")


async def told(gate: Gate, body: AskBody) -> AsyncIterator[bytes]:
    """The answer as server-sent events. Raises as ``asked`` before the first; what goes wrong after it is an event."""
    teller, begun = Teller(), False
    try:
        async for received in asked(gate, conversation_of(body.conversation), body.text, body.camera):
            stamp = received.stamp
            for event in teller.told(received.message, stamp.sender, stamp.sent_at, mine=True):
                begun = True
                yield sse(event.name, event.data)
    except (Refusal, Closed, Overrun) as error:
        if not begun:
            raise
        told = error if isinstance(error, Refusal) else Refusal(503, "stopping", f"{error}.", mend="Ask once more.")
        problem = {"where": "dialogue", "detail": told.message, "reason": told.code, "mend": told.mend}
        yield sse("pipeline_error", problem)


def sse(name: str, data: dict[str, Any]) -> bytes:
    return b"event: " + name.encode() + b"\ndata: " + msgspec.json.encode(data) + b"\n\n"
