"""What every request passes before anything of it is read; assistant.core.access decides."""

import time
from collections.abc import Collection
from math import ceil

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from assistant.core import access
from assistant.core.access import Visit
from assistant.core.rates import Rates, client_of
from assistant.gateway import errors
from assistant.gateway.errors import Refusal
from assistant.gateway.patience import CLOSE, Intake, too_large
from assistant.gateway.settings import Settings

# The console is served by us alone, and talks to nobody else. blob: and data: are pictures and sound that it makes.
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data: blob:",
        "media-src 'self' blob:",
        "connect-src 'self'",
        "font-src 'self'",
        "manifest-src 'self'",
        "worker-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(self)",
    "Cache-Control": "no-store",
}
METHODS = "GET, POST, PUT, DELETE"
EXPOSED = "Retry-After, X-Queue-Position, X-Queue-Wait-Ms"
OURS = "ours"  # key in the scope's state: the request comes from our own page


class Guard:
    def __init__(self, app: ASGIApp, settings: Settings, names: Collection[str]) -> None:
        """``names``: those of this machine."""
        self._app, self._settings = app, settings
        self._wide = not access.loopback(settings.host)
        self._names = frozenset(name.lower() for name in (*settings.hosts, *(names if self._wide else ())))
        self._rates = Rates(settings.limits.requests_per_s, settings.limits.burst)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        origin = headers.get("origin", "")
        cors = access.listed(origin, self._settings.cors) if origin else False

        async def sent(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                told = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    told.setdefault(name, value)
                if cors:
                    told["Access-Control-Allow-Origin"] = origin
                    told["Access-Control-Expose-Headers"] = EXPOSED
                    told["Cross-Origin-Resource-Policy"] = "cross-origin"
                if self._settings.cors:
                    told.add_vary_header("Origin")
            await send(message)

        try:
            self._admit(scope, headers, origin, cors)
        except Refusal as refusal:
            await refuse(refusal, scope, receive, sent)
            return
        if scope["type"] == "http" and scope["method"] == "OPTIONS" and "access-control-request-method" in headers:
            await _preflight(cors)(scope, receive, sent)
        elif scope["type"] == "http":
            await self._app(scope, Intake(receive, self._settings.limits), sent)
        else:
            await self._app(scope, receive, sent)

    def _admit(self, scope: Scope, headers: Headers, origin: str, cors: bool) -> None:
        """Raises Refusal."""
        host = headers.get("host", "")
        if not access.known_host(host, self._wide, self._names):
            raise Refusal(
                421,
                "unknown_host",
                f"This machine is not known as {host[:100]!r}.",
                mend="Use its address, or add the name to gateway.hosts.",
                headers=CLOSE,
            )
        client = scope.get("client") or ("", 0)
        wait_s = self._rates.admit(client_of(client[0]), time.monotonic())
        if wait_s:
            raise Refusal(
                429,
                "too_often",
                f"More than {self._settings.limits.requests_per_s:g} requests a second came from this client.",
                mend="Wait, or raise gateway.limits.requests_per_s.",
                headers={"Retry-After": str(ceil(wait_s)), **CLOSE},
            )
        scheme = "https" if scope["scheme"] in ("https", "wss") else "http"
        ours = bool(origin) and (
            access.same_origin(origin, scheme, host) or access.listed(origin, self._settings.origins)
        )
        site = headers.get("sec-fetch-site", "")
        visit = Visit(scope.get("method", "GET"), origin, site, headers.get("sec-fetch-mode", ""))
        if access.foreign(visit, ours, cors and scope["type"] == "http"):
            raise Refusal(
                403,
                "foreign_page",
                f"A page of {origin[:100] or 'another site'} may not use this assistant.",
                mend="List its origin in gateway.cors (the API), or gateway.origins (events too).",
                headers=CLOSE,
            )
        scope.setdefault("state", {})[OURS] = ours or (not origin and site == "same-origin")
        announced = headers.get("content-length", "0")
        if announced.isdecimal() and int(announced) > self._settings.limits.body_mb * 1e6:
            raise too_large(self._settings.limits)


def _preflight(cors: bool) -> Response:
    if not cors:
        return errors.response(Refusal(403, "foreign_page", "No page of another site may use this assistant."), "")
    allowed = {
        "Access-Control-Allow-Methods": METHODS,
        "Access-Control-Allow-Headers": "Authorization, Content-Type",
        "Access-Control-Max-Age": "600",
    }
    return Response(status_code=204, headers=allowed)


async def refuse(refusal: Refusal, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with a refusal, a WebSocket's opening too."""
    answer = errors.response(refusal, scope["path"])
    if scope["type"] == "http":
        await answer(scope, receive, send)
        return
    await send({"type": "websocket.http.response.start", "status": answer.status_code, "headers": answer.raw_headers})
    await send({"type": "websocket.http.response.body", "body": answer.body})
