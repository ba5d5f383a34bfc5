"""Who speaks over a reply, from the first sample to what is told of it; with the small recognizer of tests/room.py."""

import numpy as np

from assistant.messages import AudioIn, Duck, Heard, Interrupt, SpeechDropped, SpeechStarted
from pipelines import asr
from tests.room import FRAME, WORD_MS, WORDS, Enter, Room, enter

__all__ = ["enter"]

VOICE = np.where(np.arange(FRAME) % 64 < 32, 1, -1)  # 250 Hz: the first sample of a frame is its word's level
MS = 1_000_000


def speak(room: Room, words: str, ms: int = WORD_MS) -> None:
    for word in words.split():
        for _ in range(ms // 20):
            pcm = (WORDS[word] * VOICE).astype(np.int16)
            room.ear.hear(AudioIn(stream="s", first_sample_at=room.ms * MS, rate=asr.RATE), pcm.tobytes())
            room.ms += 20


def reply(room: Room, ms: int = 2000) -> None:
    """A reply is under way, which this microphone does not hear."""
    room.speaking = True
    for _ in range(ms // 20):
        room.ear.played(room.ms * MS, np.full((2, 3), -20.0))
        room.silence(20)


def told(room: Room) -> list[str]:
    names = []
    for message in room.service.told:
        match message:
            case Duck(on=on):
                names.append("soft" if on else "back")
            case SpeechDropped(why=why):
                names.append(f"dropped: {why}")
            case Heard(text=text):
                names.append(f"heard: {text}")
            case _:
                names.append(type(message).__name__)
    return names


def test_a_question_over_a_reply_ends_it_and_is_heard_from_its_first_word(enter: Enter) -> None:
    room = enter()
    reply(room)
    at = room.ms
    speak(room, "what is on the table")
    assert told(room) == ["soft", "Interrupt", "SpeechStarted"]
    room.silence(800)
    assert told(room)[-1] == "heard: what is on the table"
    interrupt, started = room.service.told[1:3]
    assert isinstance(interrupt, Interrupt)
    assert isinstance(started, SpeechStarted)
    assert interrupt.before == started.turn.start == at * MS


def test_a_cough_of_words_lets_the_reply_go_on(enter: Enter) -> None:
    """Short, and the recognizer makes nothing of it: the reply is soft for a moment."""
    room = enter()
    reply(room)
    speak(room, "COUGH")
    reply(room, 1200)
    assert told(room) == ["soft", "back", "dropped: not understood"]
    assert room.speaking


def test_few_words_interrupt_when_they_are_understood_to_be_some(enter: Enter) -> None:
    room = enter()
    reply(room)
    speak(room, "a ball")
    assert told(room) == ["soft"]
    reply(room, 300)
    assert told(room)[:4] == ["soft", "back", "Interrupt", "SpeechStarted"]
    room.speaking = False
    room.silence(800)
    assert told(room)[-1] == "heard: a ball"


def test_who_speaks_into_the_end_of_a_reply_is_heard(enter: Enter) -> None:
    room = enter()
    reply(room)
    speak(room, "what is")
    room.speaking = False  # the reply ended by itself
    speak(room, "on the table")
    room.silence(800)
    assert told(room)[-1] == "heard: what is on the table"
    assert room.interrupted  # of a reply that is over: harmless


def test_where_the_reply_drowns_everybody_speech_is_dropped_and_what_comes_after_it_is_heard(enter: Enter) -> None:
    room = enter()
    room.busy = "during a reply"
    reply(room)
    speak(room, "what is on")
    room.busy, room.speaking = "", False
    speak(room, "the table")
    room.silence(800)
    assert told(room) == ["dropped: during a reply", "SpeechStarted", "Guess", "SpeechEnded", "heard: the table"]


def test_the_button_takes_the_microphone_from_whoever_may_be_speaking(enter: Enter) -> None:
    room = enter()
    reply(room)
    speak(room, "a")
    room.speaking = False
    room.ear.press(room.ms * MS)
    speak(room, "ball")
    room.ear.release(room.ms * MS)
    room.silence(100)
    assert told(room)[:3] == ["soft", "back", "SpeechStarted"]
    assert told(room)[-1].startswith("heard: ")
