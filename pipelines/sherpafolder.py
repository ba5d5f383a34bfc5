"""Folders of sherpa-onnx's models: their files, and whether these are what the library expects.

It ends the whole process where they are not; so they are looked into before it may. Formats:
https://github.com/k2-fsa/sherpa-onnx (the metadata that its C++ reads).
"""

from pathlib import Path

from pipelines import onnxfile
from pipelines.engine import EngineError

# Metadata that the library cannot do without.
STREAMING = {"num_encoder_layers", "encoder_dims", "cnn_module_kernels", "left_context_len", "T", "decode_chunk_len"}
ENCODERS = {
    "zipformer": STREAMING | {"attention_dims"},
    "zipformer2": STREAMING | {"query_head_dims", "value_head_dims", "num_heads"},
}
DECODER = {"vocab_size", "context_size"}


def find(folder: Path, *names: str) -> Path | None:
    """The file of a graph: 8 bits before full precision, as is right for CPUs."""
    for name in names:
        found = sorted(folder.glob(f"{name}*.onnx"), key=lambda path: ("int8" not in path.name, path.name))
        if found:
            return found[0]
    return None


def streaming(folder: Path, encoder: Path) -> dict[str, str]:
    """The library's arguments for a streaming transducer. Raises EngineError."""
    told = onnxfile.metadata(encoder)
    kind = told.get("model_type", "")
    if kind not in ENCODERS:
        known = ", ".join(ENCODERS)
        raise EngineError(f"{encoder} is a model of type {kind!r} that does not stream; this engine runs: {known}")
    complete(encoder, told, ENCODERS[kind])
    decoder, joiner = find(folder, "decoder"), find(folder, "joiner")
    if decoder is None or joiner is None:
        missing = "decoder*.onnx" if decoder is None else "joiner*.onnx"
        raise EngineError(f"the model folder {folder} has no {missing}; download it again")
    onnxfile.metadata(joiner)
    written = tokens(folder, complete(decoder, onnxfile.metadata(decoder), DECODER))
    files = {"tokens": written, "encoder": encoder, "decoder": decoder, "joiner": joiner}
    return {name: str(path) for name, path in files.items()} | {"model_type": kind}


def complete(path: Path, told: dict[str, str], wanted: set[str]) -> dict[str, str]:
    """The metadata of a file, if it holds all that is wanted. Raises EngineError."""
    missing = sorted(key for key in wanted if not told.get(key))
    if missing:
        kind = told.get("model_type", "unknown")
        raise EngineError(
            f"{path} (type {kind!r}) is none of SenseVoice or streaming zipformer as sherpa-onnx publishes them: "
            f"its metadata lacks {', '.join(missing[:3])}; download one of those"
        )
    return told


def tokens(folder: Path, told: dict[str, str]) -> Path:
    """tokens.txt, if it holds as many tokens as the model writes."""
    path = folder / "tokens.txt"
    try:
        lines = sum(1 for line in path.read_text("utf-8").splitlines() if line.strip())
    except (OSError, UnicodeDecodeError) as error:
        raise EngineError(f"cannot read {path}: {error}; download the model again") from error
    if lines < int(told["vocab_size"]):
        raise EngineError(
            f"{path} holds {lines} tokens, but the model writes {told['vocab_size']}; download the model again"
        )
    return path
