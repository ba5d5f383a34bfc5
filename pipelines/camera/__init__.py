"""Cameras: the newest picture of a source, in its native size."""

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from pipelines import engine


class CameraLost(Exception):
    """The source stopped giving pictures; the text says which and why. The object is of no further use."""


class Shot(NamedTuple):
    """``picture``: RGB uint8 [height, width, 3]. ``at``: CLOCK_MONOTONIC ns, when it came from the source."""

    picture: NDArray[np.uint8]
    at: int


class Camera(Protocol):
    def read(self, wait_s: float = 0.0) -> Shot | None:
        """The newest picture that was not read yet; None where none has come within ``wait_s`` (the source is still
        being opened, or stalls). Raises CameraLost."""

    def stop(self) -> None:
        """Begin to end; returns at once. So that several can be closed in the time of one."""

    def close(self) -> None:
        """Release the device, and return when it is free; the object is of no further use."""


def load(name: str, options: Mapping[str, Any]) -> Camera:
    """Open the camera of the engine called ``name``. Raises EngineError (nothing but new settings can help), or
    CameraLost, then or at the first ``read``."""
    return cast(Camera, engine.load("camera", name, options))
