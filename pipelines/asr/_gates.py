"""Whether what a recognizer wrote was really said. Whisper was trained on films: given noise it writes "thank you".

No phrase is refused for its words alone, since people do say "thank you": a phantom needs a witness that it was noise,
either the model (no speech, unlikely words) or the sound itself (too quiet, or too even for speech).
"""

import math
import unicodedata
import zlib
from typing import Annotated

import msgspec
import numpy as np
from numpy.typing import NDArray

from pipelines.asr import RATE

BLOCK = RATE * 30 // 1000  # samples a level is taken over
EVEN = 6.0  # dB between the loud and the quiet blocks: a fan has 3, "thank you" over a fan at 5 dB has 9, alone 25
LETTERS = 33.0  # a second: nobody speaks faster; a Chinese character counts as three letters
LOOP = 5  # times in a row: a phrase so often is a decoder's loop
LOOP_SHARE = 0.6  # of all words that lie in the loop
LONGEST = 8  # words of a phrase that is looked for in loops
COMPRESSION = 2.4  # Whisper's own limit for text that repeats itself

# What Whisper is known to write for noise and silence, without case and punctuation.
_PHRASES = (
    "thank you|thank you very much|thank you so much|thanks|thanks for watching|thank you for watching"
    "|thanks for listening|thank you for listening|please subscribe|subscribe|like and subscribe|see you next time"
    "|see you in the next video|you|yeah|oh|uh|um|hmm|mm|okay|bye|bye bye|goodbye|so|the end|i|music|applause"
    "|silence|subtitles by the amaraorg community|subtitles by amaraorg|transcription by castingwords"
    "|谢谢|谢谢大家|谢谢观看|谢谢收看|感谢观看|感谢收看|请订阅|下次再见|再见|嗯|字幕由amaraorg社区提供"
    "|请不吝点赞 订阅 转发 打赏支持明镜与点点栏目|字幕志愿者 杨茜茜|中文字幕志愿者 李宗盛"
)
PHANTOMS = frozenset(_PHRASES.split("|"))

Decibel = Annotated[float, msgspec.Meta(ge=-120, le=0)]
Probability = Annotated[float, msgspec.Meta(ge=0, le=1)]


class Gates(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Limits; the doubtful ones count only for phantoms."""

    quietest_dbfs: Decibel = -60.0  # sound whose loud parts stay below this is silence, and not looked at
    no_speech: Probability = 0.6  # the model's probability of no speech, if its words are unlikely too
    logprob: Annotated[float, msgspec.Meta(le=0)] = -1.0  # mean log-probability of the tokens
    doubtful_no_speech: Probability = 0.25
    doubtful_logprob: Annotated[float, msgspec.Meta(le=0)] = -0.6
    phantoms: tuple[str, ...] = ()  # more phrases like those in PHANTOMS


class Sound(msgspec.Struct, frozen=True):
    """What the sound itself says. ``loud`` and ``range`` are in dB (full scale, and loud above quiet blocks)."""

    seconds: float
    loud: float
    range: float


def listen(pcm: NDArray[np.int16]) -> Sound:
    """Measure an utterance, int16 [samples] at 16 kHz."""
    blocks = pcm[: len(pcm) // BLOCK * BLOCK].reshape(-1, BLOCK).astype(np.float64) / 32768.0
    if not len(blocks):
        return Sound(len(pcm) / RATE, -120.0, 0.0)
    levels = 10.0 * np.log10(np.maximum(np.mean(np.square(blocks), axis=1), 1e-12))
    quiet, loud = (float(level) for level in np.percentile(levels, (10, 95)))
    return Sound(len(pcm) / RATE, loud, loud - quiet)


def refusal(text: str, sound: Sound, gates: Gates, no_speech: float = 0.0, logprob: float = 0.0) -> str:
    """Why the text is not to be believed, "" if it is. ``no_speech`` and ``logprob``: the model's, where it tells."""
    if no_speech > gates.no_speech and logprob < gates.logprob:
        return "noise"
    words = plain(text)
    if not words:
        return "not understood"
    if loops(words) or _compression(text) > COMPRESSION or _letters(words) > 20 + LETTERS * sound.seconds:
        return "repetition"
    doubtful = (
        no_speech > gates.doubtful_no_speech
        or logprob < gates.doubtful_logprob
        or sound.loud < gates.quietest_dbfs + 10.0
        or sound.range < EVEN
    )
    if doubtful and words in PHANTOMS | {plain(phrase) for phrase in gates.phantoms}:
        return "noise"
    return "not understood" if logprob < gates.logprob else ""


def plain(text: str) -> str:
    """Lower case, without punctuation and marks such as notes, single spaces."""
    kept = (c if c.isalnum() or unicodedata.category(c) == "Mn" else " " * c.isspace() for c in text.lower())
    return " ".join("".join(kept).split())


def loops(words: str) -> bool:
    """Whether a phrase follows upon itself so often that it fills most of the text (given as ``plain`` makes it)."""
    parts = words.split()
    if len(parts) < LOOP and not words.isascii():
        parts = list(words.replace(" ", ""))  # Chinese has no spaces
    for size in range(1, min(LONGEST, len(parts) // LOOP) + 1):
        run = best = 0
        for at in range(size, len(parts)):
            run = run + 1 if parts[at] == parts[at - size] else 0
            best = max(best, run)
        if best >= size * (LOOP - 1) and (best + size) / len(parts) >= LOOP_SHARE:
            return True
    return False


def _compression(text: str) -> float:
    data = text.encode()
    return len(data) / len(zlib.compress(data)) if data else 0.0


def _letters(words: str) -> float:
    return math.fsum(1.0 if c.isascii() else 3.0 for c in words if c != " ")
