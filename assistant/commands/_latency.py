"""From the user's last sample to the reply's first: ``assistant bench latency``.

The same daemon, twice: as it is, and with everything that it does ahead switched off (hold, recognise, encode, compute
the prompt, decode the first sentence, speak). On a simulated board the times of the models are the published ones.
"""

import contextlib
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from msgspec import UNSET

from assistant import client
from assistant.client import Client, Unavailable
from assistant.commands import FAILED, Failure, _latency_cases
from assistant.commands._latency_cases import CASES, MAIN, MAIN_S, QUESTIONS, REPLY, SCENES, Case, Script
from assistant.commands._latency_figures import (
    CPU,
    HOLD_MS,
    NO_REUSE,
    OURS,
    SAME_HOLD,
    SEQUENTIAL,
    Figures,
    Flow,
    Told,
    silence,
)
from assistant.core.latency import Reuse
from assistant.messages import Heartbeat
from assistant.outcome import Line
from assistant.player import Player
from assistant.scenario import Scenario
from assistant.wire import Received
from pipelines.simulator import build, timings

Say = Callable[[str], None]
OTHER_RELEASES = ("1.3.0", "1.2.3")
PREFIX_FROM = "1.3.0"  # a prompt's beginning is found again past a picture (rknn-llm #492)

_HOLD = [f"microphone.endpoint.{name}={HOLD_MS}" for name in ("hold_ms", "hold_unsure_ms", "hold_open_ms")]
NOTHING_AHEAD = [
    *_HOLD,
    "microphone.endpoint.guess_ms=0",
    "dialogue.ahead=false",
    "dialogue.picture=always",
    "dialogue.first_clause=false",
    "vision.idle_duty=0",
]
# What is said is known, so that no question is lost to recognition; a fast voice saves the listener's time.
COMMON = [
    f"microphone.asr.pocketsphinx.phrases={json.dumps(list(QUESTIONS.values()))}",
    "microphone.asr.pocketsphinx.refuse_phrase=-1000",
    "microphone.asr.pocketsphinx.refuse_word=-1000",
    f"speaker.tts.espeak.words_per_minute={_latency_cases.FAST}",
    "log.level=warning",
]


def flows(board: str, release: str, quick: bool) -> list[Flow]:
    """What is run: the main two, ours with the other's hold, and ours on other releases of the runtime."""
    own = reuse_of(board, release)
    every = dict.fromkeys(CASES, 1)
    late = {Case(MAIN_S, scene): 1 for scene in SCENES}
    if quick:
        few = {MAIN: 1}
        onset = few | {Case(MAIN_S, "changed at onset"): 1}
        main = [Flow(OURS, release, own, (), onset), Flow(SEQUENTIAL, release, own, NOTHING_AHEAD, onset)]
        return [*main, Flow(SAME_HOLD, release, own, _HOLD, few)]
    found = [
        Flow(OURS, release, own, (), every | {MAIN: 4}),
        Flow(SEQUENTIAL, release, own, NOTHING_AHEAD, every | {MAIN: 2}),
        Flow(SAME_HOLD, release, own, _HOLD, late | {MAIN: 2}),
    ]
    if board != CPU:
        for other in OTHER_RELEASES:
            if other != release:
                found.append(Flow(f"RKLLM {other}", other, reuse_of(board, other), (), late))
        found.append(Flow(NO_REUSE, release, "none", ["dialogue.llm.rkllm.reuse=none"], late))
    return found


def reuse_of(board: str, release: str) -> Reuse:
    """How ours uses a prompt again."""
    return "prefix" if board == CPU or build.FAMILIES[release] >= build.FAMILIES[PREFIX_FROM] else "history"


def measure(
    board: str, model: str, release: str, profile: str, sets: Sequence[str], quick: bool, say: Say
) -> dict[str, Any]:
    """All figures. Raises EngineError for what is not simulated, Failure where a question was not answered."""
    began = time.monotonic()
    if board != CPU:
        timings.pace(board, model)
        build.known(release)
    wanted = flows(board, release, quick)
    for needed in {flow.release for flow in wanted} if board != CPU else ():
        build.library(needed)  # here, so that no figure contains a compiler
    with tempfile.TemporaryDirectory(prefix="assistant-bench-") as home, _environment({"RKLLM_SIM_REPLY": REPLY}):
        folder = Path(home)
        Script(folder)  # makes the sounds, once for all
        with ThreadPoolExecutor(len(wanted) if quick else 1) as pool:  # little: to see that it runs, beside each other
            told = list(pool.map(lambda flow: _run(flow, board, model, profile, sets, folder, say), wanted))
    by_name = {one.flow.name: one for one in told}
    figures = Figures(by_name, board, model).all()
    return figures | {"seconds": round(time.monotonic() - began, 1)}


def _run(flow: Flow, board: str, model: str, profile: str, sets: Sequence[str], folder: Path, say: Say) -> Told:
    script = Script(folder)
    script.begin()
    for case, times in sorted(flow.times.items(), key=lambda one: SCENES.index(one[0].scene)):
        script.ask(case, times)
    say(f"{flow.name}: {sum(flow.times.values())} questions …")
    engines: dict[str, str] = {}

    def watch(received: Received) -> None:
        if isinstance(received.message, Heartbeat) and received.message.state == "ready" and received.message.detail:
            engines[received.stamp.sender] = received.message.detail

    player = Player(Scenario(steps=script.steps), watch)
    simulated = [] if board == CPU else ["--simulate", f"{board}:{model}:{flow.release}"]
    lines: dict[Case, list[Line]] = {}
    try:
        with client.private(profile, [*COMMON, *flow.sets, *sets], more=simulated) as runtime:
            one = Client(runtime)
            try:
                for line in player.play(one):
                    if (measured := script.measured.get(line.step)) is not None:
                        lines.setdefault(measured, []).append(_sound(line, flow, measured))
                        say(f"  {flow.name}, {measured.name}: {silence(line):.0f} ms")
            finally:
                one.close()
    except Unavailable as error:
        raise Failure(str(error), error.code) from error
    if player.troubles:
        raise Failure(f"{flow.name}: {player.troubles[0]}", FAILED)
    return Told(flow, lines, engines)


def _sound(line: Line, flow: Flow, case: Case) -> Line:
    """The line, if the question was answered aloud. Raises Failure."""
    why = "" if line.dropped is UNSET else f"was not heard: {line.dropped}"
    if not why and line.timings_ms.get("first_audio") is None:
        why = f"was not answered: {line.finish_reason} {line.detail}".rstrip()
    if why:
        raise Failure(f"{flow.name}, {case.name}: the question {why}; try again on a machine with less to do", FAILED)
    return line


@contextlib.contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """For the daemons that are started inside."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
