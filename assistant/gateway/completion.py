"""One request of a program to the language model: its turn in the queue, its pictures, and what comes of it."""

import asyncio
import hashlib
import time
from collections.abc import AsyncGenerator
from functools import partial
from typing import NamedTuple

import msgspec

from assistant.gateway.errors import Refusal
from assistant.gateway.following import Following, lost
from assistant.gateway.line import Place
from assistant.gateway.link import Link
from assistant.gateway.routes import Gate
from assistant.gateway.uploads import Uploads
from assistant.messages import (
    Complete,
    Interrupt,
    Reason,
    ReplyEnded,
    ReplyToken,
    Script,
    Thinking,
    ToolCall,
    Turn,
    Usage,
)
from assistant.wire import Received

_farewells: set[asyncio.Task[None]] = set()


class Asked(NamedTuple):
    """What a program asks, whatever API it speaks."""

    script: Script
    uploads: Uploads
    wanted: Complete  # its turn is given later


class Prompt(NamedTuple):
    """The prompt was accepted; so much of it is computed."""

    done: int
    total: int


class Piece(NamedTuple):
    text: str


class End(NamedTuple):
    reason: Reason  # "stop", "length" or "context"
    usage: Usage
    took_ms: float  # the queue not counted


Event = Place | Prompt | Piece | ToolCall | End


async def complete(gate: Gate, client: str, asked: Asked) -> AsyncGenerator[Event, None]:
    """First its Place, at last an End. Raises Refusal, also in the middle; Unreachable, Overrun.

    Left early, or cancelled, nobody goes on computing it.
    """
    async with gate.line.turn(client) as place:
        yield place
        began = time.monotonic()
        await asked.uploads.send(gate.link)
        # One name a client: the model keeps the KV cache of each apart, and nobody has to remember every request.
        turn = Turn(f"api-{hashlib.sha256(client.encode()).hexdigest()[:8]}", gate.clock())
        limit_s = gate.settings.limits.answer_s
        kinds = (Thinking, ReplyToken, ToolCall, ReplyEnded)
        with Following(gate, "dialogue", *kinds, where=partial(_of, turn), limit_s=limit_s) as answers:
            over = False
            try:
                wanted = msgspec.structs.replace(asked.wanted, turn=turn)
                await gate.link.send(wanted, msgspec.msgpack.encode(asked.script))
                while not over:
                    match (await answers.next()).message:
                        case Thinking(done=done, total=total):
                            yield Prompt(done, total)
                        case ReplyToken(text=text):
                            yield Piece(text)
                        case ToolCall() as call:
                            yield call
                        case ReplyEnded() as ended:
                            over = True
                            yield _end(ended, (time.monotonic() - began) * 1000)
            finally:
                if not over:
                    _farewell(gate.link, turn)


def _of(turn: Turn, received: Received) -> bool:
    return getattr(received.message, "turn", None) == turn


def _end(ended: ReplyEnded, took_ms: float) -> End:
    """Raises Refusal where it was none that the model came to."""
    told = f"{ended.detail[:1].upper()}{ended.detail[1:].rstrip('.')}."
    match ended.reason:
        case "stop" | "length" | "context":
            return End(ended.reason, ended.usage, took_ms)
        case "refused" if ended.about == "length":
            raise Refusal(400, "context_length_exceeded", told, "messages", mend="Make the conversation shorter.")
        case "refused":
            params = {"tools": "tools", "pictures": "messages", "messages": "messages"}
            raise Refusal(400, f"invalid_{ended.about or 'request'}", told, params.get(ended.about, ""))
        case "unseen":
            raise Refusal(422, "picture_unavailable", told, "messages")
        case "interrupted":
            raise Refusal(503, "interrupted", "The request was interrupted at the daemon.")
        case "lost":
            raise lost("dialogue")
    raise Refusal(503 if "no llm engine" in ended.detail else 500, "model_error", told)


def _farewell(link: Link, turn: Turn) -> None:
    """Nobody waits for this any more: dialogue is told, whether or not anybody waits for that."""

    async def tell() -> None:
        try:
            await link.send(Interrupt(conversation=turn.conversation, before=turn.start + 1), to=("dialogue",))
        except Exception:  # it is not there: then it does not compute either
            return

    task = asyncio.get_running_loop().create_task(tell())
    _farewells.add(task)
    task.add_done_callback(_farewells.discard)
