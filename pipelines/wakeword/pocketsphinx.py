"""PocketSphinx (BSD; its American English model lies in the wheel): any English phrase, without training, on any CPU.

Two looks at the same sound. The keyword search runs all the time (2 % of a server core) and, with its beams wide open,
proposes a candidate for nearly every time the phrase is said, in noise too, and for much else. What it proposes is then
aligned with the words of the phrase and with a loop of all English phones, as ``pipelines.asr.pocketsphinx`` does with
whole utterances: a phrase that was said fits its words nearly as well as its phones. Both figures together decide.

English only. A phrase of another language can be spelt in English phones (``pronunciations``), with little hope.
How often it hears and how often it is mistaken: ``assistant bench wakeword``. Longer phrases do better: take three
syllables or more.
"""

import difflib
import math
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from pipelines import engine
from pipelines.wakeword import RATE, Detection

_FRAME = RATE // 100  # samples: the decoder's frames
_PIECE = 8 * _FRAME  # samples between two looks at what the search proposes
_KEEP = 4 * RATE  # samples that are kept for the second look
_AROUND = RATE // 10  # samples before and after a candidate that belong to the second look
_RUNS_ON = RATE // 10  # samples: the last phone is aligned 70 to 130 ms into what follows it (measured)
_MANY = 40  # candidates of one stretch of search: then it is begun anew, so that looking at them stays cheap
_CANDIDATE = 1e-90  # likelihood ratio from which on the search proposes
_BEAM = 1e-80  # its own default, 1e-48, loses half of the phrases said in noise
_DITHER = 80.0  # RMS, -52 dBFS: the model has never heard digital silence, and hears clean speech worse than noisy
_PHONE_SCALE = 1024.0  # the phone loop's segment scores come shifted by 10 bits, the alignment's do not
_WORD = re.compile(r"[a-z][a-z'-]*")


class Options(engine.Options, frozen=True, kw_only=True):
    phrases: tuple[str, ...] = ("hey assistant",)
    # phrase -> the least score that is believed, 0..1, where not LEAST (the score allows for the phrase's length)
    thresholds: dict[str, Annotated[float, msgspec.Meta(ge=0, le=1)]] = msgspec.field(default_factory=dict)
    # of words that the dictionary lacks, or says otherwise: ARPAbet, "P IY K OW"
    pronunciations: dict[str, str] = msgspec.field(default_factory=dict)


class Evidence(msgspec.Struct, frozen=True):
    """What speaks for a candidate."""

    phrase: str
    spotted: float  # log10 of the search's likelihood ratio
    fit: float  # natural log likelihood ratio to the phone loop, a frame, mean over the phrase
    worst: float  # the same of the word that fits worst: "the assistant" is not "hey assistant"
    phones: int  # of the phrase
    start: int  # samples of the stream
    end: int

    @property
    def score(self) -> float:
        """0..1, by a logistic regression: what is said in haste, or short, is more often something else."""
        if self.worst < WORST:
            return 0.0
        pace = math.log(max(1, self.end + _RUNS_ON - self.start) / (_FRAME * _PACE * self.phones))
        evidence = BIAS + SPOTTED * self.spotted + FIT * self.fit + SLOW * pace + PHONE * min(self.phones, _LONGEST)
        return 1.0 / (1.0 + math.exp(-max(-50.0, min(50.0, evidence))))


# Fitted on six phrases in twelve voices, in quiet and with a fan or other voices 20 and 10 dB below, against 50 min of
# other sentences in the same voices; "hey assistant" is one of the six. LEAST and the dither were chosen on sounds like
# those of the bench. Ask the bench for a phrase of your own before you trust it: it may do worse.
BIAS, SPOTTED, FIT, SLOW, PHONE = -0.35, 0.096, 0.97, 7.2, 0.757
WORST = -3.0  # of one word: 1 in 20 true ones is below, and half of those with another word in its place
LEAST = 0.9  # believed from here on
_PACE = 8  # frames a phone
_LONGEST = 13  # phones: a longer phrase is not yet safer


