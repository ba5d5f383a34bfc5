"""Any body that a client may send: it is understood or refused, and never anything else."""

import base64
import json
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assistant.gateway import openai
from assistant.gateway.chat import check_size
from assistant.gateway.errors import Refusal
from assistant.gateway.openai_types import ChatRequest
from assistant.gateway.settings import Limits
from assistant.gateway.uploads import Uploads
from assistant.messages import UPLOAD, Called, Function, Said, Script, Shown
from pipelines import image

PNG = image.encode_png(np.zeros((2, 3, 3), np.uint8))
URL = "data:image/png;base64," + base64.b64encode(PNG).decode()


def uploads() -> Uploads:
    return Uploads(Limits(), {"main": None})


def parsed(body: dict[str, Any]) -> Script:
    asked = msgspec.json.decode(json.dumps({"model": "m", **body}), type=ChatRequest)
    return check_size(openai.script_of(asked, uploads()))


text = st.text(max_size=40)
url = st.one_of(
    st.just(URL), st.sampled_from(["camera:latest", "camera:main", "camera:x", "http://x/", "file:///x"]), text
)
part = st.one_of(
    st.fixed_dictionaries({"type": st.just("text"), "text": text}),
    st.fixed_dictionaries({"type": st.just("image_url"), "image_url": st.fixed_dictionaries({"url": url})}),
    st.fixed_dictionaries({"type": text}),
)
call = st.fixed_dictionaries({"id": text, "function": st.fixed_dictionaries({"name": text, "arguments": text})})
message = st.fixed_dictionaries(
    {"role": st.sampled_from(["system", "developer", "user", "assistant", "tool", "wizard"])},
    optional={
        "content": st.one_of(text, st.none(), st.lists(part, max_size=4), st.integers()),
        "tool_calls": st.lists(call, max_size=2),
        "tool_call_id": text,
    },
)
anything = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), text),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(text, inner, max_size=3)),
    max_leaves=5,
)
FIELDS = (
    "stream", "stream_options", "max_tokens", "temperature", "top_p", "seed", "stop", "tools", "tool_choice", "n",
    "response_format", "logprobs", "logit_bias", "top_k", "user",
)  # fmt: skip
body = st.fixed_dictionaries({"messages": st.lists(message, max_size=5)}, optional=dict.fromkeys(FIELDS, anything))


@settings(max_examples=60)
@given(body)
def test_a_body_is_understood_or_refused(body: dict[str, Any]) -> None:
    try:
        asked = msgspec.json.decode(json.dumps({"model": "m", **body}), type=ChatRequest)
    except msgspec.ValidationError:
        return
    given_, refused = uploads(), None
    try:
        script, wanted = check_size(openai.script_of(asked, given_)), openai.wanted(asked)
    except Refusal as refusal:
        refused = refusal
    if refused is not None:
        assert 400 <= refused.status < 500
        assert refused.message.endswith(".")
        return
    assert len(script.messages) == len(body["messages"])
    for said, sent in zip(script.messages, body["messages"], strict=True):
        assert said.role == {"developer": "system"}.get(sent["role"], sent["role"])
        written = [one for one in said.content if isinstance(one, str)]
        if isinstance(sent.get("content"), str):
            assert written == [sent["content"]]  # as it was, whatever is in it
        shown = [one for one in said.content if isinstance(one, Shown)]
        assert all(one.camera in ("", "main", *given_.pictures) for one in shown)
    assert wanted.seed is None or 0 <= wanted.seed < 2**63
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(script), type=Script) == script
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(wanted), type=type(wanted)) == wanted


def test_what_is_understood_of_a_conversation() -> None:
    script = parsed(
        {
            "messages": [
                {"role": "developer", "content": "be brief"},
                {
                    "role": "user",
                    "content": [{"type": "image_url", "image_url": {"url": URL}}, {"type": "text", "text": "?"}],
                },
                {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "function": {"name": "f"}}]},
                {"role": "tool", "tool_call_id": "1", "content": "ok"},
            ],
            "tools": [{"type": "function", "function": {"name": "f", "description": "d", "parameters": {"a": 1}}}],
        }
    )
    picture = script.messages[1].content[0]
    assert isinstance(picture, Shown)
    assert picture.camera.startswith(UPLOAD)
    assert script == Script(
        (
            Said("system", ("be brief",)),
            Said("user", (picture, "?")),
            Said("assistant", (), (Called("1", "f", "{}"),)),
            Said("tool", ("ok",), (), "1"),
        ),
        (Function("f", "d", {"a": 1}),),
    )


def test_a_picture_is_named_for_what_it_shows() -> None:
    given_ = uploads()
    names = [given_.shown(url, "p").camera for url in (URL, URL, URL.replace("image/png", "image/x-anything;a=b"))]
    assert len(set(names)) == len(given_.pictures) == 1
    other = image.encode_png(np.ones((2, 3, 3), np.uint8))
    assert given_.data(other, "p").camera != names[0]
    assert list(given_.pictures.values()) == [PNG, other]


@pytest.mark.parametrize(
    "url",
    ["http://a/b.png", "https://a", "file:///etc/passwd", "/etc/passwd", "", "ftp://a", "data:image/png,abc", "DATA:;"],
)
def test_nothing_is_fetched(url: str) -> None:
    with pytest.raises(Refusal, match="not fetched") as refused:
        uploads().shown(url, "p")
    assert (refused.value.status, refused.value.code, refused.value.param) == (400, "picture_url", "p")
