"""Combinations of a language model's conversion: what goes together, and the nearest where something does not."""

import re
from pathlib import Path
from typing import Any

import pytest

from models.convert import rkllm_options
from models.convert.outcome import Refused
from models.convert.rkllm_options import CHOICES, CORES, DTYPES, LlmOptions
from models.convert.rkllm_source import Source

FLOATS = Source("hf", "float", "qwen2", 4096, {"hidden_size": 1536, "intermediate_size": 8960}, 32768)
GPTQ = Source("hf", "gptq8", "qwen2", 4096)
F16 = Source("gguf", "f16", "qwen2", 4096)
Q4 = Source("gguf", "q4_0", "qwen2", 4096)


def plan(source: Source = FLOATS, **changed: Any) -> rkllm_options.Plan:
    return rkllm_options.plan(LlmOptions(**({"model": Path("m"), "out": Path("o.rkllm")} | changed)), source)


def test_every_choice_of_every_soc_goes() -> None:
    wide = Source("hf", "float", "qwen2", 4096, {"hidden_size": 2048, "intermediate_size": 8192})
    for choice in CHOICES:
        made = plan(wide, soc=choice.soc, dtype=choice.dtype.upper())
        assert made.build["quantized_dtype"] == choice.dtype
        assert made.build["num_npu_core"] == CORES[choice.soc]
        assert made.build["do_quantization"] is True
        assert made.build["quantized_algorithm"] == ("grq" if choice.dtype.startswith("w4a16") else "normal")


@pytest.mark.parametrize(("soc", "dtype"), [("rk3588", "w8a8"), ("rk3576", "w4a16"), ("rk3562", "w8a8")])
def test_what_is_taken_where_nothing_is_said(soc: str, dtype: str) -> None:
    assert plan(soc=soc).dtype == dtype == DTYPES[soc][0]


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"dtype": "w4a16"}, "rk3588 has no w4a16; the nearest is w8a8 "),
        ({"dtype": "w4a16_g32"}, "rk3588 has no w4a16_g32; the nearest is w8a8 "),
        ({"dtype": "w4a8_g32", "soc": "rk3576"}, "nearest is w4a16_g32 "),
        ({"dtype": "w8a8_g128", "soc": "rk3576"}, "nearest is w8a8 "),
        ({"dtype": "w4a16", "soc": "rk3562"}, "nearest is w4a16_g128 "),
        ({"dtype": "q4_k_m"}, "no quantised type 'q4_k_m'; rk3588 has w8a8, "),
        ({"max_context": 4100}, "nearest to 4100 is 4096"),
        ({"max_context": 20000}, "nearest to 20000 is 16384"),
        ({"max_context": 0}, "nearest to 0 is 32"),
        ({"cores": 4}, "rk3588 has 3 NPU cores; the nearest to 4 is 3"),
        ({"cores": 3, "soc": "rk3576"}, "rk3576 has 2 NPU cores; the nearest to 3 is 2"),
        ({"cores": 2, "soc": "rk3562"}, "rk3562 has 1 NPU core; the nearest to 2 is 1"),
        ({"optimization_level": 2}, "0 .none. or 1"),
        ({"load_dtype": "float16"}, "bfloat16"),
        ({"algorithm": "grq"}, "grq is for 4-bit weights and w8a8 has none; the nearest is normal"),
        ({"algorithm": "gdq", "soc": "rk3576", "dtype": "w8a8"}, "gdq is for 4-bit"),
        ({"algorithm": "awq"}, "there are normal, grq, gdq"),
        ({"qparams": Path("q"), "soc": "rk3576"}, "say --algorithm gdq"),
        ({"dtype": "w8a8_g512", "hybrid_rate": 1.0, "source": Source("hf", "float", "q", 1)}, "nearest is 0.9"),
        ({"soc": "rk3576", "dtype": "w8a8", "hybrid_rate": 0.2}, "rk3576 has no w8a8 in groups; leave it 0"),
        ({"soc": "rk3562", "dtype": "w4a16_g32", "hybrid_rate": 0.2}, "no w4a16 without; leave it 0"),
        ({"dtype": "w8a8_g512", "source": Source("hf", "float", "q", 1, {"hidden_size": 960})}, "nearest is w8a8$"),
        (
            {"soc": "rk3562", "dtype": "w4a16_g128", "source": Source("hf", "float", "q", 1, {"hidden_size": 960})},
            "hidden_size 960 is no multiple of 128, which w4a16_g128 needs; the nearest is w4a16_g64",
        ),
        ({"dtype": "fp16", "hybrid_rate": 0.2}, "--hybrid-rate: for quantised"),
        ({"dtype": "fp16", "dataset": Path("d")}, "--dataset: for quantised"),
        ({"dtype": "fp16", "algorithm": "grq"}, "fp16 has none"),
        ({"source": F16, "lora": Path("l"), "custom_config": Path("c")}, "--lora and --custom-config need the Hugging"),
        ({"source": F16, "dtype": "w8a8"}, "--dtype fp16; for w8a8 give the Hugging Face folder"),
        ({"source": Q4}, "4-bit weights, and w8a8 is none of that; rk3588 has no such type"),
        ({"source": Q4, "soc": "rk3576", "dtype": "w8a8"}, "--dtype w4a16_g32"),
        ({"source": GPTQ, "soc": "rk3576", "dtype": "w4a16"}, "GPTQ model of 8 bits is w8a8, and w4a16 is none"),
    ],
)
def test_refused_with_the_nearest(changed: dict[str, Any], says: str) -> None:
    with pytest.raises(Refused, match=says):
        plan(**changed)


def test_the_nearest_is_itself_not_refused() -> None:
    """What a refusal names goes, for every type that any SoC has."""
    every = {choice.dtype for choice in CHOICES}
    for soc, has in DTYPES.items():
        for dtype in sorted(every - set(has)):
            with pytest.raises(Refused) as refusal:
                plan(soc=soc, dtype=dtype)
            found = re.search(r"the nearest is (\S+) ", str(refusal.value))
            assert found is not None
            assert plan(soc=soc, dtype=found[1]).dtype == found[1]


def test_sources_choose_what_suits_them() -> None:
    assert plan(F16).build["do_quantization"] is False
    assert plan(F16).load == {"model": "m"}
    assert plan(Q4, soc="rk3576").dtype == "w4a16_g32"
    assert plan(GPTQ, soc="rk3576").dtype == "w8a8"
    assert plan(FLOATS, soc="rk3576", hybrid_rate=0.5, dtype="w4a16").build["hybrid_rate"] == 0.5
    assert plan(FLOATS, dtype="fp16").build["do_quantization"] is False


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({}, "core 2 stays free"),
        ({"soc": "rk3576"}, "grq on a CPU takes hours"),
        ({"max_context": 16384, "source": Source("hf", "float", "q", 1, {}, 8192)}, "more than the 8192 tokens"),
        ({"source": F16}, "failed on export with 1.1.4"),
        ({"source": Q4, "soc": "rk3576"}, "nothing published says"),
    ],
)
def test_what_goes_but_should_be_known(changed: dict[str, Any], says: str) -> None:
    assert any(says in one for one in plan(**changed).warnings)
    assert plan(cores=2).warnings == []
