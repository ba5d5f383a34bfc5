"""Cameras through OpenCV (Apache-2.0, on the CPU). Here: a picture file, or a folder of pictures shown in turn."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pipelines import engine, image
from pipelines.camera import CameraLost

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")


class Options(engine.Options, frozen=True, kw_only=True):
    source: str  # a picture file, or a folder of them in the order of their names
    every_s: float = 0.0  # a folder goes on to its next picture after this long; 0: it stays on the first


class Engine:
    """Shows picture files. A file is read again when it changes on disk, so that a script can replace it."""

    Options: TypeAlias = Options

    def __init__(self, options: Options, clock: Callable[[], float] = time.monotonic) -> None:
        """Raises EngineError for a source that is not there or holds no picture."""
        self._options, self._clock = options, clock
        self._began = clock()
        self._cached: tuple[Path, int, NDArray[np.uint8]] | None = None
        path = Path(options.source)
        if not path.exists():
            raise engine.EngineError(f"camera: there is no picture or folder {path}; set camera.source.opencv.source")
        if path.is_dir() and not self._files():
            raise engine.EngineError(f"camera: the folder {path} holds no picture ({', '.join(SUFFIXES)})")

    def read(self) -> NDArray[np.uint8]:
        files = self._files()
        if not files:
            raise CameraLost(f"{self._options.source} holds no picture any more")
        shown = int((self._clock() - self._began) / self._options.every_s) if self._options.every_s > 0 else 0
        return self._load(files[shown % len(files)])

    def close(self) -> None:
        self._cached = None

    def _files(self) -> list[Path]:
        path = Path(self._options.source)
        if path.is_dir():
            return sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES)
        return [path] if path.exists() else []

    def _load(self, path: Path) -> NDArray[np.uint8]:
        try:
            changed = path.stat().st_mtime_ns
            if self._cached is None or self._cached[:2] != (path, changed):
                self._cached = (path, changed, image.limit(image.decode(path.read_bytes())))
        except (OSError, image.PictureError) as error:
            raise CameraLost(f"{path}: {error}") from error
        return self._cached[2]
