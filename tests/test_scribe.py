"""The recognition thread: its order, what is forgotten, and what becomes of a recognizer that cannot, or does not come
back."""

import threading
import time
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from assistant.core.completeness import by_words
from assistant.scribe import TAIL, Failed, Final, Guessed, Partial, Said, Scribe, Weighed
from pipelines.asr import RATE, Recognition
from pipelines.engine import EngineError

PATIENCE_S = 60.0
SECOND = np.ones(RATE, np.int16)


class Slow:
    """A recognizer that waits to be let go on before each thing it does, and keeps a list of them."""

    def __init__(self, text: str = "one two three", language: str = "en", guesses: bool = True) -> None:
        self.guesses = guesses
        self.result = Recognition(text=text, language=language)
        self.did: list[str] = []
        self.steps = threading.Semaphore(0)
        self.at_work = threading.Event()

    def utterance(self) -> "Slow":
        return self

    def feed(self, pcm: NDArray[np.int16]) -> str | None:
        self._step(f"feed {len(pcm)}")
        return f"{len(pcm)} samples"

    def so_far(self) -> Recognition | None:
        self._step("so far")
        return self.result if self.guesses else None

    def finish(self) -> Recognition:
        self._step("finish")
        return self.result

    def _step(self, what: str) -> None:
        self.at_work.set()
        assert self.steps.acquire(timeout=PATIENCE_S)
        self.did.append(what)


class Desk:
    """A scribe and what it was heard to say."""

    def __init__(
        self,
        load: Callable[[], Slow],
        languages: tuple[str, ...] = (),
        stuck_s: float = PATIENCE_S,
        melody: "Melody | None" = None,
    ) -> None:
        self.woken = threading.Event()
        self.said: list[Said] = []
        self.scribe = Scribe(load, by_words, self.woken.set, languages, stuck_s, load_detector=lambda: melody)

    def until(self, kind: type[Said], count: int = 1) -> None:
        while sum(isinstance(one, kind) for one in self.said) < count:
            assert self.woken.wait(PATIENCE_S)
            self.woken.clear()
            self.scribe.deliver()


def test_everything_is_done_in_order_and_sound_that_waits_is_taken_at_once() -> None:
    slow = Slow()
    desk = Desk(lambda: slow)
    dictation = desk.scribe.dictate(desk.said.append)
    dictation.feed(SECOND)
    assert slow.at_work.wait(PATIENCE_S)
    for _ in range(3):
        dictation.feed(SECOND)
    dictation.guess(1)
    dictation.feed(SECOND)
    dictation.finish()
    slow.steps.release(4)
    desk.until(Final)
    assert slow.did == ["feed 16000", "feed 48000", "feed 16000", "finish"]  # the end makes the guess needless
    assert desk.said[0] == Partial("16000 samples")
    assert desk.said[-1] == Final(slow.result)


def test_the_newest_guess_wins() -> None:
    slow = Slow()
    desk = Desk(lambda: slow)
    dictation = desk.scribe.dictate(desk.said.append)
    dictation.feed(SECOND)
    assert slow.at_work.wait(PATIENCE_S)
    dictation.guess(1)
    dictation.guess(2)
    slow.steps.release(2)
    desk.until(Guessed)
    assert slow.did == ["feed 16000", "so far"]
    (guess,) = (one for one in desk.said if isinstance(one, Guessed))
    assert (guess.number, guess.result) == (2, slow.result)
    assert guess.complete < 0.5  # digits, of which more may come


def test_what_is_dropped_is_not_begun_and_what_was_begun_is_not_told() -> None:
    slow = Slow()
    desk = Desk(lambda: slow)
    dropped, other = desk.scribe.dictate(desk.said.append), desk.scribe.dictate(desk.said.append)
    dropped.feed(SECOND)
    dropped.finish()
    assert slow.at_work.wait(PATIENCE_S)
    dropped.drop()
    other.finish()
    slow.steps.release(2)
    desk.until(Final)
    assert slow.did == ["feed 16000", "finish"]
    assert desk.said == [Final(slow.result)]


def test_what_is_said_while_the_recognizer_is_loaded_waits_for_it() -> None:
    slow, may_load = Slow(), threading.Event()

    def load() -> Slow:
        assert may_load.wait(PATIENCE_S)
        return slow

    desk = Desk(load)
    dictation = desk.scribe.dictate(desk.said.append)
    dictation.feed(SECOND)
    dictation.feed(SECOND)
    dictation.finish()
    desk.scribe.deliver()
    assert (desk.scribe.recognizer, desk.said) == (None, [])
    slow.steps.release(2)
    may_load.set()
    desk.until(Final)
    assert slow.did == ["feed 32000", "finish"]


def test_a_recognizer_that_cannot_be_loaded_or_breaks_in_its_code_ends_the_service() -> None:
    def load() -> Slow:
        raise EngineError("no model there")

    desk = Desk(load)
    assert desk.woken.wait(PATIENCE_S)
    with pytest.raises(EngineError, match="no model there"):
        desk.scribe.deliver()

    class Broken(Slow):
        def finish(self) -> Recognition:
            raise ZeroDivisionError

    desk = Desk(Broken)
    desk.scribe.dictate(desk.said.append).finish()
    with pytest.raises(ZeroDivisionError):
        desk.until(Final)


def test_a_recognizer_that_does_not_come_back_is_noticed() -> None:
    slow = Slow()
    desk = Desk(lambda: slow, stuck_s=0.0)
    desk.scribe.dictate(desk.said.append).finish()
    assert slow.at_work.wait(PATIENCE_S)
    with pytest.raises(TimeoutError, match="has not come back"):
        desk.scribe.deliver()
    slow.steps.release()


