"""The head of a GGUF file: its settings, name and type of each tensor. Layout: ggml, docs/gguf.md, version 2 and 3."""

import struct
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

MAGIC = b"GGUF"
VERSIONS = (2, 3)
MOST = 1 << 24  # entries or bytes that one thing of a head may have: a vocabulary has 2^18
STRING, ARRAY = 8, 9
NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
# ggml_type; the others of some forty are told by their number
KINDS = {0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 6: "Q5_0", 7: "Q5_1", 8: "Q8_0", 10: "Q2_K", 11: "Q3_K", 12: "Q4_K",
         13: "Q5_K", 14: "Q6_K", 30: "BF16"}  # fmt: skip


class Tensor(NamedTuple):
    name: str
    kind: str


class Head(NamedTuple):
    values: dict[str, Any]  # arrays are left out
    tensors: list[Tensor]


def read(path: Path) -> Head:
    """Raises OSError, and ValueError for what is no GGUF or ends too early."""
    with path.open("rb") as stream:
        if stream.read(4) != MAGIC:
            raise ValueError("it does not begin with GGUF")
        version = _number(stream, "I")
        if version not in VERSIONS:
            raise ValueError(f"version {version}; known are {VERSIONS[0]} and {VERSIONS[1]}")
        tensors, pairs = _count(stream), _count(stream)
        values = {}
        for _ in range(pairs):
            name = _string(stream)
            value = _value(stream, _number(stream, "I"))
            if value is not None:
                values[name] = value
        return Head(values, [_tensor(stream) for _ in range(tensors)])


def _value(stream: BinaryIO, kind: int) -> Any:
    if kind == STRING:
        return _string(stream)
    if kind in NUMBERS:
        return _number(stream, NUMBERS[kind])
    if kind != ARRAY:
        raise ValueError(f"a value of type {kind}")
    inner, count = _number(stream, "I"), _count(stream)
    if inner in NUMBERS:
        _bytes(stream, struct.calcsize(NUMBERS[inner]) * count)
    else:
        for _ in range(count):
            _value(stream, inner)
    return None


def _tensor(stream: BinaryIO) -> Tensor:
    name, dimensions = _string(stream), _number(stream, "I")
    if dimensions > 8:
        raise ValueError(f"a tensor of {dimensions} dimensions")
    _bytes(stream, 8 * dimensions)
    kind = _number(stream, "I")
    _bytes(stream, 8)  # where it lies
    return Tensor(name, KINDS.get(kind, f"type {kind}"))


def _string(stream: BinaryIO) -> str:
    return _bytes(stream, _count(stream)).decode(errors="replace")


def _count(stream: BinaryIO) -> int:
    count = int(_number(stream, "Q"))
    if count > MOST:
        raise ValueError(f"a length of {count}")
    return count


def _number(stream: BinaryIO, form: str) -> Any:
    return struct.unpack(f"<{form}", _bytes(stream, struct.calcsize(form)))[0]


def _bytes(stream: BinaryIO, count: int) -> bytes:
    found = stream.read(count)
    if len(found) != count:
        raise ValueError("it ends too early")
    return found
