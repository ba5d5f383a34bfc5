"""Which engine each place in the settings gets, whether its model files are what they should be, and their memory."""

import re

from assistant.core.doctor import board
from assistant.core.doctor.facts import Choice, Facts, Model, Part
from assistant.core.doctor.finding import Check, Reason, Values, Verdict, Verdicts

# Engine -> the module that it imports, and the extra that installs it ("": comes with the assistant itself).
MODULES: dict[str, tuple[str, str]] = {
    "cascade": ("faster_whisper", "faster-whisper"),
    "espeak": ("espeakng_loader", ""),
    "faster_whisper": ("faster_whisper", "faster-whisper"),
    "microwakeword": ("pymicro_wakeword", "wakeword"),
    "onnx": ("onnxruntime", ""),
    "openai": ("openai", "openai"),
    "opencv": ("cv2", ""),
    "openwakeword": ("onnxruntime", ""),
    "piper": ("piper", "piper"),
    "pocketsphinx": ("pocketsphinx", ""),
    "rknn": ("rknnlite", "rknn"),
    "sherpa_onnx": ("sherpa_onnx", "sherpa-onnx"),
    "silero": ("onnxruntime", ""),
    "webrtcvad": ("webrtcvad", ""),
}
LFS = b"version https://git-lfs"  # how a pointer that git-lfs did not replace begins
# A .rknn begins so, the second where it is encrypted (rknn-toolkit2's "invalid RKNN_MAGIC"). Of .rkllm no one magic is
# known: old ones were GGUF, newer ones are not.
RKNN = (b"RKNN", b"CYPTRKNN")
SOC = re.compile(r"(?<![a-z0-9])(rk35\d\d)(?!\d)", re.IGNORECASE)


def engine(facts: Facts) -> Verdicts:
    for choice in facts.choices:
        if facts.live is None and choice.role != "camera":
            yield Verdict("engine.unseen", {"key": choice.key})
            continue
        if choice.engine == "auto":
            yield _auto(choice, facts)
        elif choice.engine != "rknn" and (reason := _package(choice, choice.engine, facts)):  # that has its own check
            yield Verdict("engine.package", {"key": choice.key, "engine": choice.engine, "extra": reason.detail})
        else:
            yield Verdict("engine.ok", {"key": choice.key, "engine": choice.engine})


def _auto(choice: Choice, facts: Facts) -> Verdict:
    reasons = list[Reason]()
    for name in choice.order:
        reason = _reason(choice, name, facts)
        if reason is None:
            told: Values = {"key": choice.key, "engine": name, "reasons": tuple(reasons)}
            if name == "none":
                return Verdict("engine.words" if choice.role == "endofturn" else "engine.blind", told)
            return Verdict("engine.auto" if reasons else "engine.first", told)
        reasons.append(reason)
    return Verdict("engine.none", {"key": choice.key, "reasons": tuple(reasons)})


def taken(choice: Choice, facts: Facts) -> str:
    """The engine that this place gets: the one that is named, or what ``auto`` would take; "" for none."""
    if choice.engine != "auto":
        return choice.engine
    return next((name for name in choice.order if _reason(choice, name, facts) is None), "")


def _reason(choice: Choice, name: str, facts: Facts) -> Reason | None:
    """Why ``auto`` would not take this engine; None where nothing speaks against it."""
    if name not in choice.tables:
        return Reason(name, "unconfigured")
    if missing := _package(choice, name, facts):
        return missing
    for model in facts.models:
        if model.key.startswith(f"{choice.key}.{name}.") and (defect := _defect(model, facts)):
            return Reason(name, defect.case, model.path)
    if name in board.NPU_ENGINES:
        if not board.has_npu(facts):
            return Reason(name, "no npu")
        library = facts.rkllm if name == "rkllm" else facts.rknn
        if library is not None and library.problem:
            return Reason(name, "library", library.path)
    return None


