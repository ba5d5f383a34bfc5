"""What ``assistant probe`` tells of the board itself, and its table for people."""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipelines.npu import librknnrt

SOCS = ("rk3588", "rk3576", "rk3562")
DRIVERS = ("sys/kernel/debug/rknpu/version", "proc/rknpu/version")
PRINTED = {  # by the libraries when they load
    "rkllm": re.compile(r"rkllm-runtime version: ?([\w.]+)"),
    "driver": re.compile(r"rknpu driver version: ?v?(\d[\w.]*)"),
    "platform": re.compile(r"platform: ?(\w+)"),
}


def soc(root: Path) -> str:
    """The board's own word, "" where it has none of those that are known: from the device tree."""
    told = _read(root / "proc/device-tree/compatible").replace("\0", ",").split(",")
    return next((name for name in SOCS if name in told), "")


def read(root: Path, printed: str) -> dict[str, Any]:
    """Facts of the board, "" or 0 where they cannot be seen; ``printed``: by the libraries."""
    facts: dict[str, Any] = {
        "compatible": _read(root / "proc/device-tree/compatible").strip("\0").replace("\0", " "),
        "soc": soc(root),
        "kernel": os.uname().release,
        "machine": os.uname().machine,
        "memory_mb": _memory_mb(root),
        "librknnrt": _rknn(root / librknnrt.LIBRARY.lstrip("/")),
    }
    for name, pattern in PRINTED.items():
        match = pattern.search(printed)
        facts[name] = match[1] if match else ""
    for path in DRIVERS:
        if match := re.search(r"v?(\d+\.\d+\.\d+)", _read(root / path)):
            facts["driver"] = match[1]
    return facts


def file(options: Mapping[str, Any]) -> dict[str, Any]:
    """Name and size of an engine's model; empty without one."""
    path = Path(str(options.get("model", "")))
    if not path.is_file():
        return {"name": path.name} if path.name else {}
    return {"name": path.name, "bytes": path.stat().st_size}


def without(folders: Sequence[Path], value: Any) -> Any:
    """The value with these folders taken out of every text in it: they may hold a person's name."""
    if isinstance(value, dict):
        return {key: without(folders, inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [without(folders, inner) for inner in value]
    if isinstance(value, str):
        for folder in folders:
            if len(str(folder)) > 1:
                value = value.replace(str(folder), "…")
    return value


def lines(result: Mapping[str, Any]) -> list[str]:
    """A line for each finding, and what it rests on."""
    board = result["board"]
    versions = [f"{name} {board[name]}" for name in ("rkllm", "librknnrt", "driver") if board[name]]
    made = [
        f"{board['soc'] or 'no known SoC'} ({board['machine']}, kernel {board['kernel']}, {board['memory_mb']} MB)",
        "versions: " + (", ".join(versions) or "none could be seen"),
        *(f"{role}: {found['name']}" for role, found in result["files"].items() if found),
        "",
    ]
    for finding in result["findings"]:
        made += [f"{finding['conclusion']:<8} {finding['question']}", f"{'':<8} {finding['why']}"]
    return made


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def _memory_mb(root: Path) -> int:
    match = re.search(r"MemTotal:\s*(\d+)", _read(root / "proc/meminfo"))
    return int(match[1]) * 1024 // 1_000_000 if match else 0


def _rknn(path: Path) -> str:
    try:
        return librknnrt.release(path.read_bytes()) or "unknown"
    except OSError:
        return ""
