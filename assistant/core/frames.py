"""Does a picture still show exactly what another showed? By blocks, and the worst block decides: a lamp that turned red
changes little of the whole picture.

A signature is a thumbnail of GRID blocks (mean of luma and two chromas) with the size of its picture in front, because
that size tells how much of a block camera noise and a shift by one pixel may move. Exposure and white balance, which
cameras change on their own, are fitted and taken out before blocks are compared.
"""

import math
import struct

import cv2
import numpy as np
from numpy.typing import NDArray

GRID = (64, 48)  # blocks across and down: in 720p a block is 20 by 15 pixels
SAME_SCENE = 12.0  # worst block difference, in grey levels of 255, up to which a picture shows the same

_HEADER = struct.Struct("<BHH")  # version, width, height
_VERSION = 1
_GAIN = (0.8, 1.25)  # what an automatic exposure may do between two looks at the same scene
_OFFSET = 24.0  # grey levels, likewise
_TINT = 8.0  # levels of chroma, white balance
_SHIFT_PX = np.array([1.3, 3.0, 3.0], np.float32)  # luma; chroma is kept at half resolution by JPEG and cameras
_SHIFT_MOST = 0.7  # of a block's contrast, however small blocks are
_NOISE = 20.0  # levels in one pixel: 5 sigma of the noise of a camera in poor light (sigma 4)
_CHROMA = np.array([1.0, 1.5, 1.5], np.float32)  # a chroma level is seen as more of a change than one of luma

Planes = NDArray[np.float32]


def signature(picture: NDArray[np.uint8]) -> bytes:
    """The block signature of RGB pixels [height, width, 3]. Raises ValueError for any other shape."""
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or 0 in picture.shape:
        raise ValueError(f"a picture is uint8 [height, width, 3], not {picture.dtype} {list(picture.shape)}")
    height, width = picture.shape[:2]
    # (OpenCV's stubs give the result no element type: uint8, as the picture is.)
    if min(height, width) > 800:  # halving is fast in OpenCV, the blocks of 1080p (22.5 pixels high) are not
        picture = cv2.resize(picture, (width // 2, height // 2), interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    thumbnail = cv2.resize(picture, GRID, interpolation=cv2.INTER_AREA)
    planes = cv2.cvtColor(thumbnail, cv2.COLOR_RGB2YCrCb)
    return _HEADER.pack(_VERSION, min(width, 65535), min(height, 65535)) + planes.tobytes()


def difference(a: bytes, b: bytes) -> float:
    """By how much the worst block differs, in levels of 255: 0 for the same picture. Infinite where they cannot be
    compared: not signatures, or of pictures of different size (the camera changed its mode)."""
    if len(a) != _HEADER.size + 3 * GRID[0] * GRID[1] or len(a) != len(b) or a[: _HEADER.size] != b[: _HEADER.size]:
        return math.inf
    version, width, height = _HEADER.unpack_from(a)
    if version != _VERSION:
        return math.inf
    if a == b:
        return 0.0
    block = (max(1.0, width / GRID[0]), max(1.0, height / GRID[1]))
    one, two = _planes(a), _planes(b)
    # Both ways, as the fit of one to the other is not that of the other to the one.
    return max(_worst(one, two, block), _worst(two, one, block))


def same_scene(a: bytes, b: bytes, threshold: float = SAME_SCENE) -> bool:
    """Do two signatures show the same, as far as they can tell?"""
    return difference(a, b) <= threshold


def _planes(data: bytes) -> Planes:
    return np.frombuffer(data, np.uint8, offset=_HEADER.size).reshape(GRID[1], GRID[0], 3).astype(np.float32)


def _worst(one: Planes, two: Planes, block: tuple[float, float]) -> float:
    fitted = _exposed(one, two)
    shift = np.minimum(_SHIFT_MOST, _SHIFT_PX / min(block))
    allowed = shift * np.maximum(_contrast(fitted), _contrast(two)) + _NOISE / math.sqrt(block[0] * block[1])
    return float(max(0.0, ((np.abs(fitted - two) - allowed) * _CHROMA).max()))


def _exposed(one: Planes, two: Planes) -> Planes:
    """``one`` as the camera of ``two`` would have taken it: its gain, offset and tint, each within what is usual."""
    x, y = one[..., 0].ravel(), two[..., 0].ravel()
    kept = np.ones(x.size, bool)
    gain, offset = 1.0, 0.0
    for _ in range(4):  # what changed in the scene is left out of the fit
        gain, offset = _line(x[kept], y[kept])
        residual = np.abs(gain * x + offset - y)
        kept = (residual <= max(3.0, 2.5 * float(np.median(residual)))) & (y < 250.0) & (x < 250.0)
        if kept.sum() < x.size // 4:
            break
    fitted = np.empty_like(one)
    fitted[..., 0] = np.clip(gain * one[..., 0] + offset, 0.0, 255.0)
    for plane in (1, 2):
        chroma = 128.0 + gain * (one[..., plane] - 128.0)
        tint = float(np.clip(np.median(two[..., plane] - chroma), -_TINT, _TINT))
        fitted[..., plane] = chroma + tint
    return fitted


def _line(x: NDArray[np.float32], y: NDArray[np.float32]) -> tuple[float, float]:
    """Gain and offset of the best line from x to y, within bounds. A flat picture tells no gain."""
    spread = float(x.var())
    gain = float(((x - x.mean()) * (y - y.mean())).mean()) / spread if spread > 4.0 else 1.0
    gain = min(max(gain, _GAIN[0]), _GAIN[1])
    offset = float(y.mean() - gain * x.mean())
    return gain, min(max(offset, -_OFFSET), _OFFSET)


def _contrast(planes: Planes) -> Planes:
    """Largest minus smallest of each block and its eight neighbours."""
    kernel = np.ones((3, 3), np.uint8)
    spread: Planes = cv2.dilate(planes, kernel) - cv2.erode(planes, kernel)
    return spread
