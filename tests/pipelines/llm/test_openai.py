"""The openai language model against a real HTTP server on loopback, well and badly behaved."""

import base64
import socket
import time
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import pytest

from pipelines import engine, llm
from pipelines.llm import Ended, Event, Message, Picture, Prefilled, PromptTooLong, Sampling, Token
from tests.pipelines.openai_server import DONE, Reply, Server, data, event, serving

pytest.importorskip("openai")

QUESTION = (Message("user", ("What do you see?",)),)
USAGE = {"prompt_tokens": 42, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 30}}
ANSWER = (event(role="assistant", content=""), event(content="A red"), event(content=" ball"), event(content="."))
STOP = (event(finish_reason="stop"), data({"choices": [], "usage": USAGE}), DONE)
GOOD = Reply((*ANSWER, *STOP))


def model(server: Server | str, **options: Any) -> llm.LanguageModel:
    url = server if isinstance(server, str) else server.url
    return llm.load("openai", {"base_url": url, "model": "m", "timeout_s": 5.0, **options})


def text(events: list[Event]) -> str:
    return "".join(e.text for e in events if isinstance(e, Token))


def ended(events: list[Event]) -> Ended:
    assert isinstance(events[-1], Ended)
    return events[-1]


def until_error(events: Iterator[Event]) -> tuple[str, str]:
    """The text that came before the error, and the error's words."""
    got: list[Event] = []
    try:
        for item in events:
            got.append(item)
    except engine.EngineError as error:
        return text(got), str(error)
    raise AssertionError("no error came")


def test_an_answer_streams_with_its_figures() -> None:
    with serving(GOOD) as server:
        events = list(model(server).reply(QUESTION, Sampling()))
    assert text(events) == "A red ball."
    prefilled = [item for item in events if isinstance(item, Prefilled)]
    assert prefilled[-1].done == prefilled[-1].total > 0  # while the server is silent, others come before it
    assert isinstance(events[len(prefilled)], Token)
    last = ended(events)
    assert (last.reason, last.prompt_tokens, last.cached_tokens, last.completion_tokens) == ("stop", 42, 30, 3)
    assert last.prefill_ms > 0
    request = server.requests[0]
    assert request.path == "/v1/chat/completions"
    assert request.headers["authorization"] == "Bearer none"  # no key was named, so none left this machine
    body = request.json()
    assert body["messages"] == [{"role": "user", "content": "What do you see?"}]
    assert body["stream_options"] == {"include_usage": True}
    assert not {"seed", "top_k", "repetition_penalty", "stop"} & body.keys()


@pytest.mark.parametrize(
    "thought",
    [
        (event(reasoning_content="A ball?"), event(reasoning_content=" Yes.")),
        (event(reasoning="A ball? Yes."),),
        (event(content="<thi"), event(content="nk>A ball? Yes.</think>"), event(content="\n\n")),
    ],
    ids=["reasoning_content", "reasoning", "tags"],
)
def test_what_the_model_thinks_is_no_part_of_its_answer(thought: tuple[bytes, ...]) -> None:
    with serving(Reply((event(role="assistant", content=""), *thought, *ANSWER[1:], *STOP))) as server:
        events = list(model(server).reply(QUESTION, Sampling()))
    assert text(events) == "A red ball."
    assert sum(isinstance(item, llm.Thought) for item in events) > 0
    assert ended(events).reason == "stop"


def test_a_model_that_only_thought_says_nothing_and_ends() -> None:
    only = Reply((event(content="Well, a ball"), event(finish_reason="length"), DONE))
    with serving(only) as server:
        events = list(model(server, thinking_opened=True).reply(QUESTION, Sampling(max_tokens=1)))
    assert text(events) == ""
    assert ended(events).reason == "length"


def test_sampling_reaches_the_server() -> None:
    sampling = Sampling(
        temperature=0.5, top_k=40, top_p=0.9, repetition_penalty=1.1, seed=7, max_tokens=9, stop=("\n",)
    )
    with serving(GOOD) as server:
        list(model(server).reply(QUESTION, sampling))
        list(model(server, extended=True).reply(QUESTION, sampling))
    plain, extended = (request.json() for request in server.requests)
    assert (plain["temperature"], plain["top_p"], plain["max_tokens"], plain["stop"]) == (0.5, 0.9, 9, ["\n"])
    assert plain["seed"] == 7
    assert "top_k" not in plain
    assert (extended["top_k"], extended["repetition_penalty"], extended["repeat_penalty"]) == (40, 1.1, 1.1)


