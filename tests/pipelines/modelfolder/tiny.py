"""Makes small random model folders in onnx-community's layout, with onnx.helper and a byte-level tokenizer."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

TEMPLATE = """{%- for message in messages -%}
<|{{ message['role'] }}|>
{%- for part in message['content'] -%}
{%- if part['type'] == 'image' -%}<image>{%- else -%}{{ part['text'] }}{%- endif -%}
{%- endfor -%}<|end|>
{%- endfor -%}
{%- if add_generation_prompt -%}<|assistant|>{%- endif -%}"""
WORDS = ["<image>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>", "<|tool|>"]
CORPUS = ["what color is the ball", "the ball is red", "how many mugs are there", "there are two mugs", "你看到什么"]
ONES = {"float32": TensorProto.FLOAT, "float16": TensorProto.FLOAT16}


class Graph:
    """Collects nodes; every method adds one and gives its output's name."""

    def __init__(self, seed: int) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self._random = np.random.default_rng(seed)

    def __call__(self, op: str, *inputs: str, out: str = "", **attributes: Any) -> str:
        name = out or f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [name], **attributes))
        return name

    def constant(self, value: NDArray[Any]) -> str:
        self.weights.append(numpy_helper.from_array(value, f"w{len(self.weights)}"))
        return self.weights[-1].name

    def random(self, *shape: int, scale: float = 0.0) -> str:
        scale = scale or 1.5 / shape[0] ** 0.5
        return self.constant((self._random.standard_normal(shape) * scale).astype(np.float32))

    def ints(self, *values: int) -> str:
        return self.constant(np.array(values, np.int64))

    def save(self, path: Path, inputs: list[Any], outputs: list[Any]) -> None:
        graph = helper.make_graph(self.nodes, "tiny", inputs, outputs, self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        path.write_bytes(model.SerializeToString())


def norm(g: Graph, x: str) -> str:
    mean = g("ReduceMean", g("Mul", x, x), axes=[-1])
    return g("Div", x, g("Sqrt", g("Add", mean, g.constant(np.array(1e-5, np.float32)))))


def rotated(g: Graph, x: str, cos: str, sin: str, size: int) -> str:
    half = size // 2
    first = g("Slice", x, g.ints(0), g.ints(half), g.ints(-1))
    second = g("Slice", x, g.ints(half), g.ints(size), g.ints(-1))
    turned = g("Concat", g("Neg", second), first, axis=-1)
    return g("Add", g("Mul", x, cos), g("Mul", turned, sin))


def decoder(path: Path, shape: dict[str, int], kv: str = "float32", positions: bool = True, seed: int = 1) -> None:
    """A llama-like merged decoder with grouped query heads and a rotary position; ``kv``: type of the cache."""
    g = Graph(seed)
    d, heads, groups, size = (shape[key] for key in ("hidden", "heads", "kv_heads", "head_dim"))
    total = g("Gather", g("Shape", "attention_mask"), g.ints(1))
    past = g("Sub", total, g("Gather", g("Shape", "inputs_embeds"), g.ints(1)))
    scalar = (g("Squeeze", past), g("Squeeze", total), g.constant(np.array(1, np.int64)))
    own = g("Range", *scalar)
    where = "position_ids" if positions else g("Unsqueeze", own, g.ints(0))
    angles = np.arange(shape["context"])[:, None] / 10000 ** (np.arange(size // 2) * 2 / size)[None]
    angles = np.concatenate([angles, angles], 1).astype(np.float32)
    cos, sin = (g("Unsqueeze", g("Gather", g.constant(f(angles)), where), g.ints(1)) for f in (np.cos, np.sin))
    all_positions = g("Range", g.constant(np.array(0, np.int64)), scalar[1], scalar[2])
    ahead = g("Greater", g("Unsqueeze", all_positions, g.ints(0)), g("Unsqueeze", own, g.ints(1)))
    mask = g("Mul", g("Cast", ahead, to=TensorProto.FLOAT), g.constant(np.array(-1e9, np.float32)))
    x, cached = "inputs_embeds", []
    if kv == "float16":
        x = g("Cast", x, to=TensorProto.FLOAT)
    for layer in range(shape["layers"]):
        h = norm(g, x)
        split = {}
        for name, count in (("q", heads), ("k", groups), ("v", groups)):
            flat = g("Reshape", g("MatMul", h, g.random(d, count * size)), g.ints(0, 0, count, size))
            split[name] = g("Transpose", flat, perm=[0, 2, 1, 3])
        q = rotated(g, split["q"], cos, sin, size)
        held = {}
        for name, new in (("key", rotated(g, split["k"], cos, sin, size)), ("value", split["v"])):
            ending = f"{layer}.{name}"
            old = f"past_key_values.{ending}"
            if kv == "float16":
                new = g("Cast", new, to=TensorProto.FLOAT16)
            joined = g("Concat", old, new, axis=2, out=f"present.{ending}")
            cached.append(ending)
            held[name] = g("Cast", joined, to=TensorProto.FLOAT)
            if groups != heads:
                wide = g("Unsqueeze", held[name], g.ints(2))
                tiled = g("Tile", wide, g.ints(1, 1, heads // groups, 1, 1))
                held[name] = g("Reshape", tiled, g.ints(0, heads, -1, size))
        scores = g(
            "MatMul",
            g("Mul", q, g.constant(np.array(size**-0.5, np.float32))),
            g("Transpose", held["key"], perm=[0, 1, 3, 2]),
        )
        attended = g("MatMul", g("Softmax", g("Add", scores, mask), axis=-1), held["value"])
        flat = g("Reshape", g("Transpose", attended, perm=[0, 2, 1, 3]), g.ints(0, 0, heads * size))
        x = g("Add", x, g("MatMul", flat, g.random(heads * size, d)))
        h = norm(g, x)
        gate = g("MatMul", h, g.random(d, shape["ff"]))
        inner = g("Mul", g("Mul", gate, g("Sigmoid", gate)), g("MatMul", h, g.random(d, shape["ff"])))
        x = g("Add", x, g("MatMul", inner, g.random(shape["ff"], d)))
    g("MatMul", norm(g, x), g.random(d, shape["vocab"], scale=4 / d**0.5), out="logits")
    elem = ONES[kv]
    inputs = [
        helper.make_tensor_value_info("inputs_embeds", elem, ["b", "n", d]),
        helper.make_tensor_value_info("attention_mask", TensorProto.INT64, ["b", "t"]),
    ]
    if positions:
        inputs.append(helper.make_tensor_value_info("position_ids", TensorProto.INT64, ["b", "n"]))
    inputs += [helper.make_tensor_value_info(f"past_key_values.{e}", elem, ["b", groups, "p", size]) for e in cached]
    outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["b", "n", shape["vocab"]])]
    outputs += [helper.make_tensor_value_info(f"present.{e}", elem, ["b", groups, "t", size]) for e in cached]
    g.save(path, inputs, outputs)


def embed(path: Path, vocab: int, width: int, kind: str = "float32", seed: int = 2, fill: float = 0.0) -> None:
    """A table of random rows, or one full of ``fill``."""
    g = Graph(seed)
    table = g.constant(np.full((vocab, width), fill, np.float32)) if fill else g.random(vocab, width, scale=1.0)
    rows = g("Gather", table, "input_ids", out="inputs_embeds" if kind == "float32" else "")
    if kind == "float16":
        g("Cast", rows, to=TensorProto.FLOAT16, out="inputs_embeds")
    g.save(
        path,
        [helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["b", "n"])],
        [helper.make_tensor_value_info("inputs_embeds", ONES[kind], ["b", "n", width])],
    )


def vision(path: Path, edge: int, tokens: int, width: int, seed: int = 3) -> None:
    """Mean colours of as many vertical stripes as there are tokens, each projected to a row."""
    g = Graph(seed)
    stripes = g("Reshape", "pixel_values", g.ints(0, 3, edge, tokens, edge // tokens))
    means = g("Transpose", g("ReduceMean", stripes, axes=[2, 4], keepdims=0), perm=[0, 2, 1])
    g("MatMul", means, g.random(3, width, scale=2.0), out="image_features")
    g.save(
        path,
        [helper.make_tensor_value_info("pixel_values", TensorProto.FLOAT, ["b", 3, edge, edge])],
        [helper.make_tensor_value_info("image_features", TensorProto.FLOAT, ["b", tokens, width])],
    )


def tokenizer(path: Path, vocab: int) -> Tokenizer:
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    special = [AddedToken(word, special=True, normalized=False) for word in WORDS]
    trainer = trainers.BpeTrainer(
        vocab_size=vocab, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    made.train_from_iterator(CORPUS * 4, trainer)
    made.save(str(path))
    return made


SHAPE = {"hidden": 32, "layers": 2, "heads": 4, "kv_heads": 2, "head_dim": 8, "ff": 48, "vocab": 320, "context": 256}


def make(folder: Path, suffix: str = "_quantized", kv: str = "float32", positions: bool = True, **changes: int) -> Path:
    """A folder in pico's layout: pictures of 32x32 in 4 tokens. ``changes`` are to SHAPE."""
    shape = {**SHAPE, **changes}
    (folder / "onnx").mkdir(parents=True, exist_ok=True)
    made = tokenizer(folder / "tokenizer.json", shape["vocab"])
    vision(folder / f"onnx/vision_encoder{suffix}.onnx", 32, 4, shape["hidden"])
    embed(folder / f"onnx/embed_tokens{suffix}.onnx", shape["vocab"], shape["hidden"], kv)
    decoder(folder / f"onnx/decoder_model_merged{suffix}.onnx", shape, kv, positions)
    end = made.token_to_id("<|end|>")
    text = {
        "hidden_size": shape["hidden"],
        "num_hidden_layers": shape["layers"],
        "num_attention_heads": shape["heads"],
        "num_key_value_heads": shape["kv_heads"],
        "head_dim": shape["head_dim"],
        "vocab_size": shape["vocab"],
        "max_position_embeddings": shape["context"],
    }
    files = {
        "config.json": {
            "model_type": "pico_vlm",
            "image_token_id": made.token_to_id("<image>"),
            "image_token": "<image>",
            "eos_token_id": end,
            "text_config": text,
            "vision_config": {"image_size": 32},
        },
        "preprocessor_config.json": {
            "do_resize": True,
            "size": {"height": 32, "width": 32},
            "do_pad": True,
            "pad_color": [127, 127, 127],
            "resample": 2,
            "do_rescale": True,
            "rescale_factor": 1 / 255,
            "do_normalize": True,
            "image_mean": [0.5, 0.5, 0.5],
            "image_std": [0.25, 0.25, 0.25],
        },
        "processor_config.json": {"image_seq_len": 4},
        "generation_config.json": {"eos_token_id": [end]},
        "tokenizer_config.json": {"eos_token": "<|end|>"},
    }
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content))
    (folder / "chat_template.jinja").write_text(TEMPLATE)
    return folder
