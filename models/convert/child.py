"""A toolkit at work in a process of its own, so that its crash is a sentence and its chatter a file.

The toolkits print from C, leave files in the working directory, and can die of a signal: a segmentation fault in
``build`` (rknn-toolkit2 #486, #395), the kernel's killer where memory ends (rknn-llm #30). A child that died of
SIGSEGV, SIGBUS or SIGABRT is started once more; most such faults come again, but nothing else of a run differs from the
last. Errors that a toolkit reports itself are never tried again: they depend on the model and the options alone.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from models.convert.outcome import Say, Stopped

HEARTBEAT_S = 15.0  # between lines of progress while one stage lasts
TRIES = 2
AGAIN = (signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT)
ROOT = Path(__file__).resolve().parents[2]
ERROR = re.compile(r"^\S*(?:E\b|ERROR\b|\w*(?:Error|Exception)\b:)")  # how both toolkits and Python begin such a line
HARMLESS = ("Unkown op target: 0",)  # rknn-toolkit2 2.5.0 prints it for models that are right
COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def work(module: str, job: Mapping[str, Any], folder: Path, log: Path, say: Say) -> dict[str, Any]:
    """Run ``python -m module folder`` on ``job``; returns its result. Raises Stopped with what it said.

    The module reads job.json in ``folder``, notes the stage it is at in the file ``stage``, and leaves result.json;
    what it prints goes to ``log``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "job.json").write_text(json.dumps(job))
    result = folder / "result.json"
    for attempt in range(1, TRIES + 1):
        result.unlink(missing_ok=True)
        stage(folder, "starting")
        code = _once(module, folder, log, say)
        if code >= 0:
            break
        fault = signal.Signals(-code)
        if fault not in AGAIN or attempt == TRIES:
            raise Stopped(_died(fault, _stage(folder), attempt, log))
        say(f"the toolkit died of {fault.name} at {_stage(folder)!r}; once more")
    if not result.is_file():
        raise Stopped(f"the toolkit left at {_stage(folder)!r} (exit code {code}); {last_words(log)}")
    found: dict[str, Any] = json.loads(result.read_text())
    if "failed" in found:
        raise Stopped(f"{found['failed']}; {last_words(log)}")
    return found


def _once(module: str, folder: Path, log: Path, say: Say) -> int:
    path = os.pathsep.join(part for part in (str(ROOT), os.environ.get("PYTHONPATH", "")) if part)
    environment = os.environ | {"PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}
    with log.open("ab") as out:
        # Its own working directory, because the toolkits leave intermediate models in it.
        child = subprocess.Popen(
            [sys.executable, "-m", module, str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            cwd=folder,
            env=environment,
        )
        try:
            return _watched(child, folder, log, say)
        finally:
            if child.poll() is None:
                child.kill()
                child.wait()


def _watched(child: subprocess.Popen[bytes], folder: Path, log: Path, say: Say) -> int:
    """Wait, and tell each new stage, and now and then that the same one goes on."""
    started = told = time.monotonic()
    shown = ""
    while True:
        try:
            return child.wait(timeout=0.2)
        except subprocess.TimeoutExpired:
            now, at = time.monotonic(), _stage(folder)
            if at != shown:
                say(f"  {at}")
                shown, started, told = at, now, now
            elif now - told >= HEARTBEAT_S:
                say(f"  {at}: {now - started:.0f} s so far; {log} shows what it prints")
                told = now


def stage(folder: Path, name: str) -> None:
    """Said by the child: what it does from now on. Never half written, since the parent reads it meanwhile."""
    half = folder / "stage.part"
    half.write_text(name)
    half.replace(folder / "stage")


def last_words(log: Path) -> str:
    """The last error line that a toolkit printed, for a sentence; else where to look."""
    lines = COLOURS.sub("", log.read_text(errors="replace")).replace("\r", "\n").splitlines()
    errors = [line.strip() for line in lines if ERROR.match(line) and not line.rstrip().endswith(HARMLESS)]
    return f"it said: {errors[-1][:300]} ({log})" if errors else f"{log} shows what it printed"


def _stage(folder: Path) -> str:
    return (folder / "stage").read_text()


def _died(fault: signal.Signals, at: str, attempts: int, log: Path) -> str:
    if fault is signal.SIGKILL:
        return f"the system killed the toolkit at {at!r}, as it does where memory ends; give it more, or add swap"
    times = f" {attempts} times" if attempts > 1 else ""
    return f"the toolkit died{times} of {fault.name} at {at!r}; {last_words(log)}"
