"""The records of the last turns on disk, for `assistant trace`: one JSON line a turn in the state directory.

Written by the dialogue process, which is told of everything that makes a record. Keyed by (boot id, start) as the
history is, with wall time beside it: a later line of the same turn replaces an earlier one.
"""

import logging
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

import msgspec

from assistant.core.ledger import Ledger, TurnRecord
from assistant.history import boot_id
from assistant.messages import LIVE, Cleared, Message

log = logging.getLogger(__name__)

FILE = "turns.jsonl"
KEEP = 200
DAY_S = 86_400


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    boot: str
    wall: float  # seconds since 1970, when the turn was over
    record: TurnRecord


class TurnLog:
    """Give it every message. ``trouble`` says why nothing is written, "" while all is well."""

    def __init__(self, path: Path, keep_days: float, keep: int = KEEP, wall: Callable[[], float] = time.time) -> None:
        self.trouble = ""
        self._path, self._keep, self._wall = path, keep, wall
        self._boot, self._ledger = boot_id(), Ledger(keep)
        self._entries: deque[Entry] = deque(maxlen=keep)
        self._lines = 0  # in the file; 0: it is written anew
        oldest = wall() - keep_days * DAY_S
        try:
            self._entries.extend(entry for entry in read(path) if entry.wall >= oldest)
        except OSError as error:
            log.warning("%s cannot be read (%s); the turns are kept anew", path, error.strerror)
        self._write_all()

    def note(self, message: Message, sent_at: int) -> None:
        done = self._ledger.fold(message, sent_at) + self._ledger.expire(sent_at)
        if isinstance(message, Cleared) and message.why == "asked":
            self._forget(message.conversation)
        for record in done:
            self._add(Entry(boot=self._boot, wall=self._wall(), record=discreet(record)))

    def _add(self, entry: Entry) -> None:
        self._entries.append(entry)
        if not 0 < self._lines < 2 * self._keep:
            self._write_all()
            return
        try:
            with self._path.open("ab") as file:
                file.write(msgspec.json.encode(entry) + b"\n")
            self._lines += 1
            self.trouble = ""
        except OSError as error:
            self._complain(error)

    def _forget(self, conversation: str) -> None:
        kept = [entry for entry in self._entries if entry.record.turn.conversation != conversation]
        if len(kept) < len(self._entries):
            self._entries = deque(kept, self._keep)
            self._write_all()

    def _write_all(self) -> None:
        half = self._path.with_suffix(".half")
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            half.write_bytes(b"".join(msgspec.json.encode(entry) + b"\n" for entry in self._entries))
            half.chmod(0o600)
            half.replace(self._path)
            self._lines, self.trouble = len(self._entries), ""
        except OSError as error:
            self._lines = 0
            self._complain(error)

    def _complain(self, error: OSError) -> None:
        text = f"{self._path} cannot be written ({error.strerror}); turns are not kept for assistant trace"
        if text != self.trouble:
            log.warning("%s", text)
        self.trouble = text


def read(path: Path) -> list[Entry]:
    """The turns in a file, oldest first; a line that is torn or of another version is left out. No file holds none.
    Raises OSError for one that cannot be read."""
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return []
    found: dict[tuple[str, str, int], Entry] = {}
    for line in lines:
        try:
            entry = msgspec.json.decode(line, type=Entry)
        except msgspec.DecodeError:
            continue
        turn = entry.record.turn
        key = (turn.conversation, entry.boot, turn.start)
        found.pop(key, None)
        found[key] = entry
    return list(found.values())


def discreet(record: TurnRecord) -> TurnRecord:
    """What a program has asked is not ours to keep: only the spoken conversation is written down with its words."""
    if record.turn.conversation == LIVE:
        return record
    return msgspec.structs.replace(record, heard="", answer="", spoken_text="")
