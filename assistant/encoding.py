"""Pictures are encoded in a thread of their own: what is asked, and what changes meanwhile, is seen to at once."""

import queue
import threading
import time
from collections.abc import Callable
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from assistant.core import closer
from assistant.journal import about
from assistant.messages import Embedding, Frame, Look, NpuCost
from pipelines import image, vision
from pipelines.npu.lock import Rank

STUCK_S = 60.0  # an encoder that takes longer than this will not come back
LAST_S = 5.0  # a process that ends lets a picture come to its end for so long: the NPU is at it


Why = Literal["asked", "spoken", "voice", "idle"]  # somebody asks, speaks, may be beginning to; or nobody does


class Job(msgspec.Struct, frozen=True):
    """A frame to be encoded."""

    look: Look  # whose turn and region it is for
    frame: Frame
    picture: NDArray[np.uint8]  # all of the frame: RGB [height, width, 3]
    rank: Rank
    why: Why

    @property
    def identity(self) -> str:
        return identity(self.frame, self.look.region)


class Encoded(msgspec.Struct, frozen=True):
    """What came of it: a message with its payload, or an error."""

    job: Job
    message: Embedding
    payload: bytes
    error: Exception | None = None


class Encoding:
    """One picture at a time: ``begin``, then ``take`` what came of it. The thread ends with the process at last."""

    def __init__(self, encoder: vision.Encoder, share: float, wake: Callable[[], None]) -> None:
        """``share``: of width and height that "look closer" shows; ``wake`` is called, from the thread, when there is
        something to ``take``."""
        self._encoder, self._share, self._wake = encoder, share, wake
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[Encoded] = queue.SimpleQueue()
        self._began = 0.0
        self.job: Job | None = None  # that was begun, and not taken yet
        self._thread = threading.Thread(target=self._work, name="encoding", daemon=True)
        self._thread.start()

    def begin(self, job: Job) -> None:
        assert self.job is None
        self.job, self._began = job, time.monotonic()
        self._jobs.put(job)

    def take(self) -> Encoded | None:
        """What came of the job, once; None while there is nothing. Raises what was no EngineError, and TimeoutError for
        an encoder that hangs."""
        if self.job is None:
            return None
        try:
            done = self._done.get_nowait()
        except queue.Empty:
            if time.monotonic() - self._began > STUCK_S:
                raise TimeoutError(f"a picture has not been encoded for {STUCK_S:.0f} s") from None
            return None
        self.job = None
        return done

    def close(self) -> None:
        self._jobs.put(None)
        self._thread.join(LAST_S)

    def shown(self, job: Job) -> NDArray[np.uint8]:
        """The part of the frame that is wanted, RGB."""
        left, top, right, bottom = closer.window(job.look.region, job.frame.width, job.frame.height, self._share)
        return np.ascontiguousarray(job.picture[top:bottom, left:right])

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                with about(None if job.rank is Rank.IDLE else job.look.turn):
                    message, payload = self._encoded(job)
                self._done.put(Encoded(job, message, payload))
            except Exception as error:  # told where it is taken
                self._done.put(Encoded(job, _message(job), b"", error))
            self._wake()

    def _encoded(self, job: Job) -> tuple[Embedding, bytes]:
        picture = self.shown(job)
        began = time.perf_counter()
        encoding = self._encoder.encode(picture, job.rank)
        took_ms, at, cost = (time.perf_counter() - began) * 1000, time.monotonic_ns(), encoding.npu
        message = msgspec.structs.replace(
            _message(job),
            form="rows" if self._encoder.width else "jpeg",
            tokens=encoding.rows.shape[0],
            width=encoding.rows.shape[1],
            grid=encoding.grid,
            engine_ms=took_ms,
            npu=None if cost is None else NpuCost(cost.wait_ms, cost.hold_ms, cost.behind),
            encoded_at=at,
        )
        if self._encoder.width:
            return message, np.ascontiguousarray(encoding.rows, np.float32).tobytes()
        return message, image.encode_jpeg(picture)


def identity(frame: Frame, region: str) -> str:
    """Of the picture that shows this part of the frame."""
    return f"{frame.identity}#{region}" if region else frame.identity


def _message(job: Job) -> Embedding:
    frame = job.frame
    return Embedding(
        turn=job.look.turn,
        identity=job.identity,
        camera=frame.camera,
        frame_seq=frame.seq,
        captured_at=frame.captured_at,
        verified_at=frame.captured_at,
        signature=frame.signature,
        region=job.look.region,
        form="rows",
        ahead=job.why != "asked",
    )
