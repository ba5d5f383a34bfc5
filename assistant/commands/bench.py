"""Measure this machine. ``overhead``: what everything but the models costs, in time, memory and tokens."""

import argparse
import json
import sys
from typing import Any

from assistant.commands import OK


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", choices=("overhead",), help="what to measure")
    parser.add_argument("--profile", default="demo", metavar="NAME|PATH", help="whose engines to load (default demo)")
    parser.add_argument("--turns", type=int, default=200, help="typed turns to time (default 200)")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout, nothing else")


def run(asked: argparse.Namespace) -> int:
    from assistant.commands import _overhead

    figures = _overhead.measure(asked.profile, asked.turns, say=lambda text: print(text, file=sys.stderr, flush=True))
    if asked.json:
        print(json.dumps(figures))
    else:
        for line in rows(figures, ""):
            print(line)
    return OK


def rows(figures: dict[str, Any], prefix: str) -> list[str]:
    """Figures as aligned lines, nested names joined by dots."""
    lines = []
    for name, value in figures.items():
        if isinstance(value, dict):
            lines += rows(value, f"{prefix}{name}.")
        else:
            lines.append(f"{prefix + name:<40} {value:>10}")
    return lines
