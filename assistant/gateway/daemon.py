"""/api/v1: the daemon itself. How it is, and what can be told to it."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from assistant.core import access
from assistant.core.snapshot import State
from assistant.gateway.routes import Gate, Route, read


async def state(request: Request, gate: Gate) -> State:
    return gate.link.state


class SignIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    token: str


class SignedIn(msgspec.Struct, frozen=True):
    needed: bool  # whether a token is asked for at all
    seconds: int = 0  # for which the cookie is good


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


ROUTES: tuple[Route, ...] = (
    Route("GET", "/api/v1/state", state, "How everything is now", answer=State, tags=("daemon",)),
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
