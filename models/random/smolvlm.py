"""A model folder of SmolVLM-256M's shape with random weights, in the layout that onnx-community publishes.

Like the published ones: the sizes of all three graphs, the vision encoder in fp32, the text graphs in q8 (int8 weights
by column, 8-bit activations by onnxruntime's own quantisation) or fp32, attention over the cache as onnxruntime's
GroupQueryAttention, the preprocessing and the prompt. Not like them: the tokenizer knows bytes and no words, so a
prompt has about three times the tokens for the same text, and the encoder ignores which pixels are padding.
"""

import json
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from . import Numbers, siglip
from .graph import FLOAT, INT32, INT64, MICROSOFT, Graph

Dtype = Literal["q8", "fp32"]
SUFFIXES: dict[Dtype, str] = {"q8": "_quantized", "fp32": ""}
EPSILON, THETA = 1e-5, 100_000.0
TEMPLATE = (
    "<|im_start|>{% for message in messages %}{{message['role'] | capitalize}}"
    "{% if message['content'][0]['type'] == 'image' %}{{':'}}{% else %}{{': '}}{% endif %}"
    "{% for line in message['content'] %}{% if line['type'] == 'text' %}{{line['text']}}"
    "{% elif line['type'] == 'image' %}{{ '<image>' }}{% endif %}{% endfor %}<end_of_utterance>\n"
    "{% endfor %}{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"
)
END = "<end_of_utterance>"
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<fake_token_around_image>", "<image>", END, "<global-img>"]
SPECIAL += [f"<row_{row}_col_{column}>" for row in range(1, 7) for column in range(1, 7)]


class Size(NamedTuple):
    width: int = 576
    layers: int = 30
    heads: int = 9
    groups: int = 3  # heads of keys and values
    inner: int = 1536
    vocabulary: int = 49280
    context: int = 8192
    vision: siglip.Size = siglip.BASE

    @property
    def head(self) -> int:
        return self.width // self.heads


SMOLVLM_256M = Size()
QUICK = Size(48, 2, 3, 1, 64, 512, 2048, siglip.QUICK)  # for tests


def make(folder: Path, size: Size = SMOLVLM_256M, dtype: Dtype = "q8", vision: bool = True) -> None:
    """Write the folder; without ``vision`` the encoder's graph is left out."""
    onnx = folder / "onnx"
    onnx.mkdir(parents=True, exist_ok=True)
    if vision:
        siglip.make(onnx / "vision_encoder.onnx", size.vision, size.width)
    _embed(onnx / f"embed_tokens{SUFFIXES[dtype]}.onnx", size, dtype)
    _Decoder(onnx / f"decoder_model_merged{SUFFIXES[dtype]}.onnx", size, dtype).save()
    tokens = _tokenizer(folder / "tokenizer.json", size.vocabulary)
    for name, content in _settings(size, tokens).items():
        (folder / name).write_text(json.dumps(content))


