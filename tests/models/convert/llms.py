"""Folders and files that look like language models to whoever reads their heads only."""

import json
import struct
from pathlib import Path
from typing import Any

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def folder(path: Path, **config: Any) -> Path:
    """A Hugging Face folder of a Qwen2 with 1536 columns."""
    path.mkdir(parents=True, exist_ok=True)
    plain = {
        "model_type": "qwen2",
        "hidden_size": 1536,
        "intermediate_size": 8960,
        "max_position_embeddings": 32768,
    }
    (path / "config.json").write_text(json.dumps(plain | config))
    (path / "model.safetensors").write_bytes(bytes(4096))
    (path / "tokenizer.json").write_text("{}")
    (path / "tokenizer_config.json").write_text(json.dumps({"chat_template": CHATML, "eos_token": "<|im_end|>"}))
    return path


def adapter(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    (path / "adapter_config.json").write_text("{}")
    (path / "adapter_model.safetensors").write_bytes(b"weights")
    return path


def gguf(path: Path, kinds: dict[str, int]) -> Path:
    """Version 3, a vocabulary of three words, tensors by name with ggml's number of their type."""

    def text(word: str) -> bytes:
        return struct.pack("<Q", len(word.encode())) + word.encode()

    words = b"".join(text(word) for word in ("a", "bc", "字"))
    pairs = [
        text("general.architecture") + struct.pack("<I", 8) + text("qwen2"),
        text("tokenizer.ggml.tokens") + struct.pack("<IIQ", 9, 8, 3) + words,
        text("tokenizer.ggml.scores") + struct.pack("<IIQ3f", 9, 6, 3, 0.0, 1.0, 2.0),
        text("qwen2.context_length") + struct.pack("<II", 4, 32768),
    ]
    tensors = [text(name) + struct.pack("<IQQIQ", 2, 4, 4, kind, 0) for name, kind in kinds.items()]
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(pairs))
    path.write_bytes(head + b"".join(pairs) + b"".join(tensors))
    return path
