"""The microphone service, as a real process: what is said to it while it starts, and recognition that cannot start."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from assistant.bus import Bus
from assistant.messages import AudioIn, Heard, Heartbeat, SpeechDropped, SpeechStarted
from pipelines.audio import wav
from tests import processes
from tests.processes import PATIENCE_S, ended, started

Join = Callable[..., Bus]
QUESTION = processes.ROOT / "config" / "demo" / "speech" / "what-do-you-see.wav"
ENGINE = "tests.services.lateears:Engine"


def command(runtime: Path, mark: Path) -> list[str]:
    asr = {"engine": ENGINE, ENGINE: {"mark": str(mark)}}
    return processes.service(
        runtime, "microphone", "assistant.services.microphone", asr=asr, vad={"engine": "webrtcvad"}
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
        assert client.wait_for(Heartbeat, PATIENCE_S, lambda beat: beat.state == "ready") is not None
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
