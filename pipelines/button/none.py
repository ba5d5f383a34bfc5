"""No button: it is never pressed."""

import threading
from typing import TypeAlias

from pipelines import engine
from pipelines.button import Edge


class Options(engine.Options, frozen=True, kw_only=True):
    pass


class Engine:
    """See ``pipelines.button.Contacts``."""

    Options: TypeAlias = Options
    name = "none"

    def __init__(self, options: Options) -> None:
        self._closed = threading.Event()

    def edges(self, timeout_s: float) -> list[Edge]:
        self._closed.wait(timeout_s)
        return []

    def close(self) -> None:
        self._closed.set()
