"""A picture file, or a folder of them shown in turn, as a camera."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipelines import engine, image
from pipelines.camera import CameraLost, Shot

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")


class Pictures:
    """A file is read again when it changes on disk, so that a script can replace it."""

    def __init__(self, source: str, every_s: float, clock: Callable[[], int] = time.monotonic_ns) -> None:
        """``every_s``: when a folder goes on to its next picture; 0: never. Raises EngineError for a source that is
        not there or holds no picture."""
        self._path, self._every_s, self._clock = Path(source), every_s, clock
        self._began = clock()
        self._cached: tuple[Path, int, NDArray[np.uint8]] | None = None
        if not self._path.exists():
            raise engine.EngineError(f"camera: there is no picture, video or folder {source}; set opencv.source")
        if self._path.is_dir() and not self._files():
            raise engine.EngineError(f"camera: the folder {source} holds no picture ({', '.join(SUFFIXES)})")

    def read(self, wait_s: float = 0.0) -> Shot | None:
        """The same array again as long as it is the same picture; raises CameraLost."""
        now = self._clock()
        try:
            files = self._files()
        except OSError as error:
            raise CameraLost(f"{self._path}: {error.strerror}") from error
        if not files:
            raise CameraLost(f"{self._path} holds no picture any more")
        shown = int((now - self._began) / (self._every_s * 1e9)) if self._every_s > 0 else 0
        return Shot(self._load(files[shown % len(files)]), now)

    def stop(self) -> None:
        pass

    def close(self) -> None:
        self._cached = None

    def _files(self) -> list[Path]:
        if self._path.is_dir():
            return sorted(file for file in self._path.iterdir() if file.suffix.lower() in SUFFIXES)
        return [self._path] if self._path.exists() else []

    def _load(self, path: Path) -> NDArray[np.uint8]:
        try:
            changed = path.stat().st_mtime_ns
            if self._cached is None or self._cached[:2] != (path, changed):
                self._cached = (path, changed, image.limit(image.decode(path.read_bytes())))
        except (OSError, image.PictureError) as error:
            raise CameraLost(f"{path}: {error}") from error
        return self._cached[2]
