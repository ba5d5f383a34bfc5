"""The microphone service, as a real process: what is said to it while it starts, and recognition that cannot start."""

import os
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from assistant.bus import Bus
from assistant.messages import (
    AudioIn,
    Heard,
    Heartbeat,
    MicrophoneState,
    PushToTalk,
    SpeechDropped,
    SpeechStarted,
    Transcribe,
    Transcript,
)
from pipelines.audio import wav
from pipelines.button import evdev
from tests import processes
from tests.processes import PATIENCE_S, ended, started

Join = Callable[..., Bus]
QUESTION = processes.ROOT / "config" / "demo" / "speech" / "what-do-you-see.wav"
ENGINE = "tests.services.lateears:Engine"


def command(runtime: Path, mark: Path, **settings: Any) -> list[str]:
    asr = {"engine": ENGINE, ENGINE: {"mark": str(mark)}}
    return processes.service(
        runtime, "microphone", "assistant.services.microphone", asr=asr, vad={"engine": "webrtcvad"}, **settings
    )


def say(client: Bus) -> float:
    """A question with a second of silence on either side, at once; gives its length in ms."""
    spoken = wav.read(QUESTION)
    second = np.zeros(spoken.rate, np.int16)
    pcm = np.concatenate([second, spoken.pcm[:, 0].astype(np.int16), second])
    block = AudioIn(stream="s", first_sample_at=time.monotonic_ns(), rate=spoken.rate, last=True)
    client.send(block, pcm.tobytes(), timeout_s=PATIENCE_S)
    return len(spoken.pcm) / spoken.rate * 1000


def test_what_is_said_while_recognition_is_loaded_is_heard(runtime: Path, join: Join, tmp_path: Path) -> None:
    mark, client = tmp_path / "mark", join()
    client.listen(SpeechStarted, SpeechDropped, Heard, Heartbeat)
    with started(command(runtime, mark)) as process:
        beat = client.wait_for(Heartbeat, PATIENCE_S)
        assert beat is not None
        assert beat.state == "starting"
        spoken_ms = say(client)
        assert client.wait_for(SpeechStarted, PATIENCE_S) is not None
        mark.touch()
        heard = client.wait_for(Heard, PATIENCE_S)
        assert heard is not None
        assert spoken_ms < float(heard.text.split()[0]) < spoken_ms + 2000
        beat = client.wait_for(Heartbeat, PATIENCE_S, lambda beat: beat.state == "ready")
        assert beat is not None
        assert beat.figures["heard_s"] == pytest.approx(spoken_ms / 1000 + 2.0)
        process.terminate()
        assert ended(process)[0] == 0


