"""When a process that died is started again: with back-off, and not for ever."""

from collections import deque


class Restarts:
    """At most ``limit`` restarts within ``window_s``; the wait doubles from ``first_s`` up to ``longest_s``."""

    def __init__(self, limit: int = 5, window_s: float = 60.0, first_s: float = 0.1, longest_s: float = 5.0) -> None:
        self.limit, self.window_s, self._first_s, self._longest_s = limit, window_s, first_s, longest_s
        self._times: deque[float] = deque()

    def died(self, now_s: float) -> float | None:
        """Seconds to wait before the restart; None when it died too often and everything should stop."""
        while self._times and now_s - self._times[0] > self.window_s:
            self._times.popleft()
        if len(self._times) >= self.limit:
            return None
        wait = min(self._longest_s, self._first_s * 2.0 ** len(self._times))
        self._times.append(now_s)
        return wait
