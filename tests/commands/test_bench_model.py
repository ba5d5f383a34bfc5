"""``assistant bench model``: pico, and the simulated board with and without a release that can be told to go on."""

import json
from pathlib import Path
from typing import Any

import pytest

from assistant.commands import _model, _model_cases, bench, main
from pipelines import llm, simulator
from pipelines.llm import Message
from pipelines.simulator import build

PICO = {"model": "models/pico/model"}


def figures(capsys: pytest.CaptureFixture[str], *options: str) -> dict[str, Any]:
    assert main(["bench", "model", "--json", *options]) == 0
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    return told


@pytest.fixture
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Settings of both engines on a simulated board: ``board("1.3.0")``."""
    monkeypatch.syspath_prepend(str(simulator.STAND_IN))
    monkeypatch.setenv("ASSISTANT_NPU", str(tmp_path / "npu"))
    monkeypatch.setenv("RKLLM_SIM_REPLY", "one two three")
    monkeypatch.setenv("RKLLM_SIM_DECODE_MS", "1")
    monkeypatch.setenv("RKLLM_LOG_LEVEL", "1")  # a library that prints must not spoil the JSON
    folder = tmp_path / "Qwen3-VL-2B-rk3588"
    folder.mkdir()

    def settings(release: str, width: int = 8) -> list[str]:
        values = {
            "vision.encoder.engine": "rknn",
            "vision.encoder.rknn.model": simulator.write_encoder(folder / "m.rknn", size=32, tokens=7, width=8),
            "vision.encoder.rknn.size": 32,
            "dialogue.llm.engine": "rkllm",
            "dialogue.llm.rkllm.model": simulator.write_model(folder / "m.rkllm", width=width),
            "dialogue.llm.rkllm.library": build.library(release, tmp_path),
            "dialogue.llm.rkllm.row_width": width,
        }
        return [f"--set={key}={value}" for key, value in values.items()]

    return settings


def test_pico_says_as_many_tokens_as_it_is_told_to(capsys: pytest.CaptureFixture[str]) -> None:
    told = figures(capsys, "--quick")
    assert (told["llm"], told["vision"], told["exact"]) == ("onnx", "onnx", True)
    assert [(case["prompt"], case["new"], case["picture"]) for case in told["cases"]] == [
        (32, 16, False),
        (32, 16, True),
    ]
    for case in told["cases"]:
        assert case["new_tokens"] == 16
        assert case["first_token_ms"] > 0
        assert case["peak_mb"] > 10
    bare, seen = told["cases"]
    assert bare["prompt_tokens"] == 32
    assert seen["prompt_tokens"] + 6 >= 32 + seen["picture_tokens"] > 32  # a few are still in the cache
    assert seen["encode_ms"] > 0
    assert told["published"] is None
    assert "nothing is published" in _model.lines(told)[-1]


def test_a_board_beside_what_is_published_of_it(board: Any, capsys: pytest.CaptureFixture[str]) -> None:
    told = figures(capsys, "--quick", *board("1.3.0"))
    assert (told["llm"], told["vision"], told["exact"]) == ("rkllm", "rknn", True)
    assert [case["new_tokens"] for case in told["cases"]] == [16, 16]
    assert told["cases"][1]["picture_tokens"] == 7
    assert told["cases"][0]["tokens_per_s"] > 0
    assert told["published"]["model"] == "Qwen3-VL-2B-rk3588"
    assert told["published"]["contradictions"]["tokens_per_s"]
    shown = "\n".join(_model.lines(told))
    assert "tokens_per_s 14.9" in shown
    assert "they contradict each other on tokens_per_s: 14.9 says" in shown


def test_a_release_that_cannot_go_on_says_how_many_came(board: Any, capsys: pytest.CaptureFixture[str]) -> None:
    told = figures(capsys, "--quick", *board("1.2.3"))
    assert told["exact"] is False
    assert [case["new_tokens"] for case in told["cases"]] == [3, 3]
    assert any("how many tokens it had" in line for line in _model.lines(told))


def test_what_cannot_be_measured_says_why(
    board: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told = figures(capsys, "--quick", *board("1.3.0", width=16))
    assert "why" not in told["cases"][0]
    assert "rows of 8 floats, the model takes 16" in told["cases"][1]["why"]
    monkeypatch.setenv("RKLLM_SIM_FAULTS", "death")
    told = figures(capsys, "--quick", *board("1.3.0"))
    assert [case["why"] for case in told["cases"]] == ["died with signal 6 (SIGABRT)"] * 2
    monkeypatch.setenv("RKLLM_SIM_FAULTS", "no-memory")
    assert main(["bench", "model", "--quick", *board("1.3.0")]) == 78
    assert "Usual causes: memory is full" in capsys.readouterr().err


def test_an_entry_that_there_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "model", "--quick", "--published=nobodys"]) == 78
    assert "the manifest has no figures of 'nobodys'" in capsys.readouterr().err


def test_prompts_have_the_length_that_was_asked_for() -> None:
    model = llm.load("onnx", PICO)
    for tokens in (32, 64, 128):
        asked = _model_cases.text(model, tokens, 3)
        assert tokens - 4 <= model.count([Message("user", (asked,))]) <= tokens
    assert _model_cases.text(model, 32, 1) != _model_cases.text(model, 32, 2)


def test_every_measure_has_its_help() -> None:
    for name in bench.MEASURES:
        assert f"``{name}``" in (bench.__doc__ or "")
