"""What Ollama's API carries, as far as it is taken here. Source: ollama/ollama, docs/api.md."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from assistant.gateway.openai_types import FunctionTold


class CalledFunction(msgspec.Struct, frozen=True):
    name: Annotated[str, Meta(min_length=1, max_length=200)]
    arguments: dict[str, Any] = {}


class Call(msgspec.Struct, frozen=True):
    function: CalledFunction
    id: str | None = None


class ChatMessage(msgspec.Struct, frozen=True):
    role: Literal["system", "user", "assistant", "tool"]
    content: str | None = None
    images: list[str] | None = None  # base64 of the files; or, ours, camera:latest and camera:NAME
    tool_calls: list[Call] | None = None
    tool_name: str | None = None
    tool_call_id: str | None = None


class Tool(msgspec.Struct, frozen=True):
    function: FunctionTold
    type: str | None = "function"


class Options(msgspec.Struct, frozen=True):
    num_predict: Annotated[int, Meta(ge=-2, le=2**31)] | None = None  # below 0: all that the context holds
    temperature: Annotated[float, Meta(ge=0, le=10)] | None = None
    top_k: Annotated[int, Meta(ge=0, le=1_000_000)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    repeat_penalty: Annotated[float, Meta(gt=0, le=10)] | None = None
    seed: int | None = None
    stop: str | list[str] | None = None


class ChatRequest(msgspec.Struct, frozen=True):
    """The body of POST /api/chat."""

    model: str
    messages: list[ChatMessage] = []
    stream: bool | None = None
    options: Options | None = None
    tools: list[Tool] | None = None
    format: str | dict[str, Any] | None = None


class GenerateRequest(msgspec.Struct, frozen=True):
    """The body of POST /api/generate."""

    model: str
    prompt: str = ""
    system: str | None = None
    images: list[str] | None = None
    stream: bool | None = None
    options: Options | None = None
    format: str | dict[str, Any] | None = None
    suffix: str | None = None
    template: str | None = None
    raw: bool | None = None


class ShowRequest(msgspec.Struct, frozen=True):
    """The body of POST /api/show."""

    model: str | None = None
    name: str | None = None  # as older clients call it


class Details(msgspec.Struct, frozen=True):
    parent_model: str = ""
    format: str = ""
    family: str = ""
    families: list[str] = []
    parameter_size: str = ""
    quantization_level: str = ""


class ModelTold(msgspec.Struct, frozen=True):
    name: str
    model: str
    modified_at: str
    digest: str
    size: int = 0  # not known here
    details: Details = Details()


class RunningModel(msgspec.Struct, frozen=True):
    name: str
    model: str
    digest: str
    expires_at: str
    context_length: int
    size: int = 0
    size_vram: int = 0
    details: Details = Details()


class Tags(msgspec.Struct, frozen=True):
    models: list[ModelTold]


class Running(msgspec.Struct, frozen=True):
    models: list[RunningModel]


class Shown(msgspec.Struct, frozen=True):
    modified_at: str
    capabilities: list[str]
    model_info: dict[str, Any]
    modelfile: str = ""
    parameters: str = ""
    template: str = ""
    details: Details = Details()


class Version(msgspec.Struct, frozen=True):
    version: str


class ToolCallTold(msgspec.Struct, frozen=True):
    function: CalledFunction
    id: str


class Answer(msgspec.Struct, frozen=True):
    content: str = ""
    tool_calls: list[ToolCallTold] | UnsetType = UNSET
    role: Literal["assistant"] = "assistant"


class Spoken(msgspec.Struct, frozen=True):
    """A piece of an answer, or (``done``) its end, or all of it. Durations are ns."""

    model: str
    created_at: str
    message: Answer | UnsetType = UNSET  # /api/chat
    response: str | UnsetType = UNSET  # /api/generate
    done: bool = False
    done_reason: Literal["stop", "length", "load"] | UnsetType = UNSET
    total_duration: int | UnsetType = UNSET
    load_duration: int | UnsetType = UNSET
    prompt_eval_count: int | UnsetType = UNSET
    prompt_eval_duration: int | UnsetType = UNSET
    eval_count: int | UnsetType = UNSET
    eval_duration: int | UnsetType = UNSET
