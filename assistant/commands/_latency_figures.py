"""The figures of ``assistant bench latency`` from the turns that were measured."""

import statistics
from collections.abc import Sequence
from typing import Any, NamedTuple

from assistant.commands._latency_cases import CLAUSE, MAIN, MAIN_S, Case
from assistant.core import endpointer, latency
from assistant.core.latency import Asked, Pace, Reuse
from assistant.outcome import Line
from pipelines.simulator import timings

CPU = "cpu"
HOLD_MS = 700  # of the sequential flow, and of ours where the two are compared
SEQUENTIAL, OURS, SAME_HOLD, NO_REUSE = "sequential", "ours", "ours, hold 0.7 s", "no reuse"
_USUAL = endpointer.Settings()


class Flow(NamedTuple):
    """One daemon, and what is asked of it."""

    name: str
    release: str
    reuse: Reuse
    sets: Sequence[str]
    times: dict[Case, int]


class Told(NamedTuple):
    """What came of it."""

    flow: Flow
    lines: dict[Case, list[Line]]
    engines: dict[str, str]  # service -> what it says that it works with
    asked_again: int = 0  # questions that were lost the first time

    def middle(self, case: Case, name: str) -> float | None:
        """The median of one of the timings of a case."""
        values = [line.timings_ms.get(name) or 0.0 for line in self.lines.get(case, [])]
        return statistics.median(values) if values else None

    def computed(self, case: Case) -> float | None:
        """How many tokens of the prompt were computed once the question was known, the median."""
        values = [line.prompt_tokens - line.cached_tokens for line in self.lines.get(case, [])]
        return statistics.median(values) if values else None


class Figures:
    """``told`` by the name of the flow; ``board`` and ``model`` as they were asked for."""

    def __init__(self, told: dict[str, Told], board: str, model: str) -> None:
        self._told, self._board, self._model = told, board, model
        self._ours, self._sequential = told[OURS], told[SEQUENTIAL]

    def all(self) -> dict[str, Any]:
        """Those of the 2.5 s question about a still scene at the top."""
        simulated = self._board != CPU
        aim = latency.AIMS.get((self._board, self._model)) if self._ours.flow.reuse == "prefix" else None
        cases = {case: self._row(case, self._ours) for case in self._ours.lines}
        rows = {case.name: row | _aimed(case, row, aim) for case, row in cases.items()}
        others = [one for name, one in self._told.items() if name not in (OURS, SEQUENTIAL, SAME_HOLD)]
        return {
            "board": f"simulated {self._board}" if simulated else CPU,
            "model": self._model if simulated else "the profile's",
            "release": self._ours.flow.release if simulated else "",
            "simulated": simulated,
            "hold_ms": _USUAL.hold_ms,
            "same_hold_ms": HOLD_MS,
            "clause_tokens": CLAUSE if simulated else None,
            "asked_again": sum(one.asked_again for one in self._told.values()),
            **rows.pop(MAIN.name),
            "cases": rows,
            "releases": {one.flow.name: {case.name: self._row(case, one) for case in one.lines} for one in others},
        }

    def _row(self, case: Case, one: Told) -> dict[str, Any]:
        """The figures of a case, as one flow of ours has it."""
        lines, before = one.lines[case], self._sequential.lines.get(case, [])
        mine, theirs = [silence(line) for line in lines], [silence(line) for line in before]
        held = [silence(line) for line in self._told[SAME_HOLD].lines.get(case, []) if one is self._ours]
        least = self._floor(case, one)
        return {
            "sequential_ms": _quantiles(theirs),
            "ours_ms": _quantiles(mine),
            "ratio": round(statistics.median(held) / statistics.median(theirs), 3) if held and theirs else None,
            "floor_ms": round(least.total),
            "over_floor": round(statistics.median(mine) / least.total, 3),
            "floor_parts_ms": {name: round(getattr(least, name)) for name in PARTS},
            "wasted_npu_ms": round(statistics.fmean(line.wasted_npu_ms for line in lines), 1),
            "stages_ms": stages(lines),
            "sequential_stages_ms": stages(before),
            "computed_tokens": round(one.computed(case) or 0),
            "reply_tokens": round(statistics.median(line.completion_tokens for line in lines)),
            "reuse": one.flow.reuse,
            "turns": len(lines),
            "ears": one.engines.get("microphone", ""),
            "mouth": one.engines.get("speaker", ""),
        }

    def _floor(self, case: Case, one: Told) -> latency.Floor:
        """What no overlap can hide of this case, with the prompt that the flow really had."""
        question = self._ours.computed(Case(case.speech_s, "still")) or self._ours.computed(MAIN) or 0.0
        whole = one if one.flow.reuse == "none" else self._sequential
        asked = Asked(
            scene=case.scene,
            speech_ms=case.speech_s * 1000,
            prompt_tokens=round(max(question, whole.computed(case) or one.computed(case) or 0.0)),
            question_tokens=round(question),
            reuse=one.flow.reuse,
        )
        return latency.floor(self._pace(case), asked)

    def _pace(self, case: Case) -> Pace:
        """As published where a board is simulated, else as the sequential flow has measured it."""
        waits = {"pause_ms": 0.0, "hold_ms": 0.0} if case.button else {"pause_ms": PAUSE_MS, "hold_ms": OWN_HOLD_MS}
        ears = timings.EARS.get((self._board, self._named("microphone")))
        mouth = timings.MOUTHS.get((self._board, self._named("speaker")))
        heard_s = 0.0 if ears is None or ears.streaming else case.speech_s
        recognition_ms = self._measured("asr", case) if ears is None else ears.fixed_ms + heard_s * ears.per_second_ms
        block_ms = self._measured("tts_first_audio", case) if mouth is None else mouth.first_ms
        if self._board != CPU:
            its = timings.pace(self._board, self._model)
            return Pace(
                recognition_ms=recognition_ms,
                encode_ms=its.encode_s * 1000,
                token_ms=its.prefill_ms_per_token,
                reply_token_ms=1000 / its.tokens_per_s,
                clause_tokens=CLAUSE,
                block_ms=block_ms,
                **waits,
            )
        said = statistics.median(line.completion_tokens for line in self._sequential.lines[MAIN])
        return Pace(
            recognition_ms=recognition_ms,
            encode_ms=self._measured("encode", case),
            token_ms=self._measured("prefill", case) / max(1.0, self._sequential.computed(MAIN) or 0.0),
            reply_token_ms=self._measured("decode", case) / max(1.0, said - 1),
            clause_tokens=round(said),
            block_ms=block_ms,
            **waits,
        )

    def _measured(self, name: str, case: Case) -> float:
        found = self._sequential.middle(case, name)
        return self._sequential.middle(MAIN, name) or 0.0 if found is None else found

    def _named(self, service: str) -> str:
        """The engine of a service: it says "NAME at BOARD's pace, …"."""
        words = self._ours.engines.get(service, "").split(maxsplit=1)
        return words[0].rstrip(",") if words else ""


