"""How long a connection may take: uvicorn itself waits for ever for a request that never comes to its end, and keeps an
answer that nobody takes for as long as the kernel does."""

import asyncio
import socket
from typing import Any

from starlette.types import Message, Receive
from uvicorn.protocols.http.h11_impl import H11Protocol

from assistant.gateway.errors import Refusal
from assistant.gateway.settings import Limits


def protocol(limits: Limits) -> type[H11Protocol]:
    """The class of a connection, as uvicorn wants it."""

    class Patient(H11Protocol):
        """Ends a connection on which no request came to its beginning within ``header_s``: one that says nothing, or
        sends its head a byte at a time, or goes on with a body that was refused."""

        _timer: asyncio.TimerHandle | None = None

        # As uvicorn has it: asyncio's own type is the transport of any protocol, datagrams' too.
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            _impatient(transport.get_extra_info("socket"), limits.write_s)
            self._look()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._look()

        def connection_lost(self, exc: Exception | None) -> None:
            self._rest()
            super().connection_lost(exc)

        def _look(self) -> None:
            answering = self.cycle is not None and not self.cycle.response_complete
            upgraded = self.transport.get_protocol() is not self
            if answering or upgraded or self.transport.is_closing():
                self._rest()
            elif self._timer is None:
                self._timer = self.loop.call_later(limits.header_s, self.transport.abort)

        def _rest(self) -> None:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

    return Patient


def _impatient(connection: socket.socket, write_s: float) -> None:
    """The kernel ends a connection whose other end takes nothing for so long, or has vanished. Source: tcp(7)."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(write_s * 1000))
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, max(1, round(write_s / 2)))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, max(1, round(write_s / 6)))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)


class Intake:
    """A request's body, no longer and no slower than is allowed. Raises Refusal (408, 413) where it is read."""

    def __init__(self, receive: Receive, limits: Limits) -> None:
        self._receive, self._limits = receive, limits
        self._loop = asyncio.get_running_loop()
        self._deadline = self._loop.time() + limits.body_s
        self._left, self._whole = round(limits.body_mb * 1e6), False

    async def __call__(self) -> Message:
        if self._whole:  # what follows is that the client goes away
            return await self._receive()
        # Not wait_for, which before Python 3.12 swallows that it is cancelled at the moment when something comes.
        coming = asyncio.ensure_future(self._receive())
        try:
            done, _ = await asyncio.wait({coming}, timeout=max(0.0, self._deadline - self._loop.time()))
        finally:
            coming.cancel()
        if not done:
            raise too_slow(self._limits)
        message = coming.result()
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            raise too_large(self._limits)
        self._whole = not message.get("more_body", False)
        return message


def too_large(limits: Limits) -> Refusal:
    return Refusal(
        413,
        "too_large",
        f"The body is larger than {limits.body_mb:g} MB.",
        mend="Send less, or raise gateway.limits.body_mb.",
        headers=CLOSE,
    )


def too_slow(limits: Limits) -> Refusal:
    return Refusal(
        408, "too_slow", f"The body was not here within {limits.body_s:g} s.", mend="Send it again.", headers=CLOSE
    )


CLOSE: dict[str, Any] = {"Connection": "close"}  # the rest of the body is not read
