"""What models cost on this CPU: ``assistant bench cpu``. Real sizes, random weights, our own engines.

Each part (asr, tts, vlm, decode_ratio) is made in one process and measured in another, so that its memory is its own,
and one that dies (out of memory) takes no other with it. A part that cannot be measured is null, with the reason.
"""

import importlib.util
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from assistant.commands import _cpu_parts
from assistant.commands._cpu_process import Failed, here, isolated

Say = Callable[[str], None]
MB = 1_000_000


class Part(NamedTuple):
    needs: tuple[str, ...]  # modules
    install: str  # the command that brings them
    room: int  # MB on disk


# What the models of each part need on disk; the larger ones are measured one after the other.
PARTS = {
    "asr": Part(("ctranslate2", "faster_whisper", "tokenizers"), "pip install 'edge-assistant[faster-whisper]'", 1500),
    "tts": Part(("piper", "onnx", "onnxruntime"), "pip install 'edge-assistant[piper]' onnx", 70),
    "vlm": Part(("onnx", "onnxruntime", "tokenizers"), "pip install onnx", 560),
    "decode_ratio": Part(("onnx", "torch", "transformers"), "pip install onnx torch transformers", 680),
}


def measure(threads: int, quick: bool, keep: str, say: Say) -> dict[str, Any]:
    """All figures, in ms unless the name says otherwise. ``keep``: a folder for the models, "" deletes them."""
    began = time.monotonic()
    threads = threads or min(4, len(os.sched_getaffinity(0)))
    figures: dict[str, Any] = {"machine": machine(threads)}
    if figures["machine"]["load_before"] > 0.5:
        say(f"note: this machine is not idle (load {figures['machine']['load_before']}): all times come out too long")
    peaks = {"making": 0}
    with _folder(keep) as folder:
        for name, part in PARTS.items():
            key = name if name == "decode_ratio" else f"{name}_ms"
            why = _why_not(part, folder, quick)
            figures[key], failures = (None, [why]) if why else _measured(name, folder, threads, quick, peaks, say)
            if not keep:
                shutil.rmtree(folder / name, ignore_errors=True)
            if failures:
                figures[f"{name}_why"] = "; ".join(failures)
                say(f"{name}: not measured: {figures[f'{name}_why']}")
    compared = figures["decode_ratio"]
    if compared:
        figures |= {"decode_ratio": compared.pop("ratio"), "decode_compared": compared}
    return {**figures, "peak_mb": peaks, "seconds": round(time.monotonic() - began, 1)}


def machine(threads: int) -> dict[str, Any]:
    """What the figures were taken on. ``load_before``: the processes that wanted a core in the last minute."""
    model = platform.processor() or platform.machine()
    total = 0
    for path in ("/proc/cpuinfo", "/proc/meminfo"):
        for line in Path(path).read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip() in ("model name", "Model"):  # the second one is a Raspberry Pi's
                model = value.strip()
            elif name == "MemTotal":
                total = int(value.split()[0]) * 1024 // MB
    cores = len(os.sched_getaffinity(0))
    load = round(os.getloadavg()[0], 1)
    return {"cpu": model, "cores": cores, "threads": threads, "memory_mb": total, "load_before": load}


def _measured(
    name: str, folder: Path, threads: int, quick: bool, peaks: dict[str, int], say: Say
) -> tuple[dict[str, Any] | None, list[str]]:
    """The figures of a part, and what failed in it; the most memory of each step, MB, is added to ``peaks``."""
    found: dict[str, Any] = {}
    failures = []
    process = here if quick else isolated  # seven fresh ones take longer than what is measured in them
    for step in _cpu_parts.STEPS[name](quick):
        arguments = (folder / name, *step.arguments)
        try:
            if step.make is not None:
                say(f"{name}: making {step.title} …")
                _, most = process(step.make, arguments)
                peaks["making"] = max(peaks["making"], most)
            say(f"{name}: measuring {step.title} …")
            figures, peaks[step.name] = process(step.measure, (*arguments, threads))
            found |= figures
        except Failed as error:  # the next step may need less
            failures.append(f"{step.title}: {error}")
    return found or None, failures


def _why_not(part: Part, folder: Path, quick: bool) -> str:
    """Why a part cannot be measured, "" if it can."""
    missing = [name for name in part.needs if importlib.util.find_spec(name) is None]
    if missing:
        return f"{', '.join(missing)} is not installed: {part.install}"
    free = shutil.disk_usage(folder).free // MB
    if not quick and free < part.room:
        return f"{folder} has {free} MB free, {part.room} MB are needed: name another folder with --keep or TMPDIR"
    return ""


@contextmanager
def _folder(keep: str) -> Iterator[Path]:
    if keep:
        folder = Path(keep).expanduser()
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
        return
    # /tmp is often kept in memory, which is just what is to be measured; /var/tmp is not.
    home = None if os.environ.get("TMPDIR") or not os.access("/var/tmp", os.W_OK) else "/var/tmp"
    with tempfile.TemporaryDirectory(prefix="assistant-bench-", dir=home) as made:
        yield Path(made)
