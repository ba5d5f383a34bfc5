"""Measure this machine.

``overhead``: what everything but the models costs, in time, memory and tokens. ``cpu``: what models cost, before any is
downloaded: Whisper tiny, base and small, a piper voice and a SmolVLM-256M with random weights in their true sizes, each
alone and beside two busy processes. It takes some minutes, 2 GB of disk and of memory, and other work on the machine
spoils it. ``rkllm``: what our side of a Rockchip board's NPU costs, on a simulated board. ``model``:
how fast the profile's own models are here, beside what others published. ``wakeword``: how often a wake word engine
hears its phrase, in several noises, how often it only believes so in an hour of speech, and whether the first word
after it is lost. The engine and phrases are the settings', or --engine and --phrase; the voices are synthetic, better
ones where ``flite`` is installed; --recordings are speech of yours without the phrase. It takes some minutes a phrase
with networks, and half an hour with pocketsphinx. ``bargein``: speaking over a reply, in
made-up rooms and noises, how soon a real speaker is silent, and a little of ``wakeword``; what is missed was made least
with --seed 1, another one says what to expect. ``latency``: the silence between a spoken question and
its answer, with all that is done ahead and without, on a simulated board (or ``cpu``: here). Its questions are really
spoken and waited for: a quarter of an hour for a board and a model, less for some --cases, less than a minute with
--quick; other work on the machine spoils it (``machine.load`` says how busy it was). ``gateway``: what HTTP and events
add to the bus, fifty clients at once, and what a long conversation's next question computes.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from assistant.commands import OK, USAGE, Failure, _settings
from assistant.config import Engine
from pipelines.engine import EngineError

ANY_PHRASE = ("microwakeword", "pocketsphinx")  # engines whose phrases can be told by their words alone: auto's choice


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", choices=tuple(MEASURES), help="what to measure")
    _settings.arguments(parser, "demo")
    parser.add_argument("--turns", type=int, default=200, help="typed turns to time (default 200)")
    parser.add_argument("--threads", type=int, default=0, help="cpu: threads a model (default: the cores, at most 4)")
    parser.add_argument("--keep", default="", metavar="DIR", help="cpu: make the models here and leave them")
    parser.add_argument("--quick", action="store_true", help="little of it or small models, to see that it runs")
    parser.add_argument(
        "--release", default="1.3.0", metavar="X.Y.Z", help="rkllm, latency: of the runtime (default 1.3.0)"
    )
    parser.add_argument(
        "--pace", default="rk3588:qwen3-vl-2b", metavar="BOARD:MODEL", help="rkllm: whose times (default %(default)s)"
    )
    parser.add_argument(
        "--model", default="qwen3-vl-2b", help="latency: on the --board rk3588 or rk3576 (default %(default)s)"
    )
    parser.add_argument("--chart", type=Path, default=None, metavar="FILE", help="latency: also draw a bar chart, PNG")
    parser.add_argument(
        "--cases", action="append", default=[], metavar="TEXT", help="latency: only those with this in their name"
    )
    parser.add_argument("--published", default="", metavar="NAME", help="model: the manifest's entry to compare with")
    parser.add_argument("--minutes", type=float, default=60.0, help="wakeword: of speech without it (default 60)")
    parser.add_argument("--engine", default="", help="wakeword: another than the settings have")
    parser.add_argument(
        "--recordings", type=Path, default=None, metavar="DIR", help="wakeword: WAV files without it, of yours"
    )
    parser.add_argument("--scenes", type=int, default=216, help="bargein: how many, of all kinds (default 216)")
    parser.add_argument("--seed", type=int, default=1, help="bargein: of the scenes (default 1)")
    parser.add_argument(
        "--vad",
        action="append",
        metavar="ENGINE",
        help="bargein: the detector of speech (may be repeated)",
    )
    parser.add_argument("--phrase", action="append", metavar="TEXT", help="wakeword: another phrase (may be repeated)")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout, nothing else")


def run(asked: argparse.Namespace) -> int:
    figures, shown = MEASURES[asked.what](asked)
    for line in [json.dumps(figures)] if asked.json else shown:
        print(line)
    return OK


def overhead(asked: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    from assistant.commands import _overhead

    figures = _overhead.measure(asked.profile, asked.set, asked.board, asked.turns, say)
    return figures, rows(figures, "")


def cpu(asked: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    from assistant.commands import _cpu, _cpu_table

    if asked.threads < 0:
        raise Failure("--threads is a number of threads, or 0 for the cores", USAGE)
    figures = _cpu.measure(asked.threads, asked.quick, asked.keep, say)
    return figures, _cpu_table.lines(figures)


def rkllm(asked: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    from assistant.commands import _rkllm

    figures = _rkllm.measure(asked.release, asked.pace, asked.quick, say)
    return figures, _rkllm.lines(figures)


def model(asked: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    from assistant.commands import _model

    figures = _model.measure(_settings.load(asked), asked.published, asked.quick, say)
    return figures, _model.lines(figures)


def wakeword(asked: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    from assistant.commands import _wake

    if asked.minutes < 0:
        raise Failure("--minutes is a number of minutes, or 0 for none", USAGE)
    chosen = Engine.read(_settings.load(asked).resolved()["microphone"]["wakeword"])
    name, tables = asked.engine or chosen.engine, dict(chosen.all_options)
    for each in ANY_PHRASE if name == "auto" else (name,):
        if asked.phrase:
            tables[each] = {**tables.get(each, {}), "phrases": asked.phrase}
    options = tables if name == "auto" else tables.get(name, {})
    less = (
        {"each": 1, "questions": 2, "minutes": min(asked.minutes, 0.2)} if asked.quick else {"minutes": asked.minutes}
    )
    try:
        figures = _wake.measure(_wake.Asked(engine=name, options=options, recordings=asked.recordings, **less), say)
    except EngineError as error:
        raise Failure(str(error), USAGE) from error
    return figures, _wake.lines(figures)


def bargein(asked: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    from assistant.commands import _bargein, _wake

    if asked.scenes < 1:
        raise Failure("--scenes is a number of scenes, at least 1", USAGE)
    try:
        less = {"wake": _wake.Asked(each=1, questions=1, minutes=0.1)} if asked.quick else {}
        figures = _bargein.measure(
            _bargein.Asked(
                scenes=asked.scenes,
                seed=asked.seed,
                engines=tuple(asked.vad or ("auto",)),
                interruptions=max(1, asked.turns // 4),
                **less,
            ),
            say,
        )
    except EngineError as error:
        raise Failure(str(error), USAGE) from error
    return figures, rows(figures, "")


def latency(asked: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    from assistant.commands import _latency, _latency_view

    figures = _latency.measure(
        asked.board or "rk3588", asked.model, asked.release, asked.profile, asked.set, asked.quick, say, asked.cases
    )
    if asked.chart is not None:
        asked.chart.write_bytes(_latency_view.draw(figures))
    return figures, _latency_view.lines(figures)


def gateway(asked: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    from assistant.client import Unavailable
    from assistant.commands import _gateway

    try:
        figures = _gateway.measure(asked.profile, asked.set, asked.board, asked.quick, say)
    except Unavailable as error:
        raise Failure(str(error), error.code) from error
    return figures, rows(figures, "")


MEASURES = {
    "overhead": overhead,
    "cpu": cpu,
    "rkllm": rkllm,
    "model": model,
    "wakeword": wakeword,
    "bargein": bargein,
    "latency": latency,
    "gateway": gateway,
}


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def rows(figures: dict[str, Any], prefix: str) -> list[str]:
    """Figures as aligned lines, nested names joined by dots."""
    lines = []
    for name, value in figures.items():
        if isinstance(value, dict):
            lines += rows(value, f"{prefix}{name}.")
        else:
            lines.append(f"{prefix + name:<40} {value:>10}")
    return lines
