"""From a language model to a .rkllm and its report: everything but the toolkit's part and the command line."""

from __future__ import annotations

import importlib.util
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec

from models.convert import child, report, rkllm_options, rkllm_questions, rkllm_source
from models.convert.outcome import Missing, Refused, Say, Stopped, say
from models.convert.report import Report
from models.convert.rkllm_options import FLOAT, LlmOptions, Plan
from models.convert.rkllm_source import Source

MISSING = (
    "rkllm-toolkit is not installed; it is in no package index: take the wheel for your Python (3.9 to 3.12, x86-64) "
    "from rkllm-toolkit/packages of https://github.com/airockchip/rknn-llm, release 1.3.0, and install it with the "
    "requirements.txt beside it in a venv of its own"
)
PACKAGES = ("rkllm-toolkit", "torch", "transformers", "numpy")
SAMPLING = {
    "max_length": 128,
    "top_k": 1,
    "top_p": 0.8,
    "temperature": 0.8,
    "do_sample": True,
    "repetition_penalty": 1.1,
}
BYTES = {"float32": 4, "float16": 2, "bfloat16": 2}  # a weight, once loaded


class Checks(msgspec.Struct, frozen=True):
    """What is tried on the built model before it is written."""

    chat: str = ""
    perplexity: Path | None = None
    perplexity_tokens: int = 8192
    trust_remote_code: bool = False


def convert(options: LlmOptions, checks: Checks, template: str = "model", say: Say = say) -> Report:
    """Convert and write the model and its report. Raises Stopped, OSError; then ``out`` is as it was before."""
    started = time.monotonic()
    _check(options, checks)
    source = rkllm_source.inspect(options.model)
    plan = rkllm_options.plan(options, source)
    plan.warnings.extend(memory(source, options, Path("/proc/meminfo")))
    samples = rkllm_questions.check(options.dataset) if options.dataset else 0
    if importlib.util.find_spec("rkllm") is None:
        raise Missing(MISSING)
    with tempfile.TemporaryDirectory(prefix="convert-") as name:
        folder = Path(name)
        exported = folder / "export"
        exported.mkdir()
        if plan.dtype != FLOAT and options.dataset is None:
            plan.build["dataset"] = str(folder / "dataset.json")
            samples = rkllm_questions.write(
                folder / "dataset.json", template_of(template, options.model, plan.warnings)
            )
        for warning in plan.warnings:
            say(f"note: {warning}")
        say(f"{options.model} ({source.architecture}) for {options.soc}, {plan.dtype}, {samples} calibration samples")
        job = _job(options, plan, checks, exported / options.out.name)
        log = _log(options.out)
        found = child.work("models.convert.rkllm_worker", job, folder, log, say)
        came = _take(exported, options.out, log)
    made = Report(
        kind="rkllm",
        made_at=report.now(),
        model=report.source(options.out),
        sources=[report.source(options.model), *([report.source(options.lora)] if options.lora else [])],
        soc=options.soc,
        dtype=plan.dtype,
        options={name: value for name, value in plan.build.items() if name != "dataset"}
        | {"load": plan.load, "calibrated_on": samples},
        settings=_settings(options),
        versions=report.versions(PACKAGES),
        seconds=time.monotonic() - started,
        warnings=plan.warnings,
        checks=found["checks"] | ({"beside it": came} if came else {}),
    )
    report.write(made, options.out)
    return made


def update(model: Path, out: Path, force: bool, say: Say = say) -> Path:
    """A .rkllm of 1.0.2 in the present format. Raises Stopped, OSError."""
    if not model.is_file():
        raise Refused(f"there is no file {model}")
    _free(out, force)
    if importlib.util.find_spec("rkllm") is None:
        raise Missing(MISSING)
    before = report.source(model).sha256
    with tempfile.TemporaryDirectory(prefix="convert-") as name:
        folder = Path(name) / "work"
        folder.mkdir()
        copy = folder / model.name
        shutil.copyfile(model, copy)
        child.work("models.convert.rkllm_worker", {"update": str(copy)}, folder, _log(out), say)
        left = sorted(folder.rglob("*.rkllm"), key=lambda one: one == copy)
        new = next((one for one in left if report.source(one).sha256 != before), None)
        if new is None:
            raise Stopped(f"the toolkit says that it updated {model}, but left nothing new; it may be new enough")
        report.place(new, out)
    return out


