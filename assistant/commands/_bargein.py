"""Speaking over a reply, measured: the figures of ``assistant bench bargein``.

Two parts. The decisions: every scene goes through the detector of speech, the echo guard and the decider as the
microphone has them, faster than real time, with what they decide acting on what is played. And the silence: a real
speaker process is interrupted in the middle of a reply, again and again.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any, get_args

import msgspec
import numpy as np

from assistant.client import Client, Unavailable, private
from assistant.commands import _wake
from assistant.commands._bargein_scenes import RATE, Label, Scene, Wave, scenes
from assistant.core.bargein import Candidate, Confirmed, Dismissed, Paused
from assistant.core.levels import Meter
from assistant.core.overhearing import Overhearing, Settings
from assistant.messages import LIVE, Ask, AudioOut, Interrupt, SpeakerIdle, Turn
from pipelines import vad
from pipelines.audio.fader import Fader
from pipelines.engine import name_of

BLOCK = RATE // 50  # samples: what the speaker plays at once
DUCK = 10 ** (-15 / 20)
MS = 1_000_000
LOST_MS = 100.0  # more of the first 300 ms than this, and the first word is lost
LOUDEST_LEAK = -12.0  # dB: a louder echo is not asked to be told from the user
PATIENCE_S = 20.0
WOKEN = ("engine", "wake_hits", "false_wakes_per_hour", "minutes")  # what is told of the wake word's own bench
LABELS: tuple[str, ...] = get_args(Label)


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    scene: Scene
    duck_ms: float | None  # from the user's first sound to the first candidate after it
    confirm_ms: float | None  # … to the interruption
    why: str
    early: bool  # interrupted before the user made any sound
    ducked_before: bool  # soft before the user made any sound
    lost_ms: float  # of the user's first sound that the recognizer does not get
    half_duplex: bool


def play(scene: Scene, detector: vad.Detector, words: bool, settings: Settings) -> Outcome:
    """One scene, block by block, until it is interrupted or over. ``words``: what was said is known at a pause."""
    overhearing, meter, fader = Overhearing(settings), Meter(RATE), Fader(RATE)
    detector.reset()
    echo = _Echo(scene)
    heard = np.zeros(0, np.int16)
    at = 0  # samples made
    done = 0  # samples judged
    duck = confirm = None
    ducked_before, why, lost = False, "", 0.0
    candidate_from = candidate_at = 0
    size = detector.frame_samples
    begins = int(np.flatnonzero(scene.reply)[0])
    while at + BLOCK <= len(scene.reply) and confirm is None:
        block = fader.apply(scene.reply[at : at + BLOCK].astype(np.int16))
        overhearing.guard.played(*meter.feed(_ns(at), block))
        microphone = echo.block(at, block) + scene.noise[at : at + BLOCK]
        first, last = max(at, scene.onset), min(at + BLOCK, scene.onset + len(scene.user))
        if last > first:
            microphone[first - at : last - at] += scene.user[first - scene.onset : last - scene.onset]
        heard = np.concatenate([heard, np.clip(np.rint(microphone), -32768, 32767).astype(np.int16)])
        at += BLOCK
        while done + size <= len(heard) and confirm is None:
            frame, start = heard[done : done + size], done
            done += size
            speech = detector.speech(frame) >= 0.5
            decide = start >= begins and not overhearing.guard.too_strong
            events = overhearing.frame(_ns(start), _ns(size), frame, speech, decide)
            for event in events:
                match event:
                    case Candidate(at=began, audio_from=audio_from):
                        fader.goal, candidate_from, candidate_at = DUCK, audio_from, began * RATE // 1_000_000_000
                        if done <= scene.onset:
                            ducked_before = True
                        elif duck is None:
                            duck = (done - scene.onset) * 1000 / RATE
                    case Paused(last=end):
                        fader.goal = 1.0
                        theirs = words and end > _ns(scene.onset)  # else it was not the user who spoke
                        events += overhearing.words(scene.said if theirs else "", True)
                    case Dismissed(why=reason):
                        fader.goal, why = 1.0, reason
                    case Confirmed(why=reason):
                        confirm, why = (done - scene.onset) * 1000 / RATE, reason
                        lost = _lost(overhearing, scene, candidate_from, candidate_at, size)
    return Outcome(
        scene=scene,
        duck_ms=duck,
        confirm_ms=confirm,
        why=why,
        early=confirm is not None and confirm <= 0,
        ducked_before=ducked_before,
        lost_ms=lost,
        half_duplex=overhearing.guard.too_strong,
    )


def _ns(samples: int) -> int:
    return samples * 1_000_000_000 // RATE


def _lost(overhearing: Overhearing, scene: Scene, audio_from: int, onset: int, size: int) -> float:
    """ms of the first 300 ms of the user's sound that are not handed on, or only after being taken for echo."""
    lost = 0
    for start in range(scene.onset // size * size, scene.onset + RATE * 300 // 1000, size):
        gone = start < onset - RATE // 10 and overhearing.explained(_ns(start))
        lost += _ns(start + size) <= audio_from or gone
    return lost * size * 1000 / RATE


class _Echo:
    """What the microphone hears of what is played: of the whole reply at full gain, less what was played softer."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        size = 1 << (len(scene.reply) + len(scene.response)).bit_length()
        product = np.fft.rfft(scene.reply, size) * np.fft.rfft(scene.response, size)
        self._echo: Wave = np.fft.irfft(product, size)[: len(scene.reply) + len(scene.response)]

    def block(self, at: int, played: Any) -> Wave:
        less = played - np.rint(self._scene.reply[at : at + BLOCK])
        if np.any(np.abs(less) > 1):
            size = 1 << (BLOCK + len(self._scene.response)).bit_length()
            made = np.fft.irfft(np.fft.rfft(less, size) * np.fft.rfft(self._scene.response, size), size)
            end = min(len(self._echo), at + BLOCK + len(self._scene.response))
            self._echo[at:end] += made[: end - at]
        heard: Wave = self._echo[at : at + BLOCK].copy()
        return heard


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What to measure, and how much of it."""

    scenes: int = 216
    seed: int = 1  # the defaults were chosen with 1: another one says whether they hold
    engines: tuple[str, ...] = ("auto",)  # detectors of speech; the first one's figures stand for all
    interruptions: int = 50
    wake: _wake.Asked = _wake.Asked(each=6, questions=20, minutes=2.0)


def measure(asked: Asked, say: Callable[[str], None]) -> dict[str, Any]:
    """All figures; times in ms. ``engines``: the same by detector of speech. Raises EngineError for a detector that
    cannot be loaded, Unavailable for a daemon."""
    detectors = {name: vad.load(name, {}) for name in asked.engines}
    say(f"making {asked.scenes} scenes …")
    made = scenes(asked.scenes, asked.seed)
    by_engine = {}
    for detector in detectors.values():
        say(f"speaking over the replies in them, {name_of(detector)} …")
        by_engine[name_of(detector)] = summary([play(scene, detector, True, Settings()) for scene in made])
    say("once more, with a recognizer that understands nothing …")
    best = next(iter(detectors.values()))
    without = [play(scene, best, False, Settings()) for scene in made]
    figures: dict[str, Any] = {"scenes": asked.scenes, "seed": asked.seed, "vad": name_of(best)}
    figures |= by_engine.pop(name_of(best))
    figures["without_words"] = shares(counted(without))
    figures["engines"] = by_engine
    say(f"interrupting a real reply {asked.interruptions} times …")
    figures["confirm_to_silence_ms"] = quantiles(silences(asked.interruptions))
    say("calling it …")
    woken = _wake.measure(msgspec.structs.replace(asked.wake, seed=asked.seed), say)
    figures |= {f"wake_{name}" if name in ("engine", "minutes") else name: woken[name] for name in WOKEN}
    return figures


def summary(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Of the scenes whose echo is not too loud to be told from the user; ``by`` and ``echo_-6_db`` say the rest."""
    inside = counted(outcomes)
    caught = [one for one in inside if one.scene.interrupts and one.confirm_ms is not None and not one.early]
    whole = shares(inside)
    return {
        "false_interruptions": whole["false"],
        "missed_interruptions": whole["missed"],
        "first_words_lost": share([one.lost_ms > LOST_MS for one in caught]),
        "duck_ms": quantiles([one.duck_ms for one in caught if one.duck_ms is not None]),
        "confirm_ms": quantiles([one.confirm_ms for one in caught if one.confirm_ms is not None]),
        "by_label": {
            label: share([one.confirm_ms is not None and not one.early for one in inside if one.scene.label == label])
            for label in LABELS
        },
        "by_noise": _split(inside, lambda scene: f"{scene.noise_name}_{scene.snr_db:g}_db"),
        "by_snr": _split(inside, lambda scene: f"{scene.snr_db:g}_db"),
        "by_leak": _split(outcomes, lambda scene: f"{scene.leak_db:g}_db"),
        "by_delay": _split(inside, lambda scene: f"{scene.delay_ms}_ms"),
        "by_room": _split(inside, lambda scene: "reverberant" if scene.reverberant else "dry"),
        "half_duplex": share([one.half_duplex for one in outcomes]),
    }


def counted(outcomes: Sequence[Outcome]) -> list[Outcome]:
    return [one for one in outcomes if one.scene.leak_db <= LOUDEST_LEAK]


def shares(outcomes: Sequence[Outcome]) -> dict[str, float]:
    """Of those who did not mean to interrupt that did, and of those who meant to that did not (or were taken to before
    they said anything)."""
    asked = [one.confirm_ms is None or one.early for one in outcomes if one.scene.interrupts]
    others = [one.confirm_ms is not None for one in outcomes if not one.scene.interrupts]
    return {"false": share(others), "missed": share(asked)}


def share(holds: Sequence[bool]) -> float:
    return round(sum(holds) / len(holds), 4) if holds else 0.0


def quantiles(values: Sequence[float]) -> dict[str, float]:
    if not values:
        return {}
    p50, p99 = np.percentile(values, [50, 99])
    return {"p50": round(float(p50), 1), "p99": round(float(p99), 1)}


def _split(outcomes: Sequence[Outcome], by: Callable[[Scene], str]) -> dict[str, dict[str, float]]:
    names = sorted({by(one.scene) for one in outcomes})
    return {name: shares([one for one in outcomes if by(one.scene) == name]) for name in names}


# --- how soon it is silent ---


def silences(count: int) -> list[float]:
    """From an Interrupt in the middle of a reply to the end of the last sound of it, ms, each of ``count`` times."""
    found: list[float] = []
    with private("demo") as runtime:
        client = Client(runtime)
        try:
            client.await_ready()
            client.bus.listen(AudioOut, SpeakerIdle)
            for number in range(count):
                found.append(_silenced(client, 100 + 37 * number % 400))
        finally:
            client.close()
    return found


def _silenced(client: Client, after_ms: int) -> float:
    turn = Turn(LIVE, time.monotonic_ns())
    client.bus.send(Ask(turn=turn, text="what do you see"))
    due = cut = ends = 0
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        left = (due - time.monotonic_ns()) / 1e9 if due and not cut else 1.0
        received = client.bus.receive(max(0.0, left))
        if due and not cut and time.monotonic_ns() >= due:
            cut = time.monotonic_ns()
            client.bus.send(Interrupt(before=cut))
        if received is None:
            continue
        match received.message:
            case AudioOut(turn=owner, rate=rate, first_sample_at=at) if owner == turn:
                due = due or at + after_ms * MS
                ends = at + len(received.payload) // 2 * 1_000_000_000 // rate
            case SpeakerIdle(turn=owner) if owner == turn and cut:
                return max(0.0, (ends - cut) / MS)
    raise Unavailable("a reply was not interrupted: see the daemon's log")
