"""What only the running machine can tell: its user's rights, its Python, its directories."""

import grp
import importlib.metadata
import importlib.util
import os
import stat
import sys
from collections.abc import Iterable
from pathlib import Path

from assistant import paths
from assistant.core.doctor.facts import Folder, Live, Node
from assistant.core.doctor.models import MODULES
from assistant.lock import holder
from assistant.messages import SERVICES
from pipelines.npu import elf
from pipelines.npu.lock import default_folder

# Modules whose distribution is called otherwise; only where the version is of use.
DISTRIBUTIONS = {"rknnlite": "rknn-toolkit-lite2", "faster_whisper": "faster-whisper", "sherpa_onnx": "sherpa-onnx"}


def look(nodes: Iterable[str]) -> Live:
    """``nodes``: device files of the NPU, of which some may not be there."""
    home = paths.runtime()
    return Live(
        machine=elf.host(),
        python=(sys.version_info[0], sys.version_info[1]),
        packages={module: _version(module) for module, _ in MODULES.values() if _installed(module)},
        nodes=tuple(_node(path) for path in nodes if os.path.exists(path)),
        runtime=folder(home),
        npu=folder(default_folder()),
        running=any(holder(home / f"{name}.lock") for name in SERVICES),
    )


def folder(path: Path) -> Folder:
    """How a directory of the assistant's own stands; one that is not there yet is as good as where it will be made."""
    try:
        status = path.stat()
    except FileNotFoundError:
        there = next((parent for parent in path.parents if parent.exists()), Path("/"))
        able = there.is_dir() and os.access(there, os.W_OK | os.X_OK)
        return Folder(path=str(path), state="ok" if able else "closed")
    except OSError:
        return Folder(path=str(path), state="closed")
    mode = stat.S_IMODE(status.st_mode)
    if not stat.S_ISDIR(status.st_mode):
        state = "closed"
    elif status.st_uid != os.getuid():
        state = "foreign"
    elif mode & 0o077:
        state = "open"
    else:
        state = "ok" if os.access(path, os.W_OK | os.X_OK) else "closed"
    return Folder(path=str(path), state=state, mode=mode)


def _node(path: str) -> Node:
    try:
        group = grp.getgrgid(os.stat(path).st_gid).gr_name
    except (OSError, KeyError):
        group = ""
    return Node(path=path, group=group, usable=os.access(path, os.R_OK | os.W_OK))


def _installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def _version(module: str) -> str:
    try:
        return importlib.metadata.version(DISTRIBUTIONS.get(module, module))
    except importlib.metadata.PackageNotFoundError:
        return ""
