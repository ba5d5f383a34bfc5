"""Show live what the services put on the bus, one line a message.

Types that come more often than twice a second are told as a rate every two seconds, unless they are named. What is
sent into an inbox (Ask, AudioIn …) goes to that service alone and is not seen here.
"""

import argparse
import difflib
import sys
import time
from collections import Counter
from pathlib import Path

import msgspec

from assistant import paths
from assistant.bus import Bus
from assistant.client import running
from assistant.commands import OK, UNAVAILABLE, USAGE, Failure, _settings
from assistant.messages import BY_NAME, TOPICS, Message, Turn
from assistant.wire import Received

OFTEN_HZ, EVERY_S = 2.0, 2.0
WIDTH = 240  # characters of a message's text; --json prints all of it


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("types", nargs="*", metavar="TYPE", help="only these, such as Heard ReplyEnded (default all)")
    parser.add_argument("--json", action="store_true", help="one JSON object a message, nothing summed up")
    parser.add_argument("--count", type=int, default=0, metavar="N", help="stop after N messages")
    parser.add_argument(
        "--runtime", type=Path, default=None, help=f"directory of the sockets ({_settings.shown(paths.runtime())})"
    )


def run(asked: argparse.Namespace) -> int:
    kinds = [_kind(name) for name in asked.types] or [kind for kind, entry in TOPICS.items() if entry.publishers]
    runtime = asked.runtime or paths.runtime()
    if not running(runtime):
        raise Failure(f"no daemon runs in {runtime}; start one (assistant run) or name its --runtime", UNAVAILABLE)
    bus = Bus(runtime)
    bus.listen(*kinds)
    rates = _Rates(set() if asked.json else {k for k in kinds if not asked.types})
    shown = 0
    try:
        while not asked.count or shown < asked.count:
            received = bus.receive(0.5)
            if received is not None and not rates.takes(received):
                print(_json(received) if asked.json else _text(received), flush=True)
                shown += 1
            for line in rates.due():
                print(line, flush=True)
            if received is None and not running(runtime):
                print("the daemon is gone", file=sys.stderr)
                return UNAVAILABLE
        return OK
    finally:
        bus.close()


def _kind(name: str) -> type[Message]:
    kind = BY_NAME.get(name)
    if kind is None:
        close = difflib.get_close_matches(name, BY_NAME, n=1, cutoff=0.5)
        hint = f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(BY_NAME)}"
        raise Failure(f"there is no message type {name!r}; {hint}", USAGE)
    if not TOPICS[kind].publishers:
        boxes = ", ".join(TOPICS[kind].inboxes)
        raise Failure(f"{name} is sent into an inbox ({boxes}) and is not seen by others", USAGE)
    return kind


class _Rates:
    """Sums up the types that come often."""

    def __init__(self, may: set[type[Message]]) -> None:
        self._may, self._since = may, time.monotonic()
        self._count: Counter[type[Message]] = Counter()
        self._bytes: Counter[type[Message]] = Counter()
        self._often: set[type[Message]] = {kind for kind in may if TOPICS[kind].newest}

    def takes(self, received: Received) -> bool:
        """True for a message that needs no line of its own."""
        kind = type(received.message)
        self._count[kind] += 1
        self._bytes[kind] += len(received.payload)
        if kind in self._may and self._count[kind] > OFTEN_HZ * EVERY_S:
            self._often.add(kind)
        return kind in self._often

    def due(self) -> list[str]:
        """The sums, every two seconds."""
        now = time.monotonic()
        passed = now - self._since
        if passed < EVERY_S:
            return []
        parts = []
        for kind in sorted(self._often, key=lambda kind: kind.__name__):
            if self._count[kind]:
                size = f" {_size(self._bytes[kind] / passed)}/s" if self._bytes[kind] else ""
                parts.append(f"{kind.__name__} {self._count[kind] / passed:.1f}/s{size}")
        self._often = {k for k in self._often if TOPICS[k].newest or self._count[k] > OFTEN_HZ * EVERY_S / 2}
        self._count.clear()
        self._bytes.clear()
        self._since = now
        return [f"{'':13} ~ {', '.join(parts)}"] if parts else []


def _text(received: Received) -> str:
    values = msgspec.structs.asdict(received.message)
    fields = [f"{key}={_short(key, value)}" for key, value in values.items() if value not in ("", b"", {}, (0, 0))]
    text = " ".join(fields)
    text = text if len(text) <= WIDTH else text[: WIDTH - 1] + "…"
    payload = f" + {_size(len(received.payload))}" if len(received.payload) else ""
    stamp = received.stamp
    return f"{stamp.sent_at / 1e9:13.3f} {stamp.sender:<10} {type(received.message).__name__:<15} {text}{payload}"


def _short(key: str, value: object) -> str:
    """A field's value for people: times in seconds, figures without noise."""
    match value:
        case Turn(conversation=name, start=start, revision=revision):
            return f"{name}@{start / 1e9:.3f}" + (f" r{revision}" if revision else "")
        case bytes():
            return f"<{len(value)} bytes>"
        case float():
            return f"{value:.6g}"
        case dict():
            return "{" + " ".join(f"{name}={_short(name, inner)}" for name, inner in value.items()) + "}"
        case msgspec.Struct():
            return _short(key, msgspec.structs.asdict(value))
        case int() if key.endswith("_at"):
            return f"{value / 1e9:.3f}"
        case str() if key in ("text", "detail"):
            return repr(value)
    return str(value)


def _json(received: Received) -> str:
    stamp = received.stamp
    row = {
        "type": type(received.message).__name__,
        "sender": stamp.sender,
        "sequence": stamp.sequence,
        "sent_at": stamp.sent_at,
        "payload_bytes": len(received.payload),
        "message": received.message,
    }
    return msgspec.json.encode(row).decode()


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB"):
        if count < 1000 or unit == "MB":
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    raise AssertionError
