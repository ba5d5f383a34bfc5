"""The decider as a table of what is heard over a reply and what comes of it, and its promises on any frames."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.core.bargein import MS, Candidate, Confirmed, Decider, Dismissed, Event, Paused, Settings

FRAME = 20  # ms

# One sign is a frame of 20 ms. "#" a voice that surely no echo explains, "?" one of which that is not sure yet, "x"
# sound like "#" without a voice, "e" speech that the echo explains, "." silence.
QUICK = Settings(
    candidate_ms=60, window_ms=120, confirm_ms=200, backchannel_ms=400, bridge_ms=40, pause_ms=80, words_ms=300,
    voiced_ms=60, short_ms=80, pre_roll_ms=100,
)  # fmt: skip
MEANS = {"o": "okay", "s": "stop", "w": "what is it", "0": ""}  # the words that are understood, at this time


def told(events: list[Event]) -> list[str]:
    lines = []
    for event in events:
        match event:
            case Candidate(at=at, audio_from=audio_from):
                lines.append(f"soft {at // MS} from {audio_from // MS}")
            case Paused(last=last):
                lines.append(f"paused {last // MS}")
            case Confirmed(at=at, why=why):
                lines.append(f"stop {at // MS}: {why}")
            case Dismissed(at=at, last=last, why=why):
                lines.append(f"on {at // MS}-{last // MS}: {why}")
    return lines


def heard(signs: str) -> list[str]:
    decider, events, at = Decider(QUICK), list[Event](), 0
    for sign in signs:
        if sign in MEANS:
            events += decider.words(MEANS[sign], final=True)
        elif sign == "|":
            events += decider.over()
        elif sign == "p":
            events += decider.words("stop it", final=False)
        else:
            events += decider.frame(at * MS, FRAME * MS, sign != ".", sign in "#x", sign in "#x?", sign in "#?")
            at += FRAME
    return told(events)


TABLE = [
    ("silence", "." * 40, []),
    ("nothing but echo", "e" * 60, []),
    ("two frames are a click", "...##....", []),
    ("a short sound", "...###........", ["soft 60 from -40", "on 60-120: too short"]),
    ("a short sound in the echo", "eee###eeeeeeee", ["soft 60 from -40", "on 60-120: echo"]),
    ("a cough", "...xxxxxx......", ["soft 60 from -40", "on 60-180: noise"]),
    ("a long cough", "...xxxxxxxxxxxxxxxxxxxx......", ["soft 60 from -40", "on 60-460: noise"]),
    ("speech that began before that was sure", "...????######", ["soft 60 from -40", "stop 60: speech"]),
    (
        "what was given up was its beginning", "...###........##########",
        ["soft 60 from -40", "on 60-120: too short", "soft 280 from -40", "stop 280: speech"],
    ),
    (
        "a backchannel was not", "...#####....o....##########",
        ["soft 60 from -40", "paused 160", "on 60-160: backchannel", "soft 320 from 220", "stop 320: speech"],
    ),
    ("what was never sure", "...????????????", []),
    ("speech that goes on", "...##########", ["soft 60 from -40", "stop 60: speech"]),
    ("speech with holes", "...####..####", ["soft 60 from -40", "stop 60: speech"]),
    ("okay", "...#####....o....", ["soft 60 from -40", "paused 160", "on 60-160: backchannel"]),
    ("stop", "...#####....s", ["soft 60 from -40", "paused 160", "stop 60: stop word"]),
    ("a few words", "...#####....w", ["soft 60 from -40", "paused 160", "stop 60: words"]),
    ("not understood", "...#####....0" + "." * 20, ["soft 60 from -40", "paused 160", "on 60-160: not understood"]),
    (
        "not understood, and on it goes", "...#####....0##########",
        ["soft 60 from -40", "paused 160", "stop 60: speech"],
    ),
    (
        "pieces that nobody understands", "...#####....0#####....0#####....0" + "." * 20,
        ["soft 60 from -40", "paused 160", "paused 340", "paused 520", "on 60-520: not understood"],
    ),
    ("a stop word while it is said", "...####p", ["soft 60 from -40", "stop 60: stop word"]),
    ("okay, and on it goes", "...####o" + "#" * 16, ["soft 60 from -40", "stop 60: speech"]),
    ("the reply ends under it", "...####|", ["soft 60 from -40", "stop 60: speech"]),
    ("the reply ends after it", "...#####....|", ["soft 60 from -40", "paused 160", "stop 60: speech"]),
    ("the reply ends after a cough", "...##xxx....|", ["soft 60 from -40", "paused 160", "on 60-160: too short"]),
    ("words of nobody", "s...w...", []),
]  # fmt: skip


@pytest.mark.parametrize(("signs", "expected"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_table(signs: str, expected: list[str]) -> None:
    assert heard(signs) == expected


def test_a_backchannel_has_longer_than_other_speech_while_it_is_said() -> None:
    plain = len("...##########")
    assert heard("..." + "#" * 10)[-1] == "stop 60: speech"
    decider, events = Decider(QUICK), list[Event]()
    for number in range(plain + 5):
        events += decider.frame(number * FRAME * MS, FRAME * MS, True, True, True, True)
        decider.words("okay", final=False)
    assert told(events) == ["soft 0 from -100"]


@given(st.text(alphabet="#?xe.ows0p|", max_size=150))
def test_every_candidate_ends_once_and_nothing_is_told_without_one(signs: str) -> None:
    stories = heard(signs + "." * 30)
    opened = False
    for line in stories:
        assert line.startswith("soft") != opened
        opened = not line.startswith(("stop", "on"))
    assert not opened


@given(st.text(alphabet="e.ows0p|", max_size=150))
def test_what_the_echo_explains_never_interrupts(signs: str) -> None:
    assert heard(signs) == []


@given(st.text(alphabet="xe.0|", max_size=150))
def test_what_has_no_voice_and_no_words_never_interrupts(signs: str) -> None:
    assert not [line for line in heard(signs) if line.startswith("stop")]
