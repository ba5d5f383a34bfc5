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
from assistant.commands import FAILED, USAGE, Failure, _latency_cases
from assistant.commands._latency_cases import BUTTON, CASES, MAIN, MAIN_S, QUESTIONS, REPLY, SCENES, Case, Script
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
OFTEN, SELDOM = 5, 3  # a question of 2.5 s is asked so often in each scene, any other one so
QUICK = (MAIN, Case(MAIN_S, "changed at onset"))
ATTEMPTS = 3  # a busy machine loses a question now and then: it is asked again
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


def chosen(patterns: Sequence[str]) -> tuple[Case, ...]:
    """The cases in whose names one of these words occurs, all without any; the main one always. Raises Failure."""
    found = tuple(case for case in CASES if not patterns or any(pattern in case.name for pattern in patterns))
    if not found:
        names = "; ".join(case.name for case in CASES)
        raise Failure(f"--cases {' '.join(patterns)}: no case is called so; there are: {names}", USAGE)
    return found if MAIN in found else (MAIN, *found)


def flows(board: str, release: str, quick: bool, cases: Sequence[Case] = CASES) -> list[Flow]:
    """What is run: the main two, ours with the other's hold, and ours on other releases of the runtime."""
    own = reuse_of(board, release)
    every = {case: OFTEN if case.speech_s == MAIN_S else SELDOM for case in cases}
    fewer = dict.fromkeys(cases, SELDOM)
    late = {case: SELDOM for case in cases if case.speech_s == MAIN_S and case != BUTTON}
    if quick:
        once = dict.fromkeys(QUICK if cases == CASES else cases, 1)
        main = [Flow(OURS, release, own, (), once), Flow(SEQUENTIAL, release, own, NOTHING_AHEAD, once)]
        return [*main, Flow(SAME_HOLD, release, own, _HOLD, {MAIN: 1})]
    found = [
        Flow(OURS, release, own, (), every),
        Flow(SEQUENTIAL, release, own, NOTHING_AHEAD, fewer),
        Flow(SAME_HOLD, release, own, _HOLD, late),
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
    board: str,
    model: str,
    release: str,
    profile: str,
    sets: Sequence[str],
    quick: bool,
    say: Say,
    patterns: Sequence[str] = (),
) -> dict[str, Any]:
    """All figures, or those of the cases that are ``chosen``. Raises EngineError for what is not simulated, Failure
    where a question was not answered."""
    began, busy = time.monotonic(), [os.getloadavg()[0]]
    if board != CPU:
        timings.pace(board, model)
        build.known(release)
    wanted = flows(board, release, quick, chosen(patterns))
    for needed in {flow.release for flow in wanted} if board != CPU else ():
        build.library(needed)  # here, so that no figure contains a compiler
    with tempfile.TemporaryDirectory(prefix="assistant-bench-") as home, _environment({"RKLLM_SIM_REPLY": REPLY}):
        folder = Path(home)
        Script(folder)  # makes the sounds, once for all
        with ThreadPoolExecutor(len(wanted) if quick else 1) as pool:  # little: to see that it runs, beside each other
            told = []
            for one in pool.map(lambda flow: _run(flow, board, model, profile, sets, folder, say), wanted):
                busy.append(os.getloadavg()[0])
                told.append(one)
    by_name = {one.flow.name: one for one in told}
    figures = Figures(by_name, board, model).all()
    load = {"cores": os.cpu_count(), "load": [round(value, 2) for value in busy]}
    return figures | {"machine": load, "seconds": round(time.monotonic() - began, 1)}


def _run(flow: Flow, board: str, model: str, profile: str, sets: Sequence[str], folder: Path, say: Say) -> Told:
    """The flow's questions; those that were lost are asked again, in a daemon anew. Raises Failure."""
    lines: dict[Case, list[Line]] = {}
    asked_again = 0
    for attempt in range(1, ATTEMPTS + 1):
        left = {case: times - len(lines.get(case, ())) for case, times in flow.times.items()}
        left = {case: times for case, times in left.items() if times > 0}
        told, lost = _ask(flow._replace(times=left), board, model, profile, sets, folder, say)
        for case, found in told.lines.items():
            lines.setdefault(case, []).extend(found)
        if not lost:
            return Told(flow, lines, told.engines, asked_again)
        if attempt == ATTEMPTS:
            raise Failure(f"{flow.name}, {lost[0]}; try again on a machine with less to do", FAILED)
        asked_again += len(lost)
    raise AssertionError


def _ask(
    flow: Flow, board: str, model: str, profile: str, sets: Sequence[str], folder: Path, say: Say
) -> tuple[Told, list[str]]:
    """What came of the questions, and why some were lost."""
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
    lost: list[str] = []
    try:
        with client.private(profile, [*COMMON, *flow.sets, *sets], more=simulated) as runtime:
            one = Client(runtime)
            try:
                for line in player.play(one):
                    if (measured := script.measured.get(line.step)) is None:
                        continue
                    if why := _trouble(line):
                        lost.append(f"{measured.name}: the question {why}")
                        say(f"  {flow.name}, {lost[-1]}")
                        continue
                    lines.setdefault(measured, []).append(line)
                    say(f"  {flow.name}, {measured.name}: {silence(line):.0f} ms")
            finally:
                one.close()
    except Unavailable as error:
        raise Failure(str(error), error.code) from error
    if player.troubles:
        raise Failure(f"{flow.name}: {player.troubles[0]}", FAILED)
    return Told(flow, lines, engines), lost


def _trouble(line: Line) -> str:
    """Why the question was not answered aloud; "" if it was."""
    why = "" if line.dropped is UNSET else f"was not heard: {line.dropped}"
    if not why and line.timings_ms.get("first_audio") is None:
        why = f"was not answered: {line.finish_reason} {line.detail}".rstrip()
    return why


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
