"""The thread that speaks: who goes first, and what becomes of a sentence that cannot be said."""

import threading
from collections.abc import Iterator

import numpy as np
import pytest

from assistant.messages import LIVE, ReplySentence, Synthesize, Turn
from assistant.synthesis import Piece, Synthesis
from pipelines.engine import EngineError
from pipelines.tts import Chunk

PATIENCE_S = 20.0
TURN = Turn(LIVE, 1)


class Voice:
    """Says a sentence of one sample a letter when it may."""

    rate = 16_000

    def __init__(self) -> None:
        self.begun, self.may = threading.Semaphore(0), threading.Semaphore(0)

    def speak(self, text: str, language: str = "") -> Iterator[Chunk]:
        self.begun.release()
        assert self.may.acquire(timeout=PATIENCE_S)
        if text == "bad":
            raise EngineError("it cannot be said")
        yield Chunk(np.zeros(len(text), np.int16))


@pytest.fixture
def voice() -> Voice:
    return Voice()


def said(synthesis: Synthesis, woken: threading.Semaphore, pieces: int) -> list[Piece]:
    found: list[Piece] = []
    while len(found) < pieces:
        assert woken.acquire(timeout=PATIENCE_S)
        found += synthesis.collect()
    return found


def sentence(text: str) -> ReplySentence:
    return ReplySentence(turn=TURN, index=0, text=text, end=0)


def test_what_is_said_aloud_goes_before_what_programs_want(voice: Voice) -> None:
    woken = threading.Semaphore(0)
    synthesis = Synthesis(voice, woken.release)
    jobs: list[ReplySentence | Synthesize] = []
    jobs += [Synthesize(stream="1", text="one"), Synthesize(stream="2", text="bad"), sentence("a"), sentence("b")]
    synthesis.begin(jobs[0])
    assert voice.begun.acquire(timeout=PATIENCE_S)  # that one is under way
    for job in jobs[1:]:
        synthesis.begin(job)
    voice.may.release(4)
    pieces = said(synthesis, woken, 7)
    assert [piece.job for piece in pieces] == [jobs[0]] * 2 + [jobs[2]] * 2 + [jobs[3]] * 2 + [jobs[1]]
    assert [(piece.number, piece.chunk is None, piece.error) for piece in pieces[:2]] == [(0, False, ""), (1, True, "")]
    assert (pieces[-1].chunk, pieces[-1].error) == (None, "it cannot be said")
    synthesis.close()


def test_only_the_turn_that_is_not_wanted_falls_silent(voice: Voice) -> None:
    woken = threading.Semaphore(0)
    synthesis = Synthesis(voice, woken.release)
    synthesis.cancel(TURN)
    synthesis.begin(sentence("a"))
    synthesis.begin(Synthesize(stream="1", text="one"))
    voice.may.release(2)
    assert [piece.chunk is None for piece in said(synthesis, woken, 3)] == [True, False, True]
    synthesis.close()
