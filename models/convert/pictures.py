"""Pictures for calibration and comparison: found, read, and made what the encoder is shown on a board."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.convert.outcome import Refused
from pipelines.image import Picture, PictureError, decode, fit

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")  # what pipelines.image decodes
NAMED = 5  # pictures that are named where more cannot be read
Three = tuple[float, float, float]


class Read(NamedTuple):
    """What came of a set: pictures with their names, and what could not be read, each with the reason."""

    names: list[str]
    pictures: list[Picture]
    unreadable: list[str]


def find(given: Path) -> list[Path]:
    """The pictures of a folder, by name, with those in folders below it; or those that a text file lists, one a line.

    Paths in a list are taken from where the list lies. Raises Refused where there is no picture.
    """
    if given.is_dir():
        found = sorted(path for path in given.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    elif given.suffix.lower() in SUFFIXES and given.is_file():
        found = [given]
    else:
        try:
            lines = given.read_text().splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise Refused(f"{given} is neither a folder of pictures nor a list of them ({_why(error)})") from error
        found = [given.parent / line.strip() for line in lines if line.strip() and not line.startswith("#")]
    if not found:
        raise Refused(f"{given} holds no picture; wanted are {', '.join(SUFFIXES)}")
    return found


def read(paths: Sequence[Path], skip: bool = False) -> Read:
    """Decode them all. A picture that cannot be read is named and refused: what is wrong with one file of a set is
    often wrong with the set. With ``skip`` it is left out, and counted; a set without any picture left is refused.
    """
    names: list[str] = []
    pictures: list[Picture] = []
    unreadable: list[str] = []
    for path in paths:
        try:
            pictures.append(decode(path.read_bytes()))
            names.append(path.name)
        except (OSError, PictureError) as error:
            unreadable.append(f"{path}: {_why(error)}")
    if unreadable and not (skip and pictures):
        more = f"; and {len(unreadable) - NAMED} more" if len(unreadable) > NAMED else ""
        mend = "there is none left" if skip else "mend or remove them, or leave them out with --skip-unreadable"
        raise Refused(
            f"{len(unreadable)} of {len(paths)} pictures cannot be read: {'; '.join(unreadable[:NAMED])}{more}; {mend}"
        )
    return Read(names, pictures, unreadable)


def framed(pictures: Sequence[Picture], height: int, width: int, padding: tuple[int, int, int]) -> list[Picture]:
    """Each in the encoder's frame, as pipelines/vision/rknn.py does it on a board."""
    return [fit(picture, height, width, padding) for picture in pictures]


def normalised(picture: Picture, mean: Three, std: Three) -> NDArray[np.float32]:
    """Pixel values as the graph takes them: [1, 3, height, width], (value - mean) / std with values of 0 … 255."""
    values = (picture.astype(np.float32) - np.array(mean, np.float32)) / np.array(std, np.float32)
    return np.ascontiguousarray(values.transpose(2, 0, 1)[np.newaxis], dtype=np.float32)


def calibration(folder: Path, frames: Sequence[NDArray[np.float32]]) -> Path:
    """Write a calibration set as the toolkit reads it; returns its list.

    Arrays [1, 3, height, width] rather than pictures: one way for pixels and for normalised values, and nothing is
    resized behind our back. Paths in the list are relative, so that a space in the folder's name does not split them
    (rknn-toolkit2 2.5.0 takes each line's words as the inputs of one sample, relative to where the list lies).
    """
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"{number:05}.npy" for number in range(len(frames))]
    for name, frame in zip(names, frames, strict=True):
        np.save(folder / name, frame)
    (folder / "dataset.txt").write_text("".join(f"{name}\n" for name in names))
    return folder / "dataset.txt"


def _why(error: Exception) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
