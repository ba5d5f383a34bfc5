"""Builds the simulated librkllmrt.so of a release, once for each state of its source."""

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from pipelines.engine import EngineError

SOURCE = Path(__file__).parent / "rkllm"
OFFSETS = "offsets.c"  # a program of its own

# The family of layouts in rkllm/abi.h that each release belongs to.
FAMILIES = {"1.1.4": 1, "1.2.0": 2, "1.2.1b1": 3, "1.2.1": 4, "1.2.2": 4, "1.2.3": 4, "1.3.0": 5}
COMPILERS = ("cc", "gcc", "clang")
FLAGS = ("-std=gnu11", "-O1", "-Wall", "-Wextra", "-pthread")
PATIENCE = 120  # seconds


def library(version: str, cache: Path | None = None) -> Path:
    """The shared library that behaves as the release does, built into ``cache`` (the user's, if not given).

    Raises EngineError for an unknown release, without a compiler, or when it fails (with what it said).
    """
    parts = sorted(path for path in SOURCE.glob("*.c") if path.name != OFFSETS)
    return _built(version, f"librkllmrt-{version}", (*FLAGS, "-shared", "-fPIC", "-fvisibility=hidden"), parts, cache)


def offsets(version: str, cache: Path | None = None) -> Path:
    """A program that prints the layouts that the simulated release uses. Raises as library() does."""
    return _built(version, f"offsets-{version}", FLAGS, [SOURCE / OFFSETS], cache)


def known(version: str) -> None:
    """Raises EngineError for a release that is not simulated, listing those that are."""
    if version not in FAMILIES:
        raise EngineError(f"no RKLLM release {version!r} is simulated; there are: {', '.join(FAMILIES)}")


def _built(version: str, name: str, flags: tuple[str, ...], parts: list[Path], cache: Path | None) -> Path:
    known(version)
    compiler = _compiler()
    everything = b"".join(path.read_bytes() for path in sorted(SOURCE.iterdir()))
    digest = hashlib.sha256(everything + repr((compiler, flags)).encode()).hexdigest()[:16]
    folder = cache or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edge-assistant" / "simulator"
    target = folder / f"{name}-{digest}{'.so' if '-shared' in flags else ''}"
    if not target.exists():
        folder.mkdir(parents=True, exist_ok=True)
        options = [f"-DSIM_ABI={FAMILIES[version]}", f'-DSIM_VERSION="{version}"']
        _compile([compiler, *flags, *options, *map(str, parts)], target)
    return target


def _compiler() -> str:
    wanted = os.environ.get("CC")
    for name in (wanted,) if wanted else COMPILERS:
        if found := shutil.which(name):
            return found
    tried = wanted or ", ".join(COMPILERS)
    raise EngineError(f"the simulated board needs a C compiler ({tried}: not found); install gcc, or set CC")


def _compile(command: list[str], target: Path) -> None:
    """Into a file beside it first: another process may be building or loading the same."""
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        made = Path(folder) / target.name
        try:
            done = subprocess.run([*command, "-o", str(made)], capture_output=True, text=True, timeout=PATIENCE)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise EngineError(f"the simulated board cannot be built: {error}") from error
        if done.returncode:
            raise EngineError(f"the simulated board cannot be built; {command[0]} says:\n{done.stderr.strip()[-2000:]}")
        os.replace(made, target)
