"""/ws: a snapshot, then events as they happen; commands, and sound, the other way."""

import asyncio
import contextlib
import re
import secrets
import time
from collections.abc import Awaitable, Coroutine
from typing import Any

import msgspec
from starlette.websockets import WebSocket, WebSocketDisconnect

from assistant.core.rates import Rates
from assistant.gateway import records, socketcommands
from assistant.gateway.errors import Refusal
from assistant.gateway.hub import Letterbox, encoded
from assistant.gateway.link import Closed, Overrun, Unreachable
from assistant.gateway.routes import Gate, SocketRoute
from assistant.gateway.socketcommands import COMMANDS, TALK
from assistant.gateway.talking import Talking
from assistant.turnlog import Entry

RECORDS = 30  # turns of the snapshot
COMMANDS_PER_S, COMMANDS_BURST = 50, 200  # of one client …
SOUND_PER_S, SOUND_BURST = 400, 2000  # … and blocks of its sound, of which a browser sends up to a hundred a second
POLICY, TRY_LATER = 1008, 1013  # RFC 6455 7.4.1 and IANA's registry of close codes
_OWN = re.compile(r"web-[A-Za-z0-9]{12,40}")


async def listen(socket: WebSocket, gate: Gate) -> None:
    """Raises Refusal (429) before the connection is taken."""
    if len(gate.hub) >= gate.settings.limits.clients:
        raise Refusal(
            429,
            "too_many",
            f"{len(gate.hub)} listen already.",
            mend="Close a page, or raise gateway.limits.clients.",
            headers={"Retry-After": "10"},
        )
    wanted = socket.query_params.get("conversation", "")
    own = wanted if _OWN.fullmatch(wanted) else f"web-{secrets.token_hex(8)}"
    await socket.accept()
    await Listener(socket, gate, Letterbox(own)).run()


class Listener:
    def __init__(self, socket: WebSocket, gate: Gate, line: Letterbox) -> None:
        self._socket, self._gate, self._line = socket, gate, line
        self._commands: set[asyncio.Task[None]] = set()
        self._talking = Talking(gate, line, lambda work: self._begin(self._told("talk_end", work)))
        self._rates = Rates(COMMANDS_PER_S, COMMANDS_BURST), Rates(SOUND_PER_S, SOUND_BURST)

    async def run(self) -> None:
        gate, line = self._gate, self._line
        gate.hub.join(line)  # in one step with the snapshot: nothing happens between them
        line.put(encoded("snapshot", self._snapshot(), gate.clock()))
        telling, hearing = asyncio.ensure_future(self._tell()), asyncio.ensure_future(self._hear())
        try:
            await asyncio.wait({telling, hearing}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            gate.hub.leave(line)
            for task in (telling, hearing, *self._commands):
                task.cancel()
            ended = await asyncio.gather(telling, hearing, *self._commands, return_exceptions=True)
        code, why = next((end for end in map(_close, ended) if end is not None), (1000, ""))
        gate.link.overruns += line.over
        with contextlib.suppress(RuntimeError, WebSocketDisconnect):
            await self._socket.close(code, why)

    def _snapshot(self) -> dict[str, Any]:
        """How things are and what was said last; the last four as linux-voice-assistant tells them."""
        now = self._gate.link.state
        kept = [entry for entry in self._gate.records.last(RECORDS) if self._mine(entry)]
        last = kept[-1].record if kept else None
        return {
            **msgspec.to_builtins(now),
            "turns": [records.told(entry) for entry in kept],
            "conversation": self._line.conversation,
            "muted": now.microphone.muted,
            "volume": now.speaker.volume,
            "last_stt_text": last.heard if last else None,
            "last_tts_text": last.answer if last else None,
        }

    def _mine(self, entry: Entry) -> bool:
        return entry.record.turn.conversation in ("live", self._line.conversation)

    async def _tell(self) -> None:
        while True:
            item = await self._line.get()
            if isinstance(item, str):
                await self._socket.send_text(item)
            else:
                await self._socket.send_bytes(item)

    async def _hear(self) -> None:
        while True:
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            text = message.get("text")
            if self._rates[text is None].admit("", time.monotonic()):
                raise _Flood
            if text is None:
                self._sound(message.get("bytes") or b"")
            else:
                self._take(text)

    def _take(self, text: str) -> None:
        name = ""
        try:
            name, fields = socketcommands.understood(text)
            body = socketcommands.body(name, fields)
            if len(self._commands) >= socketcommands.MOST:
                raise Refusal(429, "too_many", f"{len(self._commands)} commands of yours are under way already.")
            if name in TALK:
                self._talk(name, body)
                return
        except Refusal as refusal:
            self._refuse(refusal, name)
            return
        if name == "stop":
            self._talking.stop()
        self._begin(self._told(name, COMMANDS[name].run(self._gate, self._line.conversation, body)))

    def _talk(self, name: str, body: Any) -> None:
        """Raises Refusal."""
        if name == "talk_begin":
            self._talking.begin(body)
        elif name == "talk_end":
            self._talking.end()
        else:
            self._talking.cancel()

    def _begin(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = asyncio.ensure_future(work)
        self._commands.add(task)
        task.add_done_callback(self._commands.discard)
        return task

    async def _told(self, name: str, work: Awaitable[None]) -> None:
        """Do what a command asks for; say so where it cannot be."""
        try:
            await work
        except Refusal as refusal:
            self._refuse(refusal, name)
        except (Unreachable, Overrun, Closed) as error:
            self._refuse(Refusal(503, "unreachable", f"{error}."), name)

    def _sound(self, pcm: bytes) -> None:
        try:
            self._talking.hear(pcm)
        except Refusal as refusal:
            self._refuse(refusal, "talk_begin")

    def _refuse(self, refusal: Refusal, command: str) -> None:
        data = {"message": refusal.message, "mend": refusal.mend, "code": refusal.code, "command": command}
        self._line.put(encoded("error", data, self._gate.clock()))


class _Flood(Exception):
    """More came than any page or button sends."""


def _close(end: object) -> tuple[int, str] | None:
    match end:
        case _Flood():
            return POLICY, "too many messages"
        case Overrun():
            return TRY_LATER, "too slow; connect again"
        case asyncio.CancelledError() | WebSocketDisconnect() | None:
            return None
        case Exception():
            raise end
    return None


ROUTES: tuple[SocketRoute, ...] = (SocketRoute("/ws", listen, "Events as they happen, commands and sound"),)
