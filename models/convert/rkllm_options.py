"""What can be asked of a language model's conversion, as tables, and what does not go together. Pure.

Facts: rknn-llm 1.3.0 (CHANGELOG.md, benchmark.md, examples/rkllm_api_demo/export/export_rkllm.py) and its issues (#N).
Its manual is a PDF that could not be read here; what people quote from it is marked "manual, quoted".
"""

from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec

from models.convert.outcome import Refused
from models.convert.rkllm_source import Source

Soc = Literal["rk3588", "rk3576", "rk3562"]
FLOAT = "fp16"  # no quantization


class Choice(NamedTuple):
    """When to take a quantised type."""

    soc: Soc
    dtype: str
    when: str


# The first of each SoC is what is taken where nothing is said. Which a SoC has: manual 1.3.0 table 3-3, quoted by two
# converters; RK3588 without 4 bits: #186, #532, #535; speeds: benchmark.md 1.3.0.
CHOICES: tuple[Choice, ...] = (
    Choice("rk3588", "w8a8", "fastest there is on RK3588; take this"),
    Choice("rk3588", "w8a8_g512", "answers are worse than the original's: groups cost speed, fewer the larger"),
    Choice("rk3588", "w8a8_g256", "the same, closer and slower"),
    Choice("rk3588", "w8a8_g128", "the same, closest and slowest"),
    Choice("rk3576", "w4a16", "half the memory of w8a8 and 1.5 times its speed or more; take this"),
    Choice("rk3576", "w4a16_g128", "w4a16 answers badly: a tenth slower"),
    Choice("rk3576", "w4a16_g64", "the same, closer"),
    Choice("rk3576", "w4a16_g32", "the same, closest"),
    Choice("rk3576", "w8a8", "4 bits lose too much, and memory is there"),
    Choice("rk3562", "w8a8", "the only one that Rockchip publishes speeds of; take this"),
    Choice("rk3562", "w4a8_g32", "memory is short: 12.0 against 11.5 tokens/s with Qwen2-0.5B (README of 1.2.0)"),
    Choice("rk3562", "w4a16_g128", "memory is shorter still: half the speed (5.7 tokens/s there)"),
    Choice("rk3562", "w4a16_g64", "the same, closer"),
    Choice("rk3562", "w4a16_g32", "the same, closest"),
)
DTYPES: dict[str, tuple[str, ...]] = {
    soc: tuple(choice.dtype for choice in CHOICES if choice.soc == soc) for soc in ("rk3588", "rk3576", "rk3562")
}
CORES: dict[str, int] = {"rk3588": 3, "rk3576": 2, "rk3562": 1}  # the NPU's; a conversion fixes how many are used
# What comes nearest where a SoC does not have a type.
NEAREST: dict[str, dict[str, str]] = {
    "rk3588": {"w4a16": "w8a8", "w4a8": "w8a8"},
    "rk3576": {"w8a8": "w8a8", "w4a8": "w4a16_g32"},
    "rk3562": {"w4a16": "w4a16_g128", "w8a8": "w8a8", "w4a8": "w4a8_g32"},
}
ALGORITHMS = ("normal", "grq", "gdq")
STEP, LONGEST = 32, 16384  # tokens of max_context (CHANGELOG 1.2.0: 16K)
LEVELS = (0, 1)


class LlmOptions(msgspec.Struct, frozen=True, kw_only=True):
    model: Path  # a Hugging Face folder, or a .gguf
    out: Path
    soc: Soc = "rk3588"
    dtype: str = ""  # empty: what suits the SoC and the source
    algorithm: str = ""  # empty: what suits the dtype
    lora: Path | None = None
    custom_config: Path | None = None
    device: Literal["cpu", "cuda"] = "cpu"
    load_dtype: Literal["float32", "float16", "bfloat16"] = "float32"
    cores: int = 0  # 0: all that the SoC has
    max_context: int = 4096
    optimization_level: int = 1
    hybrid_rate: float = 0.0
    qparams: Path | None = None
    dataset: Path | None = None
    force: bool = False


