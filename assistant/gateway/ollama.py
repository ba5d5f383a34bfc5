"""Ollama's API: what Home Assistant, Open WebUI and rkllama's users point at. Source: ollama/ollama, docs/api.md."""

import datetime
import hashlib
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from assistant.core.snapshot import DialogueNow
from assistant.gateway import chat
from assistant.gateway.completion import Asked, End, Piece, complete
from assistant.gateway.errors import Refusal, told
from assistant.gateway.ollama_types import (
    Answer,
    CalledFunction,
    ChatMessage,
    ChatRequest,
    GenerateRequest,
    ModelTold,
    Options,
    Running,
    RunningModel,
    Shown,
    ShowRequest,
    Spoken,
    Tags,
    ToolCallTold,
    Version,
)
from assistant.gateway.routes import Gate, Route, read
from assistant.gateway.telling import Telling, Whole
from assistant.gateway.uploads import CAMERA, Uploads
from assistant.messages import Called, Complete, Function, Said, Script, ToolCall, Turn
from assistant.messages import Shown as Picture

LINES = "application/x-ndjson"
NEVER = "9999-12-31T23:59:59Z"  # it stays loaded


async def version(request: Request, gate: Gate) -> Version:
    """The daemon's own version."""
    return Version(gate.version)


async def tags(request: Request, gate: Gate) -> Tags:
    """The model that there is."""
    state = gate.link.state.dialogue
    if not state.model:
        return Tags([])
    return Tags([ModelTold(f"{state.model}:latest", f"{state.model}:latest", _now(), _digest(state))])


async def running(request: Request, gate: Gate) -> Running:
    """The same: it is loaded as long as the daemon runs."""
    state = gate.link.state.dialogue
    if not state.model:
        return Running([])
    return Running(
        [RunningModel(f"{state.model}:latest", f"{state.model}:latest", _digest(state), NEVER, state.context)]
    )


async def show(request: Request, gate: Gate) -> Shown:
    """What the model can."""
    body = await read(request, ShowRequest, any_type=True)
    state = chat.check_model(gate, body.model or body.name or "")
    able = ["completion"] + ["vision"] * (state.wants != "text") + ["tools"] * state.tools
    info: dict[str, Any] = {
        "general.architecture": "edge",
        "general.basename": state.model,
        "edge.context_length": state.context,
    }
    return Shown(_now(), able, info)


async def talk(request: Request, gate: Gate) -> Response:
    """Go on with a conversation."""
    body = await read(request, ChatRequest, any_type=True)
    state = chat.check_model(gate, body.model)
    _check_format(body.format)
    form = Told(body.model, request.url.path, generate=False)
    if not body.messages:
        return form.loaded()
    uploads = Uploads(gate.settings.limits, gate.link.state.camera)
    names = dict[str, str]()
    said = tuple(_said(message, at, uploads, names) for at, message in enumerate(body.messages))
    functions = tuple(
        Function(tool.function.name, tool.function.description or "", tool.function.parameters or {})
        for tool in body.tools or ()
    )
    if functions and not state.tools:
        raise Refusal(400, "no_tools", f"{body.model} does not support tools.", "tools")
    return _answer(request, gate, Script(said, functions), uploads, body.options, body.stream, form)


async def generate(request: Request, gate: Gate) -> Response:
    """Answer one prompt."""
    body = await read(request, GenerateRequest, any_type=True)
    chat.check_model(gate, body.model)
    _check_format(body.format)
    for param, given in (("suffix", body.suffix), ("template", body.template), ("raw", body.raw)):
        if given:
            raise Refusal(400, "unsupported_value", f"{param} is not supported by this model.", param)
    form = Told(body.model, request.url.path, generate=True)
    if not body.prompt and not body.images:
        return form.loaded()
    uploads = Uploads(gate.settings.limits, gate.link.state.camera)
    shown = tuple(_picture(text, f"images[{at}]", uploads) for at, text in enumerate(body.images or ()))
    said = (Said("system", (body.system,)),) if body.system else ()
    script = Script((*said, Said("user", (*shown, body.prompt))))
    return _answer(request, gate, script, uploads, body.options, body.stream, form)


def _answer(
    request: Request,
    gate: Gate,
    script: Script,
    uploads: Uploads,
    options: Options | None,
    stream: bool | None,
    form: "Told",
) -> Telling:
    asked = Asked(chat.check_size(script), uploads, _wanted(options or Options()))
    events = complete(gate, chat.client(request), asked)
    return Telling(request.url.path, events, Whole(form.whole) if stream is False else form)


# --- in ---


def _wanted(options: Options) -> Complete:
    most = options.num_predict
    return Complete(
        turn=Turn("", 0),
        max_tokens=most if most is not None and most > 0 else None,
        temperature=options.temperature,
        top_k=options.top_k,
        top_p=options.top_p,
        repetition_penalty=options.repeat_penalty,
        seed=chat.natural(options.seed),
        stop=chat.stops(options.stop, "options.stop"),
    )