def quantised(weight: NDArray[np.float32], axis: int | None) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Int8 and the scale: one, or one for each place along what ``axis`` leaves."""
    scale = np.asarray(np.abs(weight).max(axis=axis) / 127, np.float32)
    return np.rint(weight / scale).astype(np.int8), scale


def _embed(path: Path, size: Size, dtype: Dtype) -> None:
    with Graph(path, Numbers()) as g:
        table = g.numbers.draw("embed_tokens", size.vocabulary, size.width, scale=1.0)
        if dtype == "fp32":
            g("Gather", g.constant(table), "input_ids", out="inputs_embeds")
        else:
            small, scale = quantised(table, None)
            found = g("Gather", g.constant(small), "input_ids")
            g("DequantizeLinear", found, g.constant(scale), g.constant(np.array(0, np.int8)), out="inputs_embeds")
        shape = ["batch", "tokens"]
        g.save({"input_ids": (INT64, shape)}, {"inputs_embeds": (FLOAT, [*shape, size.width])})


class _Decoder:
    """The graph of a Llama-like decoder."""

    def __init__(self, path: Path, size: Size, dtype: Dtype) -> None:
        self.g, self.size, self._dtype = Graph(path, Numbers()), size, dtype
        self._integers: dict[str, list[str]] = {}  # a value -> its 8 bits, scale and zero point

    def save(self) -> None:
        g, size = self.g, self.size
        one = g.ints(1)
        ahead = g("Cast", g("Sub", g("ReduceSum", "attention_mask", one, keepdims=0), one), to=INT32)
        total = g("Cast", g("Gather", g("Shape", "attention_mask"), g.constant(np.array(1))), to=INT32)
        angles = np.arange(size.context)[:, None] / THETA ** (np.arange(size.head // 2) * 2 / size.head)[None]
        turns = [g.constant(f(angles).astype(np.float32)) for f in (np.cos, np.sin)]
        x, ones = "inputs_embeds", g.constant(np.ones(size.width, np.float32))
        h = g("SimplifiedLayerNormalization", x, ones, axis=-1, epsilon=EPSILON)
        past: dict[str, Any] = {}
        present: dict[str, Any] = {}
        for layer in range(size.layers):
            names = [f"{layer}.key", f"{layer}.value"]
            shape = ("batch", size.groups, "length", size.head)
            past |= {f"past_key_values.{name}": (FLOAT, shape) for name in names}
            present |= {f"present.{name}": (FLOAT, ("batch", size.groups, "total", size.head)) for name in names}
            x, h = self._added(x, self._attention(layer, h, names, [ahead, total, *turns]), ones)
            x, h = self._added(x, self._inner(layer, h), ones)
        self.dense("lm_head", h, size.width, size.vocabulary, out="logits")
        rows = ["batch", "tokens"]
        inputs = {"inputs_embeds": (FLOAT, [*rows, size.width]), "attention_mask": (INT64, ["batch", "total"]), **past}
        g.save(inputs, {"logits": (FLOAT, [*rows, size.vocabulary]), **present})
        g.__exit__()

    def _attention(self, layer: int, h: str, names: list[str], others: list[str]) -> str:
        g, size = self.g, self.size
        q, k, v = (
            self.dense(f"{layer}.{part}", h, size.width, heads * size.head)
            for part, heads in (("q", size.heads), ("k", size.groups), ("v", size.groups))
        )
        mixed = g.several(
            "GroupQueryAttention",
            [q, k, v, *(f"past_key_values.{name}" for name in names), *others],
            [*g.fresh(1), *(f"present.{name}" for name in names)],
            MICROSOFT,
            num_heads=size.heads,
            kv_num_heads=size.groups,
            do_rotary=1,
            rotary_interleaved=0,
        )[0]
        return self.dense(f"{layer}.o", mixed, size.width, size.width)

    def _inner(self, layer: int, h: str) -> str:
        g, size = self.g, self.size
        gate = self.dense(f"{layer}.gate", h, size.width, size.inner)
        up = self.dense(f"{layer}.up", h, size.width, size.inner)
        gated = g("Mul", g("Mul", gate, g("Sigmoid", gate)), up)
        return self.dense(f"{layer}.down", gated, size.inner, size.width)

    def _added(self, x: str, more: str, ones: str) -> tuple[str, str]:
        """The sum, and the sum normalised."""
        normed, total = self.g.fresh(2)
        out = [normed, "", "", total]
        self.g.several("SkipSimplifiedLayerNormalization", [x, more, ones], out, MICROSOFT, epsilon=EPSILON)
        return total, normed

    def dense(self, name: str, x: str, columns: int, rows: int, out: str = "") -> str:
        """x times the matrix that a torch layer of that name holds as [rows, columns]."""
        g = self.g
        weight = np.ascontiguousarray(g.numbers.draw(name, rows, columns).T)
        if self._dtype == "fp32":
            return g("MatMul", x, g.constant(weight), out=out)
        if x not in self._integers:
            self._integers[x] = g.several("DynamicQuantizeLinear", [x], g.fresh(3))
        integers, scale, zero = self._integers[x]
        small, scales = quantised(weight, 0)
        summed = g("MatMulInteger", integers, g.constant(small), zero, g.constant(np.array(0, np.int8)))
        return g("Mul", g("Cast", summed, to=FLOAT), g("Mul", scale, g.constant(scales)), out=out)


def _tokenizer(path: Path, vocabulary: int) -> dict[str, int]:
    """Bytes, words that nobody writes, and the special tokens last; gives the special ones' numbers."""
    plain = sorted(pre_tokenizers.ByteLevel.alphabet())
    plain += [f"Ġ#{index}" for index in range(vocabulary - len(plain) - len(SPECIAL))]
    made = Tokenizer(models.BPE({token: index for index, token in enumerate(plain)}, []))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL])
    made.save(str(path))
    return {token: len(plain) + index for index, token in enumerate(SPECIAL)}


def _settings(size: Size, tokens: dict[str, int]) -> dict[str, Any]:
    """The JSON files. The end token is there, but one of 49280 random rows hardly ever wins."""
    edge = size.vision.edge
    text = {
        "hidden_size": size.width,
        "num_hidden_layers": size.layers,
        "num_attention_heads": size.heads,
        "num_key_value_heads": size.groups,
        "head_dim": size.head,
        "vocab_size": size.vocabulary,
        "max_position_embeddings": size.context,
    }
    return {
        "config.json": {
            "model_type": "idefics3",
            "image_token_id": tokens["<image>"],
            "eos_token_id": tokens[END],
            "scale_factor": size.vision.scale,
            "text_config": text,
            "vision_config": {"image_size": edge, "patch_size": size.vision.patch},
        },
        "preprocessor_config.json": {
            "max_image_size": {"longest_edge": edge},
            "size": {"longest_edge": 4 * edge},
            "resample": 1,
        },
        "processor_config.json": {"image_seq_len": size.vision.tokens},
        "generation_config.json": {"eos_token_id": tokens[END]},
        "chat_template.json": {"chat_template": TEMPLATE},
        "tokenizer_config.json": {"eos_token": END},
    }
