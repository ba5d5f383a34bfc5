"""A button as presses and releases: kept open, its bounces removed, let go when it is stuck or unplugged."""

import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from assistant.core.button import Button, Change, Settings
from pipelines import button
from pipelines.audio.backoff import Backoff
from pipelines.engine import EngineError

log = logging.getLogger(__name__)

PATIENCE_S = 0.25  # between looks at whether it shall end


class Presses:
    """A thread that waits for the contacts. ``lost``: why there is no button now, "" if there is one."""

    def __init__(
        self,
        engine: str,
        options: Mapping[str, Any],
        settings: Settings,
        wake: Callable[[], None],
        backoff: Backoff | None = None,
    ) -> None:
        """``wake`` is called, from the thread, when there is something to fetch."""
        self._engine, self._options, self._wake = engine, options, wake
        self._button, self._backoff = Button(settings), backoff or Backoff()
        self._changes: queue.SimpleQueue[Change] = queue.SimpleQueue()
        self.lost = "the button is being opened"
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work, name="button", daemon=True)
        self._thread.start()

    def fetch(self) -> list[Change]:
        """What was pressed and released since the last time, oldest first."""
        taken = []
        while not self._changes.empty():
            taken.append(self._changes.get())
        return taken

    def close(self) -> None:
        self._over.set()
        self._thread.join(4 * PATIENCE_S)

    def _work(self) -> None:
        while not self._over.is_set():
            try:
                contacts = button.load(self._engine, self._options)
            except EngineError as error:
                self._say(str(error))
                self._over.wait(self._backoff.failed())
                continue
            self._say("", f"the button is {contacts.name}")
            began = time.monotonic()
            try:
                self._watch(contacts)
            except button.Unplugged as error:
                self._take(self._button.lost(time.monotonic_ns()))
                self._say(str(error))
                self._over.wait(self._backoff.failed(time.monotonic() - began))
            finally:
                contacts.close()

    def _watch(self, contacts: button.Contacts) -> None:
        while not self._over.is_set():
            now, due = time.monotonic_ns(), self._button.due
            wait_s = PATIENCE_S if due is None else min(PATIENCE_S, max(0, due - now) / 1e9)
            for edge in contacts.edges(wait_s):
                self._take(self._button.edge(edge.pressed, edge.at))
            self._take(self._button.passed(time.monotonic_ns()))

    def _take(self, changes: list[Change]) -> None:
        for change in changes:
            if change.why:
                log.warning("%s; let go", change.why)
            self._changes.put(change)
        if changes:
            self._wake()

    def _say(self, lost: str, found: str = "") -> None:
        if lost != self.lost:
            self.lost = lost
            log.info("%s", found) if found else log.warning("%s", lost)
            self._wake()
