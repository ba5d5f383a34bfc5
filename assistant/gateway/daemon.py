"""/api/v1: the daemon itself. How it is, what can be told to it, what it sees and what was said."""

from collections.abc import AsyncIterator
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from assistant.core import access
from assistant.core.snapshot import State
from assistant.gateway import asking, commanding, pictures, records
from assistant.gateway.asking import Answered, AskBody
from assistant.gateway.commanding import (
    Confirmed,
    Interrupted,
    Loudness,
    MuteBody,
    OfConversation,
    PreferBody,
    Said,
    SayBody,
    Strict,
    VolumeBody,
)
from assistant.gateway.errors import Refusal
from assistant.gateway.routes import Gate, Route, number, read, unless_gone

MOST_TURNS = 200


class SignIn(Strict, frozen=True, kw_only=True):
    token: str


class SignedIn(msgspec.Struct, frozen=True):
    needed: bool  # whether a token is asked for at all
    seconds: int = 0  # for which the cookie is good


class Turns(msgspec.Struct, frozen=True):
    turns: list[dict[str, Any]]  # the newest last


async def state(request: Request, gate: Gate) -> State:
    return gate.link.state


async def ask(request: Request, gate: Gate) -> Answered | Response:
    body = await read(request, AskBody)
    if not body.stream:
        return await unless_gone(request, asking.answer(gate, body))
    events_ = asking.told(gate, body)
    first = await unless_gone(request, _first(events_))
    return StreamingResponse(_from(first, events_), media_type="text/event-stream")


async def say(request: Request, gate: Gate) -> Said:
    return await commanding.say(gate, await read(request, SayBody))


async def interrupt(request: Request, gate: Gate) -> Interrupted:
    return await commanding.interrupt(gate, _known(await read(request, OfConversation)))


async def clear(request: Request, gate: Gate) -> Confirmed:
    return await commanding.clear(gate, _known(await read(request, OfConversation)))


async def mute(request: Request, gate: Gate) -> MuteBody:
    return await commanding.mute(gate, await read(request, MuteBody))


async def volume(request: Request, gate: Gate) -> Loudness:
    return await commanding.volume(gate, await read(request, VolumeBody))


async def prefer(request: Request, gate: Gate) -> PreferBody:
    return await commanding.prefer(gate, await read(request, PreferBody))


async def frame(request: Request, gate: Gate) -> Response:
    identity = request.query_params.get("picture", "")
    if identity:
        body = gate.pictures.thumbnail(identity)
    else:
        body = await unless_gone(request, gate.pictures.frame(request.query_params.get("camera", "")))
    return Response(body, media_type="image/jpeg")


async def stream(request: Request, gate: Gate) -> Response:
    fps = number(request, "fps", 5, 0.1, 15)
    parts = gate.pictures.stream(request.query_params.get("camera", ""), fps)
    first = await unless_gone(request, _first(parts))
    kind = f"multipart/x-mixed-replace; boundary={pictures.BOUNDARY.decode()}"
    return StreamingResponse(_from(first, parts), media_type=kind)


async def turns(request: Request, gate: Gate) -> Turns:
    limit = int(number(request, "limit", 20, 1, MOST_TURNS))
    return Turns([records.told(entry) for entry in gate.records.last(limit)])


async def turn(request: Request, gate: Gate) -> dict[str, Any]:
    start = request.path_params["start"]
    entry = gate.records.find(int(start)) if start.isascii() and start.isdecimal() and len(start) < 20 else None
    if entry is None:
        raise Refusal(404, "no_turn", f"There is no turn {start[:40]!r} any more.", mend="See GET /api/v1/turns.")
    return records.told(entry)


async def sign_in(request: Request, gate: Gate) -> Response:
    body = await read(request, SignIn)
    if not gate.keys.asked_for:
        return Response(msgspec.json.encode(SignedIn(False)), media_type="application/json")
    cookie, seconds = gate.keys.session(body.token)
    answer = Response(msgspec.json.encode(SignedIn(True, seconds)), media_type="application/json")
    secure = request.url.scheme == "https"
    answer.set_cookie(access.COOKIE, cookie, max_age=seconds, secure=secure, httponly=True, samesite="strict")
    return answer


async def sign_out(request: Request, gate: Gate) -> Response:
    answer = Response(status_code=204)
    secure = request.url.scheme == "https"
    answer.delete_cookie(access.COOKIE, secure=secure, httponly=True, samesite="strict")
    return answer


def _known(body: OfConversation) -> str:
    """The conversation as the bus knows it."""
    return asking.conversation_of(body.conversation)


async def _first(parts: AsyncIterator[bytes]) -> bytes:
    """What is refused before the first of them still has a status of its own."""
    async for part in parts:
        return part
    return b""


async def _from(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for part in rest:
        yield part


def _post(path: str, handler: Any, summary: str, body: type, answer: Any, *also: str) -> Route:
    return Route("POST", f"/api/v1/{path}", handler, summary, body, answer, tags=("commands",), also=also)


ROUTES: tuple[Route, ...] = (
    Route("GET", "/api/v1/state", state, "How everything is now", answer=State, tags=("daemon",)),
    _post(
        "ask",
        ask,
        "Ask, and read the answer; with stream as server-sent events",
        AskBody,
        Answered,
        "text/event-stream",
    ),
    _post("say", say, "Say this at the device's speaker", SayBody, Said),
    _post("interrupt", interrupt, "End what is being answered or said", OfConversation, Interrupted),
    _post("clear", clear, "Forget a conversation", OfConversation, Confirmed),
    _post("mute", mute, "Close or open a device: a muted microphone or camera is really closed", MuteBody, MuteBody),
    _post("volume", volume, "How loud the device's speaker is", VolumeBody, Loudness),
    _post("prefer", prefer, "How questions are answered until the next start", PreferBody, PreferBody),
    Route(
        "GET",
        "/api/v1/frame.jpg",
        frame,
        "What a camera shows now, or (picture) a small copy of what was looked at",
        answer="image/jpeg",
        tags=("pictures",),
        query={"camera": str, "picture": str},
    ),
    Route(
        "GET",
        "/api/v1/stream.mjpg",
        stream,
        "What a camera shows, as it goes on; it ends when the camera is muted or lost",
        answer="multipart/x-mixed-replace",
        tags=("pictures",),
        query={"camera": str, "fps": float},
    ),
    Route("GET", "/api/v1/turns", turns, "The last turns", answer=Turns, tags=("turns",), query={"limit": int}),
    Route("GET", "/api/v1/turns/{start}", turn, "One turn, with where its time went", answer=dict, tags=("turns",)),
    Route(
        "POST",
        "/api/v1/session",
        sign_in,
        "Exchange a token for the console's cookie",
        SignIn,
        SignedIn,
        "open",
        ("session",),
    ),
    Route("DELETE", "/api/v1/session", sign_out, "Forget the cookie", access="open", tags=("session",)),
)
