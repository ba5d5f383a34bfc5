"""What happens, in the words that lights, displays and pages know."""

from typing import Any

import pytest

from assistant.core.events import KINDS, Teller, picture_url
from assistant.messages import (
    LIVE,
    CameraState,
    Hearing,
    Heartbeat,
    Message,
    MicrophoneState,
    PictureBound,
    ReplyEnded,
    ReplySentence,
    SpeakerIdle,
    SpeakerState,
    Speaking,
    SpeechDropped,
    Thinking,
    Turn,
    TurnStarted,
    WakeWord,
)

TURN = Turn(LIVE, 7)
NAME = {"conversation": LIVE, "start": "7", "revision": 0}


def told(*messages: Message, mine: bool = False) -> list[tuple[str, dict[str, Any]]]:
    teller = Teller()
    events = [teller.told(message, "dialogue", 0, mine) for message in messages]
    return [(event.name, event.data) for event in events[-1]]


@pytest.mark.parametrize(
    ("message", "events"),
    [
        (WakeWord(phrase="hey", at=1, score=1, stream="s"), [("wake_word_detected", {"phrase": "hey"})]),
        (Hearing(turn=TURN, text="what"), [("stt_partial", {"turn": NAME, "text": "what"})]),
        (
            SpeechDropped(turn=TURN, stream="s", why="too short"),
            [("dropped", {"turn": NAME, "why": "too short"}), ("idle", {})],
        ),
        (Thinking(turn=TURN, done=1, total=2), [("thinking", {"turn": NAME, "done": 1, "total": 2})]),
        (Thinking(turn=TURN, done=1, total=2, ahead=True), []),  # nobody has asked yet
        (SpeakerIdle(turn=TURN), [("tts_finished", {"turn": NAME}), ("idle", {})]),
        (MicrophoneState(state="live"), [("microphone", {"state": "live", "detail": ""})]),
        (
            MicrophoneState(state="muted"),
            [
                ("microphone", {"state": "muted", "detail": ""}),
                ("muted", {"device": "microphone", "muted": True}),
            ],
        ),
        (CameraState(camera="upload-1", state="live", label="x"), []),
        (
            SpeakerState(volume=0.5, muted=False),
            [("volume", {"volume": 0.5, "muted": False}), ("volume_changed", {"volume": 0.5})],
        ),
    ],
)
def test_a_message_in_other_words(message: Message, events: list[tuple[str, dict[str, Any]]]) -> None:
    assert isinstance(message, KINDS)
    assert told(message) == events


def test_that_nothing_more_is_muted_is_told_once() -> None:
    teller = Teller()
    states = [True, True, False, False]
    names = [[e.name for e in teller.told(SpeakerState(volume=1, muted=on), "speaker", 0)] for on in states]
    assert ["volume_muted" in each for each in names] == [True, False, True, False]


def test_what_is_spoken_is_told_with_its_words_and_a_picture_with_its_age() -> None:
    sentence = ReplySentence(turn=TURN, index=1, text="Red.", end=4)
    assert told(sentence, Speaking(turn=TURN, index=1, first_sample_at=9)) == [
        ("tts_speaking", {"turn": NAME, "index": 1, "text": "Red."})
    ]
    started = TurnStarted(turn=TURN, text="x", spoken=True, last_sample_at=9_000_000)
    bound = PictureBound(
        turn=TURN,
        identity="main@1#left & up",
        camera="main",
        frame_seq=1,
        captured_at=1,
        verified_at=4_000_000,
        fresh=True,
    )
    [(name, data)] = told(started, bound)
    assert (name, data["age_ms"]) == ("picture", 5.0)
    assert data["url"] == "/api/v1/frame.jpg?picture=main@1%23left %26 up"
    assert picture_url("a") == "/api/v1/frame.jpg?picture=a"


def test_a_reply_that_is_not_spoken_leaves_it_idle_and_one_that_failed_says_so() -> None:
    aloud = ReplyEnded(turn=TURN, reason="stop", text="Red.", sentences=1)
    assert [name for name, _ in told(aloud)] == ["reply", "tts_text"]
    read = ReplyEnded(turn=Turn("api-x", 7), reason="stop", text="Red.", sentences=0)
    assert [name for name, _ in told(read)] == ["reply", "tts_text"]  # not the device's own state
    failed = ReplyEnded(turn=TURN, reason="error", text="", sentences=0, detail="no memory")
    events = dict(told(failed))
    assert events["pipeline_error"]["detail"] == events["pipeline_error"]["reason"] == "no memory"
    assert events["pipeline_error"]["mend"]
    assert "idle" in events


def test_health_is_told_when_it_changes_and_now_and_then() -> None:
    teller, beat = Teller(), Heartbeat(state="ready", figures={"cpu_s": 1.0})
    seconds = [0.0, 1.0, 1.9, 2.1, 3.0]
    assert [bool(teller.told(beat, "camera", int(at * 1e9))) for at in seconds] == [True, False, False, True, False]
    assert teller.told(Heartbeat(state="degraded", detail="lost"), "camera", int(3.1e9))
    assert teller.told(beat, "vision", int(3.1e9))
