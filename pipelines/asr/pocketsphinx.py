"""PocketSphinx (BSD; its American English model lies in the wheel): a small grammar of phrases, on any CPU.

English only: there is no Chinese model for it (for Chinese choose another engine). Decoding takes a twentieth of the
time that the speech took on one server core, and its models 50 MB.

What does not fit the grammar is refused. The grammar search alone cannot tell: it forces every sound into one of its
phrases, or into the beginning of one, and its probabilities mean nothing. So the same sound also goes through a loop of
all English phones, which fits anything; what was really said fits its words nearly as well as its phones, what was not
fits far worse. The difference of the two log likelihoods is judged over the whole phrase and for its worst word.

An utterance is decoded when the speaker pauses and, if more came after that, once more at the end: what the mean of the
cepstrum is must be known before (a guess made at the start misheard half of the phrases with noise 30 dB below the
speech, this none), and the wait for the endpoint is long enough to do it in.
"""

import heapq
import re
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from pipelines import engine
from pipelines.asr import RATE, Recognition

_FRAME = RATE // 50  # 20 ms: loudness is judged in these
_LOUDEST = 10  # frames that say how loud the speech is
_SILENCE = 33.0  # RMS (-60 dBFS): nothing louder than this is nobody speaking
_SPEECH_DB = -35.0  # relative to the loudest: a frame below is no speech
_PAUSE = 12  # frames of quiet that are worth decoding in: 240 ms
_MARGIN = RATE * 150 // 1000  # samples kept on either side of the speech
_DITHER_DB = -40.0  # synthetic speech has digital silence, which the model has never heard
_PHONE_SCALE = 1024.0  # the phone loop's segment scores come shifted by 10 bits, the grammar's do not
_WORD = re.compile(r"[a-z][a-z'-]*")
_SLOT = re.compile(r"<([a-z][a-z0-9_]*)>")


class Options(engine.Options, frozen=True, kw_only=True):
    phrases: tuple[str, ...]  # what may be said, whole; "what color is the <object>" takes any of the words of "object"
    words: dict[str, tuple[str, ...]] = msgspec.field(default_factory=dict)
    # of words that the dictionary lacks, or says otherwise: ARPAbet, "P IY K OW"
    pronunciations: dict[str, str] = msgspec.field(default_factory=dict)
    language: Literal["en"] = "en"
    # log likelihood ratio to the phone loop (natural logarithm) from which on it is refused …
    refuse_phrase: float = -2.8  # … a frame of 10 ms, mean over the phrase
    refuse_word: float = -26.0  # … of the worst word: its sum over the square root of its frames
    longest_s: float = 8.0  # speech longer than this is no phrase and is not even decoded
    partials: bool = True  # say at a pause what was understood so far


class Engine:
    """See ``pipelines.asr.Recognizer``. Any number of utterances may be open, all in one thread."""

    Options: TypeAlias = Options

    def __init__(self, options: Options) -> None:
        """Raises EngineError naming the phrase, slot or word that is not in order."""
        from pocketsphinx import Decoder, get_model_path

        self.options = options
        grammar, self._complete = compiled(options.phrases, options.words)
        common: dict[str, Any] = {"lm": None, "loglevel": "FATAL", "samprate": RATE}
        self._words = Decoder(**common)
        self._pronounce()
        self._words.add_jsgf_string("phrases", grammar)
        self._words.activate_search("phrases")
        loop = get_model_path("en-us/en-us-phone.lm.bin")
        self._phones = Decoder(**common, dict=None, allphone=loop, lw=2.0, beam=1e-20, pbeam=1e-20)

    def utterance(self, language: str = "") -> "Utterance":
        return Utterance(self)

    def decode(self, pcm: NDArray[np.int16]) -> str:
        """The phrase that was spoken, int16 [samples] at 16 kHz with little silence around; "" if it fits none."""
        words = _segments(self._words, pcm)
        spoken = [word for word in words if word.text[0] not in "<["]
        phrase = " ".join(word.text.partition("(")[0] for word in spoken)
        if not self._complete.fullmatch(phrase):
            return ""
        frames = max(segment.end for segment in words)
        ratio = _scores(words, frames, 1.0) - _scores(_segments(self._phones, pcm), frames, _PHONE_SCALE)
        each = [ratio[word.start : word.end] for word in spoken]
        worst = min(float(part.sum() / np.sqrt(len(part))) for part in each)
        mean = float(np.concatenate(each).mean())
        return phrase if mean >= self.options.refuse_phrase and worst >= self.options.refuse_word else ""

    def _pronounce(self) -> None:
        """Teach the dictionary, and see that it has every word."""
        for word, phones in self.options.pronunciations.items():
            name, other = word, 2
            while self._words.lookup_word(name) is not None:
                name, other = f"{word}({other})", other + 1
            try:
                self._words.add_word(name, phones, False)
            except RuntimeError as error:
                raise engine.EngineError(
                    f"asr: the pronunciation {phones!r} of {word!r} is not made of ARPAbet phones like 'P IY K OW'"
                ) from error
        for word in sorted(vocabulary(self.options.phrases, self.options.words)):
            if self._words.lookup_word(word) is None:
                raise engine.EngineError(
                    f"asr: the dictionary has no word {word!r}; check its spelling or say how it sounds: "
                    f'pronunciations = {{ "{word}" = "P IY K OW" }}'
                )