class Plan(NamedTuple):
    """Arguments for the toolkit, and what should be known."""

    loader: Literal["load_huggingface", "load_gguf"]
    load: dict[str, Any]
    build: dict[str, Any]
    dtype: str
    warnings: list[str]


def plan(options: LlmOptions, source: Source) -> Plan:
    """What the toolkit is told. Raises Refused for what does not go together, with the nearest that does."""
    warnings: list[str] = []
    dtype = _dtype(options, source)
    _numbers(options, source, warnings)
    _source(options, source, dtype, warnings)
    algorithm = _algorithm(options, dtype, warnings)
    _groups(options, source, dtype)
    _hybrid(options, dtype)
    quantized = dtype != FLOAT
    build: dict[str, Any] = {
        "do_quantization": quantized,
        "optimization_level": options.optimization_level,
        "quantized_dtype": dtype if quantized else DTYPES[options.soc][0],  # checked by some releases all the same
        "quantized_algorithm": algorithm,
        "target_platform": options.soc,
        "num_npu_core": options.cores or CORES[options.soc],
        "extra_qparams": str(options.qparams) if options.qparams else None,
        "dataset": str(options.dataset) if options.dataset else None,
        "hybrid_rate": options.hybrid_rate,
        "max_context": options.max_context,
    }
    if source.kind == "gguf":
        return Plan("load_gguf", {"model": str(options.model)}, build, dtype, warnings)
    load: dict[str, Any] = {
        "model": str(options.model),
        "model_lora": str(options.lora) if options.lora else None,
        "device": options.device,
        "dtype": options.load_dtype,
        "custom_config": str(options.custom_config) if options.custom_config else None,
        "load_weight": True,
    }
    return Plan("load_huggingface", load, build, dtype, warnings)


def _dtype(options: LlmOptions, source: Source) -> str:
    """The quantised type that was asked for, or the one that suits; in small letters, as the toolkit lists them."""
    has = DTYPES[options.soc]
    if not options.dtype:
        return FLOAT if source.weights == "f16" else source.dtypes(has)[0] if source.dtypes(has) else has[0]
    asked = options.dtype.lower()
    if asked in has or asked == FLOAT:
        return asked
    every = {choice.dtype for choice in CHOICES}
    nearest = NEAREST[options.soc].get(asked.split("_")[0], has[0])
    if asked not in every:
        raise Refused(f"there is no quantised type {options.dtype!r}; {options.soc} has {', '.join(has)}, and {FLOAT}")
    raise Refused(f"{options.soc} has no {asked}; the nearest is {nearest} (it has {', '.join(has)}, and {FLOAT})")


