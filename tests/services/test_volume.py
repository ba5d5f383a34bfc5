"""The speaker service, as a real process: how loud it is, and for how long it remembers."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from assistant.bus import Bus
from assistant.core.loudness import FULL, LEAST, gain
from assistant.messages import (
    AudioOut,
    Message,
    Mute,
    ReplyEnded,
    ReplySentence,
    SpeakerIdle,
    SpeakerState,
    Turn,
    TurnStarted,
    Volume,
)
from tests import processes
from tests.processes import Process, ended, started

Join = Callable[..., Bus]
PATIENCE_S = 20.0


class Listening:
    """A client, and a dialogue that says what it is told to."""

    def __init__(self, join: Join) -> None:
        self.dialogue, self.client = join("dialogue"), join()
        self._passed: SpeakerState | None = None  # while something else was waited for
        self.client.listen(AudioOut, SpeakerIdle, SpeakerState)  # who hears the last of them hears the others

    def state(self, volume: float, muted: bool = False) -> None:
        """Return when the speaker says that it is so."""
        wanted = SpeakerState(volume=volume, muted=muted)
        passed, self._passed = self._passed, None
        if passed != wanted:
            assert self.client.wait_for(SpeakerState, PATIENCE_S, lambda state: state == wanted) is not None, wanted

    def say(self, message: Message) -> None:
        """As the dialogue, once somebody listens."""
        while not self.dialogue.wanted(type(message)):
            self.dialogue.receive(0.05)
        self.dialogue.publish(message)

    def loudness(self, *before: Message) -> float:
        """RMS of a sentence, for which ``before`` is said first by the dialogue, as for an answer to a command."""
        turn = Turn("live", time.monotonic_ns())
        self.say(TurnStarted(turn=turn, text="", spoken=True, last_sample_at=turn.start))
        for message in before:
            self.dialogue.publish(message)
        self.dialogue.publish(ReplySentence(turn=turn, index=0, text="Red.", end=4, language="en"))
        self.dialogue.publish(ReplyEnded(turn=turn, reason="stop", text="Red.", sentences=1))
        sound, deadline = [], time.monotonic() + PATIENCE_S
        while True:
            received = self.client.receive(PATIENCE_S)
            assert received is not None
            assert time.monotonic() < deadline
            match received.message:
                case SpeakerState() as state:
                    self._passed = state
                case AudioOut(turn=of) if of == turn:
                    sound.append(np.frombuffer(received.payload, np.int16))
                case SpeakerIdle(turn=of) if of == turn:
                    break
        return float(np.sqrt(np.mean(np.square(np.concatenate(sound).astype(np.float64)))))


def speaker(runtime: Path) -> list[str]:
    return processes.service(runtime, "speaker", "assistant.services.speaker", tts={"engine": "espeak"})


def stopped(process: Process) -> None:
    process.terminate()
    code, said = ended(process)
    assert (code, "Traceback" in said) == (0, False), said


def test_the_volume_is_heard_and_outlives_the_process(runtime: Path, join: Join) -> None:
    """Half of it is 10 dB less; the answer to "half volume" has it already."""
    house = Listening(join)
    with started(speaker(runtime)) as process:
        house.state(FULL)
        full = house.loudness()
        half = house.loudness(Volume(level=0.5))
        assert half / full == pytest.approx(gain(0.5), rel=0.02)
        house.state(0.5)
        house.client.send(Volume(step=1), timeout_s=PATIENCE_S)
        house.state(0.6)
        house.say(Volume(level=-3.0))
        house.state(LEAST)
        house.say(Volume(step=-1))
        house.state(LEAST)
        assert house.loudness() > 0
        process.kill()
    with started(speaker(runtime)) as process:
        house.state(LEAST)
        stopped(process)
    (runtime / "volume").write_text("loud!")
    with started(speaker(runtime)) as process:
        house.state(FULL)
        process.terminate()
        assert "the volume is full" in ended(process)[1]


def test_a_muted_speaker_says_nothing_until_it_is_told_otherwise(runtime: Path, join: Join) -> None:
    house = Listening(join)
    with started(speaker(runtime)) as process:
        house.state(FULL)
        house.say(Mute(device="speaker", muted=True))
        house.state(FULL, muted=True)
        assert house.loudness() == 0.0
        process.kill()
    with started(speaker(runtime)) as process:
        house.state(FULL, muted=True)
        assert house.loudness(Mute(device="speaker", muted=False)) > 100  # spoken by the dialogue
        house.state(FULL)
        house.say(Mute(device="speaker", muted=True))
        house.state(FULL, muted=True)
        assert house.loudness(Volume(step=-1)) > 100  # who asks for a volume wants to hear
        house.state(0.9)
        stopped(process)


def test_a_volume_that_cannot_be_kept_is_still_obeyed(runtime: Path, join: Join) -> None:
    house = Listening(join)
    with started(speaker(runtime)) as process:
        house.state(FULL)
        (runtime / "volume.half").mkdir()
        house.say(Volume(level=0.3))
        house.state(0.3)
        process.terminate()
        assert "the volume is not kept" in ended(process)[1]
