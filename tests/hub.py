"""A small hub on loopback: serves files with ranges, and plays the bad manners of real ones."""

import ssl
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple


class Manners(NamedTuple):
    """How one request is answered; by default as it should be."""

    status: int = 0  # 0: as fits
    headers: tuple[tuple[str, str], ...] = ()
    cut_after: int = -1  # bytes of the body, then the connection breaks
    pause_s: float = 0.0  # in the middle of the body
    announce: int = 0  # Content-Length that is claimed; 0: the true one, -1: none
    ranges: bool = True


class Asked(NamedTuple):
    path: str
    headers: dict[str, str]


class Hub:
    """``files``: path -> contents. ``manners`` are used up one a request; after them all is well."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.manners: deque[Manners] = deque()
        self.asked: list[Asked] = []
        self.etag = '"one"'
        self.go_on = threading.Event()  # ends pauses
        self.paused = threading.Event()
        self.url = ""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def do_GET(self) -> None:
        hub = self.hub
        hub.asked.append(Asked(self.path, {name.lower(): value for name, value in self.headers.items()}))
        manners = hub.manners.popleft() if hub.manners else Manners()
        body = hub.files.get(self.path.partition("?")[0])
        status, start = manners.status or (200 if body is not None else 404), 0
        wanted = self.headers.get("range", "")
        same = self.headers.get("if-range", hub.etag) == hub.etag
        if body is not None and wanted and manners.ranges and same and status == 200:
            start, status = int(wanted.removeprefix("bytes=").rstrip("-")), 206
            status = 416 if start >= len(body) else status
        self._send(status, body if status in (200, 206) and body else b"", start, manners)

    def _send(self, status: int, body: bytes, start: int, manners: Manners) -> None:
        self.send_response(status)
        rest = body[start:]
        if status == 206:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        if manners.announce >= 0:
            self.send_header("Content-Length", str(manners.announce or len(rest)))
        else:
            self.close_connection = True
        self.send_header("ETag", self.hub.etag)
        for name, value in manners.headers:
            self.send_header(name, value)
        self.end_headers()
        try:
            sent = rest if manners.cut_after < 0 else rest[: manners.cut_after]
            self.wfile.write(sent[: len(sent) // 2])
            self.wfile.flush()
            if manners.pause_s:
                self.hub.paused.set()
                self.hub.go_on.wait(manners.pause_s)
            self.wfile.write(sent[len(sent) // 2 :])
        except OSError:
            self.close_connection = True
        if manners.cut_after >= 0 or manners.announce > 0:
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def serving(tls: ssl.SSLContext | None = None) -> Iterator[Hub]:
    hub = Hub()
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    httpd.daemon_threads = True
    if tls:
        httpd.socket = tls.wrap_socket(httpd.socket, server_side=True)
    hub.url = f"{'https' if tls else 'http'}://127.0.0.1:{httpd.server_port}"
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.go_on.set()
        httpd.shutdown()
        httpd.server_close()
        thread.join()
