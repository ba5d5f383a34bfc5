# mypy: allow-subclassing-any
# torch is not installed where types are checked, so its classes are of no known type there.
"""Writes the model folder: three ONNX graphs with 8-bit weights, tokenizer, and the settings that a loader reads."""

from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from models.pico import tokens, vectors
from models.pico.decoder import HEAD, HEADS, LAYERS, MAX_POSITIONS, WIDTH, Decoder, Projector
from models.pico.encoder import MEAN, STD, Encoder
from models.pico.perception import VisionEncoder
from models.pico.pictures import SIZE

OPSET = 17
SMALLEST = 2048  # weights with fewer numbers stay as they are


class EmbedTokens(nn.Module):
    def __init__(self, table: Tensor) -> None:
        super().__init__()
        self.table = nn.Parameter(table.detach().clone())

    def forward(self, input_ids: Tensor) -> Tensor:
        return nn.functional.embedding(input_ids, self.table)


class Merged(nn.Module):
    """The decoder with its cache as flat inputs and outputs."""

    def __init__(self, decoder: Decoder) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(
        self, embeds: Tensor, attention_mask: Tensor, position_ids: Tensor, *past: Tensor
    ) -> tuple[Tensor, ...]:
        pairs = [(past[2 * layer], past[2 * layer + 1]) for layer in range(LAYERS)]
        logits, present = self.decoder.step(embeds, attention_mask, position_ids, pairs)
        return (logits, *[tensor for pair in present for tensor in pair])


def quantize(model: onnx.ModelProto) -> None:
    """Store large weights as int8 with one scale per output channel and a DequantizeLinear before their use.

    Weights only: activations stay float, so convolutions keep their fast float kernels once a runtime has folded this.
    """
    graph = model.graph
    weights = {tensor.name: tensor for tensor in graph.initializer}
    axes: dict[str, int] = {}
    for node in graph.node:
        spots = {"MatMul": (0, 1), "Gemm": (1,), "Conv": (1,), "Gather": (0,)}.get(node.op_type, ())
        for spot in spots:
            name = node.input[spot]
            if (
                name in weights
                and weights[name].data_type == TensorProto.FLOAT
                and np.prod(weights[name].dims) >= SMALLEST
            ):
                turned = any(attribute.name == "transB" and attribute.i for attribute in node.attribute)
                axes[name] = 0 if node.op_type in ("Conv", "Gather") or turned else len(weights[name].dims) - 1
    nodes = []
    for name, axis in axes.items():
        values = numpy_helper.to_array(weights[name])
        others = tuple(other for other in range(values.ndim) if other != axis)
        scale = np.maximum(np.abs(values).max(others), 1e-8) / 127
        shape = [-1 if other == axis else 1 for other in range(values.ndim)]
        small = np.clip(np.round(values / scale.reshape(shape)), -127, 127).astype(np.int8)
        graph.initializer.remove(weights[name])
        graph.initializer.extend(
            [
                numpy_helper.from_array(small, f"{name}_q"),
                numpy_helper.from_array(scale.astype(np.float32), f"{name}_scale"),
                numpy_helper.from_array(np.zeros(len(scale), np.int8), f"{name}_zero"),
            ]
        )
        inputs = [f"{name}_q", f"{name}_scale", f"{name}_zero"]
        nodes.append(helper.make_node("DequantizeLinear", inputs, [name], axis=axis))
    for node in reversed(nodes):
        graph.node.insert(0, node)


def _write(
    module: nn.Module,
    args: tuple[Tensor, ...],
    path: Path,
    names: tuple[list[str], list[str]],
    axes: dict[str, dict[int, str]],
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module.eval(), args, str(path), input_names=names[0], output_names=names[1], dynamic_axes=axes,
            opset_version=OPSET, dynamo=False,
        )  # fmt: skip
    model = onnx.load(str(path))
    quantize(model)
    # Where the exporter stood in its source is of no use to anyone, and a fifth of the file.
    for node in model.graph.node:
        node.doc_string = ""
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


