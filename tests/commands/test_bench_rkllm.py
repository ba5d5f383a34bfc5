"""``assistant bench rkllm`` on the simulated board, small; and that it would see two programs on one NPU."""

import json
import math
from pathlib import Path

import pytest

from assistant.commands import _rkllm, _rkllm_board, _rkllm_parts, main

REUSING = ("1.2.0", "1.2.1b1", "1.2.3", "1.3.0")


def test_every_figure_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "rkllm", "--quick", "--json"]) == 0
    told = capsys.readouterr()
    figures = json.loads(told.out)
    assert "binding: 300 tokens through RKLLM 1.3.0" in told.err
    assert figures["release"] == "1.3.0"
    for name in ("per_token_us", "library_us"):
        assert math.isfinite(figures[name])
    for name in ("delivery_us", "npu_wait_ms"):
        assert 0 <= figures[name]["p50"] <= figures[name]["p99"]
    assert figures["npu_overlaps"] == 0
    assert figures["npu_jobs"] == 2 * _rkllm.QUICK.rounds
    assert 0 < figures["load_s"]["parallel"] < figures["load_s"]["sequential"]
    assert figures["load_speed_up"] == _rkllm.QUICK.loading
    counted = figures["prompt_tokens_by_release"]
    assert set(counted) == set(_rkllm_board.RELEASES)
    assert figures["prompt_tokens"] == {
        "with_cache": counted["1.3.0"]["history"],
        "without_cache": counted["1.3.0"]["none"],
    }
    for release in REUSING:
        assert counted[release]["history"] * 5 < counted[release]["none"]
    assert len(set(counted["1.1.4"].values())) == 1  # it can reuse nothing
    assert counted["1.3.0"]["prefix"] * 5 < counted["1.3.0"]["none"]
    assert counted["1.2.3"]["prefix"] > _rkllm_board.TOKENS * _rkllm_parts.TURNS  # it stops at the picture (#492)
    assert any("0 overlaps" in line for line in _rkllm.lines(figures))


def test_two_programs_without_a_common_lock_are_seen(tmp_path: Path) -> None:
    pace = _rkllm_board.pace("rk3588", "qwen3-vl-2b", 100)
    overlaps, _ = _rkllm_parts.contention(tmp_path, "1.3.0", pace, 60, locked=False)
    assert overlaps > 0


@pytest.mark.parametrize(
    ("option", "why"),
    [("--release=9.9", "no RKLLM release '9.9' is simulated"), ("--pace=rk1:none", "no figures of rk1:none are known")],
)
def test_what_is_not_simulated_is_named(option: str, why: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "rkllm", option]) == 78
    assert why in capsys.readouterr().err
