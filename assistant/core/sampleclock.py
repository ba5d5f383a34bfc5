"""When each sample of a stream was heard: counted, and led by the blocks' own times without following their jitter.

A sound card's clock runs a little fast or slow against the machine's (100 ppm are a third of a second an hour), and the
time of a block is only known to within a few milliseconds. So samples are counted, and the count is led towards the
blocks' times by at most a hundredth; only where sound was lost does it jump.
"""

MS = 1_000_000  # ns
GAP_NS = 100 * MS  # a block that is this late comes after a loss
CALM_NS = 5 * MS  # this much is jitter
LEAD = 100  # at most one part in that many


class SampleClock:
    """Two counts that are led together: of the sound that came in, and of the frames that were made of it."""

    def __init__(self, frame_ns: int) -> None:
        self._frame_ns = frame_ns
        self._next_in: int | None = None  # when the next block should begin, ns
        self._next_frame = 0
        self._lead = 0  # ns that each frame is to be shorter (or longer, if negative)

    def block(self, first_sample_at: int, length: int) -> bool:
        """A block came in, ``length`` ns long. True if sound was lost before it (or it is the first one): what was not
        made into a frame yet must be forgotten, for the next frame begins with this block."""
        ahead = 0 if self._next_in is None else self._next_in - first_sample_at
        if self._next_in is None or ahead < -GAP_NS:
            self._next_frame = max(self._next_frame, first_sample_at)
            self._next_in, self._lead = first_sample_at + length, 0
            return True
        self._lead = max(-self._frame_ns // LEAD, min(self._frame_ns // LEAD, ahead)) if abs(ahead) > CALM_NS else 0
        self._next_in += length
        return False

    def frame(self) -> tuple[int, int]:
        """When the next frame begins, and how long it is, ns; none overlaps the one before it."""
        at, passed = self._next_frame, self._frame_ns - self._lead
        self._next_frame += passed
        assert self._next_in is not None
        self._next_in -= self._lead
        return at, min(self._frame_ns, passed)
