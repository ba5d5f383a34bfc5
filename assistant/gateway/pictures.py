"""What the cameras show, and small copies of what was encoded. In memory alone, and only while somebody looks."""

import asyncio
import time
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator

import numpy as np

from assistant.gateway.errors import Refusal
from assistant.gateway.link import Link
from assistant.messages import LIVE, CameraState, Cleared, Frame, Thumbnail
from assistant.wire import Received
from pipelines import image

KEEP = 32  # thumbnails
FRAME_S = 5.0  # for a camera to show something
STREAM_LONGEST, STREAM_QUALITY = 960, 75
BOUNDARY = b"frame"


class Pictures:
    """``note`` every message."""

    def __init__(self, link: Link, viewers: int) -> None:
        """``viewers``: of streams, at the same time."""
        self._link, self._most = link, viewers
        self._thumbnails: OrderedDict[str, bytes] = OrderedDict()
        self._encoded: OrderedDict[tuple[str, int], asyncio.Task[bytes]] = OrderedDict()
        self._viewers: Counter[str] = Counter()

    def note(self, received: Received) -> None:
        match received.message:
            case Thumbnail(identity=identity):
                self._thumbnails[identity] = bytes(received.payload)
                while len(self._thumbnails) > KEEP:
                    self._thumbnails.popitem(last=False)
            case Cleared(conversation=name, why="asked") if name == LIVE:
                self._thumbnails.clear()

    def thumbnail(self, identity: str) -> bytes:
        """JPEG. Raises Refusal (404)."""
        if identity not in self._thumbnails:
            raise Refusal(
                404,
                "no_picture",
                "That picture is not here any more.",
                "picture",
                mend=f"The last {KEEP} that were encoded are kept, until the conversation is cleared.",
            )
        return self._thumbnails[identity]

    def camera(self, name: str) -> str:
        """A camera that shows something; "": the first. Raises Refusal (404, 409, 503)."""
        known = self._link.state.camera
        chosen = name or next(iter(known), "")
        if chosen not in known:
            there = ", ".join(known) or "none yet"
            raise Refusal(404, "unknown_camera", f"There is no camera {name[:80]!r}; there are: {there}.", "camera")
        now = known[chosen]
        if now.state == "muted":
            raise Refusal(409, "camera_muted", f"The camera {chosen} is muted.", mend="POST /api/v1/mute turns it on.")
        if now.state == "lost":
            raise Refusal(
                503, "camera_lost", f"The camera {chosen} is lost: {now.detail}.", mend="See GET /api/v1/health."
            )
        return chosen

    async def frame(self, name: str) -> bytes:
        """JPEG of what a camera shows now, as it was captured. Raises Refusal (404, 409, 503, 504)."""
        chosen = self.camera(name)
        with self._link.follow(Frame, where=lambda received: _of(received) == chosen, limit=1, newest=True) as inbox:
            received = await inbox.get(FRAME_S)
        if received is None:
            raise Refusal(
                504,
                "no_frame",
                f"The camera {chosen} showed nothing for {FRAME_S:g} s.",
                mend="See GET /api/v1/health.",
            )
        return await self._jpeg(received, 0)

    async def stream(self, name: str, fps: float) -> AsyncIterator[bytes]:
        """Parts of a multipart/x-mixed-replace answer, until the camera shows nothing any more. Raises Refusal before
        the first (404, 409, 429, 503)."""
        chosen = self.camera(name)
        if self._viewers.total() >= self._most:
            raise Refusal(429, "too_many", f"{self._most} look already.", headers={"Retry-After": "10"})
        self._viewers[chosen] += 1
        due = 0.0
        try:
            with self._link.follow(
                Frame, CameraState, where=lambda received: _of(received) == chosen, limit=2, newest=True
            ) as inbox:
                async for received in inbox:
                    if isinstance(received.message, CameraState):
                        if received.message.state != "live":
                            return  # a page must not go on showing what is no longer seen
                        continue
                    if time.monotonic() < due:
                        continue
                    due = time.monotonic() + 1 / fps
                    jpeg = await self._jpeg(received, STREAM_LONGEST)
                    head = b"--%b\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % (BOUNDARY, len(jpeg))
                    yield head + jpeg + b"\r\n"
        finally:
            self._viewers[chosen] -= 1

    async def _jpeg(self, received: Received, longest: int) -> bytes:
        """Encoded once for all that look; ``longest``: of its sides at most, 0: as it is."""
        frame = received.message
        assert isinstance(frame, Frame)
        key = frame.identity, longest
        task = self._encoded.get(key)
        if task is None:
            task = asyncio.ensure_future(asyncio.to_thread(_encode, received, longest))
            self._encoded[key] = task
            while len(self._encoded) > 4:
                self._encoded.popitem(last=False)
        return await asyncio.shield(task)


def _encode(received: Received, longest: int) -> bytes:
    frame = received.message
    assert isinstance(frame, Frame)
    picture = np.frombuffer(received.payload, np.uint8).reshape(frame.height, frame.width, 3)
    if not longest:
        return image.encode_jpeg(picture)
    return image.encode_jpeg(image.limit(picture, longest, longest), STREAM_QUALITY)


def _of(received: Received) -> str:
    message = received.message
    assert isinstance(message, Frame | CameraState)
    return message.camera