def test_a_reply_that_has_begun_is_gone_on_with_where_the_server_can() -> None:
    """What stood there counts as said, by estimate: the server counts it as prompt."""
    talk = (*QUESTION, Message("assistant", ("A red",)))
    with serving(GOOD) as server:
        events = list(model(server, continues=True).reply(talk, Sampling(max_tokens=9)))
        list(model(server, continues=True).reply(QUESTION, Sampling(max_tokens=9)))
        with pytest.raises(engine.EngineError, match="set continues"):
            list(model(server).reply(talk, Sampling()))
    begun, plain = (request.json() for request in server.requests)
    assert begun["messages"][-1] == {"role": "assistant", "content": "A red"}
    assert (begun["continue_final_message"], begun["add_generation_prompt"]) == (True, False)
    assert not {"continue_final_message", "add_generation_prompt"} & plain.keys()
    assert plain["max_tokens"] - begun["max_tokens"] == 6
    assert (ended(events).prompt_tokens, ended(events).completion_tokens) == (42 - 6, 3 + 6)


def test_a_picture_goes_as_a_small_jpeg_and_is_encoded_once() -> None:
    pixels = np.zeros((200, 400, 3), np.uint8)
    pixels[..., 0] = 250  # red, in RGB
    asked = (Message("user", (Picture("a", pixels=pixels), "What colour?")),)
    with serving(GOOD) as server:
        subject = model(server, picture_side=100)
        assert subject.capabilities.wants == "pictures"
        list(subject.reply(asked, Sampling()))
        pixels[:] = 0  # the same identity is the same picture
        list(subject.reply(asked, Sampling()))
    parts = server.requests[0].json()["messages"][0]["content"]
    assert parts[1] == {"type": "text", "text": "What colour?"}
    head, _, encoded = parts[0]["image_url"]["url"].partition(",")
    assert head == "data:image/jpeg;base64"
    shown = cv2.imdecode(np.frombuffer(base64.b64decode(encoded), np.uint8), cv2.IMREAD_COLOR)
    assert shown is not None
    assert shown.shape == (50, 100, 3)
    assert shown[..., 2].min() > 240  # OpenCV's order is BGR
    assert shown[..., 1].max() < 10
    assert server.requests[1].json()["messages"][0]["content"] == parts


def test_pictures_that_cannot_be_sent_are_refused() -> None:
    rows = (Message("user", (Picture("a", rows=np.zeros((1, 4), np.float32)), "?")),)
    with serving(GOOD) as server:
        with pytest.raises(engine.EngineError, match="without pixels"):
            list(model(server).reply(rows, Sampling()))
        subject = model(server, pictures=False)
        assert subject.capabilities.wants == "text"
        with pytest.raises(engine.EngineError, match="pictures"):
            list(subject.reply(rows, Sampling()))
    assert not server.requests


@pytest.mark.parametrize(("tokens", "expected"), [(3, "length"), (500, "context")])
def test_length_is_told_from_a_full_context(tokens: int, expected: str) -> None:
    with serving(Reply((*ANSWER, event(finish_reason="length"), *STOP[1:]))) as server:
        assert ended(list(model(server).reply(QUESTION, Sampling(max_tokens=tokens)))).reason == expected


def test_a_server_without_usage_gives_estimates() -> None:
    with serving(Reply((*ANSWER, event(finish_reason="stop"), DONE))) as server:
        subject = model(server)
        last = ended(list(subject.reply(QUESTION, Sampling())))
    assert (last.prompt_tokens, last.completion_tokens) == (subject.count(QUESTION), 3)


def test_strange_but_whole_events_are_overlooked() -> None:
    odd = (b": a comment\n\n", data({"odd": 1}), data({"choices": None}), data({"choices": [{"delta": None}]}))
    with serving(Reply((*odd, *ANSWER, *STOP))) as server:
        assert text(list(model(server).reply(QUESTION, Sampling()))) == "A red ball."


def test_closing_the_iterator_ends_the_request() -> None:
    with serving(Reply((*ANSWER[:2], 30.0))) as server:
        events = model(server).reply(QUESTION, Sampling())
        assert next(item for item in events if not isinstance(item, Prefilled)) == Token("A red")
        events.close()
        assert server.left.wait(3)


def test_a_silent_server_can_be_left_at_once() -> None:
    with serving(Reply((30.0,))) as server:
        events = model(server, timeout_s=30.0).reply(QUESTION, Sampling())
        began = time.monotonic()
        assert isinstance(next(events), Prefilled)  # nothing came, but the reader may stop
        assert time.monotonic() - began < 2
        events.close()
        assert server.left.wait(3)


def test_a_connection_that_is_never_answered_can_be_left_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        events = model(f"http://127.0.0.1:{listening.getsockname()[1]}/v1").reply(QUESTION, Sampling())
        assert next(events).done == 0  # type: ignore[union-attr]
        events.close()
        connection, _ = listening.accept()
        connection.settimeout(3)
        while connection.recv(65536):  # the request, and then the end that the client made
            pass
        connection.close()


