"""How a log line looks: on a terminal, for the journal, or as JSON. What concerns a turn names it:
``turn=live/81234567890``.

A call that logs about a turn says so: ``log.error("no answer", extra=of(turn))``. What is logged on a turn's behalf by
who knows of none (an engine, the NPU's lock) is logged inside ``about(turn)``. Then all that the daemon's services said
of one turn is found by its name (``journalctl --grep turn=live/81234567890``).
"""

import contextlib
import logging
import os
import time
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from datetime import datetime, timezone
from io import TextIOBase
from typing import Literal, TextIO

import msgspec

from assistant.messages import Turn

Format = Literal["text", "json"]

# logging's levels as the journal's priorities (sd-daemon(3)): a line that begins with <3> is an error.
PRIORITIES = ((logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6), (logging.NOTSET, 7))

_about: ContextVar[Turn | None] = ContextVar("about", default=None)  # of this thread


def of(turn: Turn) -> dict[str, Turn]:
    """What a log call is given as ``extra`` when its line concerns this turn."""
    return {"turn": turn}


@contextlib.contextmanager
def about(turn: Turn | None) -> Iterator[None]:
    """Inside, this thread works for that turn: what it logs names it."""
    before = _about.set(turn)
    try:
        yield
    finally:
        _about.reset(before)


def turn_of(record: logging.LogRecord) -> str:
    """The turn that a record concerns, as it is searched for; "" for none. To be asked in the thread that logged."""
    turn = getattr(record, "turn", None) or _about.get()
    return f"{turn.conversation}/{turn.start}" if isinstance(turn, Turn) else ""


def formatter(style: Format, name: str, journal: bool) -> logging.Formatter:
    """For the service called ``name``; ``journal``: its lines go there."""
    plain = JsonLines(name) if style == "json" else Lines("" if journal else name)
    return Prioritised(plain) if journal else plain


class Lines(logging.Formatter):
    """Time, service, level, text."""

    def __init__(self, name: str) -> None:
        """Without a name the text alone: the journal itself knows the time and the unit."""
        head = f"%(asctime)s {name:<10} %(levelname).1s " if name else ""
        super().__init__(f"{head}%(message)s", "%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:
        turn = turn_of(record)
        return super().formatMessage(record) + (f" turn={turn}" if turn else "")


class JsonLines(logging.Formatter):
    """One JSON object a line, a traceback inside it."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    def format(self, record: logging.LogRecord) -> str:
        said: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="milliseconds"),
            "at": time.monotonic_ns(),  # on the clock of the turns' records
            "level": record.levelname.lower(),
            "service": self._name,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if turn := turn_of(record):
            said["turn"] = turn
        if record.exc_info:
            said["traceback"] = self.formatException(record.exc_info)
        return msgspec.json.encode(said).decode()


class Prioritised(logging.Formatter):
    """Each line with its priority, as the journal takes it off again."""

    def __init__(self, plain: logging.Formatter) -> None:
        super().__init__()
        self._plain = plain

    def format(self, record: logging.LogRecord) -> str:
        priority = next(priority for level, priority in PRIORITIES if record.levelno >= level)
        return "\n".join(f"<{priority}>{line}" for line in self._plain.format(record).rstrip("\n").split("\n"))


def to_the_journal(stream: TextIO | TextIOBase, environ: Mapping[str, str] = os.environ) -> bool:
    """Is this the stream that systemd connected to the journal? $JOURNAL_STREAM is its device and inode, and is
    inherited also by who writes elsewhere (systemd.exec(5))."""
    try:
        found = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"
