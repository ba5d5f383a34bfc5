"""What a wake word engine hears: hits in several noises, false wakes an hour, and first words lost.

The sound is made (``_wake_scene``); recordings without the phrase can be named beside it. Engines are fed as fast as
they take it: an hour of speech costs the embedded one some minutes. A hit is a detection near the end of a call that is
told within a second of it. After some calls nothing is said, after some a question begins within 0.3 s, and some go on
in the same breath: networks are trained with a pause, and are worse without one.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from assistant.commands._wake_scene import NOISES, QUESTIONS, RATE, SNRS, Scene, Wave, kinds
from assistant.waking import ROLL_MS
from pipelines import wakeword
from pipelines.audio import AudioError, resample, wav
from pipelines.engine import EngineError, name_of

BLOCK = 1280  # samples fed at once
NEAR_S = 0.7  # an end that is told further from the end of the call is of something else
CUT_MS = 30  # so much of a first word may be missing before it counts as lost
GAP_S = 0.3  # a question begins within so long after its call
LEAD_S = 1.5  # of noise before a call
NOTHING, SOON, AT_ONCE = FOLLOWS = ("nothing", "a question within 0.3 s", "a question in the same breath")
AT_MOST = 3  # calls for each question that is wanted, where calls are missed


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What to measure, and how much of it."""

    engine: str = "pocketsphinx"
    options: Mapping[str, Any] = {}
    each: int = 0  # calls of each phrase in each noise; 0: every voice with everything that may follow
    questions: int = 200  # that begin 0 to 300 ms after a call that was heard
    minutes: float = 60.0  # of speech that holds no call
    recordings: Path | None = None  # a folder of WAV files that hold none either
    seed: int = 1


class Heard(msgspec.Struct, frozen=True):
    """A call and what came of it."""

    phrase: str
    voice: str  # kind
    noise: str
    follows: str
    hit: bool


def measure(asked: Asked, say: Callable[[str], None] = lambda _: None) -> dict[str, Any]:
    """Keys: ``wake_hits`` (shares by noise), ``false_wakes_per_hour``, ``first_words_lost`` (share of the questions),
    ``phrases`` (the same of each, and by voice and by what follows), and with what. Raises EngineError."""
    recordings = _recordings(asked.recordings)
    scene = Scene(asked.seed, kinds())
    spotter = wakeword.load(asked.engine, asked.options)
    heard = []
    for phrase in spotter.phrases:
        say(f"calls, {phrase!r}")
        heard += calls(spotter, scene, phrase, asked.each)
    say(f"{asked.questions} questions")
    after = questions(spotter, scene, asked.questions)
    say(f"{asked.minutes:g} minutes without a call")
    false = mistakes(spotter, scene, asked.minutes)
    say(f"{len(recordings)} recordings")
    recorded, minutes = in_recordings(spotter, recordings)
    kind_of = [kind for kind, _ in scene.voices]
    return {
        "engine": name_of(spotter),
        "voices": {kind: kind_of.count(kind) for kind in dict.fromkeys(kind_of)},
        "wake_hits": _shares(heard, "noise"),
        "false_wakes_per_hour": false * 60 / asked.minutes if asked.minutes else 0.0,
        "false_wakes": false,
        "minutes": asked.minutes,
        **after,
        **({"recordings": {"false_wakes": recorded, "minutes": minutes}} if recordings else {}),
        "phrases": {phrase: _of([one for one in heard if one.phrase == phrase]) for phrase in spotter.phrases},
    }


