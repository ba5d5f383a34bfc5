"""Telling whoever started this process how it is, and noticing that they are gone.

The first is the sd_notify protocol, for systemd and our supervisor alike; source: sd_notify(3). A datagram of
``NAME=value`` lines goes to the socket that $NOTIFY_SOCKET names ("@" = abstract).
"""

import os
import select
import socket
from collections.abc import Mapping

LIFELINE = "ASSISTANT_LIFELINE"  # number of a pipe's descriptor whose other end closes when our starter is gone


def lifeline(environ: Mapping[str, str] = os.environ) -> int | None:
    """The descriptor to watch, where the starter gave one."""
    return int(environ[LIFELINE]) if environ.get(LIFELINE, "").isdigit() else None


def cut(fd: int) -> bool:
    """Is the starter at the other end of the lifeline gone? (Nothing is ever written to it.)"""
    return bool(select.select([fd], [], [], 0)[0])


class Notifier:
    """Says READY=1, STATUS=…, WATCHDOG=1, EXTEND_TIMEOUT_USEC=…; silent where nobody listens."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        address = environ.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) if address else None

    def tell(self, **fields: str | int) -> None:
        if self._socket is None:
            return
        text = "\n".join(f"{name}={value}" for name, value in fields.items())
        try:
            self._socket.sendto(text.encode(), socket.MSG_DONTWAIT, self._address)
        except OSError:
            return  # the starter is gone or does not read: that must not stop a working service


def parse(datagram: bytes) -> dict[str, str]:
    """The fields of one notification; lines that are no assignments are ignored."""
    lines = datagram.decode("utf-8", "replace").splitlines()
    return {name: value for name, equals, value in (line.partition("=") for line in lines) if equals}
