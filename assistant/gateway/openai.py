"""OpenAI's API for chats: /v1/models and /v1/chat/completions, and the vendor demo's /rkllm_chat.

Our extension: a picture's URL may be ``camera:latest`` or ``camera:NAME``. Source: OpenAI's API reference; the
rkllm_server_demo of airockchip/rknn-llm, whose client reads a stream of bare JSON lines and names no real model.
"""

import time
import uuid
from collections.abc import Callable, Mapping
from typing import Literal

import msgspec
from starlette.requests import Request

from assistant.gateway import chat
from assistant.gateway.completion import Asked, End, Piece, Prompt, complete
from assistant.gateway.errors import Refusal, told
from assistant.gateway.openai_types import (
    Answer,
    ChatMessage,
    ChatRequest,
    Choice,
    Chunk,
    ChunkChoice,
    Completion,
    Delta,
    ImagePart,
    Model,
    Models,
    PromptDetails,
    RefusalPart,
    Spent,
    ToolCallTold,
    ToolFunction,
)
from assistant.gateway.routes import Gate, Route, read
from assistant.gateway.telling import Telling, Whole
from assistant.gateway.uploads import Uploads
from assistant.messages import Called, Complete, Function, Said, Script, Shown, ToolCall, Turn, Usage

Finish = Literal["stop", "length", "tool_calls"]
SSE = "text/event-stream; charset=utf-8"
LINES = "application/x-ndjson"
# What would change the answer and cannot be done: whether the value asks for it, and what is said of it.
UNABLE: Mapping[str, tuple[Callable[[ChatRequest], bool], str]] = {
    "n": (lambda asked: asked.n not in (None, 1), "One answer is given to a request; leave out n."),
    "response_format": (
        lambda asked: asked.response_format is not None and asked.response_format.type != "text",
        "Answers are text; other response formats cannot be guaranteed.",
    ),
    "logprobs": (lambda asked: bool(asked.logprobs or asked.top_logprobs), "Probabilities are not told."),
    "logit_bias": (lambda asked: bool(asked.logit_bias), "Tokens cannot be biased."),
    "frequency_penalty": (lambda asked: bool(asked.frequency_penalty), "There is repetition_penalty instead."),
    "presence_penalty": (lambda asked: bool(asked.presence_penalty), "There is repetition_penalty instead."),
    "functions": (lambda asked: bool(asked.functions), "Functions are given as tools."),
    "tool_choice": (
        lambda asked: bool(asked.tools) and asked.tool_choice not in (None, "auto", "none"),
        "A model cannot be made to call a tool; leave tool_choice at auto.",
    ),
}


async def models(request: Request, gate: Gate) -> Models:
    """The model that there is."""
    name = gate.link.state.dialogue.model
    return Models([_model(name)] if name else [])


async def model(request: Request, gate: Gate) -> Model:
    """One model by its name."""
    return _model(chat.check_model(gate, request.path_params["model"]).model)


async def completions(request: Request, gate: Gate) -> Telling:
    """Go on with a conversation."""
    body = await read(request, ChatRequest)
    state = chat.check_model(gate, body.model)
    return _answer(request, gate, body, state.model, SSE)


async def vendor(request: Request, gate: Gate) -> Telling:
    """As the vendor's demo answers: whatever model is named, and streams as lines."""
    body = await read(request, ChatRequest)
    return _answer(request, gate, body, chat.model(gate).model, LINES)


def _answer(request: Request, gate: Gate, body: ChatRequest, name: str, media_type: str) -> Telling:
    uploads = Uploads(gate.settings.limits, gate.link.state.camera)
    script = chat.check_size(script_of(body, uploads))
    events = complete(gate, chat.client(request), Asked(script, uploads, wanted(body)))
    made = Made(name)
    if not body.stream:
        return Telling(request.url.path, events, Whole(made.whole))
    usage = body.stream_options is not None and bool(body.stream_options.include_usage)
    return Telling(request.url.path, events, Stream(made, request.url.path, usage, media_type))


# --- in ---


def script_of(body: ChatRequest, uploads: Uploads) -> Script:
    """The conversation. Raises Refusal."""
    for param, (asks, why) in UNABLE.items():
        if asks(body):
            raise Refusal(400, "unsupported_value", f"{param} is not supported: {why}", param)
    if not body.messages:
        raise Refusal(400, "no_messages", "There are no messages to answer.", "messages")
    said = tuple(_said(message, f"messages[{at}]", uploads) for at, message in enumerate(body.messages))
    tools = () if body.tool_choice == "none" else tuple(body.tools or ())
    functions = tuple(
        Function(tool.function.name, tool.function.description or "", tool.function.parameters or {}) for tool in tools
    )
    return Script(said, functions)


def wanted(body: ChatRequest) -> Complete:
    return Complete(
        turn=Turn("", 0),
        max_tokens=body.max_completion_tokens or body.max_tokens,
        temperature=body.temperature,
        top_k=body.top_k,
        top_p=body.top_p,
        repetition_penalty=body.repetition_penalty,
        seed=chat.natural(body.seed),
        stop=chat.stops(body.stop),
    )