def memory(source: Source, options: LlmOptions, meminfo: Path) -> list[str]:
    """A warning where the weights alone are more than is free. They lie on disk in 2 bytes each, most often."""
    if source.kind == "gguf":
        return []
    need = source.bytes / (1 if source.weights == "gptq8" else 2) * BYTES[options.load_dtype]
    try:
        lines = dict(line.split(":", 1) for line in meminfo.read_text().splitlines() if ":" in line)
        free = sum(int(lines[name].split()[0]) for name in ("MemAvailable", "SwapFree")) * 1024
    except (OSError, KeyError, ValueError):
        return []
    if need <= free:
        return []
    return [
        f"the weights take {need / 1e9:.0f} GB once loaded and {free / 1e9:.0f} GB are free: add swap, or --load-dtype"
    ]


def _check(options: LlmOptions, checks: Checks) -> None:
    if options.out.suffix != ".rkllm":
        raise Refused(f"--out {options.out} is no .rkllm; the daemon knows the model by that ending")
    _free(options.out, options.force)
    if options.lora is not None:
        rkllm_source.lora(options.lora)
    if options.custom_config is not None:
        rkllm_source.custom_config(options.custom_config)
    for name, path in (("--extra-qparams", options.qparams), ("--perplexity", checks.perplexity)):
        if path is not None and not path.is_file():
            raise Refused(f"{name}: there is no file {path}")
    if checks.perplexity is not None and not options.model.is_dir():
        raise Refused("--perplexity needs a tokenizer, which a Hugging Face folder has; a GGUF is not read for it")


def _free(out: Path, force: bool) -> None:
    if out.exists() and not force:
        raise Refused(f"{out} is there already; remove it, or say --force")


def template_of(name: str, folder: Path | None, notes: list[str]) -> rkllm_questions.Template:
    """How calibration is written; says in ``notes`` where the model's own way cannot be had. Raises Refused."""
    if name == "chatml":
        return rkllm_questions.chatml
    own = rkllm_questions.of_model(folder) if name == "model" and folder is not None and folder.is_dir() else None
    if name == "model" and own is None:
        notes.append("the model has no chat template to be read, so its calibration is plain text; see --template")
    return own or rkllm_questions.plain


def _job(options: LlmOptions, plan: Plan, checks: Checks, export: Path) -> dict[str, Any]:
    """What the worker is to do; paths made whole, since it works in a folder of its own."""
    whole = {"model", "model_lora", "custom_config", "dataset", "extra_qparams"}

    def resolved(given: dict[str, Any]) -> dict[str, Any]:
        return {n: str(Path(v).resolve()) if n in whole and v else v for n, v in given.items()}

    return {
        "loader": plan.loader,
        "load": resolved(plan.load),
        "build": resolved(plan.build),
        "export": str(export),
        "chat": checks.chat,
        "sampling": SAMPLING,
        "perplexity": str(checks.perplexity.resolve()) if checks.perplexity else "",
        "perplexity_tokens": checks.perplexity_tokens,
        "tokenizer": str(options.model.resolve()),
        "trust_remote_code": checks.trust_remote_code,
    }


def _settings(options: LlmOptions) -> dict[str, Any]:
    """What the daemon is to be told of this model, by the names that its settings have (pipelines/llm/rkllm.py)."""
    most = options.max_context
    found = {"model": options.out.name, "soc": options.soc, "context_limit": most, "context": min(most, 4096)}
    return {"dialogue.llm.engine": "rkllm"} | {f"dialogue.llm.rkllm.{name}": value for name, value in found.items()}


def _log(out: Path) -> Path:
    """What the toolkit prints; it stays, also of a conversion that failed."""
    out.parent.mkdir(parents=True, exist_ok=True)
    log = out.with_name(out.name + ".log")
    log.unlink(missing_ok=True)
    return log


def _take(exported: Path, out: Path, log: Path) -> list[str]:
    """Move what the toolkit wrote to its place; returns the names of other files than the model (a LoRA's)."""
    if not (exported / out.name).is_file():
        raise Stopped(f"the toolkit says that it wrote the model, but there is none; {child.last_words(log)}")
    others = sorted(one for one in exported.iterdir() if one.name != out.name)
    for one in others:
        report.place(one, out.parent / one.name)
    report.place(exported / out.name, out)
    return [one.name for one in others]
