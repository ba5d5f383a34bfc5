"""A gateway as a process of its own, without the rest of the daemon, and plain HTTP to knock at it with."""

import json
import socket
import ssl
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from assistant.nursery import Nursery
from tests import processes
from tests.processes import PATIENCE_S, hear

MODULE = "assistant.services.gateway"
TOKEN = "a-token-of-the-tests-1234567890"


class Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]  # names in lower case
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """Of an error."""
        return str(self.json["error"]["code"])


class Door(NamedTuple):
    url: str
    log: Path
    runtime: Path

    @property
    def port(self) -> int:
        return int(self.url.rsplit(":", 1)[1])

    @property
    def said(self) -> str:
        return self.log.read_text()

    def connect(self) -> socket.socket:
        """A connection; over TLS without asking who signed it."""
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_S)
        if self.url.startswith("http:"):
            return plain
        trusting = ssl.create_default_context()
        trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
        return trusting.wrap_socket(plain)

    def ask(self, method: str, path: str, body: bytes | Any = b"", **headers: str) -> Answer:
        """One request on a connection of its own; ``_`` in a header's name stands for ``-``. A body that is no bytes is
        sent as JSON."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = {"host": f"127.0.0.1:{self.port}", "connection": "close", "content-length": str(len(raw))}
        sent |= {} if isinstance(body, bytes) else {"content-type": "application/json"}
        sent |= {name.replace("_", "-").lower(): value for name, value in headers.items()}
        head = f"{method} {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in sent.items())
        with self.connect() as connection:
            connection.sendall(head.encode() + b"\r\n" + raw)
            return answer(connection)


def answer(connection: socket.socket) -> Answer:
    """Read one answer up to where the gateway closes the connection, or its length says that it ends."""
    got = b""
    while b"\r\n\r\n" not in got:
        more = connection.recv(65536)
        if not more:
            raise ConnectionError(f"closed after {got!r}")
        got += more
    head, _, body = got.partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    while (
        not status.split()[1].startswith("1")
        and len(body) < int(headers.get("content-length", 1 << 60))
        and (more := connection.recv(65536))
    ):
        body += more
    return Answer(int(status.split()[1]), headers, body)


@contextmanager
def opened(runtime: Path, token: str = "", services: Sequence[str] = (), **settings: Any) -> Iterator[Door]:
    """``token``: one that it asks for. ``services``: those that the daemon is to run."""
    runtime.mkdir(exist_ok=True)
    if token:
        file = Path(tempfile.mkdtemp(dir=runtime)) / "token"
        file.touch(0o600)
        file.write_text(f"# of the tests\n{token}\n")
        settings["token_file"] = str(file)
    command = processes.service(runtime, "gateway", MODULE, **{"port": 0, **settings})
    resolved = runtime / "settings.json"
    resolved.write_text(json.dumps({**json.loads(resolved.read_text()), "supervisor": {"services": services}}))
    log = runtime / "gateway.log"
    quoted = " ".join(f"'{part}'" for part in command)
    nursery = Nursery()
    try:
        nursery.start("gateway", ["sh", "-c", f"exec {quoted} 2>'{log}'"])
        told = hear(nursery, lambda fields: fields.get("STATUS", "").startswith(("ready", "failed")))
        assert told["STATUS"].startswith("ready: http"), told
        yield Door(told["STATUS"].removeprefix("ready: "), log, runtime)
    finally:
        nursery.stop("gateway", PATIENCE_S)
        nursery.close()


def curl(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(["curl", "-s", *arguments], capture_output=True, text=True, timeout=PATIENCE_S)
