"""Picture files of every kind that is taken, upright; and what is refused before it costs anything."""

import struct
import zlib
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipelines import image
from pipelines.image import PictureError, codec

SMALL = np.random.default_rng(5).integers(0, 256, (5, 7, 3), dtype=np.uint8)
SMOOTH = np.dstack(np.meshgrid(np.arange(40, 104), np.arange(30, 78), [99])).reshape(48, 64, 3).astype(np.uint8)


def encoded(suffix: str, levels: NDArray[Any], *flags: int) -> bytes:
    return bytes(cv2.imencode(suffix, levels, flags)[1])


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width: int, height: int, depth: int, color: int, rows: bytes, *others: bytes) -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(others) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def exif(orientation: int, order: str = ">") -> bytes:
    begin = b"MM" if order == ">" else b"II"
    return begin + struct.pack(f"{order}HIHHHIHHI", 42, 8, 1, 0x0112, 3, 1, orientation, 0, 0)


def test_lossless_files_come_back_as_they_were() -> None:
    bgr = SMALL[:, :, ::-1]
    for data in (encoded(".png", bgr), encoded(".bmp", bgr), encoded(".webp", bgr, cv2.IMWRITE_WEBP_QUALITY, 101)):
        assert np.array_equal(image.decode(data), SMALL)
    assert np.array_equal(image.decode(image.encode_png(SMALL)), SMALL)


def test_lossy_files_come_back_nearly() -> None:
    for data in (image.encode_jpeg(SMOOTH, 95), encoded(".webp", SMOOTH[:, :, ::-1], cv2.IMWRITE_WEBP_QUALITY, 95)):
        assert np.abs(image.decode(data).astype(int) - SMOOTH).max() < 12
    assert len(image.encode_jpeg(SMOOTH, 20)) < len(image.encode_jpeg(SMOOTH, 95))


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".webp"])
@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (13, 17)])
def test_odd_sizes(suffix: str, shape: tuple[int, int]) -> None:
    assert image.decode(encoded(suffix, np.full((*shape, 3), 128, np.uint8))).shape == (*shape, 3)


def test_grey_becomes_rgb() -> None:
    assert np.array_equal(image.decode(encoded(".png", SMALL[:, :, 0])), np.repeat(SMALL[:, :, :1], 3, axis=2))
    assert image.decode(encoded(".jpg", SMOOTH[:, :, 0])).shape == SMOOTH.shape


def test_sixteen_bits_become_eight() -> None:
    levels = np.array([[[0, 257, 65535], [256, 32896, 65534]]], np.uint16)  # BGR
    assert image.decode(encoded(".png", levels)).tolist() == [[[255, 1, 0], [254, 128, 0]]]


def test_what_is_transparent_lies_on_white() -> None:
    levels = np.array([[[0, 0, 255, 255], [0, 0, 255, 0], [0, 0, 255, 51]]], np.uint8)  # BGRA: red
    assert image.decode(encoded(".png", levels)).tolist() == [[[255, 0, 0], [255, 255, 255], [255, 204, 204]]]
    deep = np.array([[[0, 0, 65535, 0]]], np.uint16)
    assert image.decode(encoded(".png", deep)).tolist() == [[[255, 255, 255]]]


def test_a_palette_with_transparency() -> None:
    palette = chunk(b"PLTE", bytes([10, 20, 30, 40, 50, 60]))
    data = png(2, 1, 8, 3, b"\x00\x00\x01", palette, chunk(b"tRNS", bytes([255, 0])))
    assert image.decode(data).tolist() == [[[10, 20, 30], [255, 255, 255]]]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("order", [">", "<"])
def test_jpeg_orientation_is_what_opencv_makes_of_it(orientation: int, order: str) -> None:
    plain = image.encode_jpeg(SMOOTH)
    tag = b"Exif\0\0" + exif(orientation, order)
    data = plain[:2] + b"\xff\xe1" + struct.pack(">H", len(tag) + 2) + tag + plain[2:]
    turned = np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR))
    assert np.array_equal(image.decode(data), turned[:, :, ::-1])
    assert np.array_equal(image.decode(data), codec.UPRIGHT[orientation](image.decode(plain)))


