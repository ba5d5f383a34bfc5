"""``ask`` and ``chat`` on the real processes."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from assistant import client
from assistant.core.personas import PRESETS

ROOT = Path(__file__).resolve().parent.parent.parent
PICTURES = ROOT / "config" / "demo"


@pytest.fixture(scope="module")
def daemon() -> Iterator[Path]:
    with client.private("demo", ["log.level=warning"]) as runtime:
        yield runtime


def call(daemon: Path, *arguments: str, typed: str = "") -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "assistant", *arguments, "--runtime", str(daemon)],
        cwd=ROOT,
        input=typed,
        capture_output=True,
        text=True,
        timeout=90,
    )


def test_ask_prints_the_answer_alone(daemon: Path) -> None:
    done = call(daemon, "ask", "is the lamp on", "--image", str(PICTURES / "table-3.png"))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Yes")


def test_ask_tells_its_figures_as_json(daemon: Path) -> None:
    done = call(daemon, "ask", "how many objects are there", "--image", str(PICTURES / "table-1.png"), "--json")
    answer = json.loads(done.stdout)
    assert answer["answer"] == "There are three objects."
    assert answer["finish_reason"] == "stop"
    assert answer["picture_age_ms"] is not None
    assert answer["prompt_tokens"] > answer["cached_tokens"]
    assert answer["completion_tokens"] > 0


def test_two_questions_of_two_calls_have_nothing_in_common(daemon: Path) -> None:
    call(daemon, "ask", "how many mugs are there", "--image", str(PICTURES / "table-3.png"))
    done = call(daemon, "ask", "and the ball", "--image", str(PICTURES / "table-3.png"))
    assert "?" in done.stdout


def test_ask_refuses_what_is_no_picture(daemon: Path, tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    path.write_text("no picture")
    done = call(daemon, "ask", "what do you see", "--image", str(path))
    assert done.returncode == 69
    assert "the picture cannot be shown" in done.stderr


def test_a_conversation_with_the_keyboard(daemon: Path) -> None:
    lines = [
        f"/image {PICTURES / 'table-3.png'}",
        "how many mugs are there",
        "and the ball",
        "clear",
        "and the ball",
        str(1 + PRESETS.index("灯亮着吗？")),
        "/camera",
        "/image nowhere.png",
        "/nonsense",
        "help",
        "exit",
        "never asked",
    ]
    done = call(daemon, "chat", typed="\n".join(lines))
    assert (done.returncode, done.stderr) == (0, "")
    told = done.stdout.splitlines()
    answers = [told[at - 1] for at, line in enumerate(told) if " generated · " in line]
    assert answers[0] == "There are two mugs."
    assert "ball" in answers[1]
    assert "?" not in answers[1]  # it is known from before that this asks for a number
    assert answers[2] == "What about the ball?"
    assert "亮" in answers[3]
    assert len(answers) == 4
    assert any("nowhere.png cannot be read" in line for line in told)
    assert any("there is no command /nonsense" in line for line in told)
    assert sum("ask that preset question" in line for line in told) == 2


def test_chat_ends_with_its_input(daemon: Path) -> None:
    assert call(daemon, "chat", typed="").returncode == 0


def test_tap_shows_what_crosses_the_bus(daemon: Path) -> None:
    shown = call(daemon, "tap", "Frame", "Heartbeat", "--count", "8").stdout.splitlines()
    assert len(shown) == 8
    assert any(" camera " in line and "921.6 kB" in line for line in shown)
    rows = [
        json.loads(line) for line in call(daemon, "tap", "CameraState", "--json", "--count", "1").stdout.splitlines()
    ]
    assert [(row["type"], row["sender"], row["payload_bytes"]) for row in rows] == [("CameraState", "camera", 0)]
