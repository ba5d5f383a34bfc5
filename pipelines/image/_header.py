"""What a PNG, JPEG, BMP or WebP file says of itself before it is decoded: its size and which way up it is."""

from collections.abc import Callable

import msgspec

EXIF_ORIENTATION = 0x0112
# JPEG markers that start a frame and so carry its size: all SOFn but DHT (C4), JPG (C8) and DAC (CC).
FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
STANDALONE = frozenset({0x01, *range(0xD0, 0xD9)})  # markers without a length


class Header(msgspec.Struct, frozen=True):
    """``width`` and ``height`` as stored, in pixels; ``orientation`` as in EXIF, 1 = upright."""

    width: int
    height: int
    orientation: int = 1


class Damaged(Exception):
    """The header ends too early or contradicts itself."""


def read(data: bytes) -> Header | None:
    """The header of a picture file; None for a format that is not one of the four. Raises Damaged."""
    for begins, reader in READERS:
        if data.startswith(begins):
            return reader(data)
    return None


def _number(data: bytes, at: int, size: int, order: str) -> int:
    if at < 0 or at + size > len(data):
        raise Damaged("it ends inside its header")
    return int.from_bytes(data[at : at + size], "little" if order == "little" else "big")


def _png(data: bytes) -> Header:
    if data[12:16] != b"IHDR":
        raise Damaged("its first chunk is not IHDR")
    width, height = _number(data, 16, 4, "big"), _number(data, 20, 4, "big")
    at, orientation = 8, 1
    while at + 8 <= len(data) and data[at + 4 : at + 8] != b"IDAT":
        if data[at + 4 : at + 8] == b"eXIf":
            orientation = _orientation(data[at + 8 : at + 8 + _number(data, at, 4, "big")])
        at += 12 + _number(data, at, 4, "big")
    return Header(width, height, orientation)


def _jpeg(data: bytes) -> Header:
    at, orientation = 2, 1
    while True:
        if _number(data, at, 1, "big") != 0xFF:
            raise Damaged("a segment is not where the one before it ends")
        marker = _number(data, at + 1, 1, "big")
        if marker == 0xFF:  # fill byte
            at += 1
            continue
        if marker in STANDALONE:
            at += 2
            continue
        length = _number(data, at + 2, 2, "big")
        if length < 2 or marker in (0xD9, 0xDA):
            raise Damaged("its pixels begin before its size is given")
        if marker in FRAMES:
            return Header(_number(data, at + 7, 2, "big"), _number(data, at + 5, 2, "big"), orientation)
        if marker == 0xE1 and data[at + 4 : at + 10] == b"Exif\0\0":
            orientation = _orientation(data[at + 10 : at + 2 + length])
        at += 2 + length


def _bmp(data: bytes) -> Header:
    if _number(data, 14, 4, "little") == 12:  # OS/2
        return Header(_number(data, 18, 2, "little"), _number(data, 20, 2, "little"))
    height = _number(data, 22, 4, "little")
    return Header(_number(data, 18, 4, "little"), min(height, (1 << 32) - height))  # negative: stored top down


def _webp(data: bytes) -> Header | None:
    if data[8:12] != b"WEBP":
        return None
    kind = data[12:16]
    if kind == b"VP8X":
        return Header(_number(data, 24, 3, "little") + 1, _number(data, 27, 3, "little") + 1, _webp_orientation(data))
    if kind == b"VP8L":
        bits = _number(data, 21, 4, "little")
        return Header((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
    if kind == b"VP8 ":
        return Header(_number(data, 26, 2, "little") & 0x3FFF, _number(data, 28, 2, "little") & 0x3FFF)
    raise Damaged("its first chunk is of no known kind")


def _webp_orientation(data: bytes) -> int:
    at = 12
    while at + 8 <= len(data):
        length = _number(data, at + 4, 4, "little")
        if data[at : at + 4] == b"EXIF":
            return _orientation(data[at + 8 : at + 8 + length].removeprefix(b"Exif\0\0"))
        at += 8 + length + length % 2
    return 1


def _orientation(exif: bytes) -> int:
    """The orientation in a TIFF structure; 1 where there is none or where it is damaged: it only turns the picture."""
    order = {b"II": "little", b"MM": "big"}.get(exif[:2])
    if order is None:
        return 1
    try:
        at = _number(exif, 4, 4, order)
        for entry in range(at + 2, at + 2 + 12 * _number(exif, at, 2, order), 12):
            if _number(exif, entry, 2, order) == EXIF_ORIENTATION:
                value = _number(exif, entry + 8, 2, order)
                return value if 1 <= value <= 8 else 1
    except Damaged:
        pass
    return 1


READERS: tuple[tuple[bytes, Callable[[bytes], Header | None]], ...] = (
    (b"\x89PNG\r\n\x1a\n", _png),
    (b"\xff\xd8", _jpeg),
    (b"BM", _bmp),
    (b"RIFF", _webp),
)
