"""A whole conversation through a sound card and a network camera, with faster-whisper and piper, on their test models.

The sound card is virtual, the camera a server on loopback; the Whisper model hears the same question in everything, and
the piper voice hisses, but both go through the libraries and the file formats that real models do.
"""

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from assistant.messages import Heard, ReplyEnded, SpeakerIdle, Speaking
from tests.e2e.test_sound import DESK, ROOT, daemon, loud_ms, say
from tests.pipelines.mjpeg_server import mjpeg
from tests.soundserver import SoundServer

QUESTION = "what do you see"


def table(number: int) -> NDArray[np.uint8]:
    bgr = cv2.imread(str(ROOT / "config" / "demo" / f"table-{number}.png"))
    assert bgr is not None
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)


def test_a_conversation_with_devices_and_real_engines(sound_server: SoundServer, tmp_path: Path) -> None:
    for library in ("faster_whisper", "piper", "ctranslate2"):
        pytest.importorskip(library)
    from tests.fixtures.whisper.make import make

    sets = [
        *DESK,
        "microphone.asr.engine=faster_whisper",
        f"microphone.asr.faster_whisper.model={make(tmp_path / 'whisper', QUESTION)}",
        "speaker.tts.engine=piper",
        f"speaker.tts.piper.voice={ROOT / 'tests' / 'fixtures' / 'piper' / 'tiny.onnx'}",
    ]
    with mjpeg(table(1)) as camera, daemon(*sets, f"camera.source.opencv.source={camera.url}") as house:
        house.await_sound()
        house.client.bus.listen(ReplyEnded)
        for number, seen in ((1, "red ball"), (3, "yellow bottle")):
            camera.picture = table(number)
            sent = camera.sent
            camera.until(f"sent > {sent + 3}")
            mark = house.mark()
            with sound_server.recording() as recorder:
                say(sound_server, "what-do-you-see")
                heard = house.after(mark, Heard)
                assert heard.text == QUESTION
                ended = house.after(mark, ReplyEnded)
                assert ended.turn == heard.turn
                assert ended.reason == "stop"
                assert seen in ended.text
                assert number == 1 or ended.usage.cached_tokens > 0  # the second turn goes on from the first
                assert house.after(mark, SpeakerIdle).turn == heard.turn
                pcm = recorder.read_until(lambda pcm: bool(pcm.any()) and not pcm[-24_000:].any())
            assert house.after(mark, Speaking).engine_ms > 0
            assert loud_ms(pcm, recorder.rate) > 300
