"""The report that lies beside a converted model: FILE.json for programs, FILE.txt to read. Pure but for the writing."""

import hashlib
import importlib.metadata
import platform
import shutil
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import msgspec

from models.convert.compare import Figure

MADE_BY = "edge-assistant models/convert"
CHUNK = 1 << 20
COLUMNS = ["output", "shape", "pictures", "cosine", "difference", "of at most"]


class Source(msgspec.Struct, frozen=True):
    """A file that went in or came out."""

    path: str
    bytes: int
    sha256: str


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What was made of what, how, and how good it is."""

    made_by: str = MADE_BY
    kind: str  # rknn or rkllm
    made_at: str  # UTC, ISO 8601
    model: Source
    sources: list[Source]
    soc: str
    dtype: str
    options: dict[str, Any]
    settings: dict[str, Any]  # what the daemon's engine is to be told of this model
    versions: dict[str, str]
    seconds: float
    changes: list[str] = []  # of the graph
    warnings: list[str] = []
    figures: list[Figure] = []  # toolkit's simulator against onnxruntime
    bound: float = 0.0  # lowest cosine that was accepted
    checks: dict[str, Any] = {}  # of a language model: perplexity, a simulated answer


def source(path: Path) -> Source:
    """Length and sha256 of a file, read once; of a folder, of all its files in the order of their names."""
    files = sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else [path]
    hasher, length = hashlib.sha256(), 0
    for one in files:
        with one.open("rb") as stream:
            while chunk := stream.read(CHUNK):
                hasher.update(chunk)
                length += len(chunk)
    return Source(path.name, length, hasher.hexdigest())


def versions(packages: Sequence[str]) -> dict[str, str]:
    """Of Python and of those packages that are installed."""
    found = {"python": platform.python_version()}
    for name in packages:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def write(report: Report, beside: Path) -> tuple[Path, Path]:
    """``beside``.json and ``beside``.txt, next to the model."""
    machine, readable = (beside.with_name(beside.name + suffix) for suffix in (".json", ".txt"))
    machine.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")
    readable.write_text(text(report))
    return machine, readable


def place(one: Path, target: Path) -> None:
    """Move a file to where it is wanted; what was there stays until all of it has come. Raises OSError."""
    target.parent.mkdir(parents=True, exist_ok=True)
    half = target.with_name(target.name + ".part")
    try:
        shutil.move(one, half)
    except OSError:
        half.unlink(missing_ok=True)  # a disk that is full has room again
        raise
    half.replace(target)


def text(report: Report) -> str:
    """The same to read."""
    lines = [
        f"{report.model.path}: {report.kind} for {report.soc}, {report.dtype}",
        f"  made {report.made_at} in {report.seconds:.0f} s by {report.made_by}",
        f"  {report.model.bytes} bytes, sha256 {report.model.sha256}",
        "",
        "made from",
        *(f"  {one.path}: {one.bytes} bytes, sha256 {one.sha256}" for one in report.sources),
    ]
    lines += _part("options", report.options) + _part("the daemon's settings for it", report.settings)
    lines += _part("versions", report.versions) + _part("checks", report.checks)
    for title, sentences in (("changed of the graph", report.changes), ("warnings", report.warnings)):
        lines += ["", title, *(f"  {one}" for one in sentences)] if sentences else []
    if report.figures:
        lines += ["", "the toolkit's simulator against onnxruntime, the worst picture of each output"]
        lines += [f"  {line}" for line in aligned([COLUMNS, *rows(report.figures)])]
        lines += [f"  accepted from a cosine of {report.bound}; the simulator is no board"]
    return "\n".join(lines) + "\n"


def rows(figures: Sequence[Figure]) -> list[list[str]]:
    """A row of a table for each figure, under COLUMNS."""
    return [
        [
            one.output,
            "x".join(map(str, one.shape)),
            str(one.pictures),
            f"{one.cosine:.6f}",
            f"{one.difference:.4g}",
            f"{one.largest:.4g}",
        ]
        for one in figures
    ]


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _part(title: str, values: Mapping[str, Any]) -> list[str]:
    if not values:
        return []
    return ["", title, *(f"  {name} = {msgspec.json.encode(value).decode()}" for name, value in values.items())]
