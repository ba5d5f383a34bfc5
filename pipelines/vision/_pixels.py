"""From a picture to the pixel values that a family of image encoders expects: pure, and as the reference does it."""

import math

import numpy as np
from numpy.typing import NDArray

from pipelines.image.fit import Picture, fit, resize
from pipelines.modelfolder.config import Preprocessor

LARGEST_EDGE = 4096  # Idefics3's own limit
Grid = tuple[int, int]
Tiles = NDArray[np.float32]  # pixel values [tiles, 3, height, width]


def single(picture: Picture, settings: Preprocessor, longest_edge: int = 0) -> tuple[Tiles, Grid]:
    """The whole picture as one tile [1, 3, height, width]. With do_pad it is fitted, otherwise stretched."""
    height, width = settings.size.height or 0, settings.size.width or 0  # ModelFolder saw to it that they are given
    if settings.do_pad:
        shown = fit(picture, height, width, settings.pad_color, settings.resample)
    else:
        shown = resize(picture, height, width, settings.resample)
    return values(shown[None], settings), (0, 0)


def tiles(picture: Picture, settings: Preprocessor, longest_edge: int = 0) -> tuple[Tiles, Grid]:
    """Idefics3: the tiles row by row and then the whole picture, [tiles, 3, edge, edge]; and their grid."""
    edge = settings.max_image_size.longest_edge or 0  # ModelFolder saw to it that both are given
    longest = longest_edge or settings.size.longest_edge or 0
    if settings.do_resize:
        picture = resize(picture, *scaled(picture.shape[0], picture.shape[1], longest), settings.resample)
    if not settings.do_image_splitting:
        return values(resize(picture, edge, edge, settings.resample)[None], settings), (0, 0)
    picture = resize(picture, *whole_tiles(picture.shape[0], picture.shape[1], edge), settings.resample)
    rows, columns = picture.shape[0] // edge, picture.shape[1] // edge
    if rows == columns == 1:
        return values(picture[None], settings), (0, 0)
    cut = picture.reshape(rows, edge, columns, edge, 3).swapaxes(1, 2).reshape(-1, edge, edge, 3)
    overview = resize(picture, edge, edge, settings.resample)
    return values(np.concatenate([cut, overview[None]]), settings), (rows, columns)


def scaled(height: int, width: int, longest: int) -> Grid:
    """Height and width with the longer edge at ``longest``; the shorter one is made even, as the reference does."""
    if width >= height:
        size = (_even(int(longest / (width / height))), longest)
    else:
        size = (longest, _even(int(longest * (width / height))))
    height, width = max(size[0], 1), max(size[1], 1)
    if width >= height and width > LARGEST_EDGE:
        height, width = int(LARGEST_EDGE / (width / height)), LARGEST_EDGE
    elif height > width and height > LARGEST_EDGE:
        height, width = LARGEST_EDGE, int(LARGEST_EDGE * (width / height))
    return max(height, 1), max(width, 1)


def whole_tiles(height: int, width: int, edge: int) -> Grid:
    """Height and width rounded up to whole tiles, the longer edge first; the aspect ratio is stretched a little."""
    ratio = width / height
    if width >= height:
        width = math.ceil(width / edge) * edge
        return math.ceil(int(width / ratio) / edge) * edge, width
    height = math.ceil(height / edge) * edge
    return height, math.ceil(int(height * ratio) / edge) * edge


def values(pictures: NDArray[np.uint8], settings: Preprocessor) -> Tiles:
    """Pictures [n, height, width, 3] as float32 [n, 3, height, width], rescaled and normalised by channel."""
    factor = settings.rescale_factor if settings.do_rescale else 1.0
    mean, std = (settings.image_mean, settings.image_std) if settings.do_normalize else ((0.0,) * 3, (1.0,) * 3)
    # One multiplication and one addition for each channel: x * factor is never held by itself.
    scale = (factor / np.array(std)).astype(np.float32)
    shift = (-np.array(mean) / np.array(std)).astype(np.float32)
    out = np.empty((len(pictures), 3, *pictures.shape[1:3]), np.float32)
    for channel in range(3):
        np.multiply(pictures[..., channel], scale[channel], out=out[:, channel])
        out[:, channel] += shift[channel]
    return out


def _even(number: int) -> int:
    return number + number % 2


PREPARATIONS = {"tiles": tiles, "single": single}
