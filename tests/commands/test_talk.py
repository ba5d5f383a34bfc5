"""``ask`` and ``chat`` on the real processes."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from assistant import client
from assistant.commands import _talk
from assistant.core.personas import PRESETS
from assistant.messages import VERSION, Message, NpuCost, PictureBound, ReplyEnded, Turn, TurnStarted, Usage
from assistant.wire import Received, Stamp

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


def received(message: Message, ms: float) -> Received:
    return Received(message, Stamp(VERSION, "dialogue", 0, 0, round(ms * 1e6)))


def test_the_figures_of_an_answer_tell_what_the_npu_cost() -> None:
    turn = Turn("cli", 0)
    usage = Usage(prompt_tokens=90, cached_tokens=70, completion_tokens=6, prefill_ms=200, decode_ms=500)
    usage = msgspec.structs.replace(usage, first_token_ms=250)
    usage = msgspec.structs.replace(usage, memory_mb=1689.4, npu=NpuCost(12.4, 720.0, "vision"))
    bound = PictureBound(
        turn=turn, identity="a", camera="main", frame_seq=1, captured_at=0, verified_at=0, fresh=True,
        npu=NpuCost(0.1, 340.0),
    )  # fmt: skip
    messages = [
        received(TurnStarted(turn=turn, text="what", spoken=False, last_sample_at=1_000_000), 1),
        received(bound, 400),
        received(ReplyEnded(turn=turn, reason="stop", text="Red.", sentences=0, usage=usage), 1101),
    ]
    found = _talk.answer("what", messages)
    assert found.figures() == (
        "picture 1 ms old · 20 tokens computed, 70 from cache, 6 generated · 1100 ms · "
        "prompt 200 ms, first token after 250 ms, then 12.0 tokens/s · 1689 MB · "
        "NPU: encode 340 ms, reply 720 ms after 12 ms behind vision"
    )
    plain = msgspec.structs.replace(usage, memory_mb=0.0, npu=None, decode_ms=0.0)
    ended = ReplyEnded(turn=turn, reason="stop", text="Red.", sentences=0, usage=plain)
    line = _talk.answer("what", [messages[0], received(ended, 1101)]).figures()
    assert line == "no picture · 20 tokens computed, 70 from cache, 6 generated · 1100 ms"


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