class Engine:
    """See ``pipelines.wakeword.Spotter``."""

    Options: TypeAlias = Options

    def __init__(self, options: Options) -> None:
        """Raises EngineError naming the phrase or word that is not in order."""
        from pocketsphinx import Decoder, get_model_path

        self.phrases = tuple(_plain(phrase) for phrase in options.phrases)
        if not self.phrases:
            raise engine.EngineError("wakeword: there are no phrases; name at least one")
        common: dict[str, Any] = {"lm": None, "loglevel": "FATAL", "samprate": RATE}
        self._search = Decoder(**common, beam=_BEAM, pbeam=_BEAM)
        self._words = Decoder(**common)
        for decoder in (self._search, self._words):
            _pronounce(decoder, options.pronunciations)
        for word in sorted({word for phrase in self.phrases for word in phrase.split()}):
            if self._search.lookup_word(word) is None:
                raise engine.EngineError(_unknown(word, get_model_path("en-us/cmudict-en-us.dict")))
        with tempfile.TemporaryDirectory() as folder:
            listed = Path(folder, "phrases")
            listed.write_text("".join(f"{phrase} /{_CANDIDATE:g}/\n" for phrase in self.phrases))
            self._search.add_kws("phrases", str(listed))
        self._search.activate_search("phrases")
        for phrase in self.phrases:
            self._words.add_jsgf_string(phrase, f"#JSGF V1.0;\ngrammar wake;\npublic <_said> = {phrase};\n")
        loop = get_model_path("en-us/en-us-phone.lm.bin")
        self._phones = Decoder(**common, dict=None, allphone=loop, lw=2.0, beam=1e-20, pbeam=1e-20)
        known = {_plain(phrase): least for phrase, least in options.thresholds.items()}
        if strange := [phrase for phrase in known if phrase not in self.phrases]:
            raise engine.EngineError(f"wakeword: a threshold for {strange[0]!r}, which is none of the phrases")
        self._phones_of = {phrase: self._length(phrase) for phrase in self.phrases}
        self._least = {phrase: known.get(phrase, LEAST) for phrase in self.phrases}
        self.reset()

    def reset(self) -> None:
        self._sound = np.zeros(0, np.int16)  # the newest of the stream, dithered
        self._fed = 0  # samples of the stream
        self._noise = np.random.default_rng(7)  # always the same: the same sound is always judged alike
        self._begin()

    def feed(self, pcm: NDArray[np.int16]) -> list[Detection]:
        """See the protocol. Candidates, of which speech has one every few seconds, each cost a second look: a tenth of
        the second or so that they last."""
        found = []
        for at in range(0, len(pcm), _PIECE):
            for evidence in self.candidates(pcm[at : at + _PIECE]):
                if evidence.score >= self._least[evidence.phrase]:
                    found.append(Detection(evidence.phrase, evidence.score, evidence.end))
                    self._begin()
                    break
        return found

    def candidates(self, pcm: NDArray[np.int16]) -> Iterator[Evidence]:
        """Feed a piece, and judge what the search proposes since then. For measurements."""
        sound = np.clip(pcm + self._noise.normal(0.0, _DITHER, len(pcm)), -32768, 32767).astype(np.int16)
        self._sound = np.concatenate([self._sound, sound])[-_KEEP:]
        self._fed += len(sound)
        self._search.process_raw(sound.tobytes(), False, False)
        if self._search.hyp() is None:
            return
        proposed = [(s.word.strip(), s.start_frame, s.end_frame, s.prob) for s in self._search.seg()]
        if len(proposed) > _MANY and (self._fed - self._base) / _FRAME - max(each[2] for each in proposed) > 50:
            self._begin()
            return
        for phrase, start, end, probability in proposed:
            if (phrase, start, end) not in self._judged:
                self._judged.add((phrase, start, end))
                evidence = self._evidence(phrase, start, end, probability)
                if evidence is not None:
                    yield evidence

    def _begin(self) -> None:
        """Search anew, from here."""
        if hasattr(self, "_base"):
            self._search.end_utt()
        self._search.start_utt()
        self._base = self._fed
        self._judged: set[tuple[str, int, int]] = set()

    def _evidence(self, phrase: str, start: int, end: int, probability: float) -> Evidence | None:
        """The second look at a candidate; None where the phrase cannot be aligned with it."""
        oldest = self._fed - len(self._sound)
        first = max(self._base + start * _FRAME - _AROUND, oldest)
        pcm = self._sound[first - oldest : self._base + (end + 1) * _FRAME + _AROUND - oldest]
        self._words.activate_search(phrase)
        aligned = _segments(self._words, pcm)
        spoken = [segment for segment in aligned if segment[0][0] not in "<["]
        if len(spoken) < len(phrase.split()):
            return None
        frames = aligned[-1][2]
        ratio = _scores(aligned, frames, 1.0) - _scores(_segments(self._phones, pcm), frames, _PHONE_SCALE)
        began, ended = spoken[0][1], spoken[-1][2]
        return Evidence(
            phrase=phrase,
            # the search's score is in units of 1024 ten-thousandths, less a constant of 1500 units
            spotted=(math.log(probability) * 1024 + 153.6) / math.log(10),
            fit=float(ratio[began:ended].mean()),
            worst=min(float(ratio[first_:last].mean()) for _, first_, last, _ in spoken),
            phones=self._phones_of[phrase],
            start=first + began * _FRAME,
            end=first + ended * _FRAME - _RUNS_ON,
        )

    def _length(self, phrase: str) -> int:
        """Phones of a phrase."""
        return sum(len(str(self._search.lookup_word(word)).split()) for word in phrase.split())


