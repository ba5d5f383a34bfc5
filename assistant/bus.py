"""Publish, subscribe, inbox, newest: the only file that imports zmq.

There is no broker. Each service binds its sockets in the runtime directory: ``NAME.pub``, on which it publishes,
``NAME.new`` for what counts only when it is the newest, and ``NAME.in``, its inbox, to which whoever wants something
of it connects. What a message is on the wire stands in assistant.wire.
"""

import math
import os
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import zmq

from assistant.lock import Lock, holder
from assistant.messages import TOPICS, Message
from assistant.wire import BusError, Received, Wire, topic

M = TypeVar("M", bound=Message)

# A socket that carries only-the-newest data (pixels) must not pile it up behind a reader that is busy or stopped;
# every other socket must not lose a word of a reply to a reader that is busy for a while.
QUEUE_NEWEST, QUEUE_EVERY = 4, 10_000
PATH_LIMIT = 107  # bytes of a unix socket's path, sockaddr_un
SIDES = ("pub", "new", "in")  # a service's sockets, each a file NAME.SIDE


class Bus:
    """One process's end of the bus. A service (it has a name) binds and may publish; a client listens and sends."""

    def __init__(self, runtime: Path, name: str = "", clock: Callable[[], int] = time.monotonic_ns) -> None:
        self.runtime, self.name = runtime, name
        self.wire = Wire(name or f"client-{os.getpid()}", clock)
        self._context = zmq.Context()
        self._poller = zmq.Poller()
        self._arrived: deque[Received] = deque()
        self._every: zmq.Socket[bytes] | None = None
        self._newest: dict[type[Message], zmq.Socket[bytes]] = {}
        self._connected: set[tuple[zmq.Socket[bytes], str]] = set()
        self._outboxes: dict[str, zmq.Socket[bytes]] = {}
        self._inboxes_seen: dict[str, Counter[bytes]] = {}
        self._listening: set[type[Message]] = set()
        self._last: dict[tuple[type[Message], Any], tuple[Message, Any]] = {}
        self._subscribed: Counter[bytes] = Counter()
        self._lock: Lock | None = None
        self._pubs: dict[str, zmq.Socket[bytes]] = {}  # side -> socket
        self._inbox: zmq.Socket[bytes] | None = None
        if not name:
            return
        runtime.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            self._lock = Lock(runtime / f"{name}.lock")
            self._bind()
        except BaseException:
            self.close()
            raise

    def _bind(self) -> None:
        self._pubs["pub"] = self._socket(zmq.XPUB, SNDHWM=QUEUE_EVERY, XPUB_VERBOSER=1)
        if any(entry.newest for entry in TOPICS.values() if self.name in entry.publishers):
            self._pubs["new"] = self._socket(zmq.XPUB, SNDHWM=QUEUE_NEWEST, XPUB_VERBOSER=1)
        self._inbox = self._socket(zmq.SUB, RCVHWM=QUEUE_EVERY)
        for kind, entry in TOPICS.items():
            if self.name in entry.inboxes:
                self._inbox.subscribe(topic(kind))
        for side, socket in {**self._pubs, "in": self._inbox}.items():
            socket.bind(endpoint(self.runtime, self.name, side))

    def _socket(self, kind: int, **settings: int) -> "zmq.Socket[bytes]":
        socket = self._context.socket(kind)
        for key, value in {"LINGER": 200, "RECONNECT_IVL": 20, "RECONNECT_IVL_MAX": 50, **settings}.items():
            socket.setsockopt(getattr(zmq, key), value)
        if kind == zmq.SUB or settings.get("XPUB_VERBOSER"):
            self._poller.register(socket, zmq.POLLIN)
        return socket

    def watch(self, fd: int) -> None:
        """Let ``receive`` also return (with None) when this file descriptor becomes readable."""
        self._poller.register(fd, zmq.POLLIN)

    # --- listening ---

    def listen(self, *kinds: type[Message]) -> None:
        """Receive these types from their publishers, from now on; a publisher may start later."""
        for kind in kinds:
            if kind in self._listening:
                continue
            self._listening.add(kind)
            if TOPICS[kind].newest:
                socket = self._socket(zmq.SUB, RCVHWM=QUEUE_NEWEST)
                self._newest[kind] = socket
            else:
                if self._every is None:
                    self._every = self._socket(zmq.SUB, RCVHWM=QUEUE_EVERY)
                socket = self._every
            for publisher in TOPICS[kind].publishers:
                if publisher == self.name:
                    continue
                address = endpoint(self.runtime, publisher, _side(kind))
                if (socket, address) not in self._connected:
                    socket.connect(address)
                    self._connected.add((socket, address))
            socket.subscribe(topic(kind))

    def ignore(self, *kinds: type[Message]) -> None:
        """Receive these types no longer; what has arrived of them may still be read."""
        for kind in self._listening.intersection(kinds):
            self._listening.discard(kind)
            newest = self._newest.pop(kind, None)
            if newest is not None:
                self._poller.unregister(newest)
                self._connected = {(socket, address) for socket, address in self._connected if socket is not newest}
                newest.close()
            elif self._every is not None:
                self._every.unsubscribe(topic(kind))

    def receive(self, timeout_s: float | None = 0.0) -> Received | None:
        """The next message; None after the time-out (None: wait for ever) or when a watched descriptor is readable.

        Only-the-newest topics are read before the others, so that whoever asks about the scene is answered from the
        latest frame that has arrived.
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while not self._arrived:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            ready = dict(self._poller.poll(None if left is None else math.ceil(left * 1000)))
            for socket in self._newest.values():
                if socket in ready:
                    self._drain(socket)
            for bound in (self._inbox, self._every):
                if bound is not None and bound in ready:
                    self._take(bound)
            for pub in self._pubs.values():
                if pub in ready:
                    self._resend(pub)
            if not self._arrived and (any(isinstance(fd, int) for fd in ready) or left == 0.0):
                return None
        return self._arrived.popleft()

    def _read(self, socket: "zmq.Socket[bytes]") -> Received | None:
        return self.wire.unpack([part.buffer for part in socket.recv_multipart(zmq.NOBLOCK, copy=False)])

    def _take(self, socket: "zmq.Socket[bytes]", most: int = 64) -> None:
        for _ in range(most):
            try:
                received = self._read(socket)
            except zmq.Again:
                return
            if received is not None:
                self._arrived.append(received)

    def _drain(self, socket: "zmq.Socket[bytes]") -> None:
        """Keep the last of each key (CONFLATE would break multipart messages)."""
        newest: dict[Any, Received] = {}
        try:
            while True:
                received = self._read(socket)
                if received is not None:
                    newest[_key(received.message)] = received
        except zmq.Again:
            self._arrived.extend(newest.values())

    # --- publishing ---

    def publish(self, message: Message, payload: Any = None, *, once: bool = False) -> None:
        """Put a message on the bus for whoever listens; ``payload`` is any contiguous buffer. ``once``: it answers
        somebody who listens already, and is no state that a later subscriber has to be told."""
        if not self.name or self.name not in TOPICS[type(message)].publishers:
            raise BusError(f"{self.name or 'a client'} does not publish {type(message).__name__} (see TOPICS)")
        self._pubs[_side(type(message))].send_multipart(self.wire.pack(message, payload))
        if TOPICS[type(message)].resend and not once:
            self._last[_key(message)] = (message, payload)

    def wanted(self, kind: type[Message]) -> bool:
        """Is anybody subscribed to this type? (Known as far as ``receive`` has run.)"""
        return self._subscribed[topic(kind)] > 0

    def _resend(self, pub: "zmq.Socket[bytes]") -> None:
        while True:
            try:
                event = pub.recv(zmq.NOBLOCK)
            except zmq.Again:
                return
            subscribed, name = event[:1] == b"\x01", event[1:]
            self._subscribed[name] += 1 if subscribed else -1
            for (kind, _), (message, payload) in list(self._last.items()) if subscribed else []:
                if topic(kind) == name:
                    pub.send_multipart(self.wire.pack(message, payload))

    # --- inboxes ---

    def send(self, message: Message, payload: Any = None, timeout_s: float = 5.0, to: Sequence[str] = ()) -> None:
        """Send to every inbox that TOPICS names for this type, or only to these of them (``to``); to none (BusError) if
        one is not there in time."""
        kind, deadline = type(message), time.monotonic() + timeout_s
        if not TOPICS[kind].inboxes:
            raise BusError(f"no service takes {kind.__name__} in its inbox (see TOPICS)")
        boxes = {service: self._outbox(service, kind, deadline) for service in to or TOPICS[kind].inboxes}
        for service, box in boxes.items():
            box.send_multipart(self.wire.pack(message, payload, to=service))

    def _outbox(self, service: str, kind: type[Message], deadline: float) -> "zmq.Socket[bytes]":
        """An XPUB hears when the inbox has subscribed; only then is anything sent: nothing is lost to a late joiner.

        libzmq subscribes at a new connection when the service next looks at its inbox: a busy one keeps us waiting.
        """
        box = self._outboxes.get(service)
        if box is None:
            box = self._outboxes[service] = self._socket(zmq.XPUB, SNDHWM=QUEUE_EVERY)
            box.connect(endpoint(self.runtime, service, "in"))
        known = self._inboxes_seen.setdefault(service, Counter())
        while True:
            wait = 0 if known[topic(kind)] else max(0, math.ceil((deadline - time.monotonic()) * 1000))
            if box.poll(wait):
                event = box.recv()
                known[event[1:]] = int(event[:1] == b"\x01")
            elif known[topic(kind)]:
                return box
            elif time.monotonic() >= deadline:
                pid = holder(self.runtime / f"{service}.lock")
                why = f"process {pid} is busy, stopped or starting" if pid else "is the daemon running?"
                raise BusError(f"{service} does not take messages in {self.runtime}: {why}")

    # --- waiting ---

    def wait_for(self, kind: type[M], timeout_s: float, matches: Callable[[M], bool] = lambda _: True) -> M | None:
        """The next message of a type for which ``matches`` holds; other messages that arrive meanwhile are dropped."""
        self.listen(kind)
        deadline = time.monotonic() + timeout_s
        while (left := deadline - time.monotonic()) > 0:
            received = self.receive(left)
            if received and isinstance(received.message, kind) and matches(received.message):
                return received.message
        return None

    def close(self) -> None:
        """Close the sockets and remove this service's files."""
        self._context.destroy(linger=200)
        if self._lock is not None:
            for side in SIDES:
                (self.runtime / f"{self.name}.{side}").unlink(missing_ok=True)
            self._lock.release()
            self._lock = None


def endpoint(runtime: Path, name: str, side: str) -> str:
    """The address of one of a service's sockets. Raises BusError where the path is too long for a socket."""
    path = runtime / f"{name}.{side}"
    if len(os.fsencode(path)) > PATH_LIMIT:
        raise BusError(f"the runtime directory's path is too long for a socket ({path}); use a shorter one (--runtime)")
    return f"ipc://{path}"


def _side(kind: type[Message]) -> str:
    return "new" if TOPICS[kind].newest else "pub"


def _key(message: Message) -> tuple[type[Message], Any]:
    name = TOPICS[type(message)].key
    return type(message), getattr(message, name) if name else None