def test_orientation_in_png_and_webp() -> None:
    turned = np.rot90(SMALL, -1)
    plain = image.encode_png(SMALL)
    assert np.array_equal(image.decode(plain[:33] + chunk(b"eXIf", exif(6)) + plain[33:]), turned)
    lossless = encoded(".webp", SMALL[:, :, ::-1], cv2.IMWRITE_WEBP_QUALITY, 101)
    size = struct.pack("<I", SMALL.shape[1] - 1)[:3] + struct.pack("<I", SMALL.shape[0] - 1)[:3]
    extended = b"VP8X" + struct.pack("<I", 10) + b"\x08\0\0\0" + size
    tag = exif(6)
    body = b"WEBP" + extended + lossless[12:] + b"EXIF" + struct.pack("<I", len(tag)) + tag
    assert np.array_equal(image.decode(b"RIFF" + struct.pack("<I", len(body)) + body), turned)


def test_damaged_orientation_leaves_the_picture_as_it_is() -> None:
    plain = image.encode_jpeg(SMOOTH)
    for tag in (b"Exif\0\0" + exif(6)[:12], b"Exif\0\0XX" + exif(6)[2:], b"Exif\0\0" + exif(99)):
        data = plain[:2] + b"\xff\xe1" + struct.pack(">H", len(tag) + 2) + tag + plain[2:]
        assert image.decode(data).shape == SMOOTH.shape


REFUSED = {
    "nothing": (b"", "no bytes"),
    "text": (b"this is no picture at all", "no picture in PNG"),
    "gif": (b"GIF89a" + bytes(40), "no picture in PNG"),
    "riff without webp": (b"RIFF\0\0\0\0WAVEfmt ", "no picture in PNG"),
    "too many bytes": (b"\x89PNG\r\n\x1a\n" + bytes(image.MAX_BYTES), "bytes; at most"),
    "too many pixels": (png(60000, 60000, 8, 2, b""), "60000x60000 pixels; at most"),
    "too many pixels, jpeg": (b"\xff\xd8\xff\xc0\0\x11\x08\xff\xff\xff\xff\3" + bytes(12), "65535x65535 pixels"),
    "too many pixels, bmp": (b"BM" + bytes(12) + struct.pack("<Iii", 40, 9000, -9000), "9000x9000 pixels"),
    "too many pixels, webp": (b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0" + bytes(4) + b"\xff\xff\0" * 2, "65536x65536 pixels"),
    "no pixels": (png(0, 5, 8, 2, b""), "it says it is 0x5"),
    "no IHDR": (b"\x89PNG\r\n\x1a\n" + chunk(b"IDAT", b""), "not IHDR"),
    "cut in the header": (image.encode_png(SMALL)[:20], "damaged"),
    "cut in the jpeg header": (image.encode_jpeg(SMOOTH)[:30], "damaged"),
    "a jpeg of nothing": (b"\xff\xd8\xff\xd9" + bytes(20), "damaged"),
    "pixels that are none": (png(5, 5, 8, 2, b"garbage"), "pixels cannot"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    data, why = REFUSED[name]
    with pytest.raises(PictureError, match=why):
        image.decode(data)


FILES = [image.encode_png(SMALL), image.encode_jpeg(SMOOTH), encoded(".bmp", SMALL), encoded(".webp", SMALL)]


@pytest.mark.parametrize("file", range(4))
def test_a_file_cut_short_is_refused(file: int) -> None:
    for share in (0.3, 0.6, 0.9):
        with pytest.raises(PictureError):
            image.decode(FILES[file][: int(len(FILES[file]) * share)])


def test_encoding_refuses_what_is_no_picture() -> None:
    for wrong in (np.zeros((0, 4, 3), np.uint8), np.zeros((4, 4), np.uint8)):
        with pytest.raises(PictureError, match="no RGB picture"):
            image.encode_png(wrong)


@settings(max_examples=200)
@given(st.sampled_from(FILES), st.integers(0, 5000), st.binary(max_size=6), st.booleans())
def test_damage_gives_a_picture_or_a_clear_error(data: bytes, at: int, other: bytes, cut: bool) -> None:
    at %= len(data)
    damaged = data[:at] + other + (b"" if cut else data[at + len(other) :])
    try:
        picture = image.decode(damaged)
    except PictureError:
        return  # nothing else may be raised
    assert picture.dtype == np.uint8
    assert picture.ndim == 3
    assert picture.shape[2] == 3
