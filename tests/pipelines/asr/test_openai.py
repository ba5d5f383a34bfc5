"""The openai recognizer against a real HTTP server on loopback."""

import json
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pipelines import asr, engine
from pipelines.asr import Recognition
from pipelines.audio import wav
from tests.pipelines.openai_server import Reply, Server, serving

pytest.importorskip("openai")


def answer(**fields: Any) -> Reply:
    return Reply((json.dumps(fields).encode(),), kind="application/json")


def spoken(seconds: float = 1.0, even: bool = False) -> NDArray[np.int16]:
    samples = np.random.default_rng(1).standard_normal(int(16_000 * seconds)) * 3000
    if not even:
        samples[: len(samples) // 4] *= 0.01
    return samples.astype(np.int16)


def hear(server: Server, pcm: NDArray[np.int16], **options: Any) -> Recognition:
    given = {"base_url": server.url, "model": "whisper-1", "timeout_s": 5.0, "retries": 0, **options}
    utterance = asr.load("openai", given).utterance()
    assert utterance.feed(pcm[:1000]) is None
    assert utterance.feed(pcm[1000:]) is None
    return utterance.finish()


def test_an_utterance_goes_as_a_wav_and_comes_back_as_text() -> None:
    pcm = spoken()
    with serving(answer(text=" What do you see? ")) as server:
        assert hear(server, pcm, language="en", hotwords=["Pico"], prompt="At home.") == Recognition(
            text="What do you see?", language="en"
        )
    (request,) = server.requests
    assert request.path == "/v1/audio/transcriptions"
    start = request.body.index(b"RIFF")
    size = int.from_bytes(request.body[start + 4 : start + 8], "little") + 8
    sound = wav.decode(request.body[start : start + size])
    assert sound.rate == 16_000
    assert np.array_equal(sound.pcm[:, 0], pcm)
    for part in (b'name="language"\r\n\r\nen', b'name="prompt"\r\n\r\nPico At home.', b'name="model"\r\n\r\nwhisper-1'):
        assert part in request.body


def test_verbose_answers_are_judged_by_their_segments() -> None:
    good = {"text": " Hello.", "no_speech_prob": 0.01, "avg_logprob": -0.2}
    bad = {"text": " Thank you.", "no_speech_prob": 0.8, "avg_logprob": -0.4}
    with serving(answer(text="Hello. Thank you.", language="english", segments=[good, bad])) as server:
        assert hear(server, spoken(), verbose=True) == Recognition(text="Hello.", language="en")
    assert b"verbose_json" in server.requests[0].body
    with serving(answer(text="Thank you.", language="english", segments=[bad])) as server:
        assert hear(server, spoken(), verbose=True) == Recognition(refused="noise")


@pytest.mark.parametrize(
    ("text", "pcm", "refused"),
    [
        ("", spoken(), "not understood"),
        ("you " * 50, spoken(20), "repetition"),
        ("Thank you.", spoken(even=True), "noise"),
    ],
)
def test_noise_does_not_become_text(text: str, pcm: NDArray[np.int16], refused: str) -> None:
    with serving(answer(text=text)) as server:
        assert hear(server, pcm) == Recognition(refused=refused)


def test_a_loop_cut_into_segments_is_still_a_loop() -> None:
    segments = [{"text": " I see a ball.", "no_speech_prob": 0.0, "avg_logprob": -0.1}] * 9
    with serving(answer(text="", segments=segments)) as server:
        assert hear(server, spoken(20.0), verbose=True) == Recognition(refused="repetition")


def test_a_server_is_not_asked_on_suspicion() -> None:
    with serving(answer(text="What do you see?")) as server:
        utterance = asr.load("openai", {"base_url": server.url, "model": "m"}).utterance()
        utterance.feed(spoken())
        assert utterance.so_far() is None
        assert not server.requests
        assert utterance.finish().text == "What do you see?"


def test_silence_is_not_sent() -> None:
    with serving(answer(text="Thank you.")) as server:
        assert hear(server, np.zeros(16_000, np.int16)) == Recognition(refused="silence")
        assert hear(server, spoken(0.05)) == Recognition(refused="silence")
    assert not server.requests


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (Reply((b"{}",), 401, "application/json"), "refuses the key"),
        (Reply((b"{}",), 503, "application/json"), "state 503"),
        (Reply((30.0,)), "gave no answer: nothing for 0.3 s"),
        (Reply((b'{"text": "he',), die=True, kind="application/json"), "nothing answers at|broke off|does not speak"),
    ],
)
def test_a_failing_server_is_an_error_that_names_it(reply: Reply, expected: str) -> None:
    with serving(reply) as server, pytest.raises(engine.EngineError, match=expected) as caught:
        hear(server, spoken(), timeout_s=0.3)
    assert server.url in str(caught.value)


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"{}", b"null"])
@pytest.mark.parametrize("kind", ["text/html", "application/json"])
def test_an_answer_of_another_kind_is_an_error(body: bytes, kind: str) -> None:
    with serving(Reply((body,), kind=kind)) as server, pytest.raises(engine.EngineError) as caught:
        hear(server, spoken())
    assert server.url in str(caught.value)
