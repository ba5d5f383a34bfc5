"""When the last sound of speech was, where the detector of speech holds on for a while after it.

A detector says for how long at most (``hangover_ms``); how loud the sound was then, says where within that time the
words really ended. What is quieter than this below the loudest of the utterance, or hardly louder than the silence
after it, is no longer speech.
"""

from collections.abc import Sequence

BELOW_DB = 35.0  # the same distance by which tests/bench/vad.py says where a recording ends
ABOVE_DB = 6.0


def overhang(levels: Sequence[float], silence: Sequence[float], loudest: float) -> int:
    """How many of ``levels`` (dBFS of equal blocks, up to where the detector says that speech ended) hold none any
    more, counted from their end. ``silence``: blocks after it; ``loudest``: of the utterance."""
    floor = sorted(silence)[len(silence) // 2] if silence else -120.0
    limit = max(loudest - BELOW_DB, min(floor + ABOVE_DB, loudest - ABOVE_DB))
    quiet = 0
    for level in reversed(levels):
        if level > limit:
            break
        quiet += 1
    return quiet
