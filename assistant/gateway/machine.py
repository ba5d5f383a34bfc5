"""What the kernel tells of the daemon's processes and of the NPU while they work; a look costs a few small files."""

import os
from pathlib import Path

from assistant.checkup.board import DEVFREQ, LOADS
from assistant.checkup.tree import Tree
from assistant.core.doctor import parse


def resident_bytes(pid: int, proc: Path = Path("/proc")) -> int | None:
    """Memory of a process that is in RAM; None where it is gone. proc(5): statm's second field counts pages."""
    try:
        return int((proc / str(pid) / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return None


def npu_load(tree: Tree) -> tuple[float, ...]:
    """Of each core, 0 to 1; () where the driver does not tell, or not to this user."""
    texts = (tree.text(path) for path in LOADS)
    return tuple(percent / 100 for percent in parse.loads(next(filter(None, texts), "")))


def npu_hertz(tree: Tree) -> int | None:
    """The NPU's clock as it is now; None where the kernel does not tell."""
    clocks = (parse.number(tree.text(f"{device}/cur_freq"), 1) for device in tree.names(DEVFREQ["npu"]))
    return next((clock for clock in clocks if clock is not None), None)
