"""Answers that take a while: told piece by piece or as a whole, and given up as soon as nobody listens any more."""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import Protocol

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from assistant.gateway import errors
from assistant.gateway.errors import Refusal
from assistant.gateway.line import Place
from assistant.gateway.link import Closed, Overrun, Unreachable

log = logging.getLogger(__name__)


class Form(Protocol):
    """How events become the bytes of one API."""

    media_type: str

    def event(self, event: object) -> bytes:
        """What is told of it; b"" nothing."""

    def failure(self, refusal: Refusal) -> bytes:
        """What is told where it goes wrong after the beginning."""


class Telling(Response):
    """An answer that begins with the first event of which something is told: until then an error has its own status.

    Events are taken as they come, however slowly they are read: who is slow keeps nobody else waiting.
    """

    def __init__(self, path: str, events: AsyncGenerator[object, None], form: Form) -> None:
        super().__init__()
        self._path, self._events, self._form = path, events, form

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        loop, waiting = asyncio.get_running_loop(), Waiting()
        tasks = (
            loop.create_task(self._tell(waiting, scope, receive, send)),
            loop.create_task(_gone(receive)),
            loop.create_task(waiting.fill(self._events)),
        )
        try:
            await asyncio.wait(tasks[:2], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, Exception) and not isinstance(outcome, OSError):
                raise outcome

    async def _tell(self, waiting: "Waiting", scope: Scope, receive: Receive, send: Send) -> None:
        begun, place = False, Place(0, 0.0)

        async def put(body: bytes) -> None:
            nonlocal begun
            if not begun:
                begun = True
                headers = {"content-type": self._form.media_type, **place.headers}
                if isinstance(self._form, Whole):
                    headers["content-length"] = str(len(body))
                raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
                await send({"type": "http.response.start", "status": 200, "headers": raw})
            await send({"type": "http.response.body", "body": body, "more_body": True})

        try:
            async for events in waiting:
                place = next((event for event in events if isinstance(event, Place)), place)
                if body := b"".join(map(self._form.event, events)):
                    await put(body)
        except (Refusal, Unreachable, Overrun, Closed) as error:
            refusal = as_refusal(error)
            if not begun:
                refusal.headers.update(place.headers)
                await errors.response(refusal, self._path)(scope, receive, send)
                return
            log.warning("an answer broke off: %s", refusal.message)
            await put(self._form.failure(refusal))
        await send({"type": "http.response.body", "body": b"", "more_body": False})


class Waiting:
    """Events that came and were not told yet. ``async for`` gives all that wait, and raises what they ended in."""

    def __init__(self) -> None:
        self._events: list[object] = []
        self._news = asyncio.Event()
        self._over = False
        self._error: Exception | None = None

    async def fill(self, events: AsyncGenerator[object, None]) -> None:
        try:
            async with aclosing(events):
                async for event in events:
                    self._events.append(event)
                    self._news.set()
        except Exception as error:
            self._error = error
        finally:
            self._over = True
            self._news.set()

    async def __aiter__(self) -> AsyncIterator[list[object]]:
        while True:
            await self._news.wait()
            self._news.clear()
            events, self._events = self._events, []
            if events:
                yield events
            elif self._over:
                break
            if self._over:
                self._news.set()
        if self._error is not None:
            raise self._error


class Whole:
    """Nothing before the last event."""

    def __init__(self, made: Callable[[list[object]], bytes], media_type: str = "application/json") -> None:
        self.media_type = media_type
        self._made, self._events = made, list[object]()

    def event(self, event: object) -> bytes:
        self._events.append(event)
        return self._made(self._events)

    def failure(self, refusal: Refusal) -> bytes:
        return b""


def as_refusal(error: Exception) -> Refusal:
    """What went wrong, as a client is told."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, Unreachable):
        return Refusal(503, "unreachable", f"{error}.")
    return Refusal(503, "overrun" if isinstance(error, Overrun) else "stopping", f"{error}.", mend="Ask again.")


async def _gone(receive: Receive) -> None:
    """Returns when the client is gone. Its request is whole: nothing else can come of it."""
    while (await receive())["type"] != "http.disconnect":
        pass
