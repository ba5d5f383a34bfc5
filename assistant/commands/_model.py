"""How fast the configured models are here, beside what others measured of them: ``assistant bench model``."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from assistant import client, modelstore, paths
from assistant.commands import _model_cases
from assistant.commands._child import told
from assistant.commands._model_cases import Case, Engines
from assistant.config import Config, Engine
from assistant.core import published
from assistant.core.published import Published
from pipelines.engine import EngineError

Say = Callable[[str], None]

SIZES, QUICK = ((32, 128), (64, 256), (128, 512)), ((32, 16),)  # tokens of the prompt, of the reply
LIMIT_S = 900.0  # for one case: a slow board makes 4 tokens a second


def measure(found: Config, named: str, quick: bool, say: Say) -> dict[str, Any]:
    """All figures, of the engines of [dialogue] and [vision]; ``named``: the manifest's entry to compare with, "" the
    one that the settings mean. Raises EngineError where the language model does not load."""
    engines, manifest = _engines(found), modelstore.load()
    if named and published.find(manifest, [named], "") is None:
        raise EngineError(f"the manifest has no figures of {named!r}; `assistant models list` names what it knows")
    cases = [Case(*size, picture) for picture in (False, True) for size in (QUICK if quick else SIZES)]
    if client.running(paths.runtime()):
        say("note: a daemon runs here: all times come out too long")
    say(f"loading {engines.llm} and {engines.vision} …")
    came = told(_model_cases.run, (engines, cases), LIMIT_S, lambda what: say(_progress(what)))
    if not came.found:
        raise EngineError(came.why or "nothing was measured")
    loaded, *measured = came.found
    missing = [{**case._asdict(), "why": came.why} for case in cases[len(measured) :]]
    options = _options(engines.llm_options, engines.llm, loaded["llm"])
    soc = str(options.get("soc", "rk3588")) if loaded["llm"] == "rkllm" else ""
    names = [named] if named else [str(options.get("family", "")), *reversed(Path(str(options.get("model", ""))).parts)]
    other = published.find(manifest, names, soc)
    return {**loaded, "cases": measured + missing, "published": None if other is None else other._asdict()}


def _engines(found: Config) -> Engines:
    from assistant.services import dialogue, vision

    model: Engine = found.section("dialogue", dialogue.Settings).llm
    encoder: Engine = found.section("vision", vision.Settings).encoder
    return Engines(model.engine, model.options, encoder.engine, encoder.options)


def _options(options: Mapping[str, Any], configured: str, chosen: str) -> Mapping[str, Any]:
    return options.get(chosen, {}) if configured == "auto" else options


def _progress(what: Mapping[str, Any]) -> str:
    if "prompt" not in what:
        return f"loaded in {what['load_s'] + what['vision_load_s']:.1f} s"
    return " ".join(_row(what).split())


def lines(figures: Mapping[str, Any]) -> list[str]:
    """For people."""
    names = figures["llm"] + (f" and {figures['vision']}" if figures["vision"] else "")
    made = [
        f"{names}, loaded in {figures['load_s']} s"
        + (f" and {figures['vision_load_s']} s" if figures["vision"] else ""),
        "",
        f"{'prompt/new':<12}{'picture':>8}{'computed':>10}{'came':>6}{'encode':>11}{'first token':>13}{'tokens/s':>10}"
        f"{'peak MB':>9}",
        *map(_row, figures["cases"]),
    ]
    if not figures["exact"]:
        made.append("this engine ends a reply where the model does: the column `came` says how many tokens it had")
    other = figures["published"]
    return [
        *made,
        "",
        *(_compared(Published(**other)) if other else ["nothing is published of this model that we know"]),
    ]


def _row(case: Mapping[str, Any]) -> str:
    head = f"{case['prompt']}/{case['new']}"
    seen = "yes" if case["picture"] else "no"
    if case.get("why"):
        return f"{head:<12}{seen:>8}  not measured: {case['why']}"
    return (
        f"{head:<12}{seen:>8}{case['prompt_tokens']:>10}{case['new_tokens']:>6}{case['encode_ms']:>8} ms"
        f"{case['first_token_ms']:>10} ms{case['tokens_per_s']:>10}{case['peak_mb']:>9}"
    )


def _compared(other: Published) -> list[str]:
    made = [f"published of {other.model}:"]
    for row in other.figures:
        told_ = ", ".join(f"{name} {value:g}" for name, value in row.items() if name in published.FIGURES)
        made.append(f"  {row['soc']}: {told_} ({row['source']})")
    for figure, values in other.contradictions.items():
        sides = "; ".join(f"{one['value']:g} says {one['source']}" for one in values)
        made.append(f"  they contradict each other on {figure}: {sides}")
    return made