def _said(message: ChatMessage, at: int, uploads: Uploads, names: dict[str, str]) -> Said:
    """``names``: the calls so far, by their function: a tool's message names no call but the function."""
    param = f"messages[{at}]"
    if message.images and message.role != "user":
        raise Refusal(400, "picture_misplaced", f"A message of the {message.role} shows no pictures.", param)
    shown = tuple(_picture(text, f"{param}.images[{n}]", uploads) for n, text in enumerate(message.images or ()))
    calls = tuple(
        Called(call.id or f"call_{at}_{n}", call.function.name, msgspec.json.encode(call.function.arguments).decode())
        for n, call in enumerate(message.tool_calls or ())
    )
    if calls and message.role != "assistant":
        raise Refusal(400, "call_misplaced", f"A message of the {message.role} calls no tools.", param)
    names.update({call.name: call.id for call in calls})
    answers = message.tool_call_id or names.get(message.tool_name or "", "") if message.role == "tool" else ""
    content: tuple[str | Picture, ...] = (*shown, message.content) if message.content else shown
    return Said(message.role, content, calls, answers)


def _picture(text: str, param: str, uploads: Uploads) -> Picture:
    if text.startswith((CAMERA, "data:")):
        return uploads.shown(text, param)
    return uploads.base64(text, param)


def _check_format(wanted: str | dict[str, Any] | None) -> None:
    if wanted:
        raise Refusal(400, "unsupported_value", "format is not supported: answers are text.", "format")


# --- out ---


class Told:
    """The lines of an answer, or all of it."""

    media_type = LINES

    def __init__(self, name: str, path: str, generate: bool) -> None:
        self._name, self._path, self._generate = name, path, generate

    def loaded(self) -> Response:
        """Nothing was asked: some clients do that to have the model loaded."""
        told = self._spoken("", done=True, done_reason="load")
        return Response(msgspec.json.encode(told), media_type="application/json")

    def event(self, event: object) -> bytes:
        match event:
            case Piece(text=text):
                return self._line(self._spoken(text))
            case ToolCall() as call:
                return self._line(self._spoken("", [_called(call)]))
            case End() as end:
                return self._line(self._ended("", [], end))
        return b""

    def failure(self, refusal: Refusal) -> bytes:
        return msgspec.json.encode(told(refusal, self._path)) + b"\n"

    def whole(self, events: list[object]) -> bytes:
        end = events[-1]
        if not isinstance(end, End):
            return b""
        text = "".join(event.text for event in events if isinstance(event, Piece))
        calls = [_called(event) for event in events if isinstance(event, ToolCall)]
        return msgspec.json.encode(self._ended(text, calls, end))

    def _ended(self, text: str, calls: list[ToolCallTold], end: End) -> Spoken:
        usage = end.usage
        return self._spoken(
            text,
            calls,
            done=True,
            done_reason="stop" if end.reason == "stop" else "length",
            total_duration=round(end.took_ms * 1e6),
            load_duration=0,
            prompt_eval_count=usage.prompt_tokens,
            prompt_eval_duration=round(usage.prefill_ms * 1e6),
            eval_count=usage.completion_tokens,
            eval_duration=round(usage.decode_ms * 1e6),
        )

    def _spoken(self, text: str, calls: list[ToolCallTold] | None = None, **more: Any) -> Spoken:
        if self._generate:
            return Spoken(self._name, _now(), response=text, **more)
        message = Answer(text, calls) if calls else Answer(text)
        return Spoken(self._name, _now(), message=message, **more)

    def _line(self, content: Spoken) -> bytes:
        return msgspec.json.encode(content) + b"\n"


def _called(call: ToolCall) -> ToolCallTold:
    arguments = msgspec.json.decode(call.arguments, type=dict[str, Any])
    return ToolCallTold(CalledFunction(call.name, arguments), call.id)


def _now() -> str:
    return datetime.datetime.now(datetime.timezone.utc).isoformat().replace("+00:00", "Z")


def _digest(state: DialogueNow) -> str:
    """Tells one model from another, and is no file's: what the model is made of is not known here."""
    return hashlib.sha256(f"{state.model} {state.context} {state.wants}".encode()).hexdigest()


ROUTES: tuple[Route, ...] = (
    Route("GET", "/api/version", version, "The daemon's version", answer=Version, tags=("ollama",)),
    Route("GET", "/api/tags", tags, "The model that there is", answer=Tags, tags=("ollama",)),
    Route("GET", "/api/ps", running, "The model that is loaded", answer=Running, tags=("ollama",)),
    Route("POST", "/api/show", show, "What the model can", body=ShowRequest, answer=Shown, tags=("ollama",)),
    Route(
        "POST",
        "/api/chat",
        talk,
        "Go on with a conversation; unless stream=false as JSON lines",
        body=ChatRequest,
        answer=Spoken,
        tags=("ollama",),
    ),
    Route(
        "POST",
        "/api/generate",
        generate,
        "Answer one prompt; unless stream=false as JSON lines",
        body=GenerateRequest,
        answer=Spoken,
        tags=("ollama",),
    ),
)
