"""Scenarios on the real processes, in real time: what is typed and what is heard; and what a run leaves behind."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipelines.audio import wav

ROOT = Path(__file__).resolve().parent.parent.parent
SCENARIOS = ROOT / "tests" / "scenarios"


def adds_up(line: dict[str, Any]) -> bool:
    """Are the parts of the silence, to the microsecond that a line tells, all of it?"""
    told = [length for _, length in line["parts"]]
    first = line["timings_ms"].get("first_audio")
    return not told if first is None else abs(sum(told) - first) <= 0.0005 * (len(told) + 1)


def replay(path: Path, *arguments: str) -> tuple[int, list[dict[str, Any]], str]:
    done = subprocess.run(
        [sys.executable, "-m", "assistant", "replay", str(path), "--json", *arguments],
        cwd="/",
        capture_output=True,
        text=True,
        timeout=170,
    )
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr


@pytest.mark.parametrize("name", ["typed", "interrupted"])
def test_typed_scenarios_hold(name: str) -> None:
    code, lines, said = replay(SCENARIOS / f"{name}.toml")
    assert [(line["step"], line["why"]) for line in lines if not line["ok"]] == [], said
    assert code == 0, said


@pytest.mark.parametrize("name", ["wakeword", "wakeword-networks", "push-to-talk"])
def test_scenarios_of_who_is_meant_hold(name: str) -> None:
    if name == "wakeword-networks":
        pytest.importorskip("pymicro_wakeword")
    code, lines, said = replay(SCENARIOS / f"{name}.toml")
    assert [(line["step"], line["why"]) for line in lines if not line["ok"]] == [], said
    assert code == 0, said
    if name == "wakeword":
        assert next(line for line in lines if line["typed"])["finish_reason"] == "interrupted"  # by being called


def test_a_spoken_scenario_holds_and_leaves_its_record(tmp_path: Path) -> None:
    code, lines, said = replay(SCENARIOS / "spoken.toml", "--out", str(tmp_path / "out"))
    assert [(line["step"], line["why"]) for line in lines if not line["ok"]] == [], said
    assert code == 0, said
    assert all(adds_up(line) for line in lines)
    first = lines[0]
    assert first["frame_age_ms"] is not None
    for stage in ("endpoint", "asr", "encode", "prefill", "first_token", "tts_first_audio", "first_audio"):
        assert first["timings_ms"][stage] is not None, stage
    assert lines[1]["cached_tokens"] > 0
    cut = next(line for line in lines if line["finish_reason"] == "interrupted")
    assert len(cut["spoken"]) < len(cut["answer"])
    assert [line["turn"] for line in lines if line["turn"]] == list(
        range(1, 1 + sum("dropped" not in x for x in lines))
    )

    out = tmp_path / "out"
    assert [json.loads(line) for line in (out / "turns.jsonl").read_text().splitlines()] == lines
    assert (out / "timeline.png").read_bytes().startswith(b"\x89PNG")
    answer = wav.read(out / "answer-01.wav")
    assert abs(answer.seconds * 1000 - first["spoken_ms"]) < 100
    assert np.abs(answer.pcm).max() > 3000


def test_commands_are_answered_without_picture_and_model() -> None:
    """The sound begins as soon as the end of speech is decided, the words are known and the voice has its first."""
    code, lines, said = replay(SCENARIOS / "lane.toml")
    assert [(line["step"], line["why"]) for line in lines if not line["ok"]] == [], said
    assert code == 0, said
    for line in lines:
        assert (line["prompt_tokens"], line["frame_seq"]) == (0, None)
        timings, muted = line["timings_ms"], line["heard"] == "mute the sound"
        assert (timings["first_audio"] is None) == muted == (not line["parts"])
        assert adds_up(line)
        if not muted:
            parts = sum(timings[stage] for stage in ("endpoint", "asr", "tts_first_audio"))
            assert timings["first_audio"] < 2 * parts


def test_what_is_said_over_a_reply_lets_it_go_on_or_ends_it() -> None:
    code, lines, said = replay(SCENARIOS / "over-a-reply.toml")
    assert [(line["step"], line["why"]) for line in lines if not line["ok"]] == [], said
    assert code == 0, said
    became = {line["step"]: line["finish_reason"] for line in lines}
    assert became == {1: "stop", 2: "stop", 3: None, 4: "interrupted", 5: "stop"}
    for cut in (line for line in lines if line["finish_reason"] == "interrupted"):
        assert len(cut["spoken"]) < len(cut["answer"])


def test_stop_ends_a_reply_and_nothing_more_is_said() -> None:
    code, lines, said = replay(SCENARIOS / "stop-a-reply.toml")
    assert [(line["step"], line["why"]) for line in lines if not line["ok"]] == [], said
    assert code == 0, said
    assert {line["step"]: line["finish_reason"] for line in lines} == {1: "interrupted", 2: "command"}
    cut = next(line for line in lines if line["step"] == 1)
    assert 0 < len(cut["spoken"]) < len(cut["answer"])


def test_an_expectation_that_does_not_hold_is_told(tmp_path: Path) -> None:
    path = tmp_path / "s.toml"
    path.write_text('[[steps]]\nask = "is the lamp on"\nexpect = "perhaps"\n')
    code, lines, _ = replay(path)
    assert code == 1
    assert [(line["ok"], line["why"]) for line in lines] == [(False, "expected the answer /perhaps/")]


def test_the_profile_and_the_settings_of_the_file_can_be_overruled(tmp_path: Path) -> None:
    path = tmp_path / "s.toml"
    path.write_text(
        'profile = "none-such"\nsettings = {"dialogue.max_tokens" = 50}\n[[steps]]\nask = "what do you see"\n'
    )
    code, lines, said = replay(path)
    assert (code, lines) == (78, [])
    assert "there is no profile 'none-such'" in said
    code, lines, _ = replay(path, "--profile", "demo", "--set", "dialogue.max_tokens=3")
    assert code == 0
    assert [(line["completion_tokens"], line["finish_reason"]) for line in lines] == [(3, "length")]
