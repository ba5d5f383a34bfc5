"""The official clients of OpenAI and Ollama, unchanged, at the daemon of the demo."""

import base64
import functools
import io
import json
import os
import subprocess
import urllib.request
import wave
from collections.abc import Iterator
from pathlib import Path
from shutil import which
from typing import Any

import numpy as np
import ollama
import openai
import pytest

from pipelines.audio import files
from tests.conftest import need
from tests.gateway.running import House, running
from tests.processes import PATIENCE_S, ROOT

DEMO = ROOT / "config" / "demo"
SEEN = {1: "I see a red ball, a blue cube and a green cone.", 2: "I see a blue cube, a green cone and a yellow bottle."}
JS = ROOT / "tests" / "gateway" / "client.mjs"


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    with running() as house:
        yield house


@pytest.fixture(scope="module")
def client(house: House) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{house.url}/v1", api_key="none", max_retries=0) as client:
        yield client


@functools.cache
def url(number: int) -> str:
    return "data:image/png;base64," + base64.b64encode((DEMO / f"table-{number}.png").read_bytes()).decode()


def shown(text: str, *urls: str) -> dict[str, Any]:
    pictures = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    return {"role": "user", "content": [*pictures, {"type": "text", "text": text}]}


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


class TestOpenai:
    def ask(self, client: openai.OpenAI, *messages: dict[str, Any], **more: Any) -> Any:
        return client.chat.completions.create(model="pico", messages=messages, **more)  # type: ignore[arg-type]

    def test_models(self, client: openai.OpenAI) -> None:
        assert [model.id for model in client.models.list()] == ["pico"]
        assert client.models.retrieve("pico").object == "model"
        with pytest.raises(openai.NotFoundError, match="there is 'pico'"):
            client.models.retrieve("other")

    def test_chat(self, client: openai.OpenAI) -> None:
        answer = self.ask(client, user("what can you do?"), temperature=0)
        assert answer.choices[0].message.content == "I answer questions about my toy table."
        assert answer.choices[0].message.role == "assistant"
        assert answer.choices[0].finish_reason == "stop"
        assert answer.usage.completion_tokens == 9
        assert answer.usage.total_tokens == answer.usage.prompt_tokens + 9

    def test_a_stream_says_the_same(self, client: openai.OpenAI) -> None:
        whole = self.ask(client, user("what can you do?"), temperature=0)
        chunks = list(
            self.ask(
                client, user("what can you do?"), temperature=0, stream=True, stream_options={"include_usage": True}
            )
        )
        told = [chunk.choices[0] for chunk in chunks if chunk.choices]
        assert "".join(choice.delta.content or "" for choice in told) == whole.choices[0].message.content
        assert (told[0].delta.role, told[-1].finish_reason) == ("assistant", "stop")
        assert all(choice.finish_reason is None for choice in told[:-1])
        assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens
        assert [chunk.usage for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
        assert len({chunk.id for chunk in chunks}) == 1
        with self.ask(client, user("hello"), stream=True) as stream:
            assert stream.response.headers["x-queue-position"] == "0"

    def test_pictures_that_are_sent(self, client: openai.OpenAI) -> None:
        """One, another one behind it, and two at once."""
        talk = [shown("what do you see?", url(2))]
        answer = self.ask(client, *talk, temperature=0)
        assert answer.choices[0].message.content == SEEN[2]
        talk += [{"role": "assistant", "content": SEEN[2]}, user("what color is the cube?")]
        follow_up = self.ask(client, *talk, temperature=0)
        assert "blue" in follow_up.choices[0].message.content
        cached = follow_up.usage.prompt_tokens_details.cached_tokens
        assert cached >= answer.usage.prompt_tokens  # only what is new was computed
        assert cached < follow_up.usage.prompt_tokens
        again = self.ask(client, talk[0], temperature=0)
        assert again.usage.prompt_tokens_details.cached_tokens == again.usage.prompt_tokens - 1
        both = self.ask(client, shown("what do you see?", url(1), url(2)), temperature=0)
        assert both.choices[0].message.content
        with pytest.raises(openai.BadRequestError, match=r"takes 2 picture\(s\) in one message") as refused:
            self.ask(client, shown("what do you see?", url(1), url(2), url(3)))
        assert refused.value.param == "messages"

    def test_what_the_camera_sees_now(self, client: openai.OpenAI) -> None:
        for name in ("camera:latest", "camera:main"):
            answer = self.ask(client, shown("what do you see?", name), temperature=0)
            assert answer.choices[0].message.content.startswith("I see ")
        with pytest.raises(openai.BadRequestError, match="no camera called 'cellar'; there are: main"):
            self.ask(client, shown("what do you see?", "camera:cellar"))

    def test_length_and_stops(self, client: openai.OpenAI) -> None:
        cut = self.ask(client, user("what can you do?"), temperature=0, max_tokens=3)
        assert (cut.choices[0].message.content, cut.choices[0].finish_reason) == ("I answer questions", "length")
        assert cut.usage.completion_tokens == 3
        stopped = self.ask(client, user("what can you do?"), temperature=0, stop=[" about"])
        assert (stopped.choices[0].message.content, stopped.choices[0].finish_reason) == ("I answer questions", "stop")
        twice = [self.ask(client, user("what can you do?"), temperature=2, seed=-7, top_p=0.99) for _ in range(2)]
        assert twice[0].choices[0].message.content == twice[1].choices[0].message.content

    def test_nothing_of_the_daemons_own_is_in_it(self, client: openai.OpenAI) -> None:
        for text in ("stop", "what time is it", "clear the conversation"):
            answer = self.ask(client, user(text), temperature=0)
            assert "cleared" not in (answer.choices[0].message.content or "")
            assert answer.usage.completion_tokens > 0

    @pytest.mark.parametrize(
        ("changes", "param", "said"),
        [
            ({"messages": []}, "messages", "no messages"),
            ({"messages": [{"role": "wizard", "content": "hi"}]}, "messages[0].role", "wizard"),
            ({"messages": [{"role": "user"}]}, "messages[0].content", "no content"),
            (
                {"messages": [shown("?", "https://example.com/a.png")]},
                "messages[0].content[0].image_url.url",
                "not fetched",
            ),
            ({"messages": [shown("?", "file:///etc/passwd")]}, "messages[0].content[0].image_url.url", "not fetched"),
            (
                {"messages": [shown("?", "data:image/png;base64,AAAA")]},
                "messages[0].content[0].image_url.url",
                "no picture",
            ),
            ({"messages": [shown("?", "data:image/png;base64,!")]}, "messages[0].content[0].image_url.url", "base64"),
            (
                {"messages": [{**shown("?", "camera:latest"), "role": "system"}]},
                "messages[0].content[0]",
                "no pictures",
            ),
            ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools", "does not support tools"),
            ({"n": 2}, "n", "n is not supported"),
            ({"temperature": 3}, "temperature", "<= 2"),
            ({"max_tokens": 0}, "max_tokens", ">= 1"),
            ({"max_tokens": "many"}, "max_tokens", "int"),
            ({"response_format": {"type": "json_object"}}, "response_format", "not supported"),
            ({"stop": ["x"] * 17}, "stop", "At most 16"),
            ({"messages": [{"role": "tool", "content": "1"}]}, "messages[0].tool_call_id", "names the call"),
        ],
    )
    def test_what_cannot_be_names_the_field(
        self, changes: dict[str, Any], param: str, said: str, client: openai.OpenAI
    ) -> None:
        with pytest.raises(openai.BadRequestError) as refused:
            client.chat.completions.create(**{"model": "pico", "messages": [user("hi")], **changes})
        assert (refused.value.param, refused.value.type) == (param, "invalid_request_error")
        assert said in refused.value.message

    def test_a_conversation_that_is_too_long(self, client: openai.OpenAI) -> None:
        for text in ("ball " * 3000, "ball " * 30_000):
            with pytest.raises(openai.BadRequestError) as refused:
                self.ask(client, user(text))
            assert (refused.value.code, refused.value.param) == ("context_length_exceeded", "messages")

    @pytest.mark.parametrize(
        ("name", "text"), [("what-do-you-see", "what do you see"), ("is-there-a-mug", "is there a mug")]
    )
    def test_transcription(self, name: str, text: str, client: openai.OpenAI) -> None:
        told = client.audio.transcriptions.create(
            model="whisper-1", file=DEMO / "speech" / f"{name}.wav", language="en"
        )
        assert told.text == text

    def test_transcription_in_other_shapes(self, client: openai.OpenAI, tmp_path: Path) -> None:
        file = DEMO / "speech" / "what-do-you-see.wav"
        plain = client.audio.transcriptions.create(model="x", file=file, response_format="text")
        assert plain.strip() == "what do you see"
        verbose = client.audio.transcriptions.create(model="x", file=file, response_format="verbose_json")
        assert (verbose.text, verbose.language, round(verbose.duration, 1)) == ("what do you see", "en", 1.2)
        assert verbose.segments is not None
        assert [(part.start, part.text) for part in verbose.segments] == [(0.0, "what do you see")]
        writer = files.Writer("flac", 16_000)
        lossless = tmp_path / "question.flac"
        pcm = files.decode(file.read_bytes(), 10)
        lossless.write_bytes(writer.feed(pcm) + writer.finish())
        assert client.audio.transcriptions.create(model="x", file=lossless).text == "what do you see"

    def test_sound_that_cannot_be_listened_to(self, client: openai.OpenAI) -> None:
        whole = (DEMO / "speech" / "what-do-you-see.wav").read_bytes()
        for data, said in ((whole[:500], "cut off"), (b"", "empty"), (b"#EXTM3U\nfile:///etc/passwd\n", "is no WAV")):
            with pytest.raises(openai.BadRequestError, match=said) as refused:
                client.audio.transcriptions.create(model="x", file=("a.wav", data))
            assert refused.value.param == "file"
        with pytest.raises(openai.APIStatusError, match="longer than 300 s") as refused_:
            client.audio.transcriptions.create(model="x", file=("a.wav", silence(301)))
        assert refused_.value.status_code == 413
        with pytest.raises(openai.BadRequestError, match="json, text, verbose_json"):
            client.audio.transcriptions.create(model="x", file=("a.wav", whole), response_format="srt")
        assert client.audio.transcriptions.create(model="x", file=("a.wav", silence(1))).text == ""

    @pytest.mark.parametrize("form", ["wav", "pcm", "mp3", "opus", "flac", "aac"])
    def test_speech(self, form: str, client: openai.OpenAI) -> None:
        with client.audio.speech.with_streaming_response.create(
            model="tts-1",
            voice="alloy",
            input="I see a red ball. And a blue cube!",
            response_format=form,  # type: ignore[arg-type]
        ) as answer:
            data = b"".join(answer.iter_bytes())
        pcm = np.frombuffer(data, "<i2") if form == "pcm" else files.decode(data, 60)
        seconds = len(pcm) / (24_000 if form == "pcm" else 16_000)
        assert 1.0 < seconds < 6.0
        assert np.abs(pcm).max() > 3000

    def test_speech_that_cannot_be(self, client: openai.OpenAI) -> None:
        say = functools.partial(client.audio.speech.create, model="tts-1", voice="alloy")
        for more, param in (
            ({"input": " "}, "input"),
            ({"input": "..."}, "input"),
            ({"input": "a" * 4097}, "input"),
            ({"input": "a", "speed": 2.0}, "speed"),
            ({"input": "a", "response_format": "midi"}, "response_format"),
        ):
            with pytest.raises(openai.BadRequestError) as refused:
                say(**more)
            assert refused.value.param == param
        assert say(input="one two three four " * 20).content[:3] == b"ID3"  # what there is no sentence's end in


def silence(seconds: int) -> bytes:
    with io.BytesIO() as file:
        with wave.open(file, "wb") as writer:
            writer.setparams((1, 2, 8000, 0, "NONE", ""))
            writer.writeframes(bytes(2 * 8000 * seconds))
        return file.getvalue()


class TestOllama:
    @pytest.fixture
    def client(self, house: House) -> Iterator[ollama.Client]:
        with ollama.Client(host=house.url) as client:
            yield client

    def test_what_there_is(self, client: ollama.Client) -> None:
        assert [model.model for model in client.list().models] == ["pico:latest"]
        assert [model.model for model in client.ps().models] == ["pico:latest"]
        told = client.show("pico")
        assert told.capabilities == ["completion", "vision"]
        assert told.modelinfo is not None
        assert told.modelinfo["edge.context_length"] == 1024

    def test_chat(self, client: ollama.Client) -> None:
        answer = client.chat(model="pico:latest", messages=[user("what can you do?")], options={"temperature": 0})
        assert answer.message.content == "I answer questions about my toy table."
        assert (answer.done, answer.done_reason, answer.eval_count) == (True, "stop", 9)
        pieces = list(client.chat(model="pico", messages=[user("what can you do?")], stream=True))
        assert len(pieces) > 3
        assert "".join(piece.message.content or "" for piece in pieces) == answer.message.content
        assert [piece.done for piece in pieces] == [False] * (len(pieces) - 1) + [True]

    def test_pictures(self, client: ollama.Client) -> None:
        for image, seen in ((DEMO / "table-2.png", SEEN[2]), ("camera:latest", "I see ")):
            message = {"role": "user", "content": "what do you see?", "images": [image]}
            if isinstance(image, str):
                answer = client._client.post(
                    "/api/chat", json={"model": "pico", "messages": [message], "stream": False}
                )
                assert answer.json()["message"]["content"].startswith(seen)
            else:
                assert client.chat(model="pico", messages=[message]).message.content == seen

    def test_generate(self, client: ollama.Client) -> None:
        answer = client.generate(model="pico", prompt="what can you do?", options={"num_predict": 3, "temperature": 0})
        assert (answer.response, answer.done_reason, answer.eval_count) == ("I answer questions", "length", 3)
        pieces = [piece.response or "" for piece in client.generate(model="pico", prompt="hello", stream=True)]
        assert "".join(pieces) == client.generate(model="pico", prompt="hello").response
        assert client.generate(model="pico").done_reason == "load"

    @pytest.mark.parametrize(
        ("path", "asked", "status", "said"),
        [
            ("chat", {"model": "other", "messages": [user("hi")]}, 404, "does not exist"),
            ("show", {"model": "other"}, 404, "does not exist"),
            ("chat", {"messages": [user("hi")], "tools": [{"function": {"name": "f"}}]}, 400, "does not support tools"),
            ("chat", {"messages": [user("hi")], "format": "json"}, 400, "format is not supported"),
            ("generate", {"prompt": "ball " * 3000}, 400, "no room in a context"),
            ("generate", {"prompt": "a", "suffix": "b"}, 400, "suffix is not supported"),
        ],
    )
    def test_errors(self, path: str, asked: dict[str, Any], status: int, said: str, client: ollama.Client) -> None:
        with pytest.raises(ollama.ResponseError, match=said) as refused:
            getattr(client, path)(**{"model": "pico", **asked})
        assert refused.value.status_code == status


def test_curl_without_a_content_type(house: House) -> None:
    """As Ollama's own examples have it."""
    body = json.dumps({"model": "pico", "stream": False, "messages": [user("hello")]}).encode()
    answer = house.post("/api/chat", body, content_type="application/x-www-form-urlencoded")
    assert (answer.status, answer.json["message"]["content"]) == (200, "Hello!")
    assert house.post("/v1/chat/completions", body, content_type="text/plain").status == 415


def test_the_vendors_demo(house: House) -> None:
    """Its client names no real model, and reads bare lines."""
    body = {"model": "your_model", "messages": [user("hello")], "stream": False}
    assert house.post("/rkllm_chat", body).json["choices"][-1]["message"]["content"] == "Hello!"
    with urllib.request.urlopen(
        urllib.request.Request(
            f"{house.url}/rkllm_chat",
            json.dumps({**body, "stream": True}).encode(),
            {"content-type": "application/json"},
        ),
        timeout=PATIENCE_S,
    ) as answer:
        lines = [json.loads(line) for line in answer]
    assert "".join(line["choices"][-1]["delta"].get("content", "") for line in lines) == "Hello!"
    assert lines[-1]["choices"][-1]["finish_reason"] == "stop"


def test_javascript(house: House) -> None:
    node = which("node")
    if node is None or (not (ROOT / "node_modules" / "openai").is_dir() and "NODE_PATH" not in os.environ):
        need("node and its package openai")
    assert node is not None
    done = subprocess.run(
        [node, str(JS), f"{house.url}/v1"], input=url(2), capture_output=True, text=True, timeout=PATIENCE_S
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["models"] == ["pico"]
    assert told["whole"] == told["streamed"] == SEEN[2]
    assert told["usage"]["completion_tokens"] == 15
    assert told["refused"] == [404, "model_not_found"]
    assert told["speech"] == "RIFF"
