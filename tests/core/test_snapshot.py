"""How the daemon is now, folded from messages."""

import msgspec
import pytest

from assistant.core.snapshot import SILENT_S, Snapshot
from assistant.messages import (
    LIVE,
    CameraState,
    Cleared,
    Heard,
    Heartbeat,
    Message,
    MicrophoneState,
    PictureBound,
    ReplyEnded,
    ReplyToken,
    SpeakerIdle,
    SpeakerState,
    Speaking,
    SpeechDropped,
    SpeechEnded,
    SpeechStarted,
    Turn,
    TurnStarted,
    WakeWord,
)

TURN = Turn(LIVE, 2**60 + 1)
READY = Heartbeat(state="ready", detail="onnx")


def folded(*messages: Message, at: int = 0) -> Snapshot:
    snapshot = Snapshot(("dialogue", "camera"), "1.0")
    snapshot.note(READY, "dialogue", at)
    for message in messages:
        snapshot.note(message, "x", at)
    return snapshot


SPEECH = SpeechStarted(turn=TURN, stream="s")
STARTED = TurnStarted(turn=TURN, text="what is it", spoken=True, last_sample_at=5)
ENDED = ReplyEnded(turn=TURN, reason="stop", text="Red.", sentences=1)
SILENT = ReplyEnded(turn=TURN, reason="interrupted", text="", sentences=0)


@pytest.mark.parametrize(
    ("messages", "phase"),
    [
        ([], "idle"),
        ([WakeWord(phrase="hey", at=1, score=1, stream="s")], "listening"),
        ([SPEECH], "listening"),
        ([SPEECH, SpeechEnded(turn=TURN, stream="s", last_sample_at=5, why="silence")], "thinking"),
        ([SPEECH, SpeechDropped(turn=TURN, stream="s", why="too short")], "idle"),
        ([SPEECH, Heard(turn=TURN, stream="s", text="x", last_sample_at=5)], "thinking"),
        ([STARTED], "thinking"),
        ([STARTED, Speaking(turn=TURN, index=0, first_sample_at=9)], "speaking"),
        ([STARTED, Speaking(turn=TURN, index=0, first_sample_at=9), ENDED], "speaking"),
        ([STARTED, Speaking(turn=TURN, index=0, first_sample_at=9), ENDED, SpeakerIdle(turn=TURN)], "idle"),
        ([STARTED, SILENT], "idle"),
        ([STARTED, SpeakerIdle(turn=Turn(LIVE, 1))], "thinking"),  # of an older turn
        ([TurnStarted(turn=Turn("api-x", 2**61), text="", spoken=False, last_sample_at=0)], "idle"),  # not spoken
    ],
)
def test_the_phase_is_of_the_newest_spoken_turn(messages: list[Message], phase: str) -> None:
    assert folded(*messages).now(0).phase == phase


def test_the_turn_in_progress_is_told_and_forgotten_when_asked() -> None:
    bound = PictureBound(
        turn=TURN, identity="main@1", camera="main", frame_seq=1, captured_at=1, verified_at=1, fresh=True
    )
    tokens = [ReplyToken(turn=TURN, text=text, index=number) for number, text in enumerate(["Re", "d."])]
    now = folded(STARTED, bound, *tokens).now(0).turn
    assert now is not None
    assert (now.turn.start, now.text, now.reply, now.picture, now.done) == (
        str(2**60 + 1),
        "what is it",
        "Red.",
        "main@1",
        False,
    )
    ended = folded(STARTED, *tokens, ENDED).now(0).turn
    assert ended is not None
    assert ended.done
    assert folded(STARTED, Cleared(conversation=LIVE, why="asked")).now(0).turn is None


def test_devices() -> None:
    now = folded(
        MicrophoneState(state="muted"),
        SpeakerState(volume=0.5, muted=True),
        CameraState(camera="main", state="live", called=("main", "the desk")),
        CameraState(camera="upload-1", state="live", label="x"),  # a program's picture is no camera
    ).now(0)
    assert (now.microphone.muted, now.speaker.volume, now.speaker.muted) == (True, 0.5, True)
    assert list(now.camera) == ["main"]


def test_a_service_that_fell_silent_is_no_longer_what_it_said() -> None:
    snapshot = folded(at=0)
    assert snapshot.service("dialogue", 1).state == "ready"
    assert snapshot.service("dialogue", int((SILENT_S + 1) * 1e9)).state == "silent"
    assert snapshot.service("camera", 1).state == "absent"
    snapshot.note(msgspec.structs.replace(READY, state="starting"), "dialogue", 0)
    late = int(60e9)
    assert snapshot.service("dialogue", late).state == "starting"  # it loads a model
    assert snapshot.now(late).phase == "starting"
