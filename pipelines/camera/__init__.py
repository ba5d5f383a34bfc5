"""Cameras: the newest picture of a source, in its native size."""

from collections.abc import Mapping
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from pipelines import engine


class CameraLost(Exception):
    """The source stopped giving pictures; the text says which and why. The object is of no further use."""


class Camera(Protocol):
    def read(self) -> NDArray[np.uint8]:
        """The next picture, RGB uint8 [height, width, 3]. Raises CameraLost."""

    def close(self) -> None:
        """Release the device; the object is of no further use."""


def load(name: str, options: Mapping[str, Any]) -> Camera:
    """Open the camera of the engine called ``name``. Raises EngineError or CameraLost."""
    return cast(Camera, engine.load("camera", name, options))