def calls(spotter: wakeword.Spotter, scene: Scene, phrase: str, count: int) -> list[Heard]:
    """Calls in each noise: by each voice in turn, and after them each of FOLLOWS."""
    heard = []
    for snr in SNRS:
        for kind in range(1 if snr is None else len(NOISES)):
            noise = "quiet" if snr is None else f"{snr} dB {NOISES[kind]}"
            for index in range(count or len(scene.voices) * len(FOLLOWS)):
                voice, follows = index % len(scene.voices), FOLLOWS[(index // len(scene.voices) + index) % len(FOLLOWS)]
                parts, end, _ = _call(scene, phrase, voice, follows)
                near = _near(spotter, scene.noisy(parts, snr, kind), end)
                heard.append(Heard(phrase, scene.voices[voice][0], noise, follows, near is not None))
    return heard


def questions(spotter: wakeword.Spotter, scene: Scene, count: int) -> dict[str, Any]:
    """What became of so many first words, over a fan 20 dB below. ``first_words_lost``: a share; ``calls_missed``: on
    the way; ``told_late_ms``: how long after a call it is told, the median; ``left_ms``: how much of the call stays
    before the question, the median and that of the worst tenth."""
    missed = lost = index = 0
    late, left = list[float](), list[float]()
    while len(late) < count and index < count * AT_MOST:
        phrase = spotter.phrases[index % len(spotter.phrases)]
        parts, end, begins = _call(scene, phrase, index // len(spotter.phrases), SOON)
        index += 1
        near = _near(spotter, scene.noisy(parts, 20, 0), end)
        if near is None:
            missed += 1
            continue
        cut, told = near[0] - ROLL_MS * RATE // 1000, near[1]
        lost += cut > begins + CUT_MS * RATE // 1000
        late.append((told - end) * 1000 / RATE)
        left.append(max(0, end - cut) * 1000 / RATE)
    return {
        "first_words_lost": lost / max(1, len(late)),
        "questions": len(late),
        "calls_missed": missed,
        "told_late_ms": float(np.median(late)) if late else 0.0,
        "left_ms": {"p50": float(np.median(left)), "p90": float(np.percentile(left, 90))} if left else {},
    }


def mistakes(spotter: wakeword.Spotter, scene: Scene, minutes: float) -> int:
    """How often it is called in speech, noise and silence without a call."""
    count = samples = 0
    spotter.reset()
    while samples < minutes * 60 * RATE:
        spoken = scene.speech(scene.sentence())
        pause = np.zeros(int(scene.random.uniform(0.1, 2.0) * RATE))
        pcm = scene.noisy([spoken, pause], scene.random.choice(SNRS), scene.random.randrange(len(NOISES)))
        count += len(_feed(spotter, pcm))
        samples += len(pcm)
    return count


def in_recordings(spotter: wakeword.Spotter, files: list[Path]) -> tuple[int, float]:
    """How often it is called in recordings that hold no call, and their minutes. Raises EngineError."""
    count, minutes = 0, 0.0
    for path in files:
        try:
            sound = wav.read(path)
            pcm = resample.convert(sound.pcm, sound.rate)
        except AudioError as error:
            raise EngineError(str(error)) from error
        spotter.reset()
        count += len(_feed(spotter, pcm.reshape(-1)))
        minutes += sound.seconds / 60
    return count, minutes


def _recordings(folder: Path | None) -> list[Path]:
    found = sorted(folder.glob("*.wav")) if folder is not None else []
    if folder is not None and not found:
        raise EngineError(f"there are no .wav files in {folder}; correct --recordings")
    return found


def _call(scene: Scene, phrase: str, voice: int, follows: str) -> tuple[list[Wave], int, int]:
    """The sound, where the call in it ends, and where the question begins; the call at some time within a step of any
    engine. The voice asks too."""
    call = scene.speech(phrase, voice)
    lead = int(LEAD_S * RATE) + scene.random.randrange(BLOCK)
    gap = int(scene.random.uniform(0, GAP_S) * RATE) if follows == SOON else 0
    question = scene.speech(scene.choose(QUESTIONS), voice) if follows != NOTHING else np.zeros(0)
    end = lead + len(call)
    return [np.zeros(lead), call, np.zeros(gap), question, np.zeros(RATE)], end, end + gap


def _near(spotter: wakeword.Spotter, pcm: NDArray[np.int16], end: int) -> tuple[int, int] | None:
    """The first detection that can be of the call that ends there: where it says that it ended, and when."""
    spotter.reset()
    found = _feed(spotter, pcm)
    return next((one for one in found if abs(one[0] - end) < NEAR_S * RATE and one[1] - end < RATE), None)


def _feed(spotter: wakeword.Spotter, pcm: NDArray[np.int16]) -> list[tuple[int, int]]:
    """When calls ended and when that was told, samples of the stream."""
    found = ((spotter.feed(pcm[at : at + BLOCK]), at + BLOCK) for at in range(0, len(pcm), BLOCK))
    return [(one.end, told) for each, told in found for one in each]


def _of(heard: list[Heard]) -> dict[str, Any]:
    """Of one phrase. What follows is judged with nothing worse than a fan 10 dB below."""
    fair = [one for one in heard if one.noise in ("quiet", "20 dB fan", "10 dB fan")]
    voices = dict.fromkeys(one.voice for one in heard)
    return {
        "wake_hits": _shares(heard, "noise"),
        "by_voice": {voice: _shares([one for one in heard if one.voice == voice], "noise") for voice in voices},
        "by_what_follows": _shares(fair, "follows"),
    }


def _shares(heard: list[Heard], by: str) -> dict[str, float]:
    """Of hits, by a field."""
    names = dict.fromkeys(getattr(one, by) for one in heard)
    groups = {name: [one.hit for one in heard if getattr(one, by) == name] for name in names}
    return {name: round(sum(hits) / len(hits), 3) for name, hits in groups.items()}


def lines(figures: dict[str, Any]) -> list[str]:
    """A table of hits for each phrase, then what is common to all."""
    shown = [f"{figures['engine']}; voices, all synthetic: {_told(figures['voices'])}"]
    for phrase, of in figures["phrases"].items():
        kinds = list(of["by_voice"])
        shown += ["", f"{phrase!r}, heard".ljust(34) + "".join(f"{name:>10}" for name in ("all", *kinds))]
        shown += [
            noise.ljust(34) + "".join(f"{row[noise]:>10.0%}" for row in (of["wake_hits"], *of["by_voice"].values()))
            for noise in of["wake_hits"]
        ]
        shown += [f"then {what}".ljust(34) + f"{share:>10.0%}" for what, share in of["by_what_follows"].items()]
    false = f"{figures['false_wakes_per_hour']:.2f} ({figures['false_wakes']} in {figures['minutes']:g} min)"
    rows = {
        "false wakes an hour": false,
        "first words lost": f"{figures['first_words_lost']:.1%} of {figures['questions']}",
        "told after the phrase": f"{figures['told_late_ms']:.0f} ms",
        "of it left before the question": _told(figures["left_ms"]) + " ms",
    }
    if "recordings" in figures:
        rows["in the recordings"] = _told(figures["recordings"])
    return [*shown, "", *(f"{name:<34}{value:>10}" for name, value in rows.items())]


def _told(figures: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.0f}" for name, value in figures.items())
