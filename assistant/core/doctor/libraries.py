"""Rockchip's two runtime libraries, what they need, and whether they fit each other, the models and the Python."""

from assistant.core.doctor import parse
from assistant.core.doctor.board import NPU_ENGINES
from assistant.core.doctor.facts import Facts, Library, Model
from assistant.core.doctor.finding import Check, Verdict, Verdicts
from assistant.core.doctor.models import chosen_models

# The oldest librknnrt that was reported to work beside an RKLLM release (who ships what: rkllama 1.3.0 with 2.3.2,
# Qengineering 1.2.2 and 1.2.3 with 2.3.0, vlm-rknn 1.2.3 with 2.3.2).
BESIDE: tuple[tuple[str, str], ...] = (("1.3.0", "2.3.2"), ("1.2.0", "2.3.0"))
LAST_PYTHON = (3, 12)  # rknn-toolkit-lite2 2.3.2 has no wheels for newer ones
SOURCES = {
    "librkllmrt.so": "rknn-llm: rkllm-runtime/Linux/librkllm_api/aarch64",
    "librknnrt.so": "rknn-toolkit2: rknpu2/runtime/Linux/librknn_api/aarch64",
}


def unused(facts: Facts, engine: str) -> bool:
    """Settings that use the NPU, but not through this engine."""
    return bool(facts.engines & NPU_ENGINES) and engine not in facts.engines


def rkllm(facts: Facts) -> Verdicts:
    yield from _library(facts, "rkllm", "librkllmrt.so", facts.rkllm)


def rknn(facts: Facts) -> Verdicts:
    found = facts.rknn
    if found is not None and found.problem == "missing" and facts.rknn_elsewhere and not unused(facts, "rknn"):
        yield Verdict("library.elsewhere", {"path": found.path, "seen": facts.rknn_elsewhere})
    else:
        yield from _library(facts, "rknn", "librknnrt.so", found)


def _library(facts: Facts, engine: str, name: str, found: Library | None) -> Verdicts:
    if unused(facts, engine):
        yield Verdict("library.unused", {"name": name})
    elif found is None:
        yield Verdict("library.unseen", {"name": name})
    elif found.problem:
        said = {"name": name, "path": found.path, "detail": found.detail, "source": SOURCES[name]}
        yield Verdict(f"library.{found.problem}", said)
    else:
        case = "library.ok" if found.release else "library.unnamed"
        yield Verdict(case, {"name": name, "path": found.path, "release": found.release})


def fit(facts: Facts) -> Verdicts:
    """The first kind of misfit alone: an old library is often all of them at once."""
    releases = {
        engine: library.release
        for engine, library in (("rkllm", facts.rkllm), ("rknn", facts.rknn))
        if library is not None and library.release and not unused(facts, engine)
    }
    if not releases:
        yield Verdict("fit.unknown")
        return
    misfits = [*_wanting(chosen_models(facts), releases)] or [*_together(releases)] or [*_lite(facts, releases)]
    yield from misfits
    if not misfits:
        yield Verdict("fit.ok", {"found": ", ".join(f"{name} {release}" for name, release in releases.items())})


def _wanting(models: list[Model], releases: dict[str, str]) -> Verdicts:
    runtimes = {model.known.name: model.known.runtime for model in models if model.known}
    for model, runtime in runtimes.items():
        for name, wanted in parse.needs(runtime).items():
            have = releases.get(name, "")
            if have and parse.version(have) < parse.version(wanted):
                yield Verdict("fit.model", {"model": model, "name": name, "wanted": wanted, "have": have})


def _together(releases: dict[str, str]) -> Verdicts:
    if len(releases) < 2:
        return
    mine, have = parse.version(releases["rkllm"]), parse.version(releases["rknn"])
    least = next((rknn for since, rknn in BESIDE if mine >= parse.version(since)), "")
    if least and have < parse.version(least):
        yield Verdict("fit.pair", {**releases, "wanted": least})


def _lite(facts: Facts, releases: dict[str, str]) -> Verdicts:
    lite = facts.live.packages.get("rknnlite", "") if facts.live else ""
    have = releases.get("rknn", "")
    if parse.version(lite) and have and parse.version(lite)[:2] != parse.version(have)[:2]:
        yield Verdict("fit.lite", {"lite": lite, "have": have})


def lite(facts: Facts) -> Verdicts:
    if unused(facts, "rknn"):
        yield Verdict("library.unused", {"name": "rknn-toolkit-lite2"})
    elif facts.live is None:
        yield Verdict("library.unseen", {"name": "rknn-toolkit-lite2"})
    elif "rknnlite" in facts.live.packages:
        yield Verdict("lite.ok", {"version": facts.live.packages["rknnlite"] or "?"})
    elif facts.live.python > LAST_PYTHON:
        python, last = (".".join(map(str, each)) for each in (facts.live.python, LAST_PYTHON))
        yield Verdict("lite.python", {"python": python, "last": last})
    else:
        yield Verdict("lite.missing")


def gomp(facts: Facts) -> Verdicts:
    if unused(facts, "rkllm"):
        yield Verdict("library.unused", {"name": "libgomp"})
    else:
        yield Verdict("gomp.ok" if facts.gomp else "gomp.missing")


CHECKS = (
    Check("librkllmrt", "libraries", True, rkllm),
    Check("librknnrt", "libraries", True, rknn),
    Check("versions", "libraries", True, fit),
    Check("rknn-toolkit-lite2", "libraries", True, lite),
    Check("libgomp", "libraries", True, gomp),
)