def test_a_failure_is_told_and_the_result_says_so() -> None:
    class Failing(Slow):
        def _step(self, what: str) -> None:
            raise EngineError(f"no {what}")

    desk = Desk(Failing)
    dictation = desk.scribe.dictate(desk.said.append)
    dictation.feed(SECOND)
    dictation.guess(7)
    desk.until(Guessed)
    dictation.finish()
    desk.until(Final)
    assert desk.said == [
        Failed("no feed 16000"),
        Failed("no so far"),
        Guessed(7, None, 0.5),
        Failed("no finish"),
        Final(Recognition(refused="recognition failed: no finish")),
    ]


@pytest.mark.parametrize(
    ("text", "language", "refused"),
    [
        ("what is this", "en", ""),
        ("what is this", "", ""),
        ("beth yw hwn", "cy", "another language: cy"),
        ("the " * 100, "en", "repetition"),
        ("……", "zh", "not understood"),
        ("", "", "not understood"),
    ],
)
def test_whatever_a_recognizer_writes_passes_one_gate(text: str, language: str, refused: str) -> None:
    slow = Slow(text, language)
    desk = Desk(lambda: slow, ("en", "zh"))
    slow.steps.release(2)
    dictation = desk.scribe.dictate(desk.said.append)
    dictation.guess(1)
    desk.until(Guessed)
    dictation.finish()
    desk.until(Final)
    wanted = Recognition(refused=refused) if refused else slow.result
    guess, final = desk.said
    assert isinstance(guess, Guessed)
    assert isinstance(final, Final)
    assert guess.result == final.result == wanted


# --- the detector of the end of turns ---


class Melody:
    """A detector that hears what it is told to, waits to be let go on, and keeps the lengths of what it was played."""

    def __init__(self, melody: float = 1.0, error: str = "") -> None:
        self.melody, self.error = melody, error
        self.heard: list[int] = []
        self.may_go_on = threading.Event()

    def complete(self, tail: NDArray[np.int16]) -> float:
        assert self.may_go_on.wait(PATIENCE_S)
        self.heard.append(len(tail))
        if self.error:
            raise EngineError(self.error)
        return self.melody


def listening(text: str, melody: Melody, guesses: bool = True) -> Desk:
    """A desk whose recognizer understands this, and never waits."""
    slow = Slow(text, guesses=guesses)
    slow.steps.release(100)
    return Desk(lambda: slow, melody=melody)


@pytest.mark.parametrize(("text", "finished", "unfinished"), [("red lamp", 0.8, 0.2), ("is the lamp on", 0.8, 0.5)])
def test_the_words_are_told_before_the_melody_is_listened_to(text: str, finished: float, unfinished: float) -> None:
    for heard, wanted in ((0.9, finished), (0.1, unfinished)):
        desk = listening(text, melody := Melody(heard))
        dictation = desk.scribe.dictate(desk.said.append)
        dictation.feed(SECOND)
        dictation.guess(7)
        desk.until(Guessed)
        assert not melody.heard
        began = time.monotonic_ns()
        melody.may_go_on.set()
        desk.until(Weighed)
        weighed = desk.said[-1]
        assert isinstance(weighed, Weighed)
        assert (weighed.number, weighed.complete, melody.heard) == (7, wanted, [RATE])
        assert began < weighed.at < time.monotonic_ns()
        assert weighed.engine_ms > 0


@pytest.mark.parametrize("text", ["what color is the", "what is on the table?", "stop", "um"])
def test_where_the_words_leave_nothing_to_decide_nobody_listens(text: str) -> None:
    desk = listening(text, melody := Melody())
    melody.may_go_on.set()
    dictation = desk.scribe.dictate(desk.said.append)
    dictation.guess(1)
    desk.until(Guessed)
    dictation.finish()
    desk.until(Final)
    assert melody.heard == []


def test_a_recognizer_that_is_not_asked_on_suspicion_leaves_the_melody_to_prolong_the_wait() -> None:
    for heard, wanted in ((0.9, 0.5), (0.1, 0.2)):
        desk = listening("red lamp", melody := Melody(heard), guesses=False)
        melody.may_go_on.set()
        dictation = desk.scribe.dictate(desk.said.append)
        dictation.guess(1)
        desk.until(Weighed)
        assert [one.complete for one in desk.said if isinstance(one, Weighed)] == [wanted]


def test_a_detector_that_fails_is_told_and_the_words_stand() -> None:
    desk = listening("red lamp", melody := Melody(error="turn.onnx does not work: no memory"))
    melody.may_go_on.set()
    dictation = desk.scribe.dictate(desk.said.append)
    dictation.guess(1)
    desk.until(Failed)
    dictation.finish()
    desk.until(Final)
    assert [type(one) for one in desk.said] == [Guessed, Failed, Final]
    assert desk.said[1] == Failed(melody.error)
    assert desk.said[2] == Final(Recognition(text="red lamp", language="en"))


def test_a_long_speech_keeps_only_its_end_for_the_detector() -> None:
    desk = listening("red lamp", melody := Melody())
    melody.may_go_on.set()
    dictation = desk.scribe.dictate(desk.said.append)
    for number in range(20):
        dictation.feed(SECOND)
        dictation.guess(number)
        desk.until(Weighed, number + 1)
    assert melody.heard[0] == RATE
    assert melody.heard[-1] == TAIL
