"""The endpointer as a table of what is heard and what comes of it, and its promises on any sequence of frames."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from assistant.core.endpointer import MS, Dropped, Ended, Endpointer, Event, Paused, Resumed, Settings, Started

FRAME = 20  # ms

# Short times, so that a row of the table stays readable: one sign is a frame of 20 ms, "#" is speech.
QUICK = Settings(
    start_ms=60,
    window_ms=100,
    guess_ms=9_000,
    hold_ms=120,
    hold_unsure_ms=120,
    hold_open_ms=120,
    reopen_ms=0,
    min_speech_ms=80,
    max_speech_ms=400,
    pre_roll_ms=100,
    button_roll_ms=40,
)


def told(events: list[Event]) -> list[str]:
    """Events in short, times in ms."""
    lines = []
    for event in events:
        match event:
            case Started(at, audio_from):
                lines.append(f"started {at // MS} from {audio_from // MS}")
            case Paused(at, last):
                lines.append(f"paused {at // MS} last {last // MS}")
            case Resumed(at):
                lines.append(f"resumed {at // MS}")
            case Ended(at, last, until, why):
                lines.append(f"ended {at // MS} last {last // MS} until {until // MS}: {why}")
            case Dropped(at, last, why):
                lines.append(f"dropped {at // MS} last {last // MS}: {why}")
    return lines


def heard(signs: str, settings: Settings = QUICK) -> list[str]:
    """What comes of the frames; "p" presses and "r" releases the button, a blank is a frame that got lost. A digit
    judges how complete the words are, in tenths; "h": the one that ended was understood; "s": it is answered."""
    endpointer, events, at = Endpointer(settings), list[Event](), 0
    for sign in signs:
        match sign:
            case "p":
                events += endpointer.press(at * MS)
            case "r":
                events += endpointer.release(at * MS)
            case "h":
                endpointer.heard()
            case "s":
                endpointer.settle()
            case digit if digit.isdigit():
                started = next(event.at for event in reversed(events) if isinstance(event, Started))
                events += endpointer.judge(started, int(digit) / 10)
            case "#" | ".":
                events += endpointer.frame(float(sign == "#"), at * MS, FRAME * MS)
        at += FRAME if sign in "#. " else 0
    return told(events)


TABLE = [
    ("silence", "." * 40, []),
    ("two frames are not enough", "....##........", []),
    ("nor are three that lie too far apart", "....#...#...#........", []),
    ("a phrase", ".......#####......", ["started 140 from 40", "ended 140 last 240 until 360: silence"]),
    ("no pre-roll before the stream began", "#####......", ["started 0 from 0", "ended 0 last 100 until 220: silence"]),
    ("a start with holes", "......#.#.##......", ["started 120 from 20", "ended 120 last 240 until 360: silence"]),
    ("a pause that is short enough", ".....####.....####......",
     ["started 100 from 0", "ended 100 last 360 until 480: silence"]),
    ("two phrases share no sample", "####......####......",
     ["started 0 from 0", "ended 0 last 80 until 200: silence",
      "started 200 from 200", "ended 200 last 280 until 400: silence"]),
    ("too short", ".....###......", ["started 100 from 0", "dropped 100 last 160: too short"]),
    ("too long, and on with the next", "#" * 30,
     ["started 0 from 0", "ended 0 last 400 until 400: too long", "started 400 from 400"]),
    ("a click late in the silence prolongs nothing", "####.....#.",
     ["started 0 from 0", "ended 0 last 80 until 220: silence"]),
    ("speech late in the silence goes on", "####.....####......",
     ["started 0 from 0", "ended 0 last 260 until 380: silence"]),
    ("lost frames are silence", "####          .", ["started 0 from 0", "ended 0 last 80 until 80: silence"]),
    ("a lost frame is a short one", "### ###......", ["started 0 from 0", "ended 0 last 140 until 260: silence"]),
    ("the button", "..........p..##......##..r...........",
     ["started 200 from 160", "ended 200 last 440 until 480: released"]),
    ("the button, and nothing that sounds like speech", "....p.........r....",
     ["started 80 from 40", "ended 80 last 260 until 260: released"]),
    ("the button tapped", "....p..r....", ["started 80 from 40", "dropped 80 last 80: too short"]),
    ("the button held for too long", "p" + "#" * 30 + "r....",
     ["started 0 from 0", "ended 0 last 400 until 400: too long"]),
    ("the button takes over what is being said", "...####p......####..r.",
     ["started 60 from 0", "ended 60 last 340 until 380: released"]),
    ("pressed twice, released twice", "....pp......rr...",
     ["started 80 from 40", "ended 80 last 200 until 200: released"]),
]  # fmt: skip


@pytest.mark.parametrize(("signs", "wanted"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_what_comes_of_what_is_heard(signs: str, wanted: list[str]) -> None:
    assert heard(signs) == wanted


# As QUICK, but a pause is told after 60 ms, and the hold is 120 ms, 160 or 240 ms.
GUESSING = msgspec.structs.replace(
    QUICK, guess_ms=60, hold_unsure_ms=160, hold_open_ms=240, reopen_ms=200, max_speech_ms=600
)
S, P, R = "started 0 from 0", "paused 0 last 80", "resumed 0"
PAUSES = [
    ("nothing is known of the words", "####" + "." * 12, [S, P, "ended 0 last 80 until 240: silence"]),
    ("they look complete", "####...9" + "." * 9, [S, P, "ended 0 last 80 until 200: silence"]),
    ("they are open", "####...1" + "." * 12, [S, P, "ended 0 last 80 until 320: silence"]),
    ("undecided", "####...5" + "." * 12, [S, P, "ended 0 last 80 until 240: silence"]),
    ("judged late, it ends at once", "####.......9..", [S, P, "ended 0 last 80 until 220: silence"]),
    ("judged before the pause", "###9#......", [S, P]),
    ("judged again, to go on waiting", "####...91........", [S, P]),
    ("it goes on, and what was judged is void", "####...1.####...........",
     [S, P, R, "paused 0 last 240", "ended 0 last 240 until 400: silence"]),
    ("a cough is not worth a guess", ".....###..........", ["started 100 from 0", "dropped 100 last 160: too short"]),
    ("a click in the pause", "####...9.#...", [S, P, R, "paused 0 last 180"]),
    ("a click late in the hold is silence", "####...1..#....", [S, P]),
    ("speech soon after the end opens it again", "####...9...h..####........",
     [S, P, "ended 0 last 80 until 200: silence", R, "paused 0 last 320", "ended 0 last 320 until 480: silence"]),
    ("and before it was understood", "####...9....####...9...",
     [S, P, "ended 0 last 80 until 200: silence", R, "paused 0 last 300", "ended 0 last 300 until 420: silence"]),
    ("later, counted from when it was understood", "####...9...." + "...h" + "......####...",
     [S, P, "ended 0 last 80 until 200: silence", R, "paused 0 last 480"]),
    ("too late it is another one", "####...9" + "." * 20 + "####...",
     [S, P, "ended 0 last 80 until 200: silence", "started 540 from 440", "paused 540 last 620"]),
    ("what is answered stays closed", "####...9...hs..####...",
     [S, P, "ended 0 last 80 until 200: silence", "started 240 from 200", "paused 240 last 320"]),
    ("opened again, it can be too long", "####...9..." + "#" * 20,
     [S, P, "ended 0 last 80 until 200: silence", R, "ended 0 last 600 until 600: too long"]),
    ("what was too long stays closed", "#" * 34 + "....",
     [S, "ended 0 last 600 until 600: too long", "started 600 from 600", "paused 600 last 680"]),
    ("what the button ended stays closed", "p####....r..####...",
     [S, P, "ended 0 last 80 until 160: released", "started 200 from 160", "paused 200 last 280"]),
    ("a press begins anew", "####...9...p####r....",
     [S, P, "ended 0 last 80 until 200: silence", "started 200 from 200", "ended 200 last 280 until 280: released"]),
    ("a pause while the button is down", "p####....####r..",
     [S, P, R, "ended 0 last 240 until 240: released"]),
]  # fmt: skip


@pytest.mark.parametrize(("signs", "wanted"), [row[1:] for row in PAUSES], ids=[row[0] for row in PAUSES])
def test_what_comes_of_a_pause(signs: str, wanted: list[str]) -> None:
    assert heard(signs, GUESSING) == wanted


def test_who_wants_nothing_guessed_is_told_of_no_pause() -> None:
    quiet = msgspec.structs.replace(GUESSING, guess_ms=0)
    assert heard("####....####" + "." * 10, quiet) == [S, "ended 0 last 240 until 400: silence"]


@pytest.mark.parametrize(("complete", "hold_ms"), [(1.0, 300), (0.5, 300), (0.0, 300)])
def test_no_hold_is_shorter_than_the_sure_one(complete: float, hold_ms: int) -> None:
    """Who asks for a long hold gets it whatever the words are."""
    endpointer = Endpointer(Settings(hold_ms=hold_ms, hold_unsure_ms=100, hold_open_ms=200, guess_ms=40))
    events = [event for at in range(0, 400, FRAME) for event in endpointer.frame(1.0, at * MS, FRAME * MS)]
    for at in range(400, 800, FRAME):
        events += endpointer.frame(0.0, at * MS, FRAME * MS)
        events += endpointer.judge(0, complete)
    assert told(events)[-1] == f"ended 0 last 400 until {400 + hold_ms}: silence"


def test_another_utterance_is_not_judged() -> None:
    endpointer = Endpointer(GUESSING)
    for at in range(0, 200, FRAME):
        endpointer.frame(float(at < 100), at * MS, FRAME * MS)
    assert endpointer.judge(1, 1.0) == []
    assert told(endpointer.judge(0, 0.9)) == []  # 100 ms of 120
    assert told(endpointer.frame(0.0, 200 * MS, FRAME * MS)) == ["ended 0 last 100 until 220: silence"]


def fed(endpointer: Endpointer, frames: str, start: int) -> list[str]:
    """Frames of 20 ms from here on, "#" speech."""
    times = ((start + index * FRAME, mark) for index, mark in enumerate(frames))
    return told([event for at, mark in times for event in endpointer.frame(float(mark == "#"), at * MS, FRAME * MS)])


LONG = msgspec.structs.replace(QUICK, max_speech_ms=800)


def _anew(at: int) -> list[str]:
    return [f"dropped 0 last {at}: begun anew with the wake word"]


@pytest.mark.parametrize(
    ("before", "at", "first", "after", "then"),
    [
        # in one breath: what was said after the wake word belongs to it, what was said before does not
        (20 * "#", 300, [*_anew(300), "started 300 from 280"], 10 * "#" + 10 * ".", "ended 300 last 600"),
        # the wake word alone, and the question after a while that does not count as speech
        (15 * "#", 300, [*_anew(300), "started 300 from 280"], 40 * "." + 15 * "#", "ended 300 last 1400"),
        # nothing comes: a click, and the end of the wake word, are nothing
        (15 * "#", 280, [*_anew(280), "started 280 from 260"], 10 * "." + "#", "dropped 280 last 300"),
        # it is told of late, when the utterance that it was in has ended
        ("#" * 12 + "." * 12, 200, ["started 200 from 180"], "", "dropped 200 last 240"),
    ],
)  # fmt: skip
def test_a_wake_word_claims_an_utterance(before: str, at: int, first: list[str], after: str, then: str) -> None:
    endpointer = Endpointer(LONG)
    fed(endpointer, before, 0)
    assert told(endpointer.claim(at * MS, 20, 1000)) == first
    events = fed(endpointer, after + "." * 60, len(before) * FRAME)
    assert [event.split(":")[0].split(" until")[0] for event in events] == [then]
    assert ("nothing followed" in events[0]) == then.startswith("dropped")


@pytest.mark.parametrize(
    ("sure", "after", "then"),
    [
        (0, "", "ended 300 last 700"),  # the end of the phrase passes for a question
        (700, "", "dropped 300 last 300"),
        (700, "." * 5 + "#" * 15, "ended 300 last 1100"),
        (700, "#" * 15, "ended 300 last 1000"),
    ],
)
def test_a_wake_word_whose_end_is_not_known_is_not_what_follows_it(sure: int, after: str, then: str) -> None:
    endpointer = Endpointer(LONG)
    fed(endpointer, 35 * "#", 0)
    assert told(endpointer.claim(300 * MS, 20, 1000, sure * MS)) == [*_anew(300), "started 300 from 280"]
    events = fed(endpointer, after + "." * 60, 700)
    assert [event.split(":")[0].split(" until")[0] for event in events] == [then]


def test_a_wake_word_leaves_the_button_and_what_is_newer_alone() -> None:
    endpointer = Endpointer(QUICK)
    endpointer.press(0)
    assert endpointer.claim(100 * MS, 0, 1000) == []
    endpointer = Endpointer(QUICK)
    fed(endpointer, "." * 10 + "#" * 10, 0)
    assert endpointer.claim(100 * MS, 0, 1000) == []


def test_what_is_abandoned_was_never_there() -> None:
    endpointer = Endpointer(QUICK)
    assert fed(endpointer, "#" * 10, 0) == ["started 0 from 0"]
    endpointer.abandon()
    assert told(endpointer.press(200 * MS)) == ["started 200 from 160"]
    endpointer.abandon()  # not the button's
    assert endpointer.open


def test_a_release_waits_for_the_sound_before_it() -> None:
    endpointer = Endpointer(QUICK)
    assert told(endpointer.press(0)) == ["started 0 from 0"]
    assert endpointer.release(200 * MS) == []
    events = [event for at in range(0, 300, FRAME) for event in endpointer.frame(1.0, at * MS, FRAME * MS)]
    assert told(events)[0] == "ended 0 last 200 until 200: released"


def test_the_end_of_a_stream_ends_its_utterance_and_frees_the_clock() -> None:
    endpointer = Endpointer(QUICK)
    for at in range(5_000, 5_100, FRAME):
        endpointer.frame(1.0, at * MS, FRAME * MS)
    assert told(endpointer.finish()) == ["ended 5000 last 5100 until 5100: silence"]
    assert endpointer.finish() == []
    events = [event for at in range(0, 100, FRAME) for event in endpointer.frame(1.0, at * MS, FRAME * MS)]
    assert told(events) == ["started 0 from 0"]


def test_what_is_given_up_belongs_to_nothing_later() -> None:
    endpointer = Endpointer(QUICK)
    assert endpointer.drop("muted") == []
    for at in range(0, 100, FRAME):
        endpointer.frame(1.0, at * MS, FRAME * MS)
    assert told(endpointer.drop("muted")) == ["dropped 0 last 100: muted"]
    events = [event for at in range(100, 200, FRAME) for event in endpointer.frame(1.0, at * MS, FRAME * MS)]
    assert told(events) == ["started 100 from 100"]


@pytest.mark.parametrize(("start", "length"), [(19, 20), (0, 20), (20, 0), (20, -5)])
def test_frames_come_in_order(start: int, length: int) -> None:
    endpointer = Endpointer(QUICK)
    endpointer.frame(0.0, 0, 20)
    with pytest.raises(ValueError, match="cannot follow"):
        endpointer.frame(0.0, start, length)


@pytest.mark.parametrize("wrong", [{"start_ms": 300}, {"min_speech_ms": 20_000}, {"hold_ms": 0}, {"threshold": 2.0}])
def test_settings_that_cannot_work_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(wrong, Settings)


settings_of_any_kind = st.builds(
    Settings,
    start_ms=st.integers(1, 150),
    window_ms=st.integers(150, 300),
    guess_ms=st.integers(20, 400),
    hold_ms=st.integers(20, 600),
    hold_unsure_ms=st.integers(20, 600),
    hold_open_ms=st.integers(20, 900),
    reopen_ms=st.integers(0, 1_000),
    min_speech_ms=st.integers(0, 300),
    max_speech_ms=st.integers(300, 2_000),
    pre_roll_ms=st.integers(0, 600),
    button_roll_ms=st.integers(0, 300),
)


class Listening(RuleBasedStateMachine):
    """Any frames, gaps and buttons in any order."""

    @initialize(settings=settings_of_any_kind)
    def begin(self, settings: Settings) -> None:
        self.settings, self.endpointer = settings, Endpointer(settings)
        self.now = 1_000_000 * MS
        self.began = self.now
        self.started: Started | None = None
        self.taken = self.latest = 0  # end of the last utterance's audio; start of the newest utterance
        self.held = self.paused = False
        self.ended: Started | None = None  # and might be opened again

    def check(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Started):
                assert self.started is None, "two are open"
                assert event.at > self.latest, "a turn's name is used once"
                assert self.taken <= event.audio_from <= event.at, "no sample belongs to two"
                assert event.audio_from >= self.now - self.settings.reach_ms * MS or self.held
                self.started, self.latest = event, event.at
                self.paused, self.ended = False, None
                continue
            if isinstance(event, Resumed):
                assert event.at == self.latest
                assert self.paused or self.ended is not None, "it goes on without having paused"
                self.started, self.paused, self.ended = self.started or self.ended, False, None
                continue
            assert self.started is not None, "nothing is open"
            assert event.at == self.started.at
            if isinstance(event, Paused):
                assert not self.paused, "told twice"
                self.paused = True
                continue
            assert event.last_sample_at >= event.at
            if isinstance(event, Ended):
                assert event.last_sample_at <= event.audio_until <= max(self.now, event.at)
                self.taken, self.ended = event.audio_until, self.started
            else:
                self.taken = min(self.now, max(self.taken, event.last_sample_at))
            self.started = None

    @rule(
        pattern=st.lists(st.booleans(), max_size=60), length=st.integers(5, 40), gap=st.sampled_from([0, 0, 0, 7, 900])
    )
    def frames(self, pattern: list[bool], length: int, gap: int) -> None:
        self.now += gap * MS
        for speech in pattern:
            at, self.now = self.now, self.now + length * MS
            self.check(self.endpointer.frame(0.9 if speech else 0.1, at, length * MS))

    @rule(speech_ms=st.integers(300, 3_000))
    def talk(self, speech_ms: int) -> None:
        """Uninterrupted speech is never outside an utterance for longer than it takes to believe in it."""
        outside = 0
        for _ in range(speech_ms // 10):
            at, self.now = self.now, self.now + 10 * MS
            self.check(self.endpointer.frame(1.0, at, 10 * MS))
            outside = 0 if self.endpointer.open or self.taken == self.now else outside + 10
            assert outside <= self.settings.start_ms or self.held

    @rule(complete=st.floats(0, 1))
    def judge(self, complete: float) -> None:
        self.check(self.endpointer.judge(self.latest, complete))

    @rule(answered=st.booleans())
    def understood(self, answered: bool) -> None:
        self.endpointer.settle() if answered else self.endpointer.heard()
        self.ended = None if answered else self.ended

    @rule(early=st.integers(0, 50))
    def press(self, early: int) -> None:
        self.held = True
        self.check(self.endpointer.press(self.now - early * MS))

    @rule(late=st.integers(0, 50))
    def release(self, late: int) -> None:
        self.check(self.endpointer.release(self.now + late * MS))
        self.held = False

    @rule()
    def drop(self) -> None:
        self.check(self.endpointer.drop("muted"))
        assert not self.endpointer.open

    @rule()
    def silence(self) -> None:
        """A hold's silence ends whatever the button does not hold open."""
        longest = max(self.settings.hold_ms, self.settings.hold_unsure_ms, self.settings.hold_open_ms)
        for _ in range(longest // 10 + 8):
            at, self.now = self.now, self.now + 10 * MS
            self.check(self.endpointer.frame(0.0, at, 10 * MS))
        assert self.held or not self.endpointer.open

    @invariant()
    def it_says_whether_one_is_open(self) -> None:
        if hasattr(self, "endpointer"):
            assert self.endpointer.open == (self.started is not None)


TestListening = Listening.TestCase


@given(st.lists(st.booleans(), min_size=1, max_size=300), settings_of_any_kind)
def test_enough_speech_in_the_window_always_lies_within_an_utterance(speech: list[bool], settings: Settings) -> None:
    endpointer, events = Endpointer(settings), list[Event]()
    for index, spoke in enumerate(speech):
        events += endpointer.frame(float(spoke), index * FRAME * MS, FRAME * MS)
    events += endpointer.finish()
    spans, since = list[tuple[int, int]](), 0
    for event in events:
        match event:
            case Started(audio_from=since):
                pass
            case Ended(audio_until=until) | Dropped(last_sample_at=until):
                spans.append((since, until))
    enough = -(-settings.start_ms // FRAME)  # frames
    for first in range(len(speech) - enough + 1):
        if all(speech[first : first + enough]):
            middle = (first + enough - 1) * FRAME * MS
            assert any(begin <= middle < end for begin, end in spans)
