"""What the gateway itself notes of everything that it hears: for /metrics, and to say whether all is ready."""

from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from assistant.core import readiness
from assistant.core.readiness import Missing
from assistant.core.vitals import Vitals
from assistant.gateway.link import Link
from assistant.gateway.metrics import Metrics
from assistant.wire import Received

ROUTE = "assistant.route"  # in a request's scope: the path of its entry in the table
ELSEWHERE = "elsewhere"  # what is no route of the table


class Monitor:
    """Used in the server's loop alone."""

    def __init__(self, link: Link, clock: Callable[[], int], version: str) -> None:
        self._link, self._clock = link, clock
        self._vitals = Vitals()
        self.metrics = Metrics(self._vitals, clock, version)
        link.watch(self.note)

    def note(self, received: Received) -> None:
        message, sender, sent_at = received.message, received.stamp.sender, received.stamp.sent_at
        self._vitals.fold(message, sender, sent_at)
        self.metrics.fold(message)

    @property
    def alive(self) -> bool:
        """Does the loop turn that talks to the daemon?"""
        return readiness.alive(self._link.turned_at, self._clock())

    def missing(self) -> tuple[Missing, ...]:
        """What the profile asks for, is not muted, and does not work."""
        self._note_own()
        return readiness.missing(self._vitals, self._link.services, self._clock())

    def render(self, accept: str) -> tuple[bytes, str]:
        """The metrics, and their content type."""
        self._note_own()
        self.metrics.dropped_clients(self._link.overruns)
        return self.metrics.render(accept)

    def _note_own(self) -> None:
        """Nobody receives what it published itself."""
        name, beat = self._link.own
        self._vitals.fold(beat, name, self._link.turned_at)


class Counted:
    """Counts what is asked of ``app``, and how it was answered."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._metrics.answered(scope.get(ROUTE, ELSEWHERE), message["status"])
            elif message["type"] == "websocket.accept":
                self._metrics.answered(scope.get(ROUTE, ELSEWHERE), 101)
            await send(message)

        self._metrics.opened(scope["type"])
        try:
            await self._app(scope, receive, counted)
        finally:
            self._metrics.closed(scope["type"])