BAD = {
    "dies": (Reply(ANSWER, die=True), "broke off in mid-answer"),
    "ends politely without an end": (Reply(ANSWER), "ended in mid-answer"),
    "stalls": (Reply((*ANSWER, 30.0)), r"broke off in mid-answer: nothing for 0.3 s"),
    "sends damaged JSON": (Reply((*ANSWER, b'data: {"choices": [{"del\n\n')), "damaged in mid-answer"),
    "tells an error": (Reply((*ANSWER, data({"error": {"message": "CUDA out of memory"}}))), "CUDA out of memory"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_failure_in_mid_answer_comes_after_what_was_said(name: str) -> None:
    reply, expected = BAD[name]
    with serving(reply, GOOD) as server:
        said, error = until_error(model(server, timeout_s=0.3).reply(QUESTION, Sampling()))
    assert said == "A red ball."
    assert expected in error
    assert server.url in error
    assert len(server.requests) == 1  # no second try after the first token


def test_a_failure_after_the_end_costs_only_the_figures() -> None:
    with serving(Reply((*ANSWER, STOP[0], 30.0))) as server:
        events = list(model(server, timeout_s=0.3).reply(QUESTION, Sampling()))
    assert text(events) == "A red ball."
    assert ended(events).reason == "stop"


def body(message: str) -> tuple[bytes, ...]:
    return (b'{"error": {"message": "' + message.encode() + b'"}}',)


REFUSALS = {
    401: ("refuses the key; set api_key_env", "bad key"),
    404: ("no model 'm'", "no such model"),
    429: ("no more requests", "slow down"),
    500: ("failed with state 500; see its log", "boom"),
    422: ("correct the engine's options", "top_p"),
}


@pytest.mark.parametrize("status", REFUSALS)
def test_refusals_name_the_server_and_the_mend(status: int) -> None:
    expected, told = REFUSALS[status]
    with serving(Reply(body(told), status, "application/json")) as server:
        said, error = until_error(model(server, retries=0).reply(QUESTION, Sampling()))
    assert said == ""
    assert expected in error
    assert told in error
    assert server.url in error
    assert "\n" not in error


@pytest.mark.parametrize("first", [Reply(body("busy"), 503), Reply((), die=True), Reply(ANSWER[:1], die=True)])
def test_it_tries_again_before_the_first_token(first: Reply) -> None:
    with serving(first, GOOD) as server:
        assert text(list(model(server).reply(QUESTION, Sampling()))) == "A red ball."
    assert len(server.requests) == 2


def test_it_does_not_try_again_what_cannot_get_better() -> None:
    with serving(Reply(body("bad key"), 401), GOOD) as server:
        until_error(model(server).reply(QUESTION, Sampling()))
        assert len(server.requests) == 1
    with serving(Reply((30.0,)), GOOD) as server:
        assert "nothing for 0.3 s" in until_error(model(server, timeout_s=0.3).reply(QUESTION, Sampling()))[1]
        assert len(server.requests) == 1


def test_a_server_that_says_the_prompt_is_too_long() -> None:
    told = body("This model's maximum context length is 4096 tokens")
    with serving(Reply(told, 400, "application/json")) as server, pytest.raises(PromptTooLong, match="4096"):
        list(model(server).reply(QUESTION, Sampling()))


def test_a_prompt_that_cannot_fit_is_not_sent() -> None:
    with serving(GOOD) as server:
        with pytest.raises(PromptTooLong, match="of 256"):
            list(model(server, context=256).reply((Message("user", ("word " * 1000,)),), Sampling()))
        assert not server.requests


def test_nothing_listening_and_no_such_api() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    error = until_error(model(f"http://127.0.0.1:{port}/v1", retries=0).reply(QUESTION, Sampling()))[1]
    assert "nothing answers at http://127.0.0.1" in error
    assert "start the server or correct base_url" in error
    with serving(Reply((b"<html>hello</html>",), kind="text/html")) as server:
        error = until_error(model(server).reply(QUESTION, Sampling()))[1]
    assert "base_url" in error


def test_prefill_asks_for_one_token_where_that_is_wanted() -> None:
    with serving(GOOD) as server:
        assert list(model(server).prefill(QUESTION)) == []
        assert not server.requests
        assert all(isinstance(item, Prefilled) for item in model(server, warm=True).prefill(QUESTION))
    assert server.requests[0].json()["max_tokens"] == 1


def test_it_counts_pictures_and_chinese_generously() -> None:
    subject = model("http://127.0.0.1:9/v1", picture_tokens=700)
    picture = Picture("a", pixels=np.zeros((4, 4, 3), np.uint8))
    assert subject.count((Message("user", (picture, "你好吗")),)) >= 703
    assert subject.count(QUESTION) < 20
