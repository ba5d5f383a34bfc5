"""Rockchip's runtime libraries, told apart by their bytes; nothing is loaded."""

import re
from typing import Any

from assistant.checkup.tree import Tree
from assistant.core.doctor.facts import Choice, Library
from pipelines.engine import EngineError
from pipelines.llm import librkllm
from pipelines.npu import elf, librknnrt

MOST = 128 * 1024 * 1024  # bytes: many times what these libraries have
GOMP = ("/usr/lib/*/libgomp.so.1*", "/usr/lib/libgomp.so.1*", "/usr/lib64/libgomp.so.1*", "/lib/*/libgomp.so.1*")
ELSEWHERE = ("/usr/local/lib/librknnrt.so", "/usr/lib/*/librknnrt.so", "/usr/lib64/librknnrt.so", "/opt/*/librknnrt.so")

PLAIN = re.compile(r"[\w./+-]+")  # a path that can be put into a command as it is


def look(tree: Tree, choices: tuple[Choice, ...], machine: str) -> dict[str, Any]:
    """Fields of ``Facts``. ``machine``: the architecture that the libraries must be for."""
    table = next((choice.tables["rkllm"] for choice in choices if "rkllm" in choice.tables), {})
    found = (path for pattern in ELSEWHERE for path in tree.names(pattern))
    places = [table["library"]] if table.get("library") else list(librkllm.PLACES)
    return {
        "rkllm": _rkllm(tree, places, table.get("runtime_version", ""), machine),
        "rknn": _rknn(tree, machine),
        "rknn_elsewhere": next((path for path in found if PLAIN.fullmatch(path)), ""),
        "gomp": any(tree.names(pattern) for pattern in GOMP),
    }


def _rkllm(tree: Tree, places: list[str], configured: str, machine: str) -> Library:
    path = next((place for place in places if tree.size(place) is not None), places[0])
    library, data = _checked(tree, path, machine)
    if library.problem:
        return library
    try:
        return Library(path=path, release=librkllm.detect(data, path, configured, machine).release)
    except EngineError as error:
        return Library(path=path, problem="unknown", detail=str(error).removeprefix(path).strip())


def _rknn(tree: Tree, machine: str) -> Library:
    library, data = _checked(tree, librknnrt.LIBRARY, machine)
    return library if library.problem else Library(path=library.path, release=librknnrt.release(data))


def _checked(tree: Tree, path: str, machine: str) -> tuple[Library, bytes]:
    if tree.size(path) is None:
        there = bool(tree.names(path))  # a directory, a dangling link
        return Library(path=path, problem="damaged" if there else "missing"), b""
    data = tree.data(path, MOST)
    if data is None:
        return Library(path=path, problem="unreadable"), b""
    try:
        found = elf.read(data, path)
    except EngineError as error:
        return Library(path=path, problem="damaged", detail=str(error)), b""
    if found.machine != machine:
        return Library(path=path, problem="machine", detail=found.machine), b""
    return Library(path=path), data
