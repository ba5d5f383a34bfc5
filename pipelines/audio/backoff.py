"""How long to wait before a device is opened again: twice as long each time, anew after it has worked for a while."""


class Backoff:
    """The first wait is none: a device is mostly lost because the sound server was started anew."""

    def __init__(self, first_s: float = 0.25, longest_s: float = 8.0, lasted_s: float = 5.0) -> None:
        """A device that worked for ``lasted_s`` was well: its loss is a new trouble."""
        self._first_s, self._longest_s, self._lasted_s = first_s, longest_s, lasted_s
        self._failures = 0

    def failed(self, worked_s: float = 0.0) -> float:
        """Seconds to wait, after a device that worked for ``worked_s`` (0: it could not be opened) was lost."""
        if worked_s >= self._lasted_s:
            self._failures = 0
        self._failures += 1
        return 0.0 if self._failures == 1 else min(self._longest_s, self._first_s * 2.0 ** min(self._failures - 2, 30))