def _said(message: ChatMessage, param: str, uploads: Uploads) -> Said:
    role = "system" if message.role == "developer" else message.role
    content: list[str | Shown] = []
    if isinstance(message.content, str):
        content = [message.content]
    for at, part in enumerate(message.content if isinstance(message.content, list) else ()):
        where = f"{param}.content[{at}]"
        if isinstance(part, ImagePart):
            if role != "user":
                raise Refusal(400, "picture_misplaced", f"A message of the {role} shows no pictures.", where)
            content.append(uploads.shown(part.image_url.url, f"{where}.image_url.url"))
        else:
            content.append(part.refusal if isinstance(part, RefusalPart) else part.text)
    calls = tuple(Called(call.id, call.function.name, call.function.arguments) for call in message.tool_calls or ())
    if calls and role != "assistant":
        raise Refusal(400, "call_misplaced", f"A message of the {role} calls no tools.", f"{param}.tool_calls")
    if message.content is None and not calls:
        raise Refusal(400, "no_content", "The message has no content.", f"{param}.content")
    if role == "tool" and not message.tool_call_id:
        raise Refusal(400, "no_call", "A tool's message names the call that it answers.", f"{param}.tool_call_id")
    return Said(role, tuple(content), calls, message.tool_call_id or "")


# --- out ---


class Made:
    """Answers and chunks of one completion."""

    def __init__(self, name: str) -> None:
        self._id, self._created, self._name = f"chatcmpl-{uuid.uuid4().hex}", int(time.time()), name

    def whole(self, events: list[object]) -> bytes:
        """b"" before all is there."""
        end = events[-1]
        if not isinstance(end, End):
            return b""
        text = "".join(event.text for event in events if isinstance(event, Piece))
        calls = [called(event) for event in events if isinstance(event, ToolCall)]
        answer = Answer("assistant", text if text or not calls else None, tool_calls=calls or msgspec.UNSET)
        choice = Choice(0, answer, finish(end, bool(calls)))
        return msgspec.json.encode(Completion(self._id, self._created, self._name, [choice], spent(end.usage)))

    def chunk(self, delta: Delta, reason: Finish | None = None, usage: bool = False) -> Chunk:
        return Chunk(
            self._id,
            self._created,
            self._name,
            [ChunkChoice(0, delta, reason)],
            usage=None if usage else msgspec.UNSET,
        )

    def usage(self, usage: Usage) -> Chunk:
        return Chunk(self._id, self._created, self._name, [], usage=spent(usage))


class Stream:
    """The chunks of a completion as server-sent events; or as bare lines."""

    def __init__(self, made: Made, path: str, usage: bool, media_type: str) -> None:
        self.media_type = media_type
        self._made, self._path, self._usage = made, path, usage
        self._begun, self._calls = False, 0

    def event(self, event: object) -> bytes:
        match event:
            case Prompt():
                return self._begin()
            case Piece(text=text):
                return self._begin() + self._written(Delta(content=text))
            case ToolCall() as call:
                self._calls += 1
                return self._begin() + self._written(Delta(tool_calls=[called(call, call.index)]))
            case End() as end:
                told = self._begin() + self._written(Delta(content=""), finish(end, bool(self._calls)))
                if self._usage:
                    told += self._line(self._made.usage(end.usage))
                return told + (b"data: [DONE]\n\n" if self.media_type == SSE else b"")
        return b""

    def failure(self, refusal: Refusal) -> bytes:
        return self._line(told(refusal, self._path))

    def _begin(self) -> bytes:
        if self._begun:
            return b""
        self._begun = True
        return self._written(Delta(role="assistant", content=""))

    def _written(self, delta: Delta, reason: Finish | None = None) -> bytes:
        return self._line(self._made.chunk(delta, reason, self._usage))

    def _line(self, content: object) -> bytes:
        line = msgspec.json.encode(content)
        return b"data: " + line + b"\n\n" if self.media_type == SSE else line + b"\n"


def called(call: ToolCall, index: int | None = None) -> ToolCallTold:
    return ToolCallTold(call.id, "function", ToolFunction(call.name, call.arguments), index)


def finish(end: End, calls: bool) -> Finish:
    if end.reason != "stop":
        return "length"  # of what was asked for, or of the context: the API has one word for both
    return "tool_calls" if calls else "stop"


def spent(usage: Usage) -> Spent:
    total = usage.prompt_tokens + usage.completion_tokens
    return Spent(usage.prompt_tokens, usage.completion_tokens, total, PromptDetails(usage.cached_tokens))


def _model(name: str) -> Model:
    return Model(name, 0)


ROUTES: tuple[Route, ...] = (
    Route("GET", "/v1/models", models, "The model that there is", answer=Models, tags=("openai",)),
    Route("GET", "/v1/models/{model}", model, "One model", answer=Model, tags=("openai",)),
    Route(
        "POST",
        "/v1/chat/completions",
        completions,
        "Go on with a conversation; with stream=true as server-sent events",
        body=ChatRequest,
        answer=Completion,
        tags=("openai",),
    ),
    Route(
        "POST",
        "/rkllm_chat",
        vendor,
        "The same as the vendor's demo answers it: any model's name, streams as JSON lines",
        body=ChatRequest,
        answer=Completion,
        tags=("openai",),
    ),
)
