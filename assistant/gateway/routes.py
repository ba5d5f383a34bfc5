"""What the areas of the gateway share: a route, the gate that it is handed, how bodies are read and answers written."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal, NamedTuple, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.websockets import WebSocket

from assistant.gateway.errors import Refusal
from assistant.gateway.keys import Keys
from assistant.gateway.line import Line
from assistant.gateway.link import Link
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
    ) -> None:
        """``config``: the resolved settings of all services. ``clock``: CLOCK_MONOTONIC ns."""
        self.link, self.settings, self.config, self.clock = link, settings, config, clock
        self.version, self.keys = version, keys
        self.line = Line(settings.limits.queue, settings.limits.wait_s)  # before the language model
        self.ears = Line(settings.limits.queue, settings.limits.wait_s)  # before speech recognition
        self.voice = Line(settings.limits.queue, settings.limits.wait_s)  # before speech synthesis


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
    query: Mapping[str, type] = {}  # parameters of the query string, and of what type


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
        return msgspec.json.decode(await request.body(), type=kind)
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
