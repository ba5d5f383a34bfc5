"""Starting real processes in tests, and knowing what is left of them."""

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from assistant.nursery import Child, Nursery

ROOT = Path(__file__).resolve().parent.parent
PATIENCE_S = 60.0  # for what must happen, on a machine that has much else to do
Process = subprocess.Popen[str]


def service(runtime: Path, name: str = "camera", module: str = "tests.posing", **settings: Any) -> list[str]:
    """The command of one service, with its settings written down as the supervisor does."""
    resolved = runtime / "settings.json"
    runtime.mkdir(exist_ok=True)
    resolved.write_text(json.dumps({name: settings}))
    command = [sys.executable, "-m", "assistant.services", name, "--settings", str(resolved)]
    return [*command, "--runtime", str(runtime), "--state", str(runtime), "--module", module]


def supervisor(runtime: Path, services: Sequence[str] = ("camera",), **sections: Mapping[str, Any]) -> list[str]:
    own = {"services": services, **sections.pop("supervisor", {})}
    resolved = json.dumps({**sections, "supervisor": own})
    return [sys.executable, "-m", "tests.supervising", str(runtime), str(runtime / "state"), resolved]


@contextmanager
def started(command: Sequence[str], **environ: str) -> Iterator[Process]:
    """A process whose stderr can be read; it is gone afterwards."""
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, **environ},
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def read_until(process: Process, text: str) -> str:
    """What it writes to stderr up to and including a line with this text."""
    assert process.stderr is not None
    lines = []
    for line in process.stderr:
        lines.append(line)
        if text in line:
            return "".join(lines)
    raise AssertionError(f"{text!r} was never said; but:\n{''.join(lines)}")


def ended(process: Process) -> tuple[int, str]:
    """Its exit code and the rest of what it said."""
    _, said = process.communicate(timeout=PATIENCE_S)
    return process.returncode, said


@contextmanager
def nursed(command: Sequence[str], name: str = "it") -> Iterator[tuple[Nursery, Child]]:
    nursery = Nursery()
    try:
        yield nursery, nursery.start(name, command)
    finally:
        nursery.stop(name, 1.0)
        nursery.close()


def hear(nursery: Nursery, until: Callable[[Mapping[str, str]], bool]) -> dict[str, str]:
    """What a nursed process says, up to the notification that ``until`` holds for."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        for _, fields in nursery.wait(deadline - time.monotonic()):
            if until(fields):
                return dict(fields)
    raise AssertionError("it was never said")


def of(runtime: Path) -> list[psutil.Process]:
    """The living processes that were started for a runtime directory."""
    found = []
    for process in psutil.process_iter():
        try:
            arguments, status = process.cmdline(), process.status()
        except psutil.NoSuchProcess:
            continue
        if status != psutil.STATUS_ZOMBIE and any(str(runtime) in argument for argument in arguments):
            found.append(process)
    return found


def await_end(processes: Sequence[psutil.Process]) -> None:
    """Return when all of these have ended (a zombie has), though they may be nobody's children of ours."""
    deadline = time.monotonic() + PATIENCE_S
    for process in processes:
        fd = None
        try:
            fd = os.pidfd_open(process.pid)
            left = max(0.0, deadline - time.monotonic())
            assert _readable(fd, left), f"{process} still runs"
        except ProcessLookupError:
            continue
        finally:
            if fd is not None:
                os.close(fd)


def _readable(fd: int, timeout_s: float) -> bool:
    return bool(select.select([fd], [], [], timeout_s)[0])
