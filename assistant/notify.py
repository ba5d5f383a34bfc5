"""Telling whoever started this process how it is, and noticing that they are gone.

The first is the sd_notify protocol, for systemd and our supervisor alike; source: sd_notify(3). A datagram of
``NAME=value`` lines goes to the socket that $NOTIFY_SOCKET names ("@" = abstract).
"""

import contextlib
import os
import select
import socket
import stat
import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

LIFELINE = "ASSISTANT_LIFELINE"  # number of a pipe's descriptor whose other end closes when our starter is gone


def lifeline(environ: Mapping[str, str] = os.environ) -> int | None:
    """The descriptor to watch, where the starter gave one (a grandchild inherits the variable, not the pipe)."""
    if not environ.get(LIFELINE, "").isdigit():
        return None
    fd = int(environ[LIFELINE])
    try:
        return fd if stat.S_ISFIFO(os.fstat(fd).st_mode) else None
    except OSError:
        return None


def cut(fd: int) -> bool:
    """Is the starter at the other end of the lifeline gone? (Nothing is ever written to it.)"""
    return bool(select.select([fd], [], [], 0)[0])


def last_resort(fd: int, patience_s: float, leftovers: Iterable[Path]) -> None:
    """End this process some time after its starter has gone, even if its loop hangs: nothing outlives the starter.

    The one thing that cannot be left to the loop. It shares nothing with it, and says nothing for it.
    """

    def wait() -> None:
        select.select([fd], [], [])
        time.sleep(patience_s)
        for path in leftovers:
            with contextlib.suppress(OSError):
                path.unlink()
        os._exit(1)

    threading.Thread(target=wait, name="last-resort", daemon=True).start()


class Notifier:
    """Says READY=1, STATUS=…, WATCHDOG=1, EXTEND_TIMEOUT_USEC=…; silent where nobody listens."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        address = environ.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._watchdog_us = _watchdog(environ)
        self._lent = False  # was the watchdog told to be more patient?

    def alive(self) -> None:
        """Feed the watchdog; a longer patience that was asked for is over."""
        again: dict[str, str | int] = {"WATCHDOG_USEC": self._watchdog_us} if self._lent else {}
        self._lent = False
        self.tell(WATCHDOG=1, **again)

    def busy(self, what: str, at_most_s: float) -> None:
        """Ask for so much patience, until ``alive``. systemd's EXTEND_TIMEOUT_USEC is heard only until READY (and while
        stopping): for its watchdog, which runs from then on, the patience must be named anew."""
        extra = int(at_most_s * 1e6)
        self._lent = self._watchdog_us > 0
        longer: dict[str, str | int] = {"WATCHDOG_USEC": self._watchdog_us + extra} if self._lent else {}
        self.tell(STATUS=what, WATCHDOG=1, EXTEND_TIMEOUT_USEC=extra, **longer)

    def tell(self, **fields: str | int) -> None:
        if not self._address:
            return
        # A value is one line: the rest of an error's text must not read as fields of its own.
        text = "\n".join(f"{name}={' '.join(str(value).splitlines())}" for name, value in fields.items())
        # Where the starter is gone or does not read, that must not stop a working service.
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sending:
            sending.sendto(text.encode(), socket.MSG_DONTWAIT, self._address)


def _watchdog(environ: Mapping[str, str]) -> int:
    """Microseconds that systemd's watchdog waits; 0: it has none for this process (sd_watchdog_enabled(3))."""
    meant = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    text = environ.get("WATCHDOG_USEC", "")
    return int(text) if meant and text.isdecimal() else 0


def parse(datagram: bytes) -> dict[str, str]:
    """The fields of one notification; lines that are no assignments are ignored."""
    lines = datagram.decode("utf-8", "replace").splitlines()
    return {name: value for name, equals, value in (line.partition("=") for line in lines) if equals}
