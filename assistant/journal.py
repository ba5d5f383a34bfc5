"""How a log line looks: on a terminal, or for the journal. What concerns a turn names it: ``turn=live/81234567890``.

A call that logs about a turn says so: ``log.error("no answer", extra=of(turn))``. Then all that the daemon's services
said of one turn is found by its name (``journalctl --grep turn=live/81234567890``).
"""

import logging
import os
from collections.abc import Mapping
from io import TextIOBase
from typing import TextIO

from assistant.messages import Turn

# logging's levels as the journal's priorities (sd-daemon(3)): a line that begins with <3> is an error.
PRIORITIES = ((logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6), (logging.NOTSET, 7))


def of(turn: Turn) -> dict[str, Turn]:
    """What a log call is given as ``extra`` when its line concerns this turn."""
    return {"turn": turn}


class Lines(logging.Formatter):
    """Time, service, level, text."""

    def __init__(self, name: str) -> None:
        super().__init__(f"%(asctime)s {name:<10} %(levelname).1s %(message)s", "%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:
        turn = getattr(record, "turn", None)
        named = f" turn={turn.conversation}/{turn.start}" if isinstance(turn, Turn) else ""
        return super().formatMessage(record) + named


class JournalLines(Lines):
    """Priority and text: the journal itself knows the time and the unit."""

    def __init__(self) -> None:
        super().__init__("")
        self._style = logging.PercentStyle("%(message)s")

    def format(self, record: logging.LogRecord) -> str:
        priority = next(priority for level, priority in PRIORITIES if record.levelno >= level)
        return "\n".join(f"<{priority}>{line}" for line in super().format(record).splitlines())


def to_the_journal(stream: TextIO | TextIOBase, environ: Mapping[str, str] = os.environ) -> bool:
    """Is this the stream that systemd connected to the journal? $JOURNAL_STREAM is its device and inode, and is
    inherited also by who writes elsewhere (systemd.exec(5))."""
    try:
        found = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"