class _Segment(msgspec.Struct, frozen=True):
    text: str
    start: int  # frames of 10 ms
    end: int  # exclusive
    score: float  # its acoustic score as the decoder gives it: a probability


def _segments(decoder: Any, pcm: NDArray[np.int16]) -> list[_Segment]:
    decoder.start_utt()
    decoder.process_raw(pcm.tobytes(), False, True)  # no_search, full_utt: the cepstral mean is that of the whole
    decoder.end_utt()
    return [_Segment(s.word, s.start_frame, s.end_frame + 1, s.ascore) for s in decoder.seg() or ()]


def _scores(segments: list[_Segment], frames: int, scale: float) -> NDArray[np.float64]:
    """Acoustic log likelihood a frame, float64 [frames]: each segment's, spread evenly over it."""
    spread = np.zeros(frames)
    for segment in segments:
        # a probability that is too small for a float comes as 0
        log = scale * float(np.log(max(segment.score, 5e-324)))
        spread[segment.start : segment.end] += log / (segment.end - segment.start)
    return spread


class Utterance:
    """See ``pipelines.asr.Utterance``."""

    def __init__(self, recognizer: Engine) -> None:
        self._recognizer = recognizer
        self._sound = np.zeros(0, np.int16)
        self._loudness: list[float] = []  # RMS of each whole frame
        self._loudest: list[float] = []  # of them, a heap
        self._quiet = 0  # frames since one that was no pause
        self._known: tuple[tuple[int, int, float], str] | None = None  # span and loudness that were decoded; the phrase
        self._told = ""

    def feed(self, pcm: NDArray[np.int16]) -> str | None:
        """See the protocol. A call in which the speaker has just paused takes as long as decoding what was said."""
        self._sound = np.concatenate([self._sound, pcm])
        partial = None
        while (at := len(self._loudness) * _FRAME) + _FRAME <= len(self._sound):
            if self._paused(self._sound[at : at + _FRAME]):
                text = self._understood(at + _FRAME)
                if text and text != self._told and self._recognizer.options.partials:
                    partial = self._told = text
        return partial

    def so_far(self) -> Recognition:
        """See the protocol. Nothing is decoded again that was decoded in this pause before."""
        return self.finish()

    def finish(self) -> Recognition:
        if self._level() <= _SILENCE:
            return Recognition(refused="silence")
        text = self._understood(len(self._sound))
        return Recognition(text=text, language="en") if text else Recognition(refused="not understood")

    @property
    def decoded_s(self) -> float:
        """Seconds of sound that the newest result was decoded from: what is silent around the speech was not."""
        return 0.0 if self._known is None else (self._known[0][1] - self._known[0][0]) / RATE

    def _paused(self, frame: NDArray[np.int16]) -> bool:
        """Take one frame into account; True if with it a pause after speech has become long enough."""
        loudness = float(frame.astype(np.float64).std())  # without what the sound card adds to every sample
        self._loudness.append(loudness)
        keep = heapq.heappush if len(self._loudest) < _LOUDEST else heapq.heappushpop
        keep(self._loudest, loudness)
        level = self._level()
        self._quiet = self._quiet + 1 if loudness < level * _ratio(_SPEECH_DB) else 0
        return self._quiet == _PAUSE and level > _SILENCE

    def _level(self) -> float:
        """RMS of the loudest frames."""
        return float(np.sqrt(np.mean(np.square(self._loudest)))) if self._loudest else 0.0

    def _understood(self, until: int) -> str:
        """The phrase in the first ``until`` samples; what was decoded before is not decoded again."""
        level = self._level()
        speech = np.flatnonzero(np.array(self._loudness) > level * _ratio(_SPEECH_DB))
        start = max(0, int(speech[0]) * _FRAME - _MARGIN)
        stop = min(until, (int(speech[-1]) + 1) * _FRAME + _MARGIN)
        span = (start, stop, level)
        if self._known is None or self._known[0] != span:
            fits = stop - start <= self._recognizer.options.longest_s * RATE
            self._known = (span, self._recognizer.decode(_dithered(self._sound[start:stop], level)) if fits else "")
        return self._known[1]


