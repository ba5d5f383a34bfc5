"""Single ONNX files (voices, detectors, recognizers): opened for the CPU, or only looked into without loading them.

Looking matters for sherpa-onnx, whose C++ ends the whole process where a model lacks a metadata key. A file is a
protobuf message, so its outermost fields can be walked in microseconds, whatever the size of the weights.
Format: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto (ModelProto) and the protobuf wire format.
"""

import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipelines.engine import EngineError

GRAPH, METADATA = 7, 14  # fields of ModelProto
KEY, VALUE = 1, 2  # fields of StringStringEntryProto


class _Damaged(Exception):
    pass


def session(path: Path, threads: int) -> Any:
    """An onnxruntime.InferenceSession on the CPU. Raises EngineError naming the file."""
    import onnxruntime

    _present(path)
    try:
        return onnxruntime.InferenceSession(str(path), settings(threads), providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's exceptions share no base class of their own
        brief = (str(error).splitlines() or ["no reason given"])[0][:200]
        raise EngineError(f"{path} cannot be opened; it may be cut short, download it again ({brief})") from error


def settings(threads: int) -> Any:
    """The onnxruntime.SessionOptions that all our sessions share."""
    import onnxruntime

    onnxruntime.set_default_logger_severity(4)  # what is wrong with a graph is said in our own words, once
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 4
    # A waiting thread pool would burn a core for half a second after every run, beside processes that need it.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def metadata(path: Path) -> dict[str, str]:
    """The file's metadata entries, without loading it.

    Raises EngineError where the file is missing, empty, cut short, or no ONNX model.
    """
    _present(path)
    entries: dict[str, str] = {}
    graph = False
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            for field, start, end in _fields(data, 0, len(data)):
                graph = graph or field == GRAPH
                if field == METADATA:
                    entry = {inner: data[at:to] for inner, at, to in _fields(data, start, end)}
                    entries[entry.get(KEY, b"").decode()] = entry.get(VALUE, b"").decode()
    except (_Damaged, UnicodeDecodeError, ValueError) as error:  # ValueError: an empty file cannot be mapped
        raise EngineError(f"{path} is cut short or no ONNX model; download it again") from error
    if not graph:
        raise EngineError(f"{path} is cut short or no ONNX model: it holds no graph; download it again")
    return entries


def _present(path: Path) -> None:
    if not path.is_file():
        raise EngineError(f"there is no file {path}; correct the path or download the model")


def _fields(data: mmap.mmap, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """The fields of a message: number, and where its bytes begin and end (only those that have a length)."""
    while at < end:
        tag, at = _varint(data, at, end)
        match tag & 7:
            case 0:  # a number
                _, at = _varint(data, at, end)
            case 1:  # eight bytes
                at += 8
            case 2:  # a length and as many bytes
                size, at = _varint(data, at, end)
                if at + size > end:
                    raise _Damaged
                yield tag >> 3, at, at + size
                at += size
            case 5:  # four bytes
                at += 4
            case _:
                raise _Damaged
    if at != end:
        raise _Damaged


def _varint(data: mmap.mmap, at: int, end: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= end:
            raise _Damaged
        byte, at = data[at], at + 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise _Damaged
