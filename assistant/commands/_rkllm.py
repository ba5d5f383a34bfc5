"""What talking to the NPU costs above the NPU's own time: ``assistant bench rkllm``, on the simulated board.

The board is simulated, so nothing here tells how fast a board is; it tells what our side of it costs, which is the same
Python on a board with slower cores.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from assistant.commands import _rkllm_board as board
from assistant.commands import _rkllm_parts as parts
from assistant.commands._cpu_process import Failed, isolated
from pipelines.engine import EngineError
from pipelines.simulator import build, timings

Say = Callable[[str], None]


class Amount(NamedTuple):
    """How much is measured."""

    tokens: int  # of a reply that the binding is timed on
    rounds: int  # pictures, and replies, that contend for the NPU
    contention: float  # how many times faster than the board the two contend
    loading: float  # and load


FULL = Amount(tokens=2000, rounds=100, contention=100, loading=1)
QUICK = Amount(tokens=300, rounds=12, contention=500, loading=10)


def measure(release: str, model: str, quick: bool, say: Say) -> dict[str, Any]:
    """All figures. ``release``: of the RKLLM runtime; ``model``: BOARD:MODEL, whose published pace is simulated. Raises
    EngineError for an unknown one of both, and without a C compiler."""
    if release not in build.FAMILIES:
        raise EngineError(f"no RKLLM release {release!r} is simulated; there are: {', '.join(build.FAMILIES)}")
    soc, _, name = model.partition(":")
    published, amount, began = timings.pace(soc, name), QUICK if quick else FULL, time.monotonic()
    figures: dict[str, Any] = {"release": release, "board": f"simulated {model}"}
    releases = tuple(dict.fromkeys([*board.RELEASES, release]))
    for needed in releases:
        build.library(needed)  # here, so that no figure contains a compiler
    with tempfile.TemporaryDirectory(prefix="assistant-bench-") as home:
        folder = Path(home)
        say(f"binding: {amount.tokens} tokens through RKLLM {release}, without a pace …")
        figures |= _isolated(parts.binding, folder, release, amount.tokens)
        say(f"prompts: {parts.TURNS} turns about one picture, {len(releases)} releases …")
        counted = _isolated(parts.prompt_tokens, folder, releases)
        own = counted[release]
        figures["prompt_tokens"] = {"with_cache": own["history"], "without_cache": own["none"]}
        figures["prompt_tokens_by_release"] = counted
        say(f"NPU: {amount.rounds} pictures beside {amount.rounds} replies, {amount.contention:g} times the pace …")
        pace = board.pace(soc, name, amount.contention)
        overlaps, waits = parts.contention(folder, release, pace, amount.rounds)
        figures |= {"npu_overlaps": overlaps, "npu_wait_ms": parts.quantiles(waits, 2), "npu_jobs": len(waits)}
        figures["npu_speed_up"] = amount.contention
        say(f"loading both engines, {amount.loading:g} times the pace …")
        seconds = parts.load_s(folder, release, board.pace(soc, name, amount.loading))
    figures["load_s"] = {way: round(value * amount.loading, 2) for way, value in seconds.items()}
    figures |= {"load_speed_up": amount.loading, "load_source": f"{published.load_source}; with the encoder's warm-up"}
    return {**figures, "seconds": round(time.monotonic() - began, 1)}


def _isolated(work: Callable[..., Any], *arguments: Any) -> Any:
    """In a process of its own: the simulated library reads its environment."""
    try:
        return isolated(work, arguments)[0]
    except Failed as error:
        raise EngineError(f"the simulated board failed: {error}") from error


def _pace(speed_up: float) -> str:
    return "at the board's pace" if speed_up == 1 else f"{speed_up:g} times the board's pace"


def lines(figures: dict[str, Any]) -> list[str]:
    """For people."""
    way, wait, loads = figures["delivery_us"], figures["npu_wait_ms"], figures["load_s"]
    made = [
        f"RKLLM {figures['release']}, {figures['board']}: what our side costs, not how fast a board is",
        "",
        f"a token of the reply        {figures['per_token_us']} µs above the library's own {figures['library_us']} µs",
        f"  from its call to the reader  p50 {way['p50']} µs, p99 {way['p99']} µs",
        f"two processes on the NPU    {figures['npu_overlaps']} overlaps in {figures['npu_jobs']} jobs; "
        f"wait p50 {wait['p50']} ms, p99 {wait['p99']} ms ({_pace(figures['npu_speed_up'])})",
        f"loading both engines        {loads['parallel']} s beside each other, {loads['sequential']} s one by one "
        f"({_pace(figures['load_speed_up'])}; the board's seconds)",
        "",
        f"prompt tokens computed in {parts.TURNS} turns about one picture, by release and reuse:",
        f"{'':<12}" + "".join(f"{reuse:>10}" for reuse in board.STRATEGIES),
    ]
    for release, counts in figures["prompt_tokens_by_release"].items():
        made.append(f"  {release:<10}" + "".join(f"{counts[reuse]:>10}" for reuse in board.STRATEGIES))
    return [*made, "", f"{figures['seconds']} s in all"]