def _dithered(pcm: NDArray[np.int16], level: float) -> NDArray[np.int16]:
    """With a noise floor; always the same one, so that the same sound is always understood alike."""
    noise = np.random.default_rng(7).normal(0.0, max(1.0, level * _ratio(_DITHER_DB)), len(pcm))
    return np.clip(np.rint(pcm + noise), -32768, 32767).astype(np.int16)


def _ratio(decibel: float) -> float:
    return float(10.0 ** (decibel / 20.0))


def compiled(phrases: tuple[str, ...], words: Mapping[str, tuple[str, ...]]) -> tuple[str, re.Pattern[str]]:
    """The phrases as a JSGF grammar, and as a pattern that a whole phrase matches. Raises EngineError."""
    if not phrases:
        raise engine.EngineError("asr: the engine 'pocketsphinx' needs phrases: what may be said to it")
    slots = {
        name: " | ".join(_plain(entry, f"the words of {name!r}") for entry in each) for name, each in words.items()
    }
    rules = [f"<{name}> = {entries};" for name, entries in slots.items() if entries]
    plain = [_checked(phrase, slots) for phrase in phrases]
    grammar = "\n".join(["#JSGF V1.0;", "grammar assistant;", *rules, f"public <_said> = {' | '.join(plain)};", ""])
    pattern = "|".join(
        _SLOT.sub(lambda slot: "(?:" + slots[slot[1]].replace(" | ", "|") + ")", phrase) for phrase in plain
    )
    return grammar, re.compile(pattern)


def vocabulary(phrases: tuple[str, ...], words: Mapping[str, tuple[str, ...]]) -> set[str]:
    """Every word that may be said."""
    spoken = (
        *(_SLOT.sub(" ", phrase.lower()) for phrase in phrases),
        *(entry for each in words.values() for entry in each),
    )
    return {word for text in spoken for word in text.lower().split()}


def _checked(phrase: str, slots: Mapping[str, str]) -> str:
    """The phrase in the form of the grammar, if its slots and words are in order."""
    for name in _SLOT.findall(phrase.lower()):
        if not slots.get(name):
            known = ", ".join(slots) or "none"
            raise engine.EngineError(
                f"asr: the phrase {phrase!r} needs words for <{name}>; there are words for: {known}"
            )
    _plain(_SLOT.sub(" ", phrase.lower()), f"the phrase {phrase!r}")
    if not phrase.strip():
        raise engine.EngineError("asr: a phrase is empty; say what may be said, or leave it out")
    return " ".join(phrase.lower().split())


def _plain(text: str, where: str) -> str:
    """Words in lower case, one blank between two. Raises EngineError for what cannot be looked up in a dictionary."""
    for word in text.lower().split():
        if not _WORD.fullmatch(word):
            raise engine.EngineError(f"asr: {where} holds {word!r}; write it as it is spoken, in letters")
    return " ".join(text.lower().split())
