"""``assistant bench latency``: the real processes on a simulated board, a few questions of each flow."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from assistant.commands import _latency, _latency_cases, _latency_view, main
from assistant.commands._latency_cases import CASES, CLAUSE, MAIN, QUESTIONS, TOKENS, Case
from assistant.core.sentences import Splitter
from pipelines.audio import wav

MODEL = "smolvlm-256m"
ROW = (
    "sequential_ms", "ours_ms", "ratio", "floor_ms", "over_floor", "floor_parts_ms", "wasted_npu_ms", "stages_ms",
    "sequential_stages_ms", "computed_tokens", "reply_tokens", "reuse", "turns", "ears", "mouth",
)  # fmt: skip


def test_a_few_questions_of_each_flow(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    chart = tmp_path / "chart.png"
    asked = ["bench", "latency", "--board", "rk3588", "--model", MODEL, "--quick", "--json", "--chart", str(chart)]
    assert main(asked) == 0
    figures = json.loads(capsys.readouterr().out)
    onset = figures["cases"][Case(2.5, "changed at onset").name]
    for row in (figures, onset):
        assert set(ROW) <= set(row)
        assert row["reply_tokens"] == TOKENS
        assert row["ears"].startswith("pocketsphinx at rk3588's pace")
        assert row["mouth"] == "espeak at rk3588's pace"
        assert row["ours_ms"]["p50"] < row["sequential_ms"]["p50"]  # though its machine is busy with three daemons
        assert sum(row["floor_parts_ms"].values()) - row["floor_parts_ms"]["picture"] <= row["floor_ms"] + 2
    assert figures["simulated"] is True
    assert figures["ratio"] < 1
    assert figures["wasted_npu_ms"] == 0
    # The picture in context still showed the scene: nothing but the question was left to be computed.
    assert figures["computed_tokens"] < 64  # tokens of one picture
    assert "encode" not in figures["stages_ms"]
    assert "encode ahead" not in figures["stages_ms"]
    assert onset["stages_ms"]["encode ahead"][0] < 0 < onset["sequential_stages_ms"]["encode"][0]
    assert chart.read_bytes().startswith(b"\x89PNG")
    table = _latency_view.lines(figures)
    assert any(line.startswith(MAIN.name) for line in table)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--board", "rk3588", "--model", "gpt"], "no figures of rk3588:gpt are known; choose one of: rk3588:"),
        (["--board", "rk1"], "no figures of rk1:qwen3-vl-2b are known"),
        (["--release", "9.9"], "no RKLLM release '9.9' is simulated"),
    ],
)
def test_what_is_not_simulated_is_named(arguments: list[str], why: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "latency", *arguments]) == 78
    assert why in capsys.readouterr().err


def test_a_scene_that_others_make_too_is_never_seen_half_written(tmp_path: Path) -> None:
    """Several flows show the same pictures at the same time."""

    def shown(_: int) -> bytes:
        script = _latency_cases.Script(tmp_path)
        for _ in range(8):
            script.begin()
        return b"".join(step.camera.read_bytes()[-12:] for step in script.steps if step.camera is not None)

    shown(0)
    for path in tmp_path.glob("scene-*"):
        path.unlink()
    with ThreadPoolExecutor(4) as pool:
        ends = list(pool.map(shown, range(4)))
    assert set(ends) == {ends[0][:12] * 8}
    assert b"IEND" in ends[0]
    assert {path.suffix for path in tmp_path.glob("scene-*")} == {".png"}


def test_questions_last_as_long_as_they_should(tmp_path: Path) -> None:
    _latency_cases.Script(tmp_path)
    for seconds in QUESTIONS:
        sound = wav.read(tmp_path / f"question-{seconds:g}.wav")
        assert len(sound.pcm) / sound.rate == pytest.approx(seconds, rel=0.1)


def test_the_reply_begins_with_a_sentence_of_its_own() -> None:
    splitter = Splitter(first_clause=True)
    words = _latency_cases.REPLY.split()
    first = next(said for number in range(len(words)) for said in splitter.feed(f"{words[number]} "))
    assert first.text.strip() == " ".join(words[: CLAUSE - 1])  # and its full stop is a token
    assert len(words) + 2 == TOKENS


def test_scenes_do_not_look_alike() -> None:
    scenes = [_latency_cases.scene(number) for number in range(1, 13)]
    for number, one in enumerate(scenes):
        assert all(np.abs(one.astype(int) - other).max() > 30 for other in scenes[:number])


def test_no_case_has_the_questions_of_another_in_its_prompt(tmp_path: Path) -> None:
    script, asked = _latency_cases.Script(tmp_path), 3
    script.begin()
    for case in CASES:
        script.ask(case, asked)
    earlier: list[int] = []  # questions in the conversation of each that is measured
    count = 0
    for number, step in enumerate(script.steps, 1):
        if step.clear:
            count = 0
        if number in script.measured:
            earlier.append(count)
        count += step.ask is not None or step.hear is not None
    assert len(earlier) == asked * len(CASES)
    assert [max(earlier[at : at + asked]) for at in range(0, len(earlier), asked)] == [
        asked if case.scene == "still" else 0 for case in CASES
    ]


def test_the_machine_and_what_was_lost_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "latency", "--cases", "nothing"]) == 2
    told = capsys.readouterr().err
    assert "--cases nothing: no case is called so; there are: 1.5 s, still; " in told


@pytest.mark.parametrize(
    ("patterns", "names"),
    [
        ([], {case.name for case in CASES}),
        (["2.5 s, changed late"], {"2.5 s, still", "2.5 s, changed late"}),
        (["button", "4 s, still"], {"2.5 s, still", "2.5 s, still, button", "4 s, still"}),
    ],
)
def test_cases_are_chosen_by_a_part_of_their_name(patterns: list[str], names: set[str]) -> None:
    found = _latency.chosen(patterns)
    assert {case.name for case in found} == names
    for flow in _latency.flows("rk3588", "1.3.0", quick=False, cases=found):
        assert {case.name for case in flow.times} <= names
    quick = _latency.flows("rk3588", "1.3.0", quick=True, cases=found)
    assert MAIN in quick[0].times
    assert set(quick[0].times.values()) == {1}


def test_main_cases_are_asked_often_enough() -> None:
    for flow in _latency.flows("rk3588", "1.3.0", quick=False):
        for case, times in flow.times.items():
            assert times >= (5 if flow.name == "ours" and case.speech_s == 2.5 else 3)


def test_every_case_is_asked_of_the_main_flows() -> None:
    for flow in _latency.flows("rk3588", "1.3.0", quick=False)[:2]:
        assert set(flow.times) == set(CASES)
    releases = {flow.name: flow.reuse for flow in _latency.flows("rk3588", "1.3.0", quick=False)[3:]}
    assert releases == {"RKLLM 1.2.3": "history", "no reuse": "none"}
    assert len(_latency.flows("cpu", "1.3.0", quick=False)) == 3