PARTS = ("words", "picture", "question", "clause", "block")
PAUSE_MS, OWN_HOLD_MS = float(_USUAL.guess_ms), float(_USUAL.hold_ms)


def stages(lines: Sequence[Line]) -> dict[str, list[float]]:
    """Of each stage the medians of its begin and its end, from the end of speech; in the order of their begin."""
    found: dict[str, list[tuple[float, float]]] = {}
    for line in lines:
        for name, begin, end in line.stages:
            found.setdefault(name, []).append((begin, end))
    middle = {
        name: [float(round(statistics.median(side))) for side in zip(*spans, strict=True)]
        for name, spans in found.items()
    }
    return dict(sorted(middle.items(), key=lambda stage: stage[1]))


def silence(line: Line) -> float:
    """From the last sample of the question, or from the button's release."""
    return (line.timings_ms["first_audio"] or 0.0) - max(0.0, line.released_ms or 0.0)


def _quantiles(values: Sequence[float]) -> dict[str, float] | None:
    if not values:
        return None
    return {"p50": round(latency.quantile(values, 0.5)), "p95": round(latency.quantile(values, 0.95))}


def _aimed(case: Case, values: dict[str, Any], aim: latency.Aim | None) -> dict[str, Any]:
    """What is aimed at for the case, and whether it was reached."""
    if aim is None or case.speech_s != MAIN_S:
        return {}
    wanted = aim.of(case.scene) - (latency.BUTTON_MS if case.button else 0.0)
    found: dict[str, Any] = {
        "aim_ms": wanted,
        "aim_met": values["ours_ms"]["p50"] <= wanted,
        "floor_met": values["over_floor"] <= latency.OVER_FLOOR,
    }
    if case == MAIN and aim.ratio is not None and values["ratio"] is not None:
        found |= {"aim_ratio": aim.ratio, "ratio_met": values["ratio"] <= aim.ratio}
    return found
