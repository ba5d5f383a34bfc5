"""Log lines: the turn that they concern, and the journal's priorities."""

import ast
import io
import json
import logging
import os
import subprocess
import sys
import threading
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from assistant.journal import Lines, about, formatter, of, to_the_journal
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


def test_what_is_logged_on_a_turns_behalf_names_it() -> None:
    lines, turn, other = Lines("vision"), Turn(LIVE, 5), Turn("api", 7)
    with about(turn):
        assert lines.format(record(logging.WARNING, "waits")).endswith("waits turn=live/5")
        assert lines.format(record(logging.WARNING, "waits", **of(other))).endswith("waits turn=api/7")
        with about(None):
            assert "turn" not in lines.format(record(logging.WARNING, "waits"))
        told: list[str] = []
        thread = threading.Thread(target=lambda: told.append(lines.format(record(logging.INFO, "elsewhere"))))
        thread.start()
        thread.join()
    assert "turn" not in lines.format(record(logging.WARNING, "waits")) + told[0]


@pytest.mark.parametrize(
    ("level", "priority"),
    [(logging.CRITICAL, 3), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6), (logging.DEBUG, 7)],
)
def test_the_journal_is_told_the_priority_of_every_line(level: int, priority: int) -> None:
    told = formatter("text", "camera", journal=True).format(record(level, "one\ntwo", **of(Turn("api", 5))))
    assert told == f"<{priority}>one\n<{priority}>two turn=api/5"


def failed() -> logging.LogRecord:
    try:
        raise ValueError("broken")
    except ValueError:
        return record(logging.ERROR, "failed", exc_info=sys.exc_info())


def test_a_traceback_has_the_priority_of_its_error() -> None:
    told = formatter("text", "camera", journal=True).format(failed()).splitlines()
    assert len(told) > 2
    assert all(line.startswith("<3>") for line in told)


@pytest.mark.parametrize("journal", [False, True])
def test_json_is_one_object_a_line_whatever_is_logged(journal: bool) -> None:
    lines = formatter("json", "dialogue", journal)
    for text in ("no\nanswer", 'a "quoted" one', "\u2028\u0085\x00 好"):
        told = lines.format(record(logging.WARNING, text, **of(Turn(LIVE, 81234567890, 2))))
        head = "<4>" if journal else ""
        assert told.startswith(head + "{")
        assert "\n" not in told
        said = json.loads(told.removeprefix(head))
        assert (said["level"], said["service"], said["message"]) == ("warning", "dialogue", text)
        assert said["turn"] == "live/81234567890"
        assert datetime.fromisoformat(said["time"]).utcoffset() == timedelta(0)
        assert isinstance(said["at"], int)


def test_json_holds_the_traceback_and_no_turn_where_there_is_none() -> None:
    told = formatter("json", "camera", journal=False).format(failed())
    assert "\n" not in told
    said = json.loads(told)
    assert said["traceback"].endswith("ValueError: broken")
    assert "turn" not in said


def test_a_service_writes_json_where_that_is_asked_for(runtime: Path) -> None:
    command = processes.service(runtime, act="crashing")
    settings = runtime / "settings.json"
    settings.write_text(json.dumps({**json.loads(settings.read_text()), "log": {"format": "json"}}))
    with processes.started(command) as process:
        _, said = processes.ended(process)
    assert json.loads(said.splitlines()[0])["traceback"].endswith("RuntimeError: something broke")


# --- every call ---


def unnamed(source: str) -> list[int]:
    """Lines of log calls that stand where a turn is known and yet do not name it."""
    found = []
    for function in ast.walk(ast.parse(source)):
        if isinstance(function, ast.FunctionDef) and _knows_a_turn(function):
            named = {id(call) for inner in ast.walk(function) for call in _within_about(inner)}
            calls = (node for node in ast.walk(function) if isinstance(node, ast.Call) and _logs(node))
            found += [call.lineno for call in calls if id(call) not in named and not _is_of_one(call)]
    return found


def _knows_a_turn(function: ast.FunctionDef) -> bool:
    names = {node.id for node in ast.walk(function) if isinstance(node, ast.Name)}
    names |= {node.arg for node in ast.walk(function) if isinstance(node, ast.arg)}
    names |= {node.attr for node in ast.walk(function) if isinstance(node, ast.Attribute)}
    return not names.isdisjoint({"turn", "current"})


def _within_about(node: ast.AST) -> list[ast.Call]:
    if not isinstance(node, ast.With) or not any(_called(item.context_expr) == "about" for item in node.items):
        return []
    return [inner for inner in ast.walk(node) if isinstance(inner, ast.Call)]


def _logs(call: ast.Call) -> bool:
    function = call.func
    return isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name) and function.value.id == "log"


def _is_of_one(call: ast.Call) -> bool:
    return any(keyword.arg == "extra" and _called(keyword.value) == "of" for keyword in call.keywords)


def _called(node: ast.AST) -> str:
    return node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""


@pytest.mark.parametrize(
    ("body", "lines"),
    [
        ("log.info('x')", [2]),
        ("log.info('x', extra=of(turn))", []),
        ("with about(turn):\n  log.info('x')", []),
        ("with other(turn):\n  log.info('x')", [3]),
        ("math.log(1)", []),
    ],
)
def test_a_call_that_forgets_its_turn_is_found(body: str, lines: list[int]) -> None:
    assert unnamed(f"def f(turn):\n {body.replace(chr(10), chr(10) + ' ')}") == lines
    assert unnamed(f"def f(other):\n {body.replace('turn', 'it').replace(chr(10), chr(10) + ' ')}") == []


def test_every_call_that_knows_a_turn_names_it() -> None:
    files = list((processes.ROOT / "assistant").rglob("*.py"))
    assert len(files) > 100
    forgotten = {str(file): lines for file in files if (lines := unnamed(file.read_text()))}
    assert forgotten == {}


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
