"""A network camera on loopback: MJPEG over HTTP as cameras send it, with the good and the bad manners of theirs."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

FPS = 30.0
Manner = Literal["plays", "stalls", "silent", "refuses"]


class MjpegCamera:
    """Shows ``picture`` (RGB), or grey that counts up: picture number n of a connection has the level n % 250."""

    def __init__(self, picture: NDArray[np.uint8] | None = None) -> None:
        self.picture = picture
        self.manner: Manner = "plays"
        self.connections = 0
        self.watching = 0  # clients that are connected now
        self.sent = 0  # pictures, of the newest connection
        self.changed = threading.Condition()
        self.url = ""
        self._port = 0
        self._server: ThreadingHTTPServer | None = None
        self._off = threading.Event()

    def on(self) -> None:
        """Listen, on the port of the first time."""
        camera = self
        off = self._off = threading.Event()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                camera._serve(self, off)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), Handler)
        self._server.daemon_threads = True
        self._port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self._port}/stream"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def off(self) -> None:
        """Die: the port is closed, and so is every connection."""
        if self._server is not None:
            self._off.set()
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def until(self, what: str, patience_s: float = 20.0) -> None:
        """Wait until an expression over this camera holds: ``until("sent > 5")``."""
        with self.changed:
            assert self.changed.wait_for(lambda: eval(what, {}, vars(self)), patience_s), f"{what}: {vars(self)}"

    def _serve(self, request: BaseHTTPRequestHandler, off: threading.Event) -> None:
        if self.manner == "refuses":
            request.send_error(401)
            return
        self._count(connections=1, watching=1, sent=-self.sent)
        try:
            if self.manner == "silent":
                off.wait()
                return
            request.send_response(200)
            request.send_header("Content-Type", "multipart/x-mixed-replace; boundary=cut")
            request.end_headers()
            while not off.wait(1.0 / FPS):
                if self.manner == "plays":
                    jpeg = self._jpeg()
                    head = f"--cut\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                    request.wfile.write(head.encode() + jpeg + b"\r\n")
                    self._count(sent=1)
                else:  # a peer that hung up shows itself only when it is written to
                    request.wfile.write(b"\r\n")
        except OSError:
            pass
        finally:
            self._count(watching=-1)

    def _jpeg(self) -> bytes:
        level = self.sent % 250
        shown = np.full((48, 64, 3), level, np.uint8) if self.picture is None else self.picture[:, :, ::-1]
        return bytes(cv2.imencode(".jpg", shown, [cv2.IMWRITE_JPEG_QUALITY, 95])[1])

    def _count(self, **changes: int) -> None:
        with self.changed:
            for name, change in changes.items():
                setattr(self, name, getattr(self, name) + change)
            self.changed.notify_all()


@contextmanager
def mjpeg(picture: NDArray[np.uint8] | None = None) -> Iterator[MjpegCamera]:
    camera = MjpegCamera(picture)
    camera.on()
    try:
        yield camera
    finally:
        camera.off()
