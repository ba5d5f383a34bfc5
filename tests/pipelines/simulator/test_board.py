"""A simulated board as it is made ready for use: files that the engines take, settings, and what it says of itself."""

import os
from pathlib import Path

import pytest

from pipelines import engine, simulator
from pipelines.npu.families import family
from pipelines.simulator import build, timings
from pipelines.simulator.board import Board, place

MODELS = [model for board, model in timings.MODELS if board == "rk3588"]


@pytest.fixture(autouse=True)
def _cache(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(built))


@pytest.mark.parametrize("model", MODELS)
def test_the_engines_take_its_files(model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(simulator.STAND_IN))
    placed = place(Board("rk3588", model, speedup=1e6), tmp_path)
    for name, value in placed.environment.items():
        if name != "PYTHONPATH":
            monkeypatch.setenv(name, value)
    encoder = engine.load("vision", "rknn", {"model": str(placed.encoder), "family": model})
    options = {"model": str(placed.model), "library": str(placed.library), "family": model}
    language = engine.load("llm", "rkllm", options)
    language.close()
    assert language.capabilities.width == encoder.width == family(model).row_width
    assert encoder.tokens == family(model).tokens[0]


def test_both_boards_have_the_same_models_and_each_is_a_family() -> None:
    assert [model for board, model in timings.MODELS if board == "rk3576"] == MODELS
    assert [family(model).row_width > 0 for model in MODELS] == [True] * len(MODELS)


def test_its_pace_is_the_boards_by_the_factor(tmp_path: Path) -> None:
    placed = place(Board("rk3588", "qwen3-vl-2b", speedup=2), tmp_path, environ={})
    assert placed.environment["RKLLM_SIM_ENCODE_MS"] == "1040"
    assert placed.environment["RKLLM_SIM_SOC"] == "rk3588"


def test_what_the_environment_says_stays(tmp_path: Path) -> None:
    given = {"RKLLM_SIM_REPLY": "mine", "RKLLM_SIM_DECODE_MS": "1", "PYTHONPATH": "/here"}
    placed = place(Board("rk3588", "qwen3-vl-2b"), tmp_path, environ=given)
    assert {name: placed.environment[name] for name in ("RKLLM_SIM_REPLY", "RKLLM_SIM_DECODE_MS")} == {
        "RKLLM_SIM_REPLY": "mine",
        "RKLLM_SIM_DECODE_MS": "1",
    }
    assert placed.environment["PYTHONPATH"] == f"{simulator.STAND_IN}{os.pathsep}/here"
    assert place(Board("rk3588", "qwen3-vl-2b"), tmp_path, environ={}).environment["PYTHONPATH"] == str(
        simulator.STAND_IN
    )


@pytest.mark.parametrize(
    ("board", "says"),
    [
        (Board("rk3568", "qwen3-vl-2b"), "rk3568:qwen3-vl-2b are known; choose one of: rk3588:qwen2-vl-2b, "),
        (Board("rk3588", "qwen3-vl-2b", "1.2.9"), "no RKLLM release '1.2.9' is simulated; there are: 1.1.4, 1.2.0"),
    ],
)
def test_what_is_not_simulated_is_refused_with_what_there_is(board: Board, says: str, tmp_path: Path) -> None:
    with pytest.raises(engine.EngineError) as refused:
        board.check()
    assert says in str(refused.value)
    with pytest.raises(engine.EngineError):
        place(board, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("board", "model"), timings.MODELS)
def test_it_says_in_two_languages_what_it_is(board: str, model: str) -> None:
    pace = timings.MODELS[board, model]
    for line in Board(board, model, "1.2.3").told():
        for part in (board, model, "1.2.3", f"{pace.load_s:g}", f"{pace.encode_s:g}", pace.source, pace.load_source):
            assert part in line
    english, chinese = Board(board, model, speedup=10).told()
    assert f"RKLLM {list(build.FAMILIES)[-1]}, 10 times as fast as it is" in english
    assert "速度是开发板的 10 倍" in chinese
