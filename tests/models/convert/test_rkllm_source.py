"""Heads of models: what they are, and what is missing or damaged of them."""

import json
from pathlib import Path
from typing import Any

import pytest

from models.convert import gguf, rkllm_source
from models.convert.outcome import Refused
from tests.models.convert import llms

F32, F16, Q4_0, Q6_K = 0, 1, 2, 14


def test_a_folder(tmp_path: Path) -> None:
    found = rkllm_source.inspect(llms.folder(tmp_path))
    assert (found.kind, found.weights, found.architecture, found.bytes) == ("hf", "float", "qwen2", 4096)
    assert found.widths == {"hidden_size": 1536, "intermediate_size": 8960}
    inner = {"hidden_size": 64, "max_position_embeddings": 2048}
    assert rkllm_source.inspect(llms.folder(tmp_path, text_config=inner)).widths == {"hidden_size": 64}


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("config.json", None, "config.json cannot be read"),
        ("config.json", "{", "is damaged"),
        ("config.json", "[]", "is no JSON object"),
        ("model.safetensors", None, "holds no weights"),
        ("model.safetensors", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "git lfs pull"),
        ("tokenizer.json", None, "holds no tokenizer"),
        (
            "model.safetensors.index.json",
            json.dumps({"weight_map": {"a": "model.safetensors", "b": "model-2.safetensors"}}),
            r"lacks 1 of 2 files of weights \(model-2.safetensors\)",
        ),
    ],
)
def test_a_folder_that_is_not_whole(tmp_path: Path, name: str, content: str | None, says: str) -> None:
    llms.folder(tmp_path)
    if content is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_text(content)
    with pytest.raises(Refused, match=says):
        rkllm_source.inspect(tmp_path)


def test_what_is_quantised_already(tmp_path: Path) -> None:
    def given(**said: Any) -> Path:
        return llms.folder(tmp_path, quantization_config=said)

    assert rkllm_source.inspect(given(quant_method="gptq", bits=8)).weights == "gptq8"
    for said in ({"quant_method": "gptq", "bits": 4}, {"quant_method": "awq", "bits": 4}):
        with pytest.raises(Refused, match="GPTQ of 8 bits"):
            rkllm_source.inspect(given(**said))


def test_gguf(tmp_path: Path) -> None:
    half = rkllm_source.inspect(llms.gguf(tmp_path / "a.gguf", {"norm": F32, "w": F16}))
    assert (half.kind, half.weights, half.architecture) == ("gguf", "f16", "qwen2")
    assert rkllm_source.inspect(llms.gguf(tmp_path / "b.gguf", {"norm": F32, "w": Q4_0})).weights == "q4_0"
    with pytest.raises(Refused, match=r"holds Q6_K \(output, and 0 more\)"):
        rkllm_source.inspect(llms.gguf(tmp_path / "c.gguf", {"w": Q4_0, "output": Q6_K}))
    with pytest.raises(Refused, match="holds type 39"):
        rkllm_source.inspect(llms.gguf(tmp_path / "d.gguf", {"w": 39}))


def test_gguf_that_ends_anywhere_is_refused(tmp_path: Path) -> None:
    whole = llms.gguf(tmp_path / "a.gguf", {"w": F16}).read_bytes()
    assert gguf.read(tmp_path / "a.gguf").values["qwen2.context_length"] == 32768
    for length in range(len(whole)):
        (tmp_path / "b.gguf").write_bytes(whole[:length])
        with pytest.raises(Refused, match="cannot be read as GGUF"):
            rkllm_source.inspect(tmp_path / "b.gguf")


def test_gguf_with_absurd_lengths_takes_no_memory(tmp_path: Path) -> None:
    whole = llms.gguf(tmp_path / "a.gguf", {"w": F16}).read_bytes()
    (tmp_path / "b.gguf").write_bytes(whole[:8] + b"\xff" * 16 + whole[24:])
    with pytest.raises(Refused, match="a length of"):
        rkllm_source.inspect(tmp_path / "b.gguf")
    (tmp_path / "c.gguf").write_bytes(whole[:4] + b"\x01\0\0\0" + whole[8:])
    with pytest.raises(Refused, match="version 1"):
        rkllm_source.inspect(tmp_path / "c.gguf")


def test_neither(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="neither a Hugging Face folder nor"):
        rkllm_source.inspect(tmp_path / "model.bin")


def test_adapters_and_descriptions(tmp_path: Path) -> None:
    rkllm_source.lora(llms.adapter(tmp_path / "lora"))
    with pytest.raises(Refused, match="no LoRA adapter"):
        rkllm_source.lora(tmp_path)
    own = tmp_path / "own.json"
    own.write_text('{"BLOCKNAME": "Block", "TOKEN_EMBD": "wte"}')
    rkllm_source.custom_config(own)
    own.write_text('{"BLOCKNAME": "Block"}')
    with pytest.raises(Refused, match="lacks TOKEN_EMBD"):
        rkllm_source.custom_config(own)
