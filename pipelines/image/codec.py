"""Picture files to pixels and back (OpenCV, Apache-2.0). What a file would cost is known before it is decoded."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.image import _header
from pipelines.image.fit import Picture

MAX_BYTES = 16 * 1024 * 1024  # what one bus message may carry
MAX_PIXELS = 25_000_000  # a 24-megapixel photograph; 75 MB once decoded
# EXIF orientation -> the array with its first row at the top and its first column at the left.
UPRIGHT: dict[int, Any] = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: a.swapaxes(0, 1)[:, ::-1],
    7: lambda a: a.swapaxes(0, 1)[::-1, ::-1],
    8: lambda a: a.swapaxes(0, 1)[::-1],
}


class PictureError(Exception):
    """A file is no picture that can be taken; the text says why."""


def size(data: bytes) -> tuple[int, int]:
    """Width and height of a picture file as stored, by its header alone. Raises what ``decode`` does before it does."""
    header = _checked(data)
    return header.width, header.height


def decode(data: bytes) -> Picture:
    """A PNG, JPEG, BMP or WebP file as RGB uint8, upright by its EXIF orientation.

    Grey becomes RGB, 16 bits become 8, what is transparent lies on white, an animation shows its first picture.
    Raises PictureError for other formats, damage, more than MAX_BYTES, and more than MAX_PIXELS (before decoding).
    """
    header = _checked(data)
    upright = UPRIGHT[header.orientation](_rgb(_decoded(data, header)))
    return np.ascontiguousarray(upright)


def _checked(data: bytes) -> _header.Header:
    if not data:
        raise PictureError("the picture is empty: no bytes")
    if len(data) > MAX_BYTES:
        raise PictureError(f"the picture has {len(data)} bytes; at most {MAX_BYTES} are taken")
    try:
        header = _header.read(data)
    except _header.Damaged as error:
        raise PictureError(f"the picture is damaged: {error}") from error
    if header is None:
        raise PictureError("this is no picture in PNG, JPEG, BMP or WebP format")
    if header.width < 1 or header.height < 1:
        raise PictureError(f"the picture is damaged: it says it is {header.width}x{header.height} pixels")
    if header.width * header.height > MAX_PIXELS:
        raise PictureError(
            f"the picture has {header.width}x{header.height} pixels; at most {MAX_PIXELS} are taken, make it smaller"
        )
    return header


def encode_jpeg(picture: Picture, quality: int = 90) -> bytes:
    """The picture as a JPEG file of quality 1 … 100. Raises PictureError."""
    import cv2

    return _encoded(picture, ".jpg", [cv2.IMWRITE_JPEG_QUALITY, quality])


def encode_png(picture: Picture) -> bytes:
    """The picture as a PNG file, without loss. Raises PictureError."""
    return _encoded(picture, ".png", [])


def _decoded(data: bytes, header: _header.Header) -> NDArray[Any]:
    import cv2

    # Orientation is applied by us: OpenCV does so for some formats and versions, and never where it keeps alpha.
    flags = cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        found: NDArray[Any] | None = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        raise PictureError(f"the picture cannot be decoded: {error.err or error}") from error
    if found is None or found.shape[:2] != (header.height, header.width):
        raise PictureError("the picture is damaged: its header can be read, its pixels cannot")
    return found


def _rgb(found: NDArray[Any]) -> Picture:
    """What OpenCV decoded (grey, BGR or BGRA, of 8 or 16 bits) as RGB of 8 bits."""
    if found.dtype == np.uint16:
        found = (found // 257).astype(np.uint8)  # 65535 -> 255
    if found.dtype != np.uint8:
        raise PictureError(f"the picture has samples of {found.dtype}, which are not taken")
    if found.ndim == 2 or found.shape[2] == 1:
        return np.repeat(found.reshape(*found.shape[:2], 1), 3, axis=2)
    color: Picture = found[:, :, 2::-1]
    if found.shape[2] == 3 or bool((found[:, :, 3] == 255).all()):
        return color
    alpha = found[:, :, 3:].astype(np.uint16)
    return ((color * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)


def _encoded(picture: Picture, suffix: str, settings: list[int]) -> bytes:
    import cv2

    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or picture.size == 0:
        raise PictureError(f"no RGB picture: an array of {picture.dtype} {list(picture.shape)}")
    try:
        done, data = cv2.imencode(suffix, np.ascontiguousarray(picture[:, :, ::-1]), settings)
    except cv2.error as error:
        raise PictureError(f"the picture cannot be encoded: {error.err or error}") from error
    if not done:
        raise PictureError("the picture cannot be encoded")
    return bytes(data)
