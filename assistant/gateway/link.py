"""Joins the service's loop, which alone touches the bus, and the web server's, which runs in a second thread.

Both ways a queue and a wake-up: nobody waits for the other. Whatever follows the bus here does so in the server's
loop, from one message to the next: what a snapshot shows and the messages that follow it leave no gap and no overlap.
"""

import asyncio
import contextlib
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from types import TracebackType
from typing import Any, NamedTuple

from assistant.core.snapshot import Snapshot, State
from assistant.messages import (
    TOPICS,
    AudioOut,
    Frame,
    Heartbeat,
    Look,
    Message,
    Playback,
)
from assistant.service import Service
from assistant.wire import BusError, Received

# Subscribed only while somebody follows them: they are large, or nobody's business here.
ON_DEMAND: frozenset[type[Message]] = frozenset({Frame, Look, AudioOut, Playback})
SEND_S = 5.0  # for a service to take a message
RETRY_S = 0.01  # a service that does not take it yet is tried again after this
IDLE_S = 0.25

Predicate = Callable[[Received], bool]


class Unreachable(Exception):
    """A message cannot be delivered: the service that takes it is not there. The text says which, and what to do."""


class Overrun(Exception):
    """A reader was too slow for what it follows, and has missed messages: it must begin anew."""


class Closed(Exception):
    """The gateway ends."""


class Letter(NamedTuple):
    """A message on its way to one service."""

    message: Message
    payload: Any
    to: str
    deadline: float
    sent: "asyncio.Future[None]"


