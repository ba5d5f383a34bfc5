"""What the areas of the gateway share: a route, the gate that it is handed, how bodies are read and answers written."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.websockets import WebSocket

from assistant import turnlog
from assistant.gateway.diagnosis import Doctor
from assistant.gateway.errors import Refusal
from assistant.gateway.hub import Hub
from assistant.gateway.keys import Keys
from assistant.gateway.line import Line
from assistant.gateway.link import Link
from assistant.gateway.metrics import QUEUES
from assistant.gateway.monitor import Monitor
from assistant.gateway.pictures import Pictures
from assistant.gateway.records import Records
from assistant.gateway.settings import Settings

B = TypeVar("B")


class Gate:
    """What a handler needs of the daemon. One for the whole process, used in the server's loop alone."""

    def __init__(
        self,
        link: Link,
        settings: Settings,
        config: Mapping[str, Any],
        clock: Callable[[], int],
        version: str,
        keys: Keys,
        state: Path,
    ) -> None:
        """``config``: the resolved settings of all services. ``clock``: CLOCK_MONOTONIC ns. ``state``: the daemon's
        directory."""
        self.link, self.settings, self.config, self.clock = link, settings, config, clock
        self.version, self.keys = version, keys
        self.line = Line(settings.limits.queue, settings.limits.wait_s)  # before the language model
        self.ears = Line(settings.limits.queue, settings.limits.wait_s)  # before speech recognition
        self.voice = Line(settings.limits.queue, settings.limits.wait_s)  # before speech synthesis
        self.monitor = Monitor(link, clock, version)
        for name, line in zip(QUEUES, (self.line, self.ears, self.voice), strict=True):
            self.monitor.metrics.queue(name, line)
        self.asking: Counter[str] = Counter()  # conversation -> its questions that are being answered
        self.records = Records(state / turnlog.FILE)
        self.doctor = Doctor(config)
        self.pictures = Pictures(link, settings.limits.clients)
        self.hub = Hub(clock, self.records.told)
        self.records.over += [self.hub.over, self.monitor.metrics.ended]
        link.watch(self.hub.note)
        link.watch(self.records.note)
        link.watch(self.pictures.note)


Handler = Callable[[Request, Gate], Awaitable[Any]]
SocketHandler = Callable[[WebSocket, Gate], Awaitable[None]]


class Route(NamedTuple):
    """One entry of the gateway's table; the OpenAPI document is made of these.

    A handler gives a Response, or a value that is encoded as JSON with status 200. ``path`` may hold ``{name}``: one
    part of it. ``body``: the type of the JSON body, for the document (the handler reads it with ``read``).
    ``answer``: the type of the JSON answer, or the media type of another.
    """

    method: Literal["GET", "POST", "PUT", "DELETE"]
    path: str
    handler: Handler
    summary: str
    body: type | None = None
    answer: Any = None
    access: Literal["open", "token"] = "token"
    tags: tuple[str, ...] = ()
    query: Mapping[str, Any] = {}  # parameters of the query string, and of what type
    also: tuple[str, ...] = ()  # further media types of an answer: text/event-stream, where it may be streamed


class SocketRoute(NamedTuple):
    path: str
    handler: SocketHandler
    summary: str
    access: Literal["open", "token"] = "token"


async def read(request: Request, kind: type[B], any_type: bool = False) -> B:
    """The JSON body of a request, decoded strictly. ``any_type``: whatever its Content-Type says, for an API whose own
    examples name none (curl then says it is a form). Raises Refusal (400, 413, 415)."""
    said = "" if any_type else request.headers.get("content-type", "")
    if said.partition(";")[0].strip().lower() not in ("application/json", ""):
        raise Refusal(
            415, "not_json", f"The body must be JSON, not {said[:60]!r}.", mend="Send Content-Type: application/json."
        )
    try:
        return msgspec.json.decode(await request.body() or b"{}", type=kind)
    except msgspec.ValidationError as error:
        field = str(error).rpartition("`$")[2].strip("`.") if "`$" in str(error) else ""
        raise Refusal(400, "invalid_field", f"The body does not fit: {error}.", field) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refusal(400, "invalid_json", f"The body is not valid JSON: {error}.") from error


def written(answer: Any) -> Response:
    """A handler's answer as a response."""
    if isinstance(answer, Response):
        return answer
    return Response(msgspec.json.encode(answer), media_type="application/json")


async def unless_gone(request: Request, work: Coroutine[Any, Any, B]) -> B:
    """What ``work`` gives; it is cancelled when the client goes away, whose body was read. Raises ClientDisconnect."""

    async def gone() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    working, leaving = asyncio.ensure_future(work), asyncio.ensure_future(gone())
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise ClientDisconnect
    finally:
        for task in (working, leaving):
            task.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


def number(request: Request, name: str, default: float, least: float, most: float) -> float:
    """A number of the query string. Raises Refusal (400)."""
    text = request.query_params.get(name, "")
    try:
        value = float(text) if text else default
    except ValueError:
        value = float("nan")
    if not least <= value <= most:
        raise Refusal(400, "invalid_query", f"{name} must be a number from {least:g} to {most:g}.", name)
    return value
