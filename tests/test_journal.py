"""Log lines: the turn that they concern, and the journal's priorities."""

import io
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from assistant.journal import JournalLines, Lines, of, to_the_journal
from assistant.messages import LIVE, Turn
from tests import processes


def record(level: int, text: str, **extra: object) -> logging.LogRecord:
    made = logging.LogRecord("assistant", level, __file__, 1, text, (), None)
    made.__dict__.update(extra)
    return made


def test_a_line_names_its_turn_and_only_its_own() -> None:
    lines = Lines("dialogue")
    turn = Turn(LIVE, 81234567890, 2)
    assert lines.format(record(logging.ERROR, "no answer", **of(turn))).endswith("E no answer turn=live/81234567890")
    assert lines.format(record(logging.INFO, "listening")).endswith("dialogue   I listening")


@pytest.mark.parametrize(
    ("level", "priority"),
    [(logging.CRITICAL, 3), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6), (logging.DEBUG, 7)],
)
def test_the_journal_is_told_the_priority_of_every_line(level: int, priority: int) -> None:
    told = JournalLines().format(record(level, "one\ntwo", **of(Turn("api", 5))))
    assert told == f"<{priority}>one\n<{priority}>two turn=api/5"


def test_a_traceback_has_the_priority_of_its_error() -> None:
    try:
        raise ValueError("broken")
    except ValueError:
        failed = record(logging.ERROR, "failed", exc_info=sys.exc_info())
    told = JournalLines().format(failed).splitlines()
    assert len(told) > 2
    assert all(line.startswith("<3>") for line in told)


def test_only_the_stream_that_systemd_connected_is_the_journal(tmp_path: Path) -> None:
    with open(tmp_path / "a", "w") as stream, open(tmp_path / "b", "w") as other:
        found = os.fstat(stream.fileno())
        environ = {"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"}
        assert to_the_journal(stream, environ)
        assert not to_the_journal(other, environ)  # inherited by who writes elsewhere
        assert not to_the_journal(stream, {})
    assert not to_the_journal(io.StringIO(), environ)


def test_a_service_under_systemd_writes_for_the_journal(runtime: Path) -> None:
    log = runtime / "log"
    command = processes.service(runtime, act="crashing")
    with open(log, "w") as stream:
        found = os.fstat(stream.fileno())
        environ = {**os.environ, "JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"}
        assert subprocess.run(command, cwd=processes.ROOT, env=environ, stderr=stream, check=False).returncode == 1
    assert log.read_text().startswith("<3>failed\n<3>Traceback")