class Inbox:
    """What one reader follows, in the server's loop. ``async for``, or ``get`` with a time limit."""

    def __init__(
        self, link: "Link", kinds: Collection[type[Message]], where: Predicate, limit: int, newest: bool
    ) -> None:
        self._link, self.kinds, self._where, self._limit = link, frozenset(kinds), where, limit
        self._newest = newest
        self._waiting: deque[Received] = deque()
        self._overrun = False
        self._news: asyncio.Future[None] | None = None

    def offer(self, received: Received) -> None:
        """Put it there, unless the reader does not want it, or is too slow (it is told when it reads on)."""
        if self._overrun or not self._where(received):
            return
        if self._newest and len(self._waiting) >= self._limit:
            self._waiting.popleft()
        if len(self._waiting) >= self._limit:
            self._overrun = True
            self._link.overruns += 1
            self._waiting.clear()
        else:
            self._waiting.append(received)
        self.stir()

    def stir(self) -> None:
        """Let the reader look again."""
        if self._news is not None and not self._news.done():
            self._news.set_result(None)

    async def get(self, timeout_s: float | None = None) -> Received | None:
        """The next message; None when none came in time. Raises Overrun, and Closed when the gateway ends."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while not self._waiting:
            if self._overrun:
                raise Overrun("this reader was too slow for the messages that it follows")
            if self._link.closed:
                raise Closed("the gateway is stopping")
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                return None
            await self._stirred(left)
        return self._waiting.popleft()

    async def _stirred(self, at_most_s: float | None) -> None:
        loop = asyncio.get_running_loop()
        self._news = loop.create_future()
        timer = None if at_most_s is None else loop.call_later(at_most_s, self.stir)
        try:
            await self._news
        finally:
            self._news = None
            if timer is not None:
                timer.cancel()

    async def __aiter__(self) -> AsyncIterator[Received]:
        while True:
            received = await self.get()
            if received is not None:
                yield received

    def __enter__(self) -> "Inbox":
        self._link.add(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._link.remove(self)


class Link:
    """``pump`` runs in the service's thread, everything else in the server's loop."""

    def __init__(self, service: Service, services: tuple[str, ...], version: str) -> None:
        """``services``: those that the settings ask for."""
        self._service = service
        self._loop: asyncio.AbstractEventLoop | None = None
        self.services = services
        self.turned_at = service.clock()  # when ``pump`` last began, ns
        self.overruns = 0  # readers that were too slow
        self._watchers: list[Callable[[Received], None]] = []
        self._outbox: deque[Letter] = deque()
        self._posted: set[asyncio.Task[None]] = set()
        self._wanted: deque[tuple[type[Message], bool]] = deque()  # to be subscribed, or no longer
        self._newest: dict[tuple[type[Message], Any], Received] = {}
        self._snapshot = Snapshot(services, version)
        self._inboxes: dict[type[Message], list[Inbox]] = {}
        self._readers: Counter[type[Message]] = Counter()  # of what is subscribed on demand
        self.closed = False
        kinds = (kind for kind, entry in TOPICS.items() if entry.publishers and kind not in ON_DEMAND)
        service.listen(*kinds)

    # --- the service's thread ---

    def connect(self, loop: asyncio.AbstractEventLoop) -> None:
        """From now on what arrives is handed to this loop; what has arrived before is not lost."""
        self._loop = loop

    def pump(self) -> None:
        """One step: subscribe, send what waits, hand over what arrived. Returns after a quarter of a second at most."""
        self.turned_at = self._service.clock()
        while self._wanted:
            kind, wanted = self._wanted.popleft()
            self._service.bus.listen(kind) if wanted else self._service.bus.ignore(kind)
        pending = self._send_all()
        received = self._service.receive(RETRY_S if pending else IDLE_S)
        if received is not None:
            self._hand_over(received)

    def _send_all(self) -> bool:
        """Send what can be sent; is there more? To one service in the order in which it was given."""
        unreached: dict[str, str] = {}
        kept = []
        while self._outbox:
            letter = self._outbox.popleft()
            if letter.to not in unreached:
                try:
                    self._service.bus.send(letter.message, letter.payload, timeout_s=0.0, to=(letter.to,))
                    self._call(_settle, letter.sent, None)
                    continue
                except BusError as error:
                    unreached[letter.to] = str(error)
            if time.monotonic() < letter.deadline:
                kept.append(letter)
            else:
                self._call(_settle, letter.sent, Unreachable(unreached[letter.to]))
        self._outbox.extendleft(reversed(kept))
        return bool(kept)

    def _hand_over(self, received: Received) -> None:
        entry = TOPICS[type(received.message)]
        if not entry.newest:
            self._call(self._deliver, received)
            return
        # Pixels must not pile up before a loop that is busy: only the newest of each waits there.
        slot = type(received.message), getattr(received.message, entry.key) if entry.key else None
        self._newest[slot] = received
        self._call(self._deliver_newest, slot)

    def _call(self, function: Callable[..., None], *arguments: Any) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(function, *arguments)

    def close(self) -> None:
        """Every reader is told that the gateway ends."""
        self._call(self._close)

    # --- the server's loop ---

    @property
    def state(self) -> State:
        """How the daemon is, by all that was delivered so far."""
        now = self._service.clock()
        self._snapshot.note(self._service.health, self._service.name, now)  # nobody receives what it published itself
        return self._snapshot.now(now)

    @property
    def own(self) -> tuple[str, Heartbeat]:
        """This service's name, and how it is: nobody receives what it published itself."""
        return self._service.name, self._service.beat

    def watch(self, watcher: Callable[[Received], None]) -> None:
        """Show it everything that arrives, before whoever follows it."""
        self._watchers.append(watcher)

    async def send(self, message: Message, payload: Any = None, to: Sequence[str] = ()) -> None:
        """Send into the inboxes that TOPICS names for this type (or only ``to`` these), of those services that this
        daemon runs, and return when it is sent. Raises Unreachable."""
        inboxes = to or TOPICS[type(message)].inboxes
        chosen = [name for name in inboxes if name in self.services]
        if not chosen:
            raise Unreachable(f"this daemon runs without {' and '.join(inboxes)} (supervisor.services)")
        loop, deadline = asyncio.get_running_loop(), time.monotonic() + SEND_S
        letters = [Letter(message, payload, name, deadline, loop.create_future()) for name in chosen]
        self._outbox.extend(letters)
        self._service.wake()
        await asyncio.gather(*(letter.sent for letter in letters))

    def post(self, message: Message, to: Sequence[str] = ()) -> None:
        """Send, and do not wait for it: that it cannot be delivered is of no interest to whoever has gone away."""

        async def quietly() -> None:
            with contextlib.suppress(Unreachable):
                await self.send(message, to=to)

        task = asyncio.ensure_future(quietly())
        self._posted.add(task)
        task.add_done_callback(self._posted.discard)

    def follow(
        self, *kinds: type[Message], where: Predicate = lambda _: True, limit: int = 1000, newest: bool = False
    ) -> Inbox:
        """What is published of these types, while inside ``with``; of those ON_DEMAND only what comes once the
        publisher knows of it. A reader that lets more than ``limit`` wait gets an Overrun; with ``newest`` the oldest
        of them are dropped instead."""
        return Inbox(self, kinds, where, limit, newest)

    def add(self, inbox: Inbox) -> None:
        for kind in inbox.kinds:
            self._inboxes.setdefault(kind, []).append(inbox)
            if kind in ON_DEMAND:
                self._readers[kind] += 1
                if self._readers[kind] == 1:
                    self._want(kind, True)

    def remove(self, inbox: Inbox) -> None:
        for kind in inbox.kinds:
            self._inboxes[kind].remove(inbox)
            if kind in ON_DEMAND:
                self._readers[kind] -= 1
                if not self._readers[kind]:
                    self._want(kind, False)

    def _want(self, kind: type[Message], wanted: bool) -> None:
        self._wanted.append((kind, wanted))
        self._service.wake()

    def _deliver_newest(self, slot: tuple[type[Message], Any]) -> None:
        received = self._newest.pop(slot, None)
        if received is not None:
            self._deliver(received)

    def _deliver(self, received: Received) -> None:
        self._snapshot.note(received.message, received.stamp.sender, received.stamp.sent_at)
        for watcher in self._watchers:
            watcher(received)
        for inbox in list(self._inboxes.get(type(received.message), ())):
            inbox.offer(received)

    def _close(self) -> None:
        self.closed = True
        for inboxes in self._inboxes.values():
            for inbox in inboxes:
                inbox.stir()


def _settle(sent: "asyncio.Future[None]", error: Exception | None) -> None:
    if sent.done():  # whoever sent it has gone away
        return
    if error is None:
        sent.set_result(None)
    else:
        sent.set_exception(error)
