"""The two libraries of a board in two processes, as the daemon has them: one lock makes them take turns on the NPU, a
lock for each lets them overlap."""

import threading
from pathlib import Path

from assistant.commands import _probe_steps
from assistant.commands._child import Told, told
from assistant.commands._probe_steps import QUESTIONS, ROUNDS, Finding, Subject

WORKS = {"vision": _probe_steps.encode_together, "llm": _probe_steps.reply_together}


def together(name: str, subject: Subject, limit_s: float) -> tuple[Finding, str, bool]:
    """The finding called ``name`` (turns, beside), what was printed, and whether something broke that should work."""
    came: dict[str, Told] = {}

    def one(role: str) -> None:
        lock = f"{subject.folder}/{name}" + (f"-{role}" if name == "beside" else "")
        came[role] = told(WORKS[role], (subject, lock), limit_s)
        _here(subject, role).touch()  # the other need not wait for one that died while it was loaded

    for role in WORKS:
        _here(subject, role).unlink(missing_ok=True)
    threads = [threading.Thread(target=one, args=(role,), daemon=True) for role in WORKS]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    broken = "; ".join(f"{role}: {one.why}" for role, one in came.items() if one.why)
    seen = {key: value for one in came.values() for part in one.found for key, value in part.items()}
    done = f"{ROUNDS} pictures and {ROUNDS} replies, each library in a process of its own"
    why = broken or "all of them came, and the rows were the same as before"
    finding = Finding(name, QUESTIONS[name], done, seen, "no" if broken else "yes", why)
    return finding, "\n".join(one.printed for one in came.values()), bool(broken) and name == "turns"


def _here(subject: Subject, role: str) -> Path:
    return Path(subject.folder) / f"loaded-{role}"
