"""Function tools of the openai language model against a real HTTP server on loopback."""

import json
from typing import Any

import pytest

from pipelines import engine, llm
from pipelines.llm import Ended, Event, Message, Prefilled, Sampling, Token, Tool, ToolCall
from tests.pipelines.openai_server import DONE, Reply, Server, event, serving

pytest.importorskip("openai")

QUESTION = (Message("user", ("Is the lamp in the hall on?",)),)
SCHEMA = {"type": "object", "properties": {"room": {"type": "string"}}, "required": ["room"]}
TOOLS = Sampling(tools=(Tool("lamp", "Whether a room's lamp is on.", SCHEMA),))
HALL, YARD = '{"room": "hall"}', '{"room": "yard"}'
END = (event(finish_reason="tool_calls"), DONE)


def model(server: Server, **options: Any) -> llm.LanguageModel:
    return llm.load("openai", {"base_url": server.url, "model": "m", "timeout_s": 5.0, "retries": 0, **options})


def piece(index: int | None, arguments: str, name: str | None = None, known: str | None = None) -> bytes:
    """One server-sent event with one piece of a call; what is None is left out."""
    function = {"arguments": arguments} | ({"name": name} if name is not None else {})
    call: dict[str, Any] = {"function": function} | ({"index": index} if index is not None else {})
    return event(tool_calls=[call | ({"id": known, "type": "function"} if known is not None else {})])


def told(*pieces: bytes) -> list[Event]:
    """The events of a reply that ends in calls, without Prefilled."""
    with serving(Reply((*pieces, *END))) as server:
        events: list[Event] = list(model(server).reply(QUESTION, TOOLS))
    return [item for item in events if not isinstance(item, Prefilled)]


def calls(events: list[Event]) -> list[tuple[str, str, str]]:
    return [(item.id, item.name, item.arguments) for item in events if isinstance(item, ToolCall)]


def test_one_call_comes_whole_after_the_text() -> None:
    with serving(Reply((event(content="Let me see."), piece(0, HALL, "lamp", "a1"), *END))) as server:
        subject = model(server)
        assert subject.capabilities.tools
        events = [item for item in subject.reply(QUESTION, TOOLS) if not isinstance(item, Prefilled)]
    assert events[:2] == [Token("Let me see."), ToolCall("a1", "lamp", HALL)]
    assert isinstance(events[2], Ended)
    assert events[2].reason == "stop"
    function = {"name": "lamp", "description": "Whether a room's lamp is on.", "parameters": SCHEMA}
    assert server.requests[0].json()["tools"] == [{"type": "function", "function": function}]


def test_without_tools_none_are_sent() -> None:
    with serving(Reply((event(content="No."), *END))) as server:
        list(model(server).reply(QUESTION, Sampling()))
    assert "tools" not in server.requests[0].json()


def test_arguments_come_in_pieces() -> None:
    events = told(piece(0, "", "lamp", "a1"), *(piece(0, letter) for letter in HALL))
    assert calls(events) == [("a1", "lamp", HALL)]
    assert isinstance(events[-1], Ended)
    assert events[-1].completion_tokens == 1 + len(HALL)


def test_two_parallel_calls_keep_their_order() -> None:
    first, second = piece(0, HALL[:5], "lamp", "a1"), piece(1, YARD[:5], "lamp", "b2")
    mixed = told(second, first, piece(1, YARD[5:]), piece(0, HALL[5:]))
    assert calls(mixed) == [("a1", "lamp", HALL), ("b2", "lamp", YARD)]


@pytest.mark.parametrize("index", [0, None])
def test_servers_that_number_calls_badly(index: int | None) -> None:
    events = told(piece(index, HALL, "lamp", "a1"), piece(index, YARD[:5], "lamp", "b2"), piece(index, YARD[5:]))
    assert calls(events) == [("a1", "lamp", HALL), ("b2", "lamp", YARD)]


@pytest.mark.parametrize("known", ["a1", None])
def test_servers_that_repeat_the_name_with_every_piece(known: str | None) -> None:
    events = told(piece(0, HALL[:5], "lamp", "a1"), piece(0, HALL[5:], "lamp", known))
    assert calls(events) == [("a1", "lamp", HALL)]


def test_a_missing_identifier_is_made_up() -> None:
    (one, *_), (two, *_) = calls(told(piece(0, HALL, "lamp"), piece(1, YARD, "lamp")))
    assert one
    assert two
    assert one != two


