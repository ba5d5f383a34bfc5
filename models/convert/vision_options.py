"""What can be asked of an image encoder's conversion, and what of it does not go together. Pure."""

from pathlib import Path
from typing import Literal

import msgspec

from models.convert.outcome import Refused
from models.convert.pictures import Three

Soc = Literal["rk3588", "rk3576", "rk3562"]
SOCS: tuple[Soc, ...] = ("rk3588", "rk3576", "rk3562")
Dtype = Literal["fp16", "int8"]
DTYPES: tuple[Dtype, ...] = ("fp16", "int8")
ALGORITHMS = ("normal", "mmse", "kl_divergence")
ENOUGH = 16  # pictures below which a calibration set is called small

# What the families' encoders want, of 0 … 255: Rockchip's export_vision_rknn.py, rknn-llm 1.3.0.
PRESETS: dict[str, tuple[Three, Three]] = {
    "half": ((127.5, 127.5, 127.5), (127.5, 127.5, 127.5)),  # SmolVLM, MiniCPM-V, Qwen3-VL, Qwen3.5, DeepSeekOCR
    "clip": ((122.7709383, 116.7460125, 104.09373615), (68.5005327, 66.6321579, 70.32316305)),  # Qwen2-VL, Qwen2.5-VL
    "imagenet": ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),  # InternVL3
    "none": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),  # the graph takes 0 … 255
}
# The lowest cosine of any output on any picture that is accepted: README.md, "How close is close enough".
BOUNDS = {"fp16": 0.999, "int8": 0.98}


class VisionOptions(msgspec.Struct, frozen=True, kw_only=True):
    onnx: Path
    out: Path
    soc: Soc = "rk3588"
    dtype: Dtype = "fp16"
    pictures: Path | None = None  # to compare on; None: those of the calibration
    calibration: Path | None = None
    limit: int = 100  # pictures of the calibration that are taken, evenly from the whole set
    compared: int = 8  # pictures that are compared
    skip_unreadable: bool = False
    input: str = ""  # the one that takes the picture; empty: the only one of its shape
    size: tuple[int, int] | None = None  # height and width; None: what the graph says
    mean: Three = PRESETS["half"][0]
    std: Three = PRESETS["half"][1]
    normalise: Literal["model", "application"] = "model"
    layout: Literal["nhwc", "nchw"] = "nhwc"
    padding: tuple[int, int, int] = (128, 128, 128)
    constants: dict[str, list[float]] = {}
    algorithm: Literal["normal", "mmse", "kl_divergence"] = "normal"
    auto_hybrid: bool = False
    op_target: dict[str, str] = {}  # node -> cpu, gpu or npu, where the NPU does it wrongly
    disable_rules: list[str] = []  # of the toolkit's optimiser
    optimization_level: int = 3
    bound: float = 0.0
    force: bool = False


def check(options: VisionOptions) -> list[str]:
    """Raises Refused for what cannot be converted as asked, before anything is read; returns warnings."""
    if options.out.suffix != ".rknn":
        raise Refused(f"--out {options.out} is no .rknn; the daemon knows the model by that ending")
    if options.out.exists() and not options.force:
        raise Refused(f"{options.out} is there already; remove it, or say --force")
    if any(value <= 0 for value in options.std):
        raise Refused(f"--std {options.std} holds a value that is not above 0; it divides")
    if options.size and not all(16 <= edge <= 4096 for edge in options.size):
        raise Refused(f"--size {options.size[0]}x{options.size[1]} is not within 16 … 4096 pixels")
    if not 0 <= options.optimization_level <= 3:
        raise Refused("--optimization-level is 0 … 3; 3 is everything")
    if options.limit < 1 or options.compared < 1:
        raise Refused("--limit and --compared are 1 or more")
    if options.dtype == "int8" and options.calibration is None:
        raise Refused("int8 needs --calibration: a folder or a list of pictures such as the camera will see")
    if options.dtype == "fp16" and (options.auto_hybrid or options.algorithm != "normal"):
        raise Refused("--auto-hybrid and --algorithm are for int8; leave them out, or say --dtype int8")
    if options.dtype == "fp16" and options.calibration is not None:
        raise Refused("--calibration is for int8; to compare on these pictures, say --pictures")
    if options.pictures is None and options.calibration is None:
        raise Refused("say --pictures: real pictures to compare the result on, a folder or a list")
    if options.pictures is None:
        return ["compared on the calibration's own pictures: --pictures with others says more"]
    return []


def thinned(count: int, limit: int) -> list[int]:
    """Which of ``count`` things are taken where at most ``limit`` are wanted: evenly from first to last."""
    if count <= limit:
        return list(range(count))
    return [number * count // limit for number in range(limit)]


def config(options: VisionOptions) -> dict[str, object]:
    """Arguments of RKNN.config, 2.5.0. Without quantization no quantized_dtype is named: the default is not used."""
    found: dict[str, object] = {"target_platform": options.soc, "optimization_level": options.optimization_level}
    if options.op_target:
        found["op_target"] = options.op_target
    if options.disable_rules:
        found["disable_rules"] = options.disable_rules
    if options.normalise == "model":
        found |= {"mean_values": [list(options.mean)], "std_values": [list(options.std)]}
    if options.dtype == "int8":
        found |= {"quantized_dtype": "w8a8", "quantized_algorithm": options.algorithm, "quantized_method": "channel"}
    return found


def settings(options: VisionOptions, frame: tuple[int, int]) -> dict[str, object]:
    """What the daemon is to be told of this model, by the names that its settings have (pipelines/vision/rknn.py)."""
    found: dict[str, object] = {
        "model": options.out.name,
        "soc": options.soc,
        "size": frame[0],
        "padding": list(options.padding),
        "layout": options.layout,
        "normalise": options.normalise == "application",
    }
    if options.normalise == "application":
        found |= {"mean": list(options.mean), "std": list(options.std)}
    return {"vision.encoder.engine": "rknn"} | {f"vision.encoder.rknn.{name}": value for name, value in found.items()}
