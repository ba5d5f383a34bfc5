"""What the cameras show: the newest frame of each, and how each of them is."""

from collections import OrderedDict

import msgspec
import numpy as np
from numpy.typing import NDArray

from assistant.messages import CameraState, Frame
from pipelines.image.quality import Fault, Limits, fault

SENT = 8  # pictures sent for one question each are a camera of their own


class Seen(msgspec.Struct, frozen=True):
    frame: Frame
    pixels: memoryview | bytes

    @property
    def picture(self) -> NDArray[np.uint8]:
        """RGB [height, width, 3]."""
        return np.frombuffer(self.pixels, np.uint8).reshape(self.frame.height, self.frame.width, 3)


class Views:
    def __init__(self, quality: Limits) -> None:
        """``quality``: what nothing can be seen on is worse than this."""
        self._quality = quality
        self._newest: OrderedDict[str, Seen] = OrderedDict()  # by camera
        self._states: dict[str, CameraState] = {}

    def show(self, seen: Seen) -> None:
        self._newest[seen.frame.camera] = seen
        self._newest.move_to_end(seen.frame.camera)
        while len(self._newest) > SENT + len(self._states):
            self._newest.popitem(last=False)

    def note(self, state: CameraState) -> None:
        if state.called:
            self._states[state.camera] = state
        if state.state != "live":
            self._newest.pop(state.camera, None)

    def newest(self, camera: str) -> Seen | None:
        return self._newest.get(camera)

    def state(self, camera: str) -> CameraState | None:
        return self._states.get(camera)

    def fault(self, seen: Seen) -> Fault | None:
        """What is wrong with a camera's picture: with all of it, a part may well be a plain wall. A picture that was
        sent for a question is no camera's, and may be what it likes."""
        state = self._states.get(seen.frame.camera)
        return fault(seen.picture, self._quality) if state is not None and state.called else None
