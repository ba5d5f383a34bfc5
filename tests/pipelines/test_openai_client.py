"""What the openai engines share: where keys come from, what a server may ask for, and how a client ends."""

import gc
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from pipelines import engine, llm
from pipelines.openai_client import Options, Server
from tests.pipelines import openai_server
from tests.pipelines.openai_server import Reply, serving

pytest.importorskip("openai")
QUESTION = (llm.Message("user", ("What do you see?",)),)
GOOD = Reply((openai_server.event(content="A ball."), openai_server.event(finish_reason="stop"), openai_server.DONE))


def model(url: str, **options: Any) -> llm.LanguageModel:
    return llm.load("openai", {"base_url": url, "model": "m", "timeout_s": 5.0, **options})


def test_a_key_may_be_a_credential_of_the_service(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """systemd puts a unit's credentials into a folder of its own; elsewhere the plain name is a file's."""
    (tmp_path / "openai").write_text("handed over\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    with serving(GOOD) as server:
        list(model(server.url, api_key_file="openai").reply(QUESTION, llm.Sampling()))
        with pytest.raises(engine.EngineError, match=f"cannot read the key from {tmp_path}/other"):
            model(server.url, api_key_file="other")
        monkeypatch.delenv("CREDENTIALS_DIRECTORY")
        monkeypatch.chdir(tmp_path)
        list(model(server.url, api_key_file="openai").reply(QUESTION, llm.Sampling()))
    assert [request.headers["authorization"] for request in server.requests] == ["Bearer handed over"] * 2


def test_keys_come_from_where_the_profile_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MY_KEY", "from the environment")
    monkeypatch.setenv("OPENAI_API_KEY", "not asked for")
    (tmp_path / "key").write_text("from the file\n")
    with serving(GOOD) as server:
        for options in ({"api_key_env": "MY_KEY"}, {"api_key_file": str(tmp_path / "key")}, {}):
            list(model(server.url, **options).reply(QUESTION, llm.Sampling()))
    sent = [request.headers["authorization"] for request in server.requests]
    assert sent == ["Bearer from the environment", "Bearer from the file", "Bearer none"]
    for options, expected in (
        ({"api_key_env": "NO_SUCH"}, "NO_SUCH"),
        ({"api_key_file": str(tmp_path / "none")}, "cannot read the key"),
        ({"api_key_env": "MY_KEY", "api_key_file": "x"}, "keep one"),
    ):
        with pytest.raises(engine.EngineError, match=expected):
            model("http://127.0.0.1:9/v1", **options)


def test_options_are_checked_without_a_server() -> None:
    for options, expected in (
        ({"base_url": "127.0.0.1:8000", "model": "m"}, "base_url"),
        ({"model": "m"}, "base_url"),
        ({"base_url": "http://x/v1", "model": "m", "time_out": 3}, "timeout_s"),
    ):
        with pytest.raises(engine.EngineError, match=expected):
            llm.load("openai", options)


def test_the_thread_ends_with_the_engine() -> None:
    subject = model("http://127.0.0.1:9/v1")
    gc.collect()  # engines of other tests
    (thread,) = [thread for thread in threading.enumerate() if thread.name == "openai"]
    del subject
    thread.join(3)
    assert not thread.is_alive()


def test_a_busy_server_says_when_to_come_again() -> None:
    with serving(Reply((), 429, headers=(("retry-after", "0.6"),)), GOOD) as server:
        began = time.monotonic()
        list(model(server.url).reply(QUESTION, llm.Sampling()))
        assert time.monotonic() - began >= 0.6
    with serving(Reply((), 429, headers=(("retry-after", "Sat, 21 Nov 2026 11:00:00 GMT"),)), GOOD) as server:
        list(model(server.url).reply(QUESTION, llm.Sampling()))
        assert len(server.requests) == 2


def test_whatever_goes_wrong_in_a_request_reaches_the_reader() -> None:
    async def broken(client: Any) -> AsyncIterator[int]:
        yield 1
        raise ZeroDivisionError("oops")

    stream = Server(Options(base_url="http://127.0.0.1:9/v1", model="m")).stream(broken)
    assert next(stream) == 1
    with pytest.raises(engine.EngineError, match=r"damaged in mid-answer.*oops"):
        next(stream)
