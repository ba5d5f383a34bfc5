"""What every request passes before anything of it is read: see assistant.core.access for the decisions."""

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from assistant.core import access
from assistant.gateway import errors
from assistant.gateway.errors import Refusal
from assistant.gateway.routes import Gate

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
}


class Guard:
    def __init__(self, app: ASGIApp, gate: Gate) -> None:
        self._app, self._gate = app, gate
        self._wide = not access.loopback(gate.settings.host)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        try:
            self._admit(scope)
        except Refusal as refusal:
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008, "reason": refusal.message})
            else:
                await errors.response(refusal, scope["path"])(scope, receive, sent)
            return
        await self._app(scope, receive, sent)

    def _admit(self, scope: Scope) -> None:
        """Raises Refusal."""
        host = Headers(scope=scope).get("host", "")
        if not access.known_host(host, self._wide, self._gate.settings.hosts):
            raise Refusal(
                421,
                "unknown_host",
                f"This machine is not known as {host[:100]!r}.",
                mend="Use its address, or add the name to gateway.hosts.",
            )
