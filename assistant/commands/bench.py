"""Measure this machine.

``overhead``: what everything but the models costs, in time, memory and tokens. ``cpu``: what models cost, before any is
downloaded: Whisper tiny, base and small, a piper voice and a SmolVLM-256M with random weights in their true sizes, each
alone and beside two busy processes. It takes some minutes, 2 GB of disk and of memory, and other work on the machine
spoils it. ``bargein``: speaking over a reply, in made-up rooms and noises, and how soon a real speaker is silent.
"""

import argparse
import json
import sys
from typing import Any

from assistant.commands import OK, USAGE, Failure
from pipelines.engine import EngineError


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", choices=("overhead", "cpu", "bargein"), help="what to measure")
    parser.add_argument("--profile", default="demo", metavar="NAME|PATH", help="whose engines to load (default demo)")
    parser.add_argument("--turns", type=int, default=200, help="typed turns to time (default 200)")
    parser.add_argument("--threads", type=int, default=0, help="cpu: threads a model (default: the cores, at most 4)")
    parser.add_argument("--keep", default="", metavar="DIR", help="cpu: make the models here and leave them")
    parser.add_argument("--quick", action="store_true", help="cpu: very small models, to see that everything runs")
    parser.add_argument("--scenes", type=int, default=320, help="bargein: how many, of all kinds (default 320)")
    parser.add_argument("--vad", default="auto", metavar="ENGINE", help="bargein: the detector of speech")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout, nothing else")


def run(asked: argparse.Namespace) -> int:
    figures, shown = {"cpu": cpu, "bargein": bargein}.get(asked.what, overhead)(asked)
    for line in [json.dumps(figures)] if asked.json else shown:
        print(line)
    return OK


def overhead(asked: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    from assistant.commands import _overhead

    figures = _overhead.measure(asked.profile, asked.turns, say)
    return figures, rows(figures, "")


def cpu(asked: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    from assistant.commands import _cpu, _cpu_table

    if asked.threads < 0:
        raise Failure("--threads is a number of threads, or 0 for the cores", USAGE)
    figures = _cpu.measure(asked.threads, asked.quick, asked.keep, say)
    return figures, _cpu_table.lines(figures)


def bargein(asked: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    from assistant.commands import _bargein

    if asked.scenes < 1:
        raise Failure("--scenes is a number of scenes, at least 1", USAGE)
    try:
        figures = _bargein.measure(asked.scenes, asked.vad, max(1, asked.turns // 4), say)
    except EngineError as error:
        raise Failure(str(error), USAGE) from error
    return figures, rows(figures, "")


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
