"""The queue of programs before the model, in the server's loop; assistant.core.fairness decides who is next."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple

from assistant.core.fairness import Fairness
from assistant.gateway.errors import Refusal


class Place(NamedTuple):
    """How it was to wait."""

    position: int  # how many were before it when it came
    waited_ms: float

    @property
    def headers(self) -> dict[str, str]:
        return {"X-Queue-Position": str(self.position), "X-Queue-Wait-Ms": f"{self.waited_ms:.0f}"}


class Line:
    """``async with line.turn(client) as place``: inside, the model is this client's."""

    def __init__(self, limit: int, wait_s: float, at_once: int = 1) -> None:
        """``limit``: of those that wait; ``wait_s``: how long one may."""
        self._fairness = Fairness(limit, at_once)
        self._wait_s = wait_s
        self._numbers = itertools.count()
        self._may: dict[int, asyncio.Future[None]] = {}
        self.noted: Callable[[float | None], None] = lambda _: None  # told each wait, s; None: it was refused

    @property
    def waiting(self) -> int:
        return self._fairness.waiting

    @asynccontextmanager
    async def turn(self, client: str) -> AsyncIterator[Place]:
        """Raises Refusal (429) where too many wait, or it took too long."""
        ticket, began = next(self._numbers), time.monotonic()
        if not self._fairness.enter(ticket, client):
            raise self._full(f"{self._fairness.waiting} requests wait for the model already.")
        position = self._fairness.position(ticket) + self._fairness.at_work
        may = self._may[ticket] = asyncio.get_running_loop().create_future()
        try:
            self._admit()
            try:
                await asyncio.wait_for(may, self._wait_s)
            except asyncio.TimeoutError:
                raise self._full(f"The model was not free within {self._wait_s:g} s.") from None
            waited = time.monotonic() - began
            self.noted(waited)
            yield Place(position, waited * 1000)
        finally:
            del self._may[ticket]
            self._fairness.leave(ticket, time.monotonic())
            self._admit()

    def _admit(self) -> None:
        for ticket in self._fairness.admit(time.monotonic()):
            may = self._may.get(ticket)
            if may is not None and not may.done():
                may.set_result(None)

    def _full(self, why: str) -> Refusal:
        self.noted(None)
        wait_s = self._fairness.retry_after_s()
        return Refusal(429, "queue_full", why, mend=f"Try again in {wait_s} s.", headers={"Retry-After": str(wait_s)})
