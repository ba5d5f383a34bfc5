"""Waiting for what one service answers: it may die meanwhile, or never come to an end."""

import time
from types import TracebackType

from assistant.gateway.errors import Refusal
from assistant.gateway.link import Predicate
from assistant.gateway.routes import Gate
from assistant.messages import Heartbeat, Message
from assistant.wire import Received

LOOK_S = 1.0  # how often it is seen to
SILENT_S = 10.0  # without even a heartbeat, which comes every second
# What each service is to a client.
ROLES = {"dialogue": "language model", "microphone": "speech recognition", "speaker": "speech synthesis"}


class Following:
    """``with Following(…) as answers``, then send what is to be answered, then ``await answers.next()``."""

    def __init__(self, gate: Gate, service: str, *kinds: type[Message], where: Predicate, limit_s: float) -> None:
        """Messages of these kinds for which ``where`` holds. ``limit_s``: how long all of it may take."""
        self._service, self._limit_s = service, limit_s
        known = gate.link.state.services.get(service)
        self._pid = known.figures.get("pid", 0.0) if known is not None else 0.0
        self._deadline = time.monotonic() + limit_s

        def ours(received: Received) -> bool:
            if isinstance(received.message, Heartbeat):
                return received.stamp.sender == service
            return where(received)

        self._inbox = gate.link.follow(*kinds, Heartbeat, where=ours)

    def __enter__(self) -> "Following":
        self._inbox.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._inbox.__exit__(kind, error, trace)

    async def next(self) -> Received:
        """Raises Refusal where the service has died (503), or takes too long (504)."""
        heard_at = time.monotonic()
        while True:
            if time.monotonic() > self._deadline:
                raise Refusal(504, "too_long", f"It took longer than {self._limit_s:g} s (gateway.limits.answer_s).")
            received = await self._inbox.get(LOOK_S)
            if received is None:
                if time.monotonic() - heard_at > SILENT_S:
                    raise lost(self._service)
            elif isinstance(received.message, Heartbeat):
                heard_at = time.monotonic()
                self._look(received.message)
            else:
                return received

    def _look(self, beat: Heartbeat) -> None:
        pid = beat.figures.get("pid", self._pid)
        if self._pid and (pid != self._pid or beat.state == "stopping"):
            raise lost(self._service)
        self._pid = pid


def lost(service: str) -> Refusal:
    told = f"The process of the {ROLES.get(service, service)} has ended; it is started anew."
    return Refusal(503, "process_lost", told, mend="Try again.", headers={"Retry-After": "5"})
