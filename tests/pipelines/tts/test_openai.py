"""The openai voice against a real HTTP server on loopback."""

from typing import Any

import numpy as np
import pytest

from pipelines import engine, tts
from pipelines.audio import wav
from tests.pipelines.openai_server import Reply, Server, serving

pytest.importorskip("openai")
PCM = (np.sin(np.arange(24_000) / 20) * 9000).astype(np.int16)
RAW = PCM.astype("<i2").tobytes()
GOOD = Reply((RAW[:1001], RAW[1001:1002], RAW[1002:]), kind="audio/pcm")  # cut within a sample


def voice(server: Server, **options: Any) -> tts.Voice:
    given = {"base_url": server.url, "model": "tts", "voice": "alloy", "timeout_s": 5.0, "retries": 1, **options}
    return tts.load("openai", given)


def sound(chunks: list[tts.Chunk]) -> Any:
    return np.concatenate([chunk.pcm for chunk in chunks])


def test_a_sentence_comes_in_pieces() -> None:
    with serving(GOOD) as server:
        subject = voice(server, voices={"zh": "xiaoxiao"}, speed=1.5, instructions="calmly")
        assert subject.rate == 24_000
        chunks = list(subject.speak("A red ball."))
        list(subject.speak("红色的球。", "zh"))
    assert len(chunks) > 5
    assert all(chunk.pcm.dtype == np.int16 and chunk.words == () for chunk in chunks)
    assert np.array_equal(sound(chunks), PCM)
    first, second = (request.json() for request in server.requests)
    assert first == {
        "input": "A red ball.",
        "instructions": "calmly",
        "model": "tts",
        "response_format": "pcm",
        "speed": 1.5,
        "voice": "alloy",
    }
    assert second["voice"] == "xiaoxiao"


def test_a_wav_is_converted_to_the_rate() -> None:
    with serving(Reply((wav.encode(48_000, np.repeat(PCM, 2)),), kind="audio/wav")) as server:
        chunks = list(voice(server, format="wav").speak("A red ball."))
    assert abs(len(sound(chunks)) - len(PCM)) < 100


@pytest.mark.parametrize("text", ["", "...", " \n", "—"])
def test_nothing_speakable_asks_nothing(text: str) -> None:
    with serving(GOOD) as server:
        assert list(voice(server).speak(text)) == []
    assert not server.requests


def test_closing_the_iterator_ends_the_request() -> None:
    with serving(Reply((RAW, 30.0), kind="audio/pcm")) as server:
        chunks = voice(server).speak("A red ball.")
        assert len(next(chunks).pcm)
        chunks.close()  # type: ignore[attr-defined]
        assert server.left.wait(3)


def test_it_tries_again_only_before_the_first_byte() -> None:
    with serving(Reply((), 503), GOOD) as server:
        assert np.array_equal(sound(list(voice(server).speak("Hello."))), PCM)
        assert len(server.requests) == 2
    with serving(Reply((RAW[:20_000],), die=True, kind="audio/pcm"), GOOD) as server:
        chunks = voice(server).speak("Hello.")
        got = [next(chunks)]
        with pytest.raises(engine.EngineError, match="broke off in mid-answer"):
            got.extend(chunks)
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("reply", "options", "expected"),
    [
        (Reply((b'{"error": "no voice"}',), 400, "application/json"), {}, "state 400"),
        (Reply((b"ID3",), kind="audio/mpeg"), {}, "sends audio/mpeg instead of pcm"),
        (Reply((wav.encode(24_000, PCM),), kind="audio/pcm"), {}, "set format to 'wav'"),
        (Reply((RAW,), kind="audio/wav"), {"format": "wav"}, "no WAV file"),
        (Reply((), kind="audio/pcm"), {}, "sent no sound"),
        (Reply((30.0,), kind="audio/pcm"), {"timeout_s": 0.3}, "nothing for 0.3 s"),
    ],
)
def test_a_failing_server_is_an_error_that_names_it(reply: Reply, options: dict[str, Any], expected: str) -> None:
    with serving(reply) as server, pytest.raises(engine.EngineError, match=expected) as caught:
        list(voice(server, **options).speak("Hello."))
    assert server.url in str(caught.value)
