"""Turns that do not go by the book, with the real processes: the user goes on, never ends, or interrupts too late.

The language model is one of these tests, which says what it is told to when it is told to; what it was given is kept.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from assistant.client import Client, private
from assistant.messages import (
    LIVE,
    Ask,
    AudioIn,
    Guess,
    Heard,
    Interrupt,
    Message,
    ReplyEnded,
    SpeakerIdle,
    SpeechDropped,
    SpeechEnded,
    SpeechStarted,
    Spoken,
    Turn,
)
from pipelines.audio import wav
from tests.processes import PATIENCE_S, ROOT

RATE, BLOCK = 16_000, 320  # samples
SPEECH = ROOT / "config" / "demo" / "speech"
TOLD = (SpeechStarted, Guess, SpeechEnded, SpeechDropped, Heard, ReplyEnded, Spoken, SpeakerIdle)
PROFILE = """
[supervisor]
services = ["microphone", "dialogue", "speaker"]
[camera]
source = { engine = "opencv", opencv.source = "/nowhere" }
[vision]
encoder.engine = "none"
[dialogue]
picture = "never"
ahead = false
examples = false
[dialogue.llm]
engine = "tests.services.talker:Engine"
[dialogue.llm."tests.services.talker:Engine"]
script = "{folder}/script.json"
log = "{folder}/log"
[microphone]
endpoint = {endpoint}
[microphone.asr]
engine = "pocketsphinx"
pocketsphinx.phrases = ["is the lamp on", "and the lamp", "is the lamp on and the lamp", "what do you see"]
[speaker.tts]
engine = "espeak"
espeak.words_per_minute = 350
"""


class House:
    """A daemon, and who lives with it."""

    def __init__(self, client: Client, folder: Path) -> None:
        self.client, self._folder = client, folder
        self.told: list[Message] = []
        client.bus.listen(*TOLD)
        client.await_ready()

    def script(self, *pieces: str) -> None:
        """What the model replies from now on; {wait}: not before ``go``."""
        (self._folder / "script.go").unlink(missing_ok=True)
        (self._folder / "script.json").write_text(json.dumps(pieces))

    def go(self) -> None:
        (self._folder / "script.go").touch()

    def prompts(self) -> list[list[str]]:
        """The conversations that it has replied to, without what opens each."""
        lines = [json.loads(line) for line in (self._folder / "log").read_text().splitlines()]
        return [line[2:] for line in lines if line[0] == "reply"]

    def all(self, *kinds: type[Message]) -> list[Message]:
        return [message for message in self.told if isinstance(message, kinds)]

    def hear(self, sound: NDArray[np.int16], enough: Callable[[], bool]) -> None:
        """Sound into the microphone as fast as it is spoken, and silence after it, until that is enough."""
        began, sent = time.monotonic_ns(), 0
        while not enough():
            assert sent < 60 * RATE, self.told
            block = sound[sent : sent + BLOCK] if sent < len(sound) else np.zeros(BLOCK, np.int16)
            at = began + sent * 1_000_000_000 // RATE
            while (left := (at - time.monotonic_ns()) / 1e9) > 0:
                self._note(left)
            self.client.bus.send(AudioIn(stream="s", first_sample_at=at, rate=RATE), block.tobytes())
            sent += BLOCK
            self._note(0.0)

    def until(self, enough: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not enough():
            assert time.monotonic() < deadline, self.told
            self._note(0.05)

    def ask(self, text: str) -> Turn:
        """A typed question, answered and spoken."""
        turn = Turn(LIVE, time.monotonic_ns())
        self.client.bus.send(Ask(turn=turn, text=text))
        self.until(lambda: any(isinstance(one, SpeakerIdle) and one.turn == turn for one in self.told))
        return turn

    def _note(self, timeout_s: float) -> None:
        received = self.client.bus.receive(timeout_s)
        if received is not None and isinstance(received.message, TOLD):
            self.told.append(received.message)


@contextmanager
def house(folder: Path, endpoint: str) -> Iterator[House]:
    profile = folder / "profile.toml"
    profile.write_text(PROFILE.replace("{folder}", str(folder)).replace("{endpoint}", endpoint))
    with private(str(profile), ["log.level=warning"]) as runtime:
        client = Client(runtime)
        yield House(client, folder)
        client.close()


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with house(tmp_path_factory.mktemp("usual"), "{ reopen_ms = 3000 }") as one:
        yield one


def spoken(name: str) -> NDArray[np.int16]:
    """What is said in a recording, and nothing before or after it."""
    pcm = wav.to_int16(wav.read(SPEECH / f"{name}.wav").pcm[:, 0])
    blocks = np.square(pcm[: len(pcm) // 160 * 160].reshape(-1, 160).astype(float)).mean(axis=1)
    loud = np.flatnonzero(blocks > blocks.max() / 3000)
    return pcm[int(loud[0]) * 160 : int(loud[-1] + 1) * 160]


def test_who_goes_on_before_the_reply_begins_has_asked_one_question(usual: House) -> None:
    usual.told.clear()
    usual.script("{wait}", "It is on.")
    usual.hear(
        np.concatenate([np.zeros(RATE // 2, np.int16), spoken("is-the-lamp-on")]), lambda: bool(usual.all(Heard))
    )
    usual.until(
        lambda: usual.prompts()[-1:] == [["is the lamp on"]]
    )  # the model is at work on it, and says nothing yet
    usual.hear(spoken("and-the-lamp"), lambda: len(usual.all(Heard)) == 2)
    first, second = (message for message in usual.all(Heard) if isinstance(message, Heard))
    assert (first.text, second.text) == ("is the lamp on", "is the lamp on and the lamp")
    assert first.turn.start == second.turn.start
    assert first.turn.revision < second.turn.revision
    usual.go()
    usual.until(lambda: bool(usual.all(SpeakerIdle)))
    said = [message for message in usual.all(Spoken) if isinstance(message, Spoken) and message.text]
    assert [(message.turn, message.text) for message in said] == [(second.turn, "It is on.")]
    usual.ask("what do you see")
    assert usual.prompts()[-1] == ["is the lamp on and the lamp", "It is on.", "what do you see"]


def test_an_interrupt_for_a_turn_that_is_over_changes_nothing(usual: House) -> None:
    usual.script("It is ", "on.")
    over = usual.ask("is the lamp on")
    before = usual.prompts()[-1]
    usual.script("{wait}", "There is a lamp.")
    later = Turn(LIVE, time.monotonic_ns())
    usual.client.bus.send(Ask(turn=later, text="what do you see"))
    usual.until(lambda: usual.prompts()[-1][-1] == "what do you see")
    usual.client.bus.send(
        Interrupt(before=over.start + 1)
    )  # it was answered long ago; the later one is meant by nobody
    usual.go()
    usual.until(lambda: any(isinstance(one, SpeakerIdle) and one.turn == later for one in usual.told))
    ended = next(one for one in usual.told if isinstance(one, ReplyEnded) and one.turn == later)
    assert (ended.reason, ended.text) == ("stop", "There is a lamp.")
    usual.client.bus.send(Interrupt(before=time.monotonic_ns()))  # and now both are over
    usual.script("So.")
    usual.ask("so")
    assert usual.prompts()[-1] == [*before, "It is on.", "what do you see", "There is a lamp.", "so"]


def test_another_language_opens_no_turn_and_says_why(usual: House) -> None:
    """To a recognizer of a few sentences all others are one."""
    usual.told.clear()
    foreign = wav.read(ROOT / "tests" / "speech" / "foreign" / "who-won-the-football-game-last-night.wav").pcm[:, 0]
    usual.hear(foreign.astype(np.int16), lambda: bool(usual.all(SpeechDropped)))
    (dropped,) = usual.all(SpeechDropped)
    assert isinstance(dropped, SpeechDropped)
    assert dropped.why == "not understood"
    usual.script("So.")
    usual.ask("so")
    assert usual.all(Heard) == []
    assert len(usual.all(ReplyEnded)) == 1


def test_speech_that_never_ends_is_cut_answered_and_told_so(tmp_path: Path) -> None:
    """The limit is one question long here, and the speaker goes on. (A whole question that followed would be answered,
    where the machine is so busy that no reply has begun.)"""
    question, pause = spoken("is-the-lamp-on"), np.zeros(RATE * 160 // 1000, np.int16)
    limit_ms = len(question) * 1000 // RATE + 80
    with house(tmp_path, f"{{ max_speech_ms = {limit_ms} }}") as one:
        one.script("It is on.")
        endless = np.concatenate([np.zeros(RATE // 2, np.int16), question, pause, question[: RATE * 3 // 10]])
        one.hear(endless, lambda: bool(one.all(SpeakerIdle)))
        ended, heard = one.all(SpeechEnded)[0], one.all(Heard)[0]
        assert isinstance(ended, SpeechEnded)
        assert isinstance(heard, Heard)
        assert ended.why == "too long"
        assert (heard.text, heard.cut) == ("is the lamp on", True)
        said = [message.text for message in one.all(Spoken) if isinstance(message, Spoken)]
        assert said == ["It is on.", "You spoke for very long; I only listened to the beginning."]
        assert len(one.all(Heard)) == 1  # what went on was no question
        one.told.clear()
        one.ask("what do you see")
        assert one.prompts()[-1][0] == "is the lamp on"
