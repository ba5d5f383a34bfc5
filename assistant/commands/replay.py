"""Play a scenario: the real processes, in real time, in directories of their own.

With --json one JSON object a turn goes to stdout, and a line with "dropped" for a step that opened none; logs go to
stderr. docs/configuration.md describes the format of scenario files.
"""

import argparse
import contextlib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
from msgspec import UNSET

from assistant import client, scenario
from assistant.client import Client, Unavailable
from assistant.commands import FAILED, OK, Failure, _settings, _simulated
from assistant.outcome import Line
from assistant.player import Player
from assistant.scenario import Scenario

PROFILE = "demo"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("scenario", type=Path, help="a scenario file (TOML)")
    parser.add_argument("--json", action="store_true", help="one JSON object a turn on stdout")
    parser.add_argument("--out", type=Path, help="also leave turns.jsonl, a WAV of each answer and timeline.png here")
    _settings.arguments(parser, None)
    _simulated.arguments(parser)


def run(asked: argparse.Namespace) -> int:
    from assistant.service import logs

    logs("info", "replay")
    script = scenario.load(asked.scenario)
    recorder = None
    if asked.out is not None:
        from assistant.commands._record import Recorder

        recorder = Recorder()
    _simulated.tell(asked)
    player = Player(script, recorder.watch if recorder else lambda _: None)
    held = True
    with daemon(asked, script, _simulated.passed_on(asked)) as one:
        for line in player.play(one):
            print(msgspec.json.encode(line).decode() if asked.json else table(line), flush=True)
            held &= line.ok
            if recorder is not None:
                recorder.keep(line)
    if recorder is not None:
        recorder.write(asked.out, pictures(script))
    for trouble in player.troubles:
        print(f"assistant: {trouble}", file=sys.stderr)
    return OK if held and not player.troubles else FAILED


@contextlib.contextmanager
def daemon(
    asked: argparse.Namespace, script: Scenario, more: Sequence[str] = (), gateway: bool = False
) -> Iterator[Client]:
    """A daemon of the scenario's own, and a client of it; ``more``: further options of its ``run``; ``gateway``: with
    that service too. Raises Failure when it does not start."""
    profile = asked.profile or script.profile or PROFILE
    try:
        sets = [*script.sets(), *asked.set]
        with client.private(profile, sets, asked.board, more=more, gateway=gateway) as runtime:
            one = Client(runtime)
            try:
                yield one
            finally:
                one.close()
    except Unavailable as error:
        raise Failure(str(error), error.code) from error


def pictures(script: Scenario) -> dict[int, Path]:
    """Which picture the camera was last told to show, by the number of the step."""
    shown: dict[int, Path] = {}
    for number, step in enumerate(script.steps, 1):
        last = step.camera or shown.get(number - 1)
        if last is not None:
            shown[number] = last
    return shown


def table(line: Line) -> str:
    """A line for people."""
    verdict = "ok    " if line.ok else "FAILED"
    said = f"{'typed' if line.typed else 'heard'} {line.heard!r}"
    if line.dropped is not UNSET:
        rows = [f"  -  step {line.step:2}  {verdict}  no turn: {line.dropped}"]
    else:
        sound = line.timings_ms.get("first_audio")
        figures = [
            "no picture" if line.frame_age_ms is None else f"picture {line.frame_age_ms:.0f} ms old",
            f"{line.prompt_tokens - line.cached_tokens} tokens computed",
            f"{line.cached_tokens} cached",
            f"{line.completion_tokens} generated",
            "no sound" if sound is None else f"first sound after {sound:.0f} ms",
            str(line.finish_reason),
        ]
        rows = [f"{line.turn:3}  step {line.step:2}  {verdict}  {said}", line.answer, " · ".join(figures)]
        if line.finish_reason == "interrupted":
            rows.append(f"interrupted; what was heard: {line.spoken or 'nothing'}")
    return f"\n{'':23}".join([*rows, *([line.why] if line.why else [])])