def test_left_out_arguments_are_an_empty_object() -> None:
    assert calls(told(piece(0, "", "lamp", "a1"))) == [("a1", "lamp", "{}")]


DEEP = pytest.param('{"room": ' + "[" * 5000, id="deep")


@pytest.mark.parametrize("arguments", [HALL[:-1], "hall", '["hall"]', '{"room": NaN}', HALL + "}", DEEP])
def test_broken_arguments_name_the_tool_and_no_call_comes(arguments: str) -> None:
    got: list[Event] = []
    pieces = piece(0, HALL, "lamp", "a1"), piece(1, arguments, "siren", "b2")
    with serving(Reply((*pieces, *END))) as server:
        events = model(server).reply(QUESTION, TOOLS)
        with pytest.raises(engine.EngineError, match="'siren' are no JSON object"):
            got.extend(events)  # keeps what came before the error
    assert got
    assert not calls(got)  # half of what was asked for might be worse than nothing


def test_a_call_that_was_cut_says_so() -> None:
    cut = Reply((piece(0, HALL[:5], "lamp", "a1"), event(finish_reason="length"), DONE))
    with serving(cut) as server, pytest.raises(engine.EngineError, match=r"'lamp'.*raise max_tokens"):
        list(model(server).reply(QUESTION, TOOLS))


def test_a_call_without_a_name_is_refused() -> None:
    with pytest.raises(engine.EngineError, match="without naming"):
        told(piece(0, HALL))


def test_a_connection_that_dies_in_a_call_gives_no_call() -> None:
    with serving(Reply((piece(0, HALL, "lamp", "a1"),), die=True)) as server:
        with pytest.raises(engine.EngineError, match="in mid-answer"):
            list(model(server, retries=2).reply(QUESTION, TOOLS))
        assert len(server.requests) == 1  # a call's first piece is a beginning like a first token


def test_the_reader_may_stop_between_the_pieces_of_a_call() -> None:
    with serving(Reply((piece(0, "", "lamp", "a1"), piece(0, HALL[:5]), 30.0))) as server:
        events = model(server).reply(QUESTION, TOOLS)
        computed = (item for item in events if isinstance(item, Prefilled) and item.done == item.total)
        assert next(computed) == next(computed)
        events.close()
        assert server.left.wait(3)


def test_the_result_goes_back_with_its_call() -> None:
    asked = (piece(0, HALL, "lamp", "a1"), piece(1, YARD, "lamp", "b2"), *END)
    answer = (event(content="Only the hall's."), event(finish_reason="stop"), DONE)
    with serving(Reply(asked), Reply(answer)) as server:
        subject = model(server)
        wanted = tuple(item for item in subject.reply(QUESTION, TOOLS) if isinstance(item, ToolCall))
        states = {"hall": "on", "yard": "off"}
        results = (Message("tool", (states[json.loads(c.arguments)["room"]],), call_id=c.id) for c in wanted)
        talk = (*QUESTION, Message("assistant", (), calls=wanted), *results)
        assert Token("Only the hall's.") in list(subject.reply(talk, TOOLS))
    assert server.requests[1].json()["messages"][1:] == [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "a1", "type": "function", "function": {"name": "lamp", "arguments": HALL}},
                {"id": "b2", "type": "function", "function": {"name": "lamp", "arguments": YARD}},
            ],
        },
        {"role": "tool", "content": "on", "tool_call_id": "a1"},
        {"role": "tool", "content": "off", "tool_call_id": "b2"},
    ]


def test_words_before_a_call_are_kept_and_a_result_of_no_call_is_the_users() -> None:
    talk = (Message("assistant", ("Let me see.",), calls=(ToolCall("a1", "lamp", HALL),)), Message("tool", ("on",)))
    with serving(Reply((event(content="Yes."), *END))) as server:
        list(model(server).reply(talk, TOOLS))
    said, result = server.requests[0].json()["messages"]
    assert said["content"] == "Let me see."
    assert result == {"role": "user", "content": "on"}


def test_calls_and_tools_count() -> None:
    long = Sampling(tools=(Tool("lamp", "word " * 1000, SCHEMA),))
    with serving(Reply(END)) as server:
        subject = model(server, context=256)
        plain, calling = Message("assistant", ()), Message("assistant", (), calls=(ToolCall("a1", "lamp", HALL),))
        assert subject.count((calling,)) > subject.count((plain,))
        with pytest.raises(llm.PromptTooLong):
            list(subject.reply(QUESTION, long))
        assert not server.requests