def test_a_recognizer_that_cannot_be_loaded_is_named_and_not_tried_again(
    runtime: Path, join: Join, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"
    mark.write_text("ill")
    with started(command(runtime, mark)) as process:
        code, said = ended(process)
        assert code == 78
        assert "the ears are ill" in said


def test_a_detector_of_the_end_of_turns_that_cannot_be_loaded_is_named(runtime: Path, tmp_path: Path) -> None:
    mark, cut = tmp_path / "mark", tmp_path / "smart-turn.onnx"
    mark.touch()
    cut.write_bytes(b"\x08\x07half of it")
    settings = {"engine": "smart_turn", "smart_turn": {"model": str(cut)}}
    with started(command(runtime, mark, endofturn=settings)) as process:
        code, said = ended(process)
        assert code == 78
        assert f"{cut} cannot be opened; it may be cut short, download it again" in said


def test_a_button_of_its_own_opens_and_ends_a_turn(runtime: Path, join: Join, tmp_path: Path) -> None:
    """A pipe in place of the input device. In the mode that wants the button; nobody sends a PushToTalk."""
    mark, device, client = tmp_path / "mark", tmp_path / "event0", join()
    mark.touch()
    os.mkfifo(device)
    client.listen(PushToTalk, SpeechStarted, SpeechDropped, Heard, Heartbeat)
    wanted: dict[str, Any] = {"button": {"engine": "evdev", "evdev": {"device": str(device)}}, "mode": "push_to_talk"}
    wanted["endpoint"] = {"min_speech_ms": 0}  # the sound comes faster than it is heard, the presses do not
    with started(command(runtime, mark, **wanted)) as process:
        assert client.wait_for(Heartbeat, PATIENCE_S, lambda beat: beat.state == "ready") is not None
        switch = os.open(device, os.O_WRONLY)
        pcm = np.zeros(320, np.int16)
        at = time.monotonic_ns() - 10_000_000_000

        def hear(seconds: float) -> None:
            nonlocal at
            for _ in range(int(seconds * 50)):
                client.send(AudioIn(stream="s", first_sample_at=at, rate=16_000), pcm.tobytes(), timeout_s=PATIENCE_S)
                at += 20_000_000

        spoken = wav.read(QUESTION).pcm[:, 0].astype(np.int16)
        client.send(AudioIn(stream="s", first_sample_at=at, rate=16_000), spoken.tobytes(), timeout_s=PATIENCE_S)
        at += len(spoken) * 1_000_000_000 // 16_000
        hear(1.0)
        dropped = client.wait_for(SpeechDropped, PATIENCE_S)  # so the stream is there
        assert dropped is not None
        assert dropped.why == "the button was not pressed"
        at = time.monotonic_ns()
        hear(0.1)
        for value in (1, 0):
            os.write(switch, struct.pack("@llHHi", 0, 0, evdev.KEY, evdev.code("F13"), value))
            press = client.wait_for(PushToTalk, PATIENCE_S)
            assert press is not None
            assert press.pressed == bool(value)
            at = max(at, press.at)
            hear(1.0)
        assert client.wait_for(Heard, PATIENCE_S) is not None
        os.close(switch)
        assert client.wait_for(Heartbeat, PATIENCE_S, lambda beat: "unplugged" in beat.detail) is not None
        process.terminate()
        assert ended(process)[0] == 0


@pytest.mark.parametrize("unmute", ["hold", "never"])
def test_a_press_while_muted_says_so_and_a_long_one_unmutes_where_that_is_wanted(
    runtime: Path, join: Join, tmp_path: Path, unmute: str
) -> None:
    mark, device, client = tmp_path / "mark", tmp_path / "event0", join()
    mark.touch()
    (runtime / "microphone.muted").touch()
    os.mkfifo(device)
    client.listen(PushToTalk, SpeechDropped, MicrophoneState, Heartbeat)
    wanted: dict[str, Any] = {"button": {"engine": "evdev", "evdev": {"device": str(device)}}}
    wanted["contacts"] = {"unmute": unmute, "unmute_s": 0.02, "bounce_ms": 40}  # so that any press is a long one
    with started(command(runtime, mark, **wanted)) as process:
        assert client.wait_for(Heartbeat, PATIENCE_S, lambda beat: beat.detail == "muted") is not None
        switch = os.open(device, os.O_WRONLY)
        os.write(switch, struct.pack("@llHHi", 0, 0, evdev.KEY, evdev.code("F13"), 1))
        dropped = client.wait_for(SpeechDropped, PATIENCE_S)
        assert dropped is not None
        assert dropped.why == "muted"
        os.write(switch, struct.pack("@llHHi", 0, 0, evdev.KEY, evdev.code("F13"), 0))
        assert client.wait_for(PushToTalk, PATIENCE_S, lambda press: not press.pressed) is not None
        if unmute == "hold":
            assert client.wait_for(MicrophoneState, PATIENCE_S, lambda told: told.state == "bus") is not None
        else:  # what comes of a further press comes after what came of the release
            client.send(PushToTalk(pressed=True, at=time.monotonic_ns()), timeout_s=PATIENCE_S)
            dropped = client.wait_for(SpeechDropped, PATIENCE_S)
            assert dropped is not None
            assert dropped.why == "muted"
        os.close(switch)
        process.terminate()
        assert ended(process)[0] == 0


def test_what_a_program_wants_written_down_opens_no_turn(runtime: Path, join: Join, tmp_path: Path) -> None:
    mark, client = tmp_path / "mark", join()
    client.listen(SpeechStarted, Heard, Transcript, Heartbeat)
    with started(command(runtime, mark)) as process:
        assert client.wait_for(Heartbeat, PATIENCE_S) is not None
        for name, milliseconds in (("one", 300), ("two", 4000)):
            client.send(Transcribe(stream=name), b"\0\0" * 16 * milliseconds, timeout_s=PATIENCE_S)
        client.send(Transcribe(stream="torn"), b"\0", timeout_s=PATIENCE_S)
        torn = client.wait_for(Transcript, PATIENCE_S)
        assert torn is not None
        assert (torn.stream, torn.error) == ("torn", "half a sample was sent")
        say(client)
        assert client.wait_for(SpeechStarted, PATIENCE_S) is not None
        mark.touch()
        told = [received(client) for _ in range(3)]
        assert sum(isinstance(message, Heard) for message in told) == 1
        assert [message for message in told if isinstance(message, Transcript)] == [
            Transcript(stream="one", text="300 ms", language="en", duration_s=0.3),
            Transcript(stream="two", text="4000 ms", language="en", duration_s=4.0),
        ]
        process.terminate()
        assert ended(process)[0] == 0


def received(client: Bus) -> Heard | Transcript:
    """What was understood next."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        came = client.receive(0.5)
        if came is not None and isinstance(came.message, Heard | Transcript):
            return came.message
    raise AssertionError("nothing was understood")
