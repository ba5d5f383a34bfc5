"""A small HTTP server on loopback that plays a script: the good and the bad manners of OpenAI-compatible servers."""

import json
import select
import socket
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple


class Reply(NamedTuple):
    """What to send: bytes are written, a number is a pause in seconds. ``die`` cuts the connection after that."""

    pieces: tuple[bytes | float, ...] = ()
    status: int = 200
    kind: str = "text/event-stream"
    die: bool = False
    headers: tuple[tuple[str, str], ...] = ()


class Request(NamedTuple):
    path: str
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Server:
    """``replies`` are used up one a request, the last one again and again. ``left`` is set when a client hangs up."""

    def __init__(self, *replies: Reply) -> None:
        self.replies = deque(replies)
        self.requests: list[Request] = []
        self.left = threading.Event()
        self.url = ""


def event(**delta: Any) -> bytes:
    """One server-sent event with one choice."""
    reason = delta.pop("finish_reason", None)
    return data({"id": "1", "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]})


def data(value: Any) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    script: Server

    def do_POST(self) -> None:
        script = self.script
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        script.requests.append(Request(self.path, {k.lower(): v for k, v in self.headers.items()}, body))
        reply = script.replies.popleft() if len(script.replies) > 1 else script.replies[0]
        self.send_response(reply.status)
        self.send_header("content-type", reply.kind)
        self.send_header("transfer-encoding", "chunked")
        for name, value in reply.headers:
            self.send_header(name, value)
        self.end_headers()
        try:
            self._play(reply)
        except OSError:
            script.left.set()
        if reply.die:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)

    def _play(self, reply: Reply) -> None:
        for piece in reply.pieces:
            if isinstance(piece, bytes):
                self._chunk(piece)
            elif self._hung_up(piece):
                break
        if not reply.die:
            self._chunk(b"")

    def _chunk(self, piece: bytes) -> None:
        self.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        self.wfile.flush()

    def _hung_up(self, seconds: float) -> bool:
        """Wait, but end early when the client closes the connection."""
        if select.select([self.connection], [], [], seconds)[0] and not self.connection.recv(1, socket.MSG_PEEK):
            self.script.left.set()
            return True
        return False

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def serving(*replies: Reply) -> Iterator[Server]:
    server = Server(*replies)
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"script": server}))
    httpd.daemon_threads = True
    server.url = f"http://127.0.0.1:{httpd.server_port}/v1"
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        httpd.shutdown()
        httpd.server_close()
        thread.join()
