"""Hands events to everyone who listens: encoded once, never waited for."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec

from assistant.core.events import KINDS, Event, Teller
from assistant.core.turnfacts import TurnRecord
from assistant.gateway.link import Overrun
from assistant.messages import LIVE, Cleared
from assistant.wire import Received

WAITING = 2000  # events that may wait for one listener …
WAITING_BYTES = 8_000_000  # … and how much of them: sound is large

_ENCODER = msgspec.json.Encoder()


def encoded(name: str, data: dict[str, Any], at: int) -> str:
    return _ENCODER.encode({"event": name, "data": data, "at": at}).decode()


class Letterbox:
    """What one listener has still to be told. ``conversation`` is its own."""

    def __init__(self, conversation: str) -> None:
        self.conversation = conversation
        self.teller = Teller()
        self._waiting: deque[str | bytes] = deque()
        self._bytes = 0
        self._over = False
        self._news = asyncio.Event()

    def put(self, *items: str | bytes) -> None:
        """One after the other, or, where that is too much, none and never again: this listener is dropped."""
        if self._over:
            return
        self._waiting.extend(items)
        self._bytes += sum(map(len, items))
        if len(self._waiting) > WAITING or self._bytes > WAITING_BYTES:
            self._over = True
            self._waiting.clear()
        self._news.set()

    @property
    def over(self) -> bool:
        """Was its listener too slow?"""
        return self._over

    async def get(self) -> str | bytes:
        """The next item. Raises Overrun."""
        await asyncio.sleep(0)  # what waits for one does not hold up the others, nor the news that it has gone
        while not self._waiting:
            if self._over:
                raise Overrun("this listener was too slow for what it was told")
            self._news.clear()
            await self._news.wait()
        item = self._waiting.popleft()
        self._bytes -= len(item)
        return item


class Hub:
    """``note`` every message, ``over`` each turn that is complete."""

    def __init__(self, clock: Callable[[], int], wall: Callable[[TurnRecord], dict[str, Any]]) -> None:
        """``wall``: a record as it is told, with the time of day."""
        self._clock, self._wall = clock, wall
        self._lines: list[Letterbox] = []
        self._teller = Teller()

    def __len__(self) -> int:
        return len(self._lines)

    def join(self, line: Letterbox) -> None:
        self._lines.append(line)

    def leave(self, line: Letterbox) -> None:
        self._lines.remove(line)

    def note(self, received: Received) -> None:
        message, stamp = received.message, received.stamp
        if not isinstance(message, KINDS):
            return
        whose = _conversation(message)
        if whose in ("", LIVE):
            # Told also where nobody listens: what is told later depends on what was before.
            for event in self._teller.told(message, stamp.sender, stamp.sent_at):
                self._tell(event, stamp.sent_at, self._lines)
            return
        for line in self._lines:
            if line.conversation == whose:
                for event in line.teller.told(message, stamp.sender, stamp.sent_at, mine=True):
                    self._tell(event, stamp.sent_at, [line])

    def over(self, record: TurnRecord) -> None:
        whose = record.turn.conversation
        lines = [line for line in self._lines if whose in (LIVE, line.conversation)]
        if lines:
            self._tell(Event("turn_record", self._wall(record)), self._clock(), lines)

    def _tell(self, event: Event, at: int, lines: list[Letterbox]) -> None:
        if lines:
            text = encoded(event.name, event.data, at)
            for line in lines:
                line.put(text)


def _conversation(message: Any) -> str:
    """Whose a message is; "" for what concerns everybody."""
    if isinstance(message, Cleared):
        return message.conversation
    turn = getattr(message, "turn", None)
    return "" if turn is None else str(turn.conversation)
