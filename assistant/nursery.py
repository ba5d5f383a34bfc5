"""Child processes that tell how they are and never outlive their parent, not even one that is killed with -9.

Each child gets an abstract notify socket (no file is left behind) and the reading end of a pipe, whose writing end only
this process holds: when this process is gone, the kernel closes it, and the child ends itself.
"""

import contextlib
import itertools
import os
import selectors
import socket
import subprocess
from collections.abc import Sequence

from assistant.notify import LIFELINE, parse

_NUMBERS = itertools.count()  # abstract addresses are one name space for the whole machine


class Child:
    """One started process: ``notices`` are the fields that it sent."""

    def __init__(self, name: str, command: Sequence[str], lifeline: int) -> None:
        self.name = name
        self.status = ""
        address = f"edge-assistant-{os.getpid()}-{next(_NUMBERS)}-{name}"
        self.notices = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        self.notices.bind("\0" + address)
        environ = {**os.environ, "NOTIFY_SOCKET": "@" + address, LIFELINE: str(lifeline)}
        try:
            self.process = subprocess.Popen(
                command, env=environ, pass_fds=(lifeline,), stdin=subprocess.DEVNULL, start_new_session=True
            )
        except OSError:
            self.notices.close()
            raise

    def news(self) -> dict[str, str]:
        """What it said since the last call (the newest of each field)."""
        fields: dict[str, str] = {}
        with contextlib.suppress(BlockingIOError):
            while True:
                fields.update(parse(self.notices.recv(4096)))
        self.status = fields.get("STATUS", self.status)
        return fields


class Nursery:
    def __init__(self) -> None:
        self.children: dict[str, Child] = {}
        self._selector = selectors.DefaultSelector()
        self._lifeline, self._held = os.pipe2(os.O_CLOEXEC)

    def start(self, name: str, command: Sequence[str]) -> Child:
        """Start a process in a session of its own (Ctrl-C reaches the parent, which stops its children in order)."""
        self.forget(name)
        child = self.children[name] = Child(name, command, self._lifeline)
        self._selector.register(child.notices, selectors.EVENT_READ, child)
        return child

    def watch(self, fd: int) -> None:
        self._selector.register(fd, selectors.EVENT_READ, None)

    def wait(self, timeout_s: float) -> list[tuple[Child, dict[str, str]]]:
        """What children said, as soon as one says something or a watched descriptor is readable."""
        said = []
        for key, _ in self._selector.select(timeout_s):
            if isinstance(key.data, Child):
                said.append((key.data, key.data.news()))
        return said

    def forget(self, name: str) -> None:
        child = self.children.pop(name, None)
        if child is not None:
            self._selector.unregister(child.notices)
            child.notices.close()

    def stop(self, name: str, patience_s: float) -> None:
        """Ask it to end, wait, and kill it if it does not."""
        child = self.children.get(name)
        if child is None:
            return
        child.process.terminate()
        try:
            child.process.wait(patience_s)
        except subprocess.TimeoutExpired:
            child.process.kill()
            child.process.wait()
        self.forget(name)

    def close(self) -> None:
        for name in list(self.children):
            self.stop(name, 1.0)
        self._selector.close()
        os.close(self._held)
        os.close(self._lifeline)
