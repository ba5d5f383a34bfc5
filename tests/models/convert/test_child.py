"""A toolkit's process: told while it lasts, and ended with us."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from models.convert import child
from models.convert.outcome import Stopped


def test_a_long_stage_is_told_now_and_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "HEARTBEAT_S", 0.0)
    lines: list[str] = []

    def say(line: str) -> None:
        lines.append(line)
        if "so far" in line and "waiting" in line:
            (tmp_path / "work" / "go").touch()

    found = child.work("tests.models.convert.waiting", {"some": 1}, tmp_path / "work", tmp_path / "log", say)
    assert found == {"went": True}
    assert "  waiting" in lines
    assert json.loads((tmp_path / "work" / "job.json").read_text()) == {"some": 1}


def test_an_interruption_ends_the_child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    children: list[subprocess.Popen[bytes]] = []

    class Noted(subprocess.Popen[bytes]):
        def __init__(self, *given: Any, **named: Any) -> None:
            super().__init__(*given, **named)
            children.append(self)

    monkeypatch.setattr(subprocess, "Popen", Noted)

    def say(line: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        child.work("tests.models.convert.waiting", {}, tmp_path / "work", tmp_path / "log", say)
    assert [one.poll() for one in children] == [-9]


def test_a_module_that_cannot_run_is_named_with_its_last_error(tmp_path: Path) -> None:
    with pytest.raises(Stopped, match=r"left at 'starting' \(exit code 1\)"):
        child.work("tests.models.convert.nothing", {}, tmp_path / "work", tmp_path / "log", lambda line: None)


@pytest.mark.parametrize(
    ("printed", "words"),
    [
        ("I fine\n\x1b[1;31mE\x1b[0m \x1b[1;31mbuild: no\x1b[0m\nI rknn building\n", "E build: no"),
        ("I Loading : 50%\rE RKNN: [10:00] no\nE RKNN: [10:01] Unkown op target: 0\n", "E RKNN: [10:00] no"),
        ("ERROR: target_platform: rk3588 not support quantized_dtype: w4a16!\n", "not support quantized_dtype"),
        ("Traceback (most recent call last):\nValueError: bad\n", "ValueError: bad"),
        ("Everything is fine\n", "shows what it printed"),
    ],
)
def test_the_last_error_of_what_was_printed(tmp_path: Path, printed: str, words: str) -> None:
    (tmp_path / "log").write_text(printed)
    assert words in child.last_words(tmp_path / "log")
