"""The conversation on disk: SQLite in the state directory, write-ahead log, one writer (the dialogue process).

A turn is keyed by (boot id, start): the monotonic clock begins anew with each boot. Wall time stands beside it.
"""

import logging
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

log = logging.getLogger(__name__)

BUSY_S = 0.2  # how long a locked database may hold up an answer

_SCHEMA = """
CREATE TABLE IF NOT EXISTS turns (
    conversation TEXT NOT NULL,
    boot TEXT NOT NULL,
    start INTEGER NOT NULL,      -- CLOCK_MONOTONIC ns
    wall REAL NOT NULL,          -- seconds since 1970, for people and the retention; it may be set back: rowid orders
    record BLOB NOT NULL,        -- JSON of assistant.core.conversation's record
    UNIQUE (conversation, boot, start)
);
"""

# A turn that is written again keeps its place.
_PUT = """
INSERT INTO turns (conversation, boot, start, wall, record) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (conversation, boot, start) DO UPDATE SET wall = excluded.wall, record = excluded.record
"""


class History:
    """Turns of conversations. A database that cannot be used is reported through ``trouble``; answers go on."""

    def __init__(self, path: Path | None, keep_days: float, wall: Callable[[], float] = time.time) -> None:
        """``path`` None keeps nothing on disk. A corrupt file is kept aside and a new one begun."""
        self._loss = self._failure = ""
        self._wall, self._boot = wall, boot_id()
        self._db: sqlite3.Connection | None = None
        if path is None:
            return
        try:
            self._db = self._open(path)
        except (sqlite3.OperationalError, OSError) as error:  # locked, read-only, disk full: the file itself is sound
            self._complain(f"{path} cannot be opened ({error}); the conversation is kept in memory only")
        except sqlite3.DatabaseError as error:
            aside = path.with_name(f"{path.name}.bad-{int(wall())}")
            self._loss = f"{path} cannot be used ({error}); it is kept aside as {aside.name}"
            log.error("%s", self._loss)
            try:
                path.replace(aside)
                self._db = self._open(path)
            except (OSError, sqlite3.Error) as second:
                self._complain(f"{path}: no history is kept ({second})")
        if self._db is not None:
            self._try("DELETE FROM turns WHERE wall < ?", (wall() - keep_days * 86_400,))

    @property
    def trouble(self) -> str:
        """What health should say of the history; "" while all is well."""
        return self._failure or self._loss

    def put(self, conversation: str, start: int, record: bytes) -> None:
        """Write a turn, or write it again with what became of it."""
        row = (conversation, self._boot, start, self._wall(), record)
        self._try(_PUT, row)

    def load(self, conversation: str) -> list[bytes]:
        """The records of a conversation, oldest first."""
        if self._db is None:
            return []
        try:
            rows = self._db.execute("SELECT record FROM turns WHERE conversation = ? ORDER BY rowid", (conversation,))
            return [bytes(row[0]) for row in rows]
        except sqlite3.Error as error:
            self._complain(f"the history cannot be read ({error})")
            return []

    def clear(self, conversation: str) -> None:
        self._try("DELETE FROM turns WHERE conversation = ?", (conversation,))

    def close(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None

    def _open(self, path: Path) -> sqlite3.Connection:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        db = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None)
        path.chmod(0o600)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute(_SCHEMA)
        db.execute("SELECT count(*) FROM turns").fetchone()
        return db

    def _try(self, statement: str, values: tuple[object, ...]) -> None:
        if self._db is None:
            return
        try:
            self._db.execute(statement, values)
            self._failure = ""
        except sqlite3.Error as error:
            self._complain(f"the history cannot be written ({error}); the conversation goes on in memory")

    def _complain(self, text: str) -> None:
        if text != self._failure:
            log.error("%s", text)
        self._failure = text


def boot_id() -> str:
    """Names this boot of the machine. Source: random(4), /proc/sys/kernel/random/boot_id."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return "unknown"