def _numbers(options: LlmOptions, source: Source, warnings: list[str]) -> None:
    context, most = options.max_context, CORES[options.soc]
    if not STEP <= context <= LONGEST or context % STEP:
        nearest = max(STEP, min(LONGEST, (context + STEP // 2) // STEP * STEP))
        raise Refused(f"max_context is at most {LONGEST} in steps of {STEP}; nearest to {context} is {nearest}")
    if source.positions and context > source.positions:
        warnings.append(f"max_context {context} is more than the {source.positions} tokens the model was made for")
    if options.cores and not 1 <= options.cores <= most:
        raise Refused(f"{options.soc} has {most} NPU core{'s' * (most > 1)}; the nearest to {options.cores} is {most}")
    if options.optimization_level not in LEVELS:
        raise Refused("optimization_level is 0 (none) or 1 (for accuracy); 1 is the nearest")
    if options.soc == "rk3588" and (options.cores or most) == most:
        warnings.append("takes all 3 cores; with --cores 2, core 2 stays free for other models (rknn-toolkit2 #215)")
    if options.device == "cpu" and options.load_dtype == "float16" and source.kind == "hf":
        raise Refused("on a CPU the toolkit turns float16 into float32; --load-dtype bfloat16 takes half the memory")


def _source(options: LlmOptions, source: Source, dtype: str, warnings: list[str]) -> None:
    """What kind of model it is, against what is made of it."""
    if source.kind == "gguf":
        given = {"--lora": options.lora, "--custom-config": options.custom_config}
        if taken := [name for name, value in given.items() if value]:
            raise Refused(f"{' and '.join(taken)} need the Hugging Face folder of the model, not a GGUF")
        if source.weights == "f16":
            if dtype != FLOAT:
                raise Refused(
                    f"a GGUF of fp16 is not quantised by the toolkit (#179): --dtype {FLOAT}; for {dtype} give the "
                    "Hugging Face folder"
                )
            warnings.append("fp16 GGUF failed on export with 1.1.4 to 1.2.1 (#179, #312); if so, take the folder")
    fitting = source.dtypes(DTYPES[options.soc])
    if source.weights in ("q4_0", "gptq8") and dtype not in fitting:
        name = {"q4_0": "a GGUF of q4_0 has 4-bit weights", "gptq8": "a GPTQ model of 8 bits is w8a8"}[source.weights]
        mend = f"--dtype {fitting[0]}" if fitting else f"{options.soc} has no such type: give the unquantised model"
        raise Refused(f"{name}, and {dtype} is none of that; {mend}")
    if source.weights == "q4_0":
        warnings.append("nothing published says which type a q4_0 becomes; compare its answers with the original's")
    if dtype == FLOAT:
        alone = {"--hybrid-rate": options.hybrid_rate, "--extra-qparams": options.qparams, "--dataset": options.dataset}
        if taken := [name for name, value in alone.items() if value]:
            raise Refused(f"{' and '.join(taken)}: for quantised types; leave out, or name a type other than {FLOAT}")


def _algorithm(options: LlmOptions, dtype: str, warnings: list[str]) -> str:
    """grq and gdq are for 4-bit weights (CHANGELOG 1.1.0, 1.2.0); the example recommends normal for 8, grq for 4."""
    four = dtype.startswith("w4")
    asked = options.algorithm or ("grq" if dtype.startswith("w4a16") else "normal")
    if asked not in ALGORITHMS:
        raise Refused(f"there is no quantised algorithm {asked!r}; there are {', '.join(ALGORITHMS)}")
    if asked != "normal" and not four:
        raise Refused(f"{asked} is for 4-bit weights and {dtype} has none; the nearest is normal")
    if options.qparams is not None and asked != "gdq":
        raise Refused("extra_qparams hold what gdq found in a run before; say --algorithm gdq, or leave them out")
    if asked != "normal" and options.device == "cpu":
        warnings.append(f"{asked} on a CPU takes hours where a GPU takes minutes; --device cuda where there is one")
    return asked


def _groups(options: LlmOptions, source: Source, dtype: str) -> None:
    """Groups divide the weights' width evenly, or the toolkit refuses after it has loaded everything."""
    _, _, group = dtype.partition("_g")
    if not group:
        return
    for name, width in source.widths.items():
        if width % int(group):
            family = dtype.split("_")[0]
            smaller = [
                one
                for one in DTYPES[options.soc]
                if one.split("_")[0] == family
                and ("_g" not in one or all(w % int(one.split("_g")[1]) == 0 for w in source.widths.values()))
            ]
            nearest = f"the nearest is {smaller[0]}" if smaller else f"take {DTYPES[options.soc][0]}"
            raise Refused(f"{name} {width} is no multiple of {group}, which {dtype} needs; {nearest}")


def _hybrid(options: LlmOptions, dtype: str) -> None:
    """A share of the layers in groups beside layers without, of the same bits (CHANGELOG 1.1.0; manual, quoted)."""
    if not options.hybrid_rate:
        return
    if not 0 <= options.hybrid_rate < 1:
        raise Refused(f"hybrid_rate is a share from 0 to below 1, not {options.hybrid_rate}; the nearest is 0.9")
    family, grouped = dtype.split("_")[0], "_g" in dtype
    others = [one for one in DTYPES[options.soc] if one.split("_")[0] == family and ("_g" in one) != grouped]
    if not others:
        raise Refused(
            f"hybrid_rate mixes {family} with and without groups, and {options.soc} has no {family} "
            f"{'without' if grouped else 'in groups'}; leave it 0"
        )
