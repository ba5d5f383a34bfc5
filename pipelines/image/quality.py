"""Can anything be seen on a picture? Told by light, structure and the sharpest edges; OpenCV only, a few milliseconds.

Made to refuse only what nobody could answer from: a lamp at night, a page, a plain wall with one thing on it and a
picture with a blurred background all pass. What is refused is said to the user, who can do something about it.
"""

from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from pipelines import engine

Fault = Literal["dark", "overexposed", "covered", "blurred"]
WORK = 640  # pixels of the longer side that edges are measured at, whatever the camera's size
SMALL = 96  # and of the one that light and structure are: noise averages out
RIM = 8
LEAST = 32  # a picture smaller than this on either side is an icon, not a camera's
BURNT = 253  # grey level, in all three colours: white paper is below
NEAR = 31  # pixels: how far an edge reaches, at most
EDGE = 24.0  # grey levels from one side of an edge to the other that make it one
FEW = 40  # pixels of edges: fewer tell nothing
MOTION = 1.2

Picture = NDArray[Any]
Level = Annotated[float, msgspec.Meta(ge=0, le=255)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class Limits(engine.Options, frozen=True, kw_only=True):
    """What still counts as a picture. 0 switches a single limit off (for ``overexposed``: 1)."""

    check: bool = True
    dark: Level = 36.0  # grey level that the brightest thousandth must reach
    overexposed: Share = 0.85  # of the picture, at most, that may be burnt out
    covered: Level = 6.0  # grey levels that something must differ by from what is around it
    blurred: Annotated[float, msgspec.Meta(ge=0, le=100)] = 4.0  # sigma of the sharpest edges, in pixels of 640


def fault(picture: NDArray[np.uint8], limits: Limits | None = None) -> Fault | None:
    """What is wrong with RGB uint8 [height, width, 3]; None if it can be looked at."""
    import cv2

    limits = limits or Limits()
    if not limits.check or min(picture.shape[:2]) < LEAST:
        return None
    work = _shrunk(picture, WORK)
    small = _shrunk(work, SMALL)
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
    if np.percentile(grey, 99.9) < limits.dark:  # a lamp at night is a handful of pixels here
        return "dark"
    if float((small.min(axis=2) >= BURNT).mean()) > limits.overexposed:
        return "overexposed"
    if _structure(small) < limits.covered:
        return "covered"
    if limits.blurred and _blur(cv2.cvtColor(work, cv2.COLOR_RGB2GRAY)) > limits.blurred:
        return "blurred"
    return None


def _shrunk(picture: NDArray[np.uint8], longer: int) -> NDArray[np.uint8]:
    import cv2

    height, width = picture.shape[:2]
    scale = longer / max(height, width)
    if scale >= 1:
        return picture
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def _structure(small: NDArray[np.uint8]) -> float:
    """By how much the most distinct parts differ from their surroundings, in any colour: a hand before the lens, a
    lens cap that lets light through and thick fog have shades that change slowly, and nothing in them."""
    import cv2

    planes = small.astype(np.float32)
    fine = cv2.GaussianBlur(planes, (0, 0), 1.0)  # what noise is left
    around = cv2.GaussianBlur(planes, (0, 0), RIM)
    rim = min(RIM, (min(small.shape[:2]) - 1) // 3)  # there, a mere slope differs from its mirror image beyond the edge
    inner = np.abs(fine - around)[rim : -rim or None, rim : -rim or None]
    return float(np.percentile(inner.max(axis=2), 99))


def _blur(grey: Picture) -> float:
    """Sigma of the blur, in pixels; 0 where there are no edges to tell by. A camera that moves blurs along its way
    alone, and has to do so more before nothing can be read any more."""
    import cv2

    smooth = cv2.GaussianBlur(grey.astype(np.float32), (0, 0), 1.0)
    across = cv2.Sobel(smooth, cv2.CV_32F, 1, 0, scale=1 / 8)
    down = cv2.Sobel(smooth, cv2.CV_32F, 0, 1, scale=1 / 8)
    found = sorted(filter(None, (_edge_width(smooth, across, down, 1), _edge_width(smooth, down, across, 0))))
    return max(found[0], found[-1] / MOTION) if found else 0.0


def _edge_width(smooth: Picture, slope: Picture, other: Picture, axis: int) -> float:
    """Sigma of the sharpest tenth of the edges that run across ``axis``.

    Across an edge between two levels that is blurred by sigma, the steepest slope is their difference / (2.5 sigma).
    """
    import cv2

    near = np.ones((1, NEAR) if axis else (NEAR, 1), np.uint8)
    slope = np.abs(slope)
    difference = cv2.dilate(smooth, near) - cv2.erode(smooth, near)
    edges = (slope >= cv2.dilate(slope, near)) & (slope > 2 * np.abs(other)) & (difference >= EDGE)
    if edges.sum() < FEW:
        return 0.0
    return float(np.percentile(difference[edges] / (2.5 * slope[edges]), 10))
