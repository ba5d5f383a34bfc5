"""Work in a process of its own, with its peak of memory; times alone and beside a load."""

import contextlib
import multiprocessing
import signal
import statistics
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from pipelines.engine import EngineError

LOAD = 2  # busy processes
BUSY = "import os\nparent = os.getppid()\nwhile os.getppid() == parent: pass"  # it never outlives us
BUDGET_S = 6.0  # for one figure; slow ones are taken once


class Failed(Exception):
    """The work could not be done; the text says why."""


def isolated(work: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[Any, int]:
    """What ``work`` gives in a fresh process, and the most memory that this took, MB. Raises Failed."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_run, args=(theirs, work, arguments), daemon=True)
    process.start()
    theirs.close()
    try:
        good, result, peak = ours.recv()
    except EOFError:
        process.join()
        code = process.exitcode or 0
        name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        hint = ", probably for want of memory" if code == -signal.SIGKILL else ""
        raise Failed(f"the process ended with {name}{hint}") from None
    except BaseException:  # interrupted, as the child was too: it ends when its library gives the word back to Python
        process.join(3)
        process.terminate()
        raise
    finally:
        ours.close()
        process.join()
    if not good:
        raise Failed(result)
    return result, peak


def here(work: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[Any, int]:
    """Like ``isolated``, but in this process."""
    good, result, peak = _tried(work, arguments)
    if not good:
        raise Failed(result)
    return result, peak


def _run(pipe: Connection, work: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    with contextlib.suppress(KeyboardInterrupt):  # the parent was interrupted too, and says what there is to say
        pipe.send(_tried(work, arguments))


def _tried(work: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[bool, Any, int]:
    """Whether it went well, what came of it or why nothing did, and the peak of memory, MB."""
    try:
        return True, work(*arguments), peak_mb()
    except (EngineError, ImportError, OSError, MemoryError) as error:
        return False, str(error) or type(error).__name__, peak_mb()
    except Exception:  # a fault of ours: told, but the other parts go on
        return False, " | ".join(traceback.format_exc().strip().splitlines()[-3:]), peak_mb()


def peak_mb() -> int:
    """The most memory that this process ever held, MB. (getrusage() would count the parent's from before exec.)"""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 // 1_000_000
    return 0


def both(once: Callable[[], float], repeats: int = 5, warm: bool = True) -> dict[str, float]:
    """What ``once`` gives, ms: the median alone, the best of those (where it is far below, the machine was not idle),
    and the median beside a load of LOAD busy processes. ``warm``: run it once before."""
    if warm:
        once()
    alone = _taken(once, repeats)
    with busy():
        beside = _taken(once, repeats)
    figures = {"alone": statistics.median(alone), "best": min(alone), "beside_load": statistics.median(beside)}
    return {name: round(value, 1 if value >= 10 else 2) for name, value in figures.items()}


def _taken(once: Callable[[], float], repeats: int) -> list[float]:
    found: list[float] = []
    began = time.monotonic()
    while len(found) < repeats and (not found or time.monotonic() - began < BUDGET_S):
        found.append(once())
    return found


@contextlib.contextmanager
def busy(count: int = LOAD) -> Iterator[None]:
    """Processes that use a core each as long as this lasts."""
    running = [subprocess.Popen([sys.executable, "-S", "-c", BUSY]) for _ in range(count)]
    try:
        time.sleep(0.1)  # they start
        yield
    finally:
        for process in running:
            process.kill()
        for process in running:
            process.wait()


def elapsed(call: Callable[[], Any]) -> float:
    """How long a call takes, ms."""
    began = time.perf_counter()
    call()
    return (time.perf_counter() - began) * 1000
