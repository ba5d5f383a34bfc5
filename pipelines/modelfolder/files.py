"""Which of a graph's files to load: one graph is published in several precisions, told apart by file name."""

from pathlib import Path

from pipelines.engine import EngineError

# Precision as published -> suffixes of the file name, first match wins.
DTYPES: dict[str, tuple[str, ...]] = {
    "fp32": ("",),
    "fp16": ("_fp16",),
    "q8": ("_quantized", "_int8", "_uint8", "_q8"),
    "int8": ("_int8",),
    "uint8": ("_uint8",),
    "q4": ("_q4",),
    "q4f16": ("_q4f16",),
    "bnb4": ("_bnb4",),
}

# What `auto` takes, best first, for a CPU. Text graphs are bound by memory traffic: a token reads every weight once,
# so fewer bytes are fewer milliseconds, and 8 bits cost next to no accuracy; 4 bits cost small models some. The image
# encoder is bound by arithmetic and its errors reach every answer: 8-bit activations save nothing there (convolutions
# become several times slower), so the exact file comes first. Half precision comes last in both: onnxruntime has no
# half-precision kernels on most CPUs and converts back and forth.
TEXT = ("q8", "q4", "fp32", "bnb4", "q4f16", "fp16")
AUTO: dict[str, tuple[str, ...]] = {
    "vision_encoder": ("fp32", "q8", "q4", "bnb4", "fp16", "q4f16"),
    "embed_tokens": TEXT,
    "decoder_model_merged": TEXT,
}


def choose(folder: Path, graph: str, dtype: str) -> Path:
    """The file of ``graph`` (a key of AUTO) in ``folder``/onnx that ``dtype`` (a key of DTYPES, or auto) stands for.

    Raises EngineError for an unknown dtype, and where no such file exists, listing those that do.
    """
    if dtype != "auto" and dtype not in DTYPES:
        raise EngineError(f"there is no dtype {dtype!r}; choose one of: auto, {', '.join(DTYPES)}")
    for wanted in AUTO[graph] if dtype == "auto" else (dtype,):
        for suffix in DTYPES[wanted]:
            path = folder / "onnx" / f"{graph}{suffix}.onnx"
            if path.is_file():
                return path
    present = [name for name in DTYPES if any((folder / "onnx" / f"{graph}{s}.onnx").is_file() for s in DTYPES[name])]
    mend = f"it has {graph} as: {', '.join(present)}; set dtype to one of these" if present else "download it again"
    wanted_file = f"onnx/{graph}*.onnx" if dtype == "auto" else f"onnx/{graph}{DTYPES[dtype][0]}.onnx"
    raise EngineError(f"the model folder {folder} has no {wanted_file}; {mend}")
