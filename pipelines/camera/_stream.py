"""A grab thread: takes every picture that a source gives and keeps the newest, so that no backlog ever builds up.

What OpenCV's captures need (found on 4.14 and 5.0): a capture whose source stalled or died never recovers, though
isOpened() goes on saying yes, so it ends with the first picture that does not come; BUFFERSIZE is ignored by FFmpeg;
releasing one while another thread reads from it crashes, so the thread that opened it releases it.
"""

import logging
import math
import threading
import time
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pipelines import image
from pipelines.camera import CameraLost, Shot

log = logging.getLogger(__name__)
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)  # it warns at each attempt; what counts is told by us

CLOSE_S = 12.0  # V4L2 waits up to 10 s for a device that hangs
LATE_S = 1.0  # a machine that is so far behind a file's pace plays it slower
PACE_MOST = 100.0  # pictures a second; what a file says beyond it is nonsense

Open = Callable[[], cv2.VideoCapture]


class Stream:
    """Runs one capture from its opening to its loss; a lost one is closed, and a new Stream made."""

    def __init__(self, shown: str, opens: Open, decoded_fps: float, paced: bool = False) -> None:
        """``shown``: the source as it may be told. ``opens`` runs in the thread; raises CameraLost. ``paced``: a file,
        which is played at its own pace and from its beginning again."""
        self._shown, self._opens, self._paced = shown, opens, paced
        self._between_s = 1.0 / decoded_fps if decoded_fps > 0 else 0.0
        self._fresh = threading.Condition()
        self._newest: tuple[NDArray[np.uint8], int] | None = None  # BGR, ns; until it is read
        self._ended: BaseException | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"grab {shown}", daemon=True)
        self._thread.start()

    def read(self, wait_s: float = 0.0) -> Shot | None:
        with self._fresh:
            self._fresh.wait_for(lambda: self._newest is not None or self._ended is not None, wait_s)
            if self._ended is not None:  # what was taken before the loss is old news
                raise self._ended
            newest, self._newest = self._newest, None
        if newest is None:
            return None
        picture, at = newest
        return Shot(np.asarray(cv2.cvtColor(image.limit(picture), cv2.COLOR_BGR2RGB), np.uint8), at)

    def stop(self) -> None:
        self._stopping.set()

    def close(self) -> None:
        self.stop()
        self._thread.join(CLOSE_S)
        if self._thread.is_alive():
            log.warning("%s hangs and could not be released", self._shown)

    # --- the thread ---

    def _run(self) -> None:
        ended: BaseException = CameraLost(f"{self._shown} was closed")
        try:
            capture = self._opens()
            try:
                if not self._stopping.is_set():
                    self._play(capture) if self._paced else self._grab(capture)
            finally:
                capture.release()
        except CameraLost as error:
            ended = error
        except cv2.error as error:
            ended = CameraLost(f"{self._shown}: {error.err or 'OpenCV gave up'}")
        except Exception as error:  # a fault of ours: whoever reads is to fail of it, not to wait for ever
            ended = error
        with self._fresh:
            self._ended = ended
            self._fresh.notify_all()

    def _grab(self, capture: cv2.VideoCapture) -> None:
        """Take every picture; decode some. Grabbing paces itself by the source."""
        decoded = -math.inf
        while not self._stopping.is_set():
            if not capture.grab():
                raise CameraLost(f"{self._shown} gives no pictures any more")
            if time.monotonic() - decoded < self._between_s:
                continue
            decoded = time.monotonic()
            self._keep(capture, time.monotonic_ns())

    def _play(self, capture: cv2.VideoCapture) -> None:
        """A file at its own pace, over and over; what comes too late is skipped."""
        fps = capture.get(cv2.CAP_PROP_FPS)
        period = 1.0 / min(fps, PACE_MOST) if math.isfinite(fps) and fps > 0 else 1.0 / 25
        due, shown = time.monotonic(), 0
        while not self._stopping.wait(max(0.0, due - time.monotonic())):
            if capture.grab():
                shown += 1
                late = time.monotonic() - due
                if late <= period or late > LATE_S:
                    self._keep(capture, time.monotonic_ns())
                due += late if late > LATE_S else period
            elif shown == 0 or not capture.set(cv2.CAP_PROP_POS_FRAMES, 0):
                raise CameraLost(f"{self._shown} holds no pictures")
            else:
                due, shown = max(due, time.monotonic() - period), 0

    def _keep(self, capture: cv2.VideoCapture, at: int) -> None:
        done, picture = capture.retrieve()
        if not done or picture is None or picture.size == 0:
            raise CameraLost(f"{self._shown} gave a picture that cannot be decoded")
        with self._fresh:
            self._newest = (_bgr(picture), at)
            self._fresh.notify_all()


def _bgr(picture: NDArray[Any]) -> NDArray[np.uint8]:
    """Infrared cameras give grey, some of them in 16 bits."""
    if picture.dtype == np.uint16:
        picture = (picture // 257).astype(np.uint8)
    if picture.ndim == 2 or picture.shape[2] == 1:
        picture = np.repeat(picture.reshape(*picture.shape[:2], 1), 3, axis=2)
    return np.ascontiguousarray(picture[:, :, :3], np.uint8)
