"""What a board's behaviour means: from what was measured to yes, no, or that it cannot be told."""

import re
from typing import Literal, NamedTuple

Conclusion = Literal["yes", "no", "unclear", "skipped"]

SURELY, HARDLY = 0.5, 0.8  # of the first run's work: at most so much means reuse, at least so much means none
LEAST_PREFILL_MS = 50.0  # shorter ones are not compared by time
LEAST_LEFT_MS = 200.0  # what must have been left of a run for the lag of its abort to tell anything
SHOWN = 60  # characters of a reply
AT_ONCE, AT_THE_END = 0.3, 0.7  # of what was left: an abort that took at most so much was seen, at least so much not


class Prefill(NamedTuple):
    tokens: int  # -1: the release does not tell
    ms: float


class Verdict(NamedTuple):
    conclusion: Conclusion
    why: str


def reuse(first: Prefill, second: Prefill, rows: int = 0) -> Verdict:
    """Whether the second run, whose prompt has most of the first's as its beginning, found it in the cache. ``rows``:
    those of the picture in both, computed as a whole or not at all."""
    if rows and second.tokens >= 0:
        told = f"{second.tokens} tokens computed after {first.tokens}, of which the picture is {rows}"
        return Verdict("yes" if second.tokens < rows else "no", told)
    if first.tokens > 0 and second.tokens >= 0:
        share, told = second.tokens / first.tokens, f"{second.tokens} tokens computed after {first.tokens}"
    elif first.ms >= LEAST_PREFILL_MS:
        share, told = second.ms / first.ms, f"{second.ms:.0f} ms after {first.ms:.0f} ms"
    else:
        return Verdict("unclear", f"the release tells no tokens, and {first.ms:.0f} ms are too short to compare")
    if share <= SURELY:
        return Verdict("yes", told)
    return Verdict("no" if share >= HARDLY else "unclear", told)


def abort(lag_ms: float, left_ms: float) -> Verdict:
    """Whether an abort was seen at once. ``left_ms``: what the run would still have taken."""
    told = f"it ended {lag_ms:.0f} ms after the abort; {max(0.0, left_ms):.0f} ms were left of it"
    if left_ms < LEAST_LEFT_MS:
        return Verdict("unclear", f"{told}, too little to tell")
    share = lag_ms / left_ms
    return Verdict("yes" if share <= AT_ONCE else "no" if share >= AT_THE_END else "unclear", told)


def stale(first: str, second: str, answered: str) -> Verdict:
    """Whether the second picture of a conversation was answered as the first. ``first`` and ``second``: what is said of
    each where it is the only one; ``answered``: what was said of the second behind the first."""
    of_first, of_second = _words(first) - _words(second), _words(second) - _words(first)
    if not of_first or not of_second:
        return Verdict("unclear", f"the model says {_short(first)} of the one picture, {_short(second)} of the other")
    told = f"alone: {_short(first)} and {_short(second)}; the second behind the first: {_short(answered)}"
    if of_second & _words(answered):
        return Verdict("no", told)
    return Verdict("yes" if of_first & _words(answered) else "unclear", told)


def _short(text: str) -> str:
    return repr(text if len(text) <= SHOWN else text[:SHOWN] + "…")


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.lower()))