def _json(path: Path, content: dict[str, object]) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def write(encoder: Encoder, decoder: Decoder, projector: Projector, tokenizer_path: Path, out: Path) -> dict[str, int]:
    """Write the whole folder `out`; returns the size in bytes of each file."""
    out.mkdir(parents=True, exist_ok=True)
    if tokenizer_path.resolve() != (out / "tokenizer.json").resolve():
        shutil.copyfile(tokenizer_path, out / "tokenizer.json")
    tokenizer = tokens.load(out / "tokenizer.json")
    ids = {name: tokens.number(tokenizer, name) for name in tokens.SPECIAL}
    vision = VisionEncoder(encoder.to(memory_format=torch.contiguous_format), projector, decoder.embedding.weight)
    onnx_folder = out / "onnx"
    _write(
        vision, (torch.zeros(2, 3, SIZE, SIZE),), onnx_folder / "vision_encoder_quantized.onnx",
        (["pixel_values"], ["image_features"]), {"pixel_values": {0: "batch"}, "image_features": {0: "batch"}},
    )  # fmt: skip
    text = {0: "batch", 1: "sequence"}
    _write(
        EmbedTokens(decoder.table()), (torch.zeros(1, 3, dtype=torch.long),),
        onnx_folder / "embed_tokens_quantized.onnx",
        (["input_ids"], ["inputs_embeds"]), {"input_ids": text, "inputs_embeds": text},
    )  # fmt: skip
    kept = [f"{layer}.{part}" for layer in range(LAYERS) for part in ("key", "value")]
    inputs = ["inputs_embeds", "attention_mask", "position_ids", *(f"past_key_values.{name}" for name in kept)]
    outputs = ["logits", *(f"present.{name}" for name in kept)]
    axes: dict[str, dict[int, str]] = {"inputs_embeds": text, "position_ids": text, "logits": text}
    axes["attention_mask"] = {0: "batch", 1: "total"}
    axes.update({f"past_key_values.{name}": {0: "batch", 2: "past"} for name in kept})
    axes.update({f"present.{name}": {0: "batch", 2: "total"} for name in kept})
    example = (
        torch.zeros(2, 3, WIDTH), torch.ones(2, 8, dtype=torch.long), torch.arange(5, 8).expand(2, 3),
        *(torch.zeros(2, HEADS, 5, HEAD) for _ in kept),
    )  # fmt: skip
    _write(Merged(decoder), example, onnx_folder / "decoder_model_merged_quantized.onnx", (inputs, outputs), axes)
    _json(
        out / "config.json",
        {
            "model_type": "pico_vlm", "image_token_id": ids[tokens.IMAGE], "image_token": tokens.IMAGE,
            "eos_token_id": ids[tokens.END], "bos_token_id": None, "pad_token_id": ids[tokens.PAD],
            "text_config": {
                "hidden_size": WIDTH, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS,
                "num_key_value_heads": HEADS, "head_dim": HEAD, "vocab_size": tokenizer.get_vocab_size(),
                "max_position_embeddings": MAX_POSITIONS,
            },
            "vision_config": {"image_size": SIZE},
        },
    )  # fmt: skip
    _json(
        out / "preprocessor_config.json",
        {
            "image_processor_type": "PicoImageProcessor", "do_convert_rgb": True, "do_resize": True,
            "size": {"height": SIZE, "width": SIZE}, "resample": 4, "do_pad": True, "pad_color": [128, 128, 128],
            "do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True,
            "image_mean": [MEAN] * 3, "image_std": [STD] * 3,
        },
    )  # fmt: skip
    _json(out / "processor_config.json", {"image_seq_len": vectors.ROWS})
    _json(
        out / "tokenizer_config.json",
        {
            "tokenizer_class": "PreTrainedTokenizerFast", "eos_token": tokens.END, "pad_token": tokens.PAD,
            "bos_token": None, "model_max_length": MAX_POSITIONS, "chat_template": tokens.CHAT_TEMPLATE,
        },
    )  # fmt: skip
    _json(
        out / "generation_config.json",
        {"do_sample": False, "max_new_tokens": 64, "eos_token_id": ids[tokens.END], "pad_token_id": ids[tokens.PAD]},
    )
    return {str(path.relative_to(out)): path.stat().st_size for path in sorted(out.rglob("*")) if path.is_file()}