def _pronounce(decoder: Any, pronunciations: dict[str, str]) -> None:
    for word, phones in pronunciations.items():
        name, other = word.lower(), 2
        while decoder.lookup_word(name) is not None:
            name, other = f"{word.lower()}({other})", other + 1
        try:
            decoder.add_word(name, phones, False)
        except RuntimeError as error:
            raise engine.EngineError(
                f"wakeword: the pronunciation {phones!r} of {word!r} is not made of ARPAbet phones like 'P IY K OW'"
            ) from error


def _unknown(word: str, dictionary: str) -> str:
    with open(dictionary, encoding="utf-8") as file:
        known = [line.partition(" ")[0] for line in file]
    near = difflib.get_close_matches(word, [each for each in known if each[:1] == word[:1] and "(" not in each], n=3)
    hint = f" (it has {', '.join(near)})" if near else ""
    return (
        f"wakeword: the dictionary has no word {word!r}{hint}; choose another or say how it sounds: "
        f'pronunciations = {{ "{word}" = "P IY K OW" }}'
    )


def _plain(phrase: str) -> str:
    words = phrase.lower().split()
    for word in words:
        if not _WORD.fullmatch(word):
            raise engine.EngineError(
                f"wakeword: the phrase {phrase!r} holds {word!r}; this engine knows English words, written in letters"
            )
    if not words:
        raise engine.EngineError("wakeword: a phrase is empty; leave it out")
    return " ".join(words)


_Segment: TypeAlias = tuple[str, int, int, float]  # text; first frame, frame after the last; its acoustic score


def _segments(decoder: Any, pcm: NDArray[np.int16]) -> list[_Segment]:
    decoder.start_utt()
    decoder.process_raw(pcm.tobytes(), False, True)  # no_search, full_utt: the cepstral mean is that of the whole
    decoder.end_utt()
    return [(s.word, s.start_frame, s.end_frame + 1, s.ascore) for s in decoder.seg() or ()]


def _scores(segments: list[_Segment], frames: int, scale: float) -> NDArray[np.float64]:
    """Acoustic log likelihood a frame, float64 [frames]: each segment's, spread evenly over it."""
    spread = np.zeros(frames)
    for _, start, end, score in segments:
        spread[start:end] += scale * math.log(max(score, 5e-324)) / (end - start)
    return spread
