"""Loads a model in the background, so that its service answers and beats meanwhile."""

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Loading(Generic[T]):
    """``done`` says when ``result`` may be asked for."""

    def __init__(self, load: Callable[[], T], wake: Callable[[], None], at_most_s: float) -> None:
        """``wake`` is called, from another thread, when it is loaded."""
        self._load, self._wake, self._at_most_s = load, wake, at_most_s
        self._began = time.monotonic()
        self._loaded: T | None = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="loading", daemon=True)
        self._thread.start()

    @property
    def done(self) -> bool:
        """Raises TimeoutError where it takes too long: a process that is started anew may fare better."""
        if not self._thread.is_alive():
            return True
        if time.monotonic() - self._began > self._at_most_s:
            raise TimeoutError(f"the model is still loading after {self._at_most_s:g} s (load_s)")
        return False

    def result(self) -> T:
        """Raises what loading it raised."""
        self._thread.join()
        if self._error is not None:
            raise self._error
        assert self._loaded is not None
        return self._loaded

    def _work(self) -> None:
        try:
            self._loaded = self._load()
        except BaseException as error:  # raised where the result is asked for
            self._error = error
        self._wake()
