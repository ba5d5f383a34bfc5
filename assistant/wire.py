"""What stands on the wire: stamps, bodies, limits. Knows no socket.

A message is three or four parts: topic, stamp, msgpack body and, for large data, a raw payload.
"""

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from assistant.messages import BY_NAME, MESSAGE_LIMIT, PAYLOAD_LIMIT, TOPICS, VERSION, Message

log = logging.getLogger(__name__)

REMEMBERED = 4096  # streams (sender, topic, inbox) whose gaps are counted; every short-lived client is a sender


class BusError(Exception):
    """The bus cannot be used as asked; the text names the thing and the mend."""


class Stamp(msgspec.Struct, frozen=True, array_like=True):
    """Travels with every message: who sent it, and when."""

    version: int
    sender: str
    epoch: int  # when the sender started: its sequence numbers count within this
    sequence: int  # per topic and inbox, from 0: a hole means that messages were lost
    sent_at: int  # CLOCK_MONOTONIC ns
    to: str = ""  # the inbox that it was sent to; "": published


class Received(msgspec.Struct, frozen=True):
    """A message as it arrived. ``payload`` is the raw second part (b"" if there was none)."""

    message: Message
    stamp: Stamp
    payload: memoryview | bytes = b""


class Wire:
    """Encodes and decodes; counts and logs once what cannot be read."""

    def __init__(self, sender: str, clock: Callable[[], int]) -> None:
        self._sender, self._clock, self._epoch = sender, clock, clock()
        self._sequence: Counter[tuple[str, str]] = Counter()
        self._encode = msgspec.msgpack.Encoder().encode
        self._stamp = msgspec.msgpack.Decoder(Stamp)
        self._bodies = {topic(kind): msgspec.msgpack.Decoder(kind) for kind in TOPICS}
        self._seen: dict[tuple[str, str, str], tuple[int, int]] = {}
        self.refused: Counter[str] = Counter()  # why -> how many messages
        self.gaps = 0  # messages that were sent to us and never arrived

    def pack(self, message: Message, payload: Any, to: str = "") -> list[Any]:
        name = type(message).__name__
        body = self._encode(message)
        if len(body) > MESSAGE_LIMIT:
            raise BusError(f"{name} encodes to {len(body)} bytes; at most {MESSAGE_LIMIT}: large data is a payload")
        if payload is not None and memoryview(payload).nbytes > PAYLOAD_LIMIT:
            raise BusError(f"{name} carries {memoryview(payload).nbytes} bytes; at most {PAYLOAD_LIMIT}")
        stamp = Stamp(VERSION, self._sender, self._epoch, self._sequence[to, name], self._clock(), to)
        self._sequence[to, name] += 1
        parts = [topic(type(message)), self._encode(stamp), body]
        return parts if payload is None else [*parts, payload]

    def unpack(self, parts: Sequence[memoryview]) -> Received | None:
        """The message, or None for one that is malformed, too large or of another version (counted, logged once)."""
        try:
            received = self._read(parts)
        except _Unreadable as error:
            why, detail = error.args
            self.refused[why] += 1
            if self.refused[why] == 1:
                log.warning("dropped a bus message (%s): %s; further ones are only counted", why, detail)
            return None
        self._count_gap(type(received.message).__name__, received.stamp)
        return received

    def _read(self, parts: Sequence[memoryview]) -> Received:
        if not 3 <= len(parts) <= 4:
            raise _Unreadable("malformed", f"a message of {len(parts)} parts")
        named = bytes(parts[0][:64])
        name = named.rstrip(b"|").decode("ascii", "replace")
        if named not in self._bodies:
            raise _Unreadable("unknown", f"topic {name!r}")
        if len(parts[2]) > MESSAGE_LIMIT or (len(parts) == 4 and len(parts[3]) > PAYLOAD_LIMIT):
            raise _Unreadable("oversized", name)
        try:
            stamp = self._stamp.decode(parts[1])
            if stamp.version != VERSION:
                raise _Unreadable("version", f"{name} {stamp.version} from {stamp.sender!r}; this is {VERSION}")
            return Received(self._bodies[named].decode(parts[2]), stamp, parts[3] if len(parts) == 4 else b"")
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:  # the last: nested without end
            raise _Unreadable("malformed", f"{name}: {error}") from error

    def _count_gap(self, name: str, stamp: Stamp) -> None:
        stream = stamp.sender, name, stamp.to
        epoch, last = self._seen.pop(stream, (stamp.epoch, stamp.sequence - 1))
        if epoch == stamp.epoch and stamp.sequence > last + 1 and not TOPICS[BY_NAME[name]].newest:
            self.gaps += stamp.sequence - last - 1
        self._seen[stream] = (stamp.epoch, stamp.sequence)
        if len(self._seen) > REMEMBERED:
            del self._seen[next(iter(self._seen))]  # the one that was silent for longest


class _Unreadable(Exception):
    """Why a message is dropped: a word to count by, and the detail."""


def topic(kind: type[Message]) -> bytes:
    """Filters match prefixes, so a topic ends with a separator: ``Heard|`` is no prefix of ``HeardMore|``."""
    return kind.__name__.encode() + b"|"
