"""Work in a process of its own that tells what it finds as it finds it: a native library that crashes or hangs takes
with it only what was not yet found, and what it printed is kept."""

import contextlib
import multiprocessing
import os
import signal
import tempfile
import traceback
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

from pipelines.engine import EngineError

START_S = 120.0  # for the process to begin: an SD card may be slow
LAST_WORDS = 2000  # characters of what was printed that are kept


GONE, HUNG = "gone", "hung"


class Told(NamedTuple):
    """``found``: what the work gave, in its order; ``why``: why it did not come to its end, "" where it did."""

    found: list[Any]
    why: str
    printed: str


def told(
    work: Callable[..., Iterator[Any]],
    arguments: tuple[Any, ...],
    limit_s: float,
    each: Callable[[Any], object] = lambda _: None,
) -> Told:
    """All that ``work``, a generator function of a module, gives in a fresh process; ``limit_s``: seconds for each of
    them. What it prints, its libraries' printing included, comes back as text and goes nowhere else. ``each`` is called
    with every one at once."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    with tempfile.NamedTemporaryFile(prefix="printed-") as printed:
        process = context.Process(target=_run, args=(theirs, printed.name, work, arguments), daemon=True)
        process.start()
        theirs.close()
        why = HUNG  # also where we are interrupted
        try:
            found, why = _listen(ours, limit_s, each)
            if why == GONE:
                process.join()
        finally:
            ours.close()
            if why != HUNG:
                process.join(5)  # it frees the NPU's memory
            if process.is_alive():
                process.kill()
                process.join()
        text = Path(printed.name).read_text(errors="replace")
    if why == GONE:
        why = _death(process.exitcode or 0)
    elif why == HUNG:
        why = f"gave no answer within {limit_s:g} s and was ended"
    return Told(found, why, text[-LAST_WORDS:])


def _listen(pipe: Connection, limit_s: float, each: Callable[[Any], object]) -> tuple[list[Any], str]:
    """What was found, and why no more comes: "" at the end."""
    found, patience = list[Any](), START_S
    while pipe.poll(patience):
        try:
            kind, value = pipe.recv()
        except EOFError:
            return found, GONE
        patience = limit_s
        if kind == "end":
            return found, str(value)
        if kind == "found":
            found.append(value)
            each(value)
    return found, HUNG


def _death(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    hint = ", probably for want of memory" if code == -signal.SIGKILL else ""
    return f"died with signal {-code} ({signal.Signals(-code).name}){hint}"


def _run(pipe: Connection, printed: str, work: Callable[..., Iterator[Any]], arguments: tuple[Any, ...]) -> None:
    fd = os.open(printed, os.O_WRONLY | os.O_APPEND)
    os.dup2(fd, 1)
    os.dup2(fd, 2)
    with contextlib.suppress(KeyboardInterrupt, BrokenPipeError):  # the parent was interrupted too
        try:
            pipe.send(("begun", None))
            for value in work(*arguments):
                pipe.send(("found", value))
            pipe.send(("end", ""))
        except (EngineError, ImportError, OSError, MemoryError) as error:
            pipe.send(("end", str(error) or type(error).__name__))
        except Exception:  # a fault of ours: told, but the other steps go on
            pipe.send(("end", " | ".join(traceback.format_exc().strip().splitlines()[-3:])))
