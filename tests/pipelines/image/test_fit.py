"""Resizing equals Pillow's, to the bit; fitting keeps the aspect ratio."""

import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines import image
from pipelines.image.fit import BICUBIC, BILINEAR, BOX, HAMMING, LANCZOS, NEAREST

# Source height and width, target height and width, filter, and CRC-32 of what Pillow 11.3 makes of random levels
# (numpy's default generator, seeded with the row's number).
PILLOW = [
    (48, 64, 12, 16, NEAREST, 1373312554),
    (48, 64, 12, 16, LANCZOS, 3059691024),
    (48, 64, 12, 16, BILINEAR, 473702557),
    (48, 64, 12, 16, BICUBIC, 1924438700),
    (48, 64, 12, 16, BOX, 877264032),
    (48, 64, 12, 16, HAMMING, 1633499604),
    (7, 5, 64, 64, LANCZOS, 1669528040),
    (1, 1, 5, 3, BICUBIC, 241266319),
    (300, 1, 20, 7, LANCZOS, 74592517),
    (90, 210, 256, 598, LANCZOS, 2764292743),
    (77, 248, 261, 44, NEAREST, 894376283),
    (261, 252, 167, 242, HAMMING, 3237052461),
    (33, 20, 33, 40, BILINEAR, 2761282309),
    (33, 20, 60, 20, BILINEAR, 160214856),
]


@pytest.mark.parametrize("row", range(len(PILLOW)))
def test_resizing_equals_pillow(row: int) -> None:
    height, width, target_height, target_width, resample, expected = PILLOW[row]
    picture = np.random.default_rng(row).integers(0, 256, (height, width, 3), dtype=np.uint8)
    resized = image.resize(picture, target_height, target_width, resample)
    assert resized.shape == (target_height, target_width, 3)
    assert zlib.crc32(resized.tobytes()) == expected


@given(
    st.integers(1, 60), st.integers(1, 60), st.integers(1, 60), st.integers(1, 60), st.sampled_from([0, *image.FILTERS])
)
def test_one_color_stays_one_color(height: int, width: int, to_height: int, to_width: int, resample: int) -> None:
    picture = np.full((height, width, 3), (10, 200, 255), np.uint8)
    resized = image.resize(picture, to_height, to_width, resample)
    assert resized.shape == (to_height, to_width, 3)
    assert (resized == picture[0, 0]).all()


@pytest.mark.parametrize(
    ("height", "width", "inner"),
    [
        (50, 100, (20, 40)),
        (100, 50, (40, 20)),
        (10, 10, (40, 40)),
        (1, 1, (40, 40)),
        (1, 1000, (1, 40)),
        (1000, 1, (40, 1)),
        (41, 40, (40, 39)),
    ],
)
def test_fitting_keeps_the_aspect_ratio_in_the_middle(height: int, width: int, inner: tuple[int, int]) -> None:
    fitted = image.fit(np.full((height, width, 3), 255, np.uint8), 40, 40, color=(1, 2, 3))
    assert fitted.shape == (40, 40, 3)
    shown = (fitted == 255).all(axis=2)
    assert (shown.any(axis=1).sum(), shown.any(axis=0).sum()) == inner
    assert (fitted[~shown] == (1, 2, 3)).all()
    above, below = shown.any(axis=1).argmax(), shown.any(axis=1)[::-1].argmax()
    assert abs(int(above) - int(below)) <= 1


@pytest.mark.parametrize(
    ("height", "width", "limited"),
    [
        (480, 640, (480, 640)),
        (1080, 1920, (1080, 1920)),
        (2160, 3840, (1080, 1920)),
        (3840, 2160, (1920, 1080)),
        (1081, 1, (1081, 1)),
        (3000, 4000, (1080, 1440)),
        (1, 4000, (1, 1920)),
    ],
)
def test_limit_shrinks_only_what_is_too_large(height: int, width: int, limited: tuple[int, int]) -> None:
    picture = np.zeros((height, width, 3), np.uint8)
    shrunk = image.limit(picture)
    assert shrunk.shape[:2] == limited
    assert (shrunk is picture) == ((height, width) == limited)
