"""The turns that are over, newest last, with their traces: those on disk from before, and what has happened since."""

import datetime
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from assistant import turnlog
from assistant.core import events
from assistant.core.ledger import Ledger, TurnRecord
from assistant.history import boot_id
from assistant.messages import Cleared
from assistant.turnlog import Entry
from assistant.wire import Received

log = logging.getLogger(__name__)

KEEP = 200


class Records:
    """Follows every message; ``over`` is called with each turn that is complete."""

    def __init__(self, path: Path, wall: Callable[[], float] = time.time) -> None:
        self._wall, self._boot = wall, boot_id()
        self._ledger = Ledger(KEEP)
        self._entries: OrderedDict[tuple[str, str, int], Entry] = OrderedDict()
        self.over: list[Callable[[TurnRecord], None]] = []
        try:
            for entry in turnlog.read(path)[-KEEP:]:
                self._keep(entry)
        except OSError as error:
            log.warning("%s cannot be read (%s); the turns are shown from now on", path, error.strerror)

    def note(self, received: Received) -> None:
        message, at = received.message, received.stamp.sent_at
        done = self._ledger.fold(message, at) + self._ledger.expire(at)
        if isinstance(message, Cleared) and message.why == "asked":
            self._forget(message.conversation)
        for record in done:
            self._keep(Entry(boot=self._boot, wall=self._wall(), record=turnlog.discreet(record)))
            for tell in self.over:
                tell(record)

    def told(self, record: TurnRecord) -> dict[str, Any]:
        """A turn that is over now, as it is told to who listens."""
        return {**events.record(record), "wall": _iso(self._wall())}

    def last(self, limit: int) -> Sequence[Entry]:
        """The newest turns, the newest last."""
        return list(self._entries.values())[-limit:] if limit > 0 else []

    def find(self, start: int) -> Entry | None:
        """The newest turn that began then."""
        return next((entry for entry in reversed(self._entries.values()) if entry.record.turn.start == start), None)

    def _keep(self, entry: Entry) -> None:
        turn = entry.record.turn
        key = (turn.conversation, entry.boot, turn.start)
        self._entries.pop(key, None)
        self._entries[key] = entry
        while len(self._entries) > KEEP:
            self._entries.popitem(last=False)

    def _forget(self, conversation: str) -> None:
        for key in [key for key in self._entries if key[0] == conversation]:
            del self._entries[key]


def told(entry: Entry) -> dict[str, Any]:
    """A turn as clients are told of it: its record, when it was over (wall time), and of which boot its times are."""
    return {**events.record(entry.record), "wall": _iso(entry.wall), "boot": entry.boot}


def _iso(wall: float) -> str:
    return datetime.datetime.fromtimestamp(wall).astimezone().isoformat(timespec="milliseconds")