def _package(choice: Choice, name: str, facts: Facts) -> Reason | None:
    module, extra = MODULES.get(name, ("", ""))
    if name == "cascade" and choice.tables.get(name, {}).get("model"):
        module = "onnxruntime"  # a file of its own
    installed = facts.live is None or not module or module in facts.live.packages
    return None if installed else Reason(name, "package", f"edge-assistant[{extra}]" if extra else "edge-assistant")


def chosen_models(facts: Facts) -> list[Model]:
    """Those of the engines that would really be loaded."""
    prefixes = tuple(f"{choice.key}.{taken(choice, facts)}." for choice in facts.choices)
    return [model for model in facts.models if model.key.startswith(prefixes)]


def files(facts: Facts) -> Verdicts:
    for model in {model.path: model for model in chosen_models(facts)}.values():  # one folder may serve two engines
        yield _defect(model, facts) or Verdict(
            "model.ok", {"path": model.path, "size": _megabytes(sum(part.size for part in model.parts) / 1e6)}
        )


def _defect(model: Model, facts: Facts) -> Verdict | None:
    """The first thing that is wrong with a model's files."""
    told = {"key": model.key, "path": model.path, "mend": model.known.mend if model.known else ""}
    if model.kind == "missing":
        return Verdict("model.missing" if model.known else "model.nowhere", told)
    for part in model.parts:
        if problem := _problem(part):
            return Verdict(problem, {**told, "path": _inside(model, part.path)})
    have = {part.path: part.size for part in model.parts}
    if model.kind == "folder" and not any(path.endswith((".onnx", ".bin")) for path in have):
        return Verdict("model.nothing", told)
    for path, size in (model.known.files if model.known else {}).items():
        if model.kind == "folder" and path not in have:
            return Verdict("model.partial", {**told, "file": path})
        if size and have.get(path, size) != size:
            return Verdict("model.length", {**told, "path": _inside(model, path), "have": have[path], "wanted": size})
    said, soc = SOC.findall(model.path.rpartition("/")[2].lower()), board.known(facts)
    if model.path.endswith((".rkllm", ".rknn")) and said and soc and soc not in said:
        return Verdict("model.soc", {**told, "said": said[0], "soc": soc})
    return None


def _problem(part: Part) -> str:
    if not part.size:
        return "model.empty" if part.path.endswith((".rkllm", ".rknn", ".onnx", ".bin")) else ""
    if part.head.startswith(LFS):
        return "model.pointer"
    return "model.magic" if part.path.endswith(".rknn") and not part.head.startswith(RKNN) else ""


def _inside(model: Model, path: str) -> str:
    return f"{model.path}/{path}" if model.kind == "folder" else model.path


def memory(facts: Facts) -> Verdicts:
    total, free = (facts.memory_kb.get(name, 0) * 1024 / 1e6 for name in ("MemTotal", "MemAvailable"))
    need = needed_mb(facts)
    told = {"need": _megabytes(need), "free": _megabytes(free), "total": _megabytes(total)}
    if not total:
        yield Verdict("memory.unseen")
    elif need > total:
        yield Verdict("memory.small", told)
    elif need > free and free and not (facts.live and facts.live.running):
        yield Verdict("memory.full", told)
    else:
        yield Verdict("memory.ok" if need else "memory.free", told)


def needed_mb(facts: Facts) -> float:
    """MB that the chosen models take: as the manifest has it, else at least their files; a model counts once."""
    each: dict[str, float] = {}
    for model in chosen_models(facts):
        size = sum(part.size for part in model.parts) / 1e6
        if model.known and model.known.ram_mb:
            each[model.known.name] = model.known.ram_mb
        elif model.kind != "missing":
            each[model.path] = size
    return sum(each.values())


def _megabytes(value: float) -> str:
    return f"{value / 1000:.1f} GB" if value >= 1000 else f"{value:.0f} MB"


CHECKS = (
    Check("engines", "models", False, engine),
    Check("model-files", "models", False, files),
    Check("memory", "models", False, memory),
)
