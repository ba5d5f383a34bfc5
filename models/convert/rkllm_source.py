"""What a language model's files say of themselves, read before the toolkit spends minutes and gigabytes on them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from models.convert import gguf
from models.convert.outcome import Refused

WEIGHTS = ("*.safetensors", "pytorch_model*.bin")
TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json", "qwen.tiktoken")
POINTER = b"version https://git-lfs"  # what stands in place of a large file where git-lfs was not there
POINTER_BYTES = 1024  # a pointer is shorter
CONFIG_KEYS = ("BLOCKNAME", "TOKEN_EMBD")  # rkllm-toolkit/examples/config_custom.json, 1.3.0, has these and 22 more


class Source(msgspec.Struct, frozen=True):
    """A model that can be given to the toolkit."""

    kind: Literal["hf", "gguf"]
    weights: Literal["float", "f16", "q4_0", "gptq8"]
    architecture: str
    bytes: int  # of the weights
    widths: dict[str, int] = {}  # that groups must divide, by their names in config.json
    positions: int = 0  # tokens that the model was made for; 0: not known

    def dtypes(self, has: Sequence[str]) -> list[str]:
        """Of a SoC's quantised types those that these weights can become."""
        if self.weights == "gptq8":
            return [one for one in has if one.startswith("w8a8")]
        if self.weights == "q4_0":  # groups of 32
            return sorted((one for one in has if one.startswith("w4a16")), key=lambda one: "_g32" not in one)
        return list(has)


def inspect(path: Path) -> Source:
    """Raises Refused for what the toolkit cannot load: a missing or half part, or a quantization that it lacks."""
    if path.is_dir():
        return _folder(path)
    if path.suffix.lower() == ".gguf":
        return _gguf(path)
    raise Refused(f"{path} is neither a Hugging Face folder nor a .gguf; models come as one of these")


def lora(path: Path) -> None:
    """Raises Refused where a folder is no LoRA adapter. The base model goes with it; only that is quantised (#361)."""
    if not (path / "adapter_config.json").is_file() or not [*path.glob("adapter_model.*")]:
        raise Refused(f"{path} is no LoRA adapter: it lacks adapter_config.json or adapter_model.safetensors")


def custom_config(path: Path) -> None:
    """Raises Refused where a description of a model of one's own is not readable as one."""
    said = _json(path)
    if lacking := [key for key in CONFIG_KEYS if not isinstance(said.get(key), str)]:
        raise Refused(
            f"{path} lacks {' and '.join(lacking)}; see rkllm-toolkit/examples/config_custom.json of rknn-llm"
        )


def _folder(path: Path) -> Source:
    said = _json(path / "config.json")
    weights = sorted({one for pattern in WEIGHTS for one in path.glob(pattern)})
    index = path / "model.safetensors.index.json"
    if index.is_file():
        named = sorted(set(_json(index).get("weight_map", {}).values()))
        if lacking := [name for name in named if not (path / name).is_file()]:
            raise Refused(f"{path} lacks {len(lacking)} of {len(named)} files of weights ({lacking[0]}); get it again")
    if not weights:
        raise Refused(f"{path} holds no weights ({', '.join(WEIGHTS)})")
    for one in weights:
        if one.stat().st_size < POINTER_BYTES and one.read_bytes().startswith(POINTER):
            raise Refused(f"{one} is a pointer of git-lfs, not the weights; `git lfs pull` brings them")
    if not any((path / name).is_file() for name in TOKENIZERS):
        raise Refused(f"{path} holds no tokenizer ({', '.join(TOKENIZERS)})")
    inner = said.get("text_config")
    text: dict[str, Any] = inner if isinstance(inner, dict) else said
    names = ("hidden_size", "intermediate_size")
    return Source(
        "hf",
        _quantized(path, said, text),
        str(said.get("model_type", "?")),
        sum(one.stat().st_size for one in weights),
        {name: text[name] for name in names if isinstance(text.get(name), int)},
        text["max_position_embeddings"] if isinstance(text.get("max_position_embeddings"), int) else 0,
    )


def _quantized(path: Path, said: dict[str, Any], text: dict[str, Any]) -> Literal["float", "gptq8"]:
    """GPTQ-Int8 is what the toolkit takes (CHANGELOG 1.2.0)."""
    given = said.get("quantization_config") or text.get("quantization_config")
    if not isinstance(given, dict):
        return "float"
    method, bits = given.get("quant_method"), given.get("bits")
    if (method, bits) != ("gptq", 8):
        raise Refused(
            f"{path} is quantised already ({method}, {bits} bits); the toolkit takes GPTQ of 8 bits, or the "
            "unquantised model, which it quantises itself"
        )
    return "gptq8"


def _gguf(path: Path) -> Source:
    try:
        head = gguf.read(path)
    except (OSError, ValueError) as error:
        raise Refused(f"{path} cannot be read as GGUF ({error})") from error
    kinds = {tensor.kind for tensor in head.tensors}
    allowed: Literal["f16", "q4_0"] = "q4_0" if "Q4_0" in kinds else "f16"
    fitting = {"f16": {"F32", "F16"}, "q4_0": {"F32", "F16", "Q4_0"}}[allowed]
    if strange := [tensor for tensor in head.tensors if tensor.kind not in fitting]:
        raise Refused(
            f"{path} holds {strange[0].kind} ({strange[0].name}, and {len(strange) - 1} more); the toolkit takes GGUF "
            "that is q4_0 or fp16 throughout (llama-quantize --pure), or the Hugging Face folder"
        )
    return Source("gguf", allowed, str(head.values.get("general.architecture", "?")), path.stat().st_size)


def _json(path: Path) -> dict[str, Any]:
    try:
        said = json.loads(path.read_text())
    except OSError as error:
        raise Refused(f"{path} cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise Refused(f"{path} is damaged ({error}); get it again") from error
    if not isinstance(said, dict):
        raise Refused(f"{path} is no JSON object; get it again")
    return said
