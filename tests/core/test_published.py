"""Which published figures are meant, and where they contradict each other."""

import pytest

from assistant import modelstore
from assistant.core import published


@pytest.mark.parametrize(
    ("names", "soc", "entry"),
    [
        (["qwen3-vl-2b"], "rk3588", "Qwen3-VL-2B-rk3588"),
        (["Qwen2_5-VL-3B-rk3588"], "rk3588", "Qwen2_5-VL-3B-rk3588"),
        (["qwen2.5-vl-3b"], "rk3576", "Qwen2_5-VL-3B-rk3588"),
        (["", "m.rkllm", "Qwen2-VL-2B-Instruct_w8a8", "models"], "rk3588", "Qwen2-VL-2B-rk3588"),
        (["smolvlm-256m"], "rk3588", "SmolVLM-256M-rk3588"),
        (["SmolVLM2-500M-w8a8.rkllm"], "", "SmolVLM2-500M-rk3588"),
    ],
)
def test_a_model_is_known_however_it_is_spelt(names: list[str], soc: str, entry: str) -> None:
    found = published.find(modelstore.load(), names, soc)
    assert found is not None
    assert found.model == entry
    assert found.figures
    assert all(row["source"] and (not soc or row["soc"] == soc) for row in found.figures)


@pytest.mark.parametrize("names", [["pico"], [""], [], ["qwen"]])
def test_what_nobody_measured_is_not_made_up(names: list[str]) -> None:
    assert published.find(modelstore.load(), names, "") is None


def test_sources_that_contradict_each_other_stand_side_by_side() -> None:
    found = published.find(modelstore.load(), ["qwen3-vl-2b"], "rk3588")
    assert found is not None
    values = {one["value"]: one["source"] for one in found.contradictions["tokens_per_s"]}
    assert set(values) == {14.9, 11.5}
    assert "benchmark.md" in values[14.9]
    assert "Qengineering" in values[11.5]
    assert "encoder_s" not in found.contradictions  # 2.08 and 2 say the same
    one_source = published.find(modelstore.load(), ["qwen3-vl-2b"], "rk3576")
    assert one_source is not None
    assert one_source.contradictions == {}
    both = published.find(modelstore.load(), ["qwen3-vl-2b"], "")
    assert both is not None
    assert set(both.contradictions) == {"tokens_per_s (rk3588)", "ram_mb (rk3588)"}  # two boards are no contradiction
