"""Any OpenAI-compatible server as the language model: vLLM, SGLang, llama.cpp, Ollama, or a service on the internet.

Runs on: the server; here only the official client (openai, Apache-2.0) and OpenCV for JPEGs. What crosses the network:
the conversation, its pictures and the tools. The server tokenises, so prompts are counted by estimate, and whether
special tokens typed by the user stay text is the server's doing.
"""

import base64
import math
import time
import uuid
from collections import OrderedDict
from collections.abc import AsyncIterator, Generator, Iterator, Sequence
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from pipelines import openai_client
from pipelines.engine import EngineError
from pipelines.llm import (
    Capabilities,
    Ended,
    Event,
    Message,
    Picture,
    Prefilled,
    PromptTooLong,
    Sampling,
    Thought,
    Token,
    Tool,
    ToolCall,
)
from pipelines.llm._thinking import Thinking

TICK = 0.1  # s: how often a reader who waits for the server gets the chance to stop it
REMEMBERED = 4  # encoded pictures: a conversation sends its pictures again with every turn
TOO_LONG = ("context length", "context size", "context_length", "context window", "too long")  # servers' words for it


class Options(openai_client.Options, frozen=True, kw_only=True):
    context: Annotated[int, msgspec.Meta(ge=256, le=10_000_000)] = 8192  # tokens that the server keeps a conversation
    pictures: bool = True  # false: the model reads text only
    live_pictures: Annotated[int, msgspec.Meta(ge=1, le=16)] = 1
    picture_side: Annotated[int, msgspec.Meta(ge=64, le=4096)] = 1024  # pixels: longer sides are shrunk to this
    picture_tokens: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 1000  # taken for one picture when counting
    jpeg_quality: Annotated[int, msgspec.Meta(ge=30, le=100)] = 85
    extended: bool = False  # also send top_k and repetition_penalty, which only local servers know
    thinking_opened: bool = False  # the model's template opens a thought itself, and the server does not take it out
    # the server goes on with a last message of the assistant's: vLLM and SGLang when told to, llama.cpp anyway
    continues: bool = False
    warm: bool = False  # prefill ahead by asking for one token: for a server that caches prefixes and costs nothing


class Engine:
    """See ``pipelines.llm.LanguageModel``. The server finds cached prefixes itself, so owners make no difference."""

    Options: TypeAlias = Options
    extra = "openai"

    def __init__(self, options: Options) -> None:
        self._options = options
        self._server = openai_client.Server(options)
        self._encoded: OrderedDict[str, str] = OrderedDict()  # identity of a picture -> data URL
        wants: Literal["pictures", "text"] = "pictures" if options.pictures else "text"
        self.capabilities = Capabilities(
            wants=wants,
            context=options.context,
            live_pictures=options.live_pictures,
            tools=True,
            ahead="pictures" if options.warm else "nothing",
            continues="pictures" if options.continues else "nothing",
        )

    def count(self, conversation: Sequence[Message]) -> int:
        """An estimate that is rather too high: three bytes of UTF-8 a token, ``picture_tokens`` a picture."""
        tokens = 3  # that open the reply
        for message in conversation:
            written = sum(len(part.encode()) for part in message.content if isinstance(part, str))
            written += sum(len((call.name + call.arguments).encode()) for call in message.calls)
            pictures = sum(isinstance(part, Picture) for part in message.content)
            tokens += 4 + math.ceil(written / 3) + pictures * self._options.picture_tokens
        return tokens

    def reply(
        self, conversation: Sequence[Message], sampling: Sampling, owner: str = "live"
    ) -> Generator[Event, None, None]:
        """See the Protocol. While the server is silent, Prefilled(0, estimate) comes ten times a second, and with each
        piece of a call Prefilled(estimate, estimate), so that the reader may stop there too.

        Raises PromptTooLong by estimate or as the server says it, and EngineError naming the server and the mend, or
        the tool whose arguments are no JSON object; then none of the reply's calls came. Of a reply that is gone on
        with, the server counts what stood there as prompt: its share is estimated.
        """
        goes_on = bool(conversation) and conversation[-1].role == "assistant"
        if goes_on and not self._options.continues:
            raise EngineError("the conversation ends with a reply; set continues where the server goes on with one")
        begun = self.count(conversation) - self.count(conversation[:-1]) if goes_on else 0
        tools = [_tool(tool) for tool in sampling.tools]
        estimate = self.count(conversation) + math.ceil(len(msgspec.json.encode(tools)) / 3 if tools else 0)
        if estimate >= self._options.context:
            raise PromptTooLong(f"the prompt takes about {estimate} tokens of a context of {self._options.context}")
        left = max(1, sampling.max_tokens - begun)
        sampling = msgspec.structs.replace(sampling, max_tokens=left)
        run = _Run(estimate, left, self._options.thinking_opened and not goes_on, begun)
        chunks = self._server.stream(self._source(conversation, sampling, tools), TICK)
        try:
            while True:
                try:
                    chunk = next(chunks, run)
                except EngineError as error:
                    if run.reason:  # the answer is complete, only the figures are lost
                        break
                    raise _too_long(error) or error from error.__cause__
                if chunk is run:
                    break
                yield from run.take(chunk)
        finally:
            chunks.close()
        if not run.reason:
            told = "in mid-answer" if run.pieces else "without an answer; see whether base_url is right, and its log"
            raise EngineError(f"the server at {self._options.base_url} ended {told}")
        yield from run.rest()
        yield from run.calls()
        yield run.ended()

    def prefill(self, conversation: Sequence[Message], owner: str = "live") -> Generator[Prefilled, None, None]:
        """Nothing unless ``warm`` is set; then one token is asked for, so that the server's cache holds the prompt.

        It is the prompt without tools: most models' templates put them first, and then nothing of it serves again.
        """
        if self._options.warm:
            for event in self.reply(conversation, Sampling(max_tokens=1), owner):
                if isinstance(event, Prefilled):
                    yield event

    def _source(
        self, conversation: Sequence[Message], sampling: Sampling, tools: list[dict[str, Any]]
    ) -> openai_client.Source[Any]:
        asked: dict[str, Any] = {
            "model": self._options.model,
            "messages": [self._message(message) for message in conversation],
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "max_tokens": sampling.max_tokens,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if tools:  # an empty list is refused by some servers
            asked["tools"] = tools
        if sampling.stop:
            asked["stop"] = list(sampling.stop)
        if sampling.seed is not None:
            asked["seed"] = sampling.seed
        more = _extension(sampling) if self._options.extended else {}
        if conversation[-1].role == "assistant":
            more |= {"continue_final_message": True, "add_generation_prompt": False}
        if more:
            asked["extra_body"] = more

        async def source(client: Any) -> AsyncIterator[Any]:
            async with await client.chat.completions.create(**asked) as stream:
                async for chunk in stream:
                    if _telling(chunk):
                        yield chunk

        return source

    def _message(self, message: Message) -> dict[str, Any]:
        """One message as the API wants it; plain text stays a string, which every server takes."""
        # the API refuses a tool's result that answers no call
        role = "user" if message.role == "tool" and not message.call_id else message.role
        content: str | list[dict[str, Any]] | None
        if all(isinstance(part, str) for part in message.content):
            content = "".join(str(part) for part in message.content)
        else:
            content = [self._part(part) for part in message.content]
        written: dict[str, Any] = {"role": role, "content": content}
        if role == "tool":
            written["tool_call_id"] = message.call_id
        if role == "assistant" and message.calls:
            written["content"] = content or None  # the API's way to say that it only called
            written["tool_calls"] = [
                {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
                for call in message.calls
            ]
        return written

    def _part(self, part: str | Picture) -> dict[str, Any]:
        if isinstance(part, str):
            return {"type": "text", "text": part}
        if not self._options.pictures:
            raise EngineError("the prompt holds a picture, but the option pictures of the llm engine 'openai' is false")
        if part.identity not in self._encoded:
            if part.pixels is None:
                raise EngineError(
                    "the llm engine 'openai' was given a picture without pixels; set the vision engine 'none'"
                )
            self._encoded[part.identity] = _data_url(part.pixels, self._options)
            if len(self._encoded) > REMEMBERED:
                self._encoded.popitem(last=False)
        self._encoded.move_to_end(part.identity)
        return {"type": "image_url", "image_url": {"url": self._encoded[part.identity]}}


class _Call(msgspec.Struct):
    """A call in the making."""

    index: int
    id: str = ""
    name: str = ""
    arguments: str = ""


class _Run:
    """Folds the chunks of one answer into events and figures."""

    def __init__(self, estimate: int, max_tokens: int, opened: bool, begun: int = 0) -> None:
        """``begun``: tokens of the reply that stood there already."""
        self.reason = ""  # the server's finish_reason
        self.pieces = 0
        self._estimate, self._max_tokens, self._begun = estimate, max_tokens, begun
        self._thinking = Thinking(opened)
        self._calls: list[_Call] = []
        self._usage: Any = None
        self._began = time.monotonic()
        self._first = self._last = self._began

    def take(self, chunk: Any) -> Iterator[Prefilled | Thought | Token]:
        if chunk is None:  # nothing came for a while
            if not self.pieces:
                yield Prefilled(0, self._estimate)
            return
        self._usage = getattr(chunk, "usage", None) or self._usage
        for choice in getattr(chunk, "choices", None) or ():
            delta = getattr(choice, "delta", None)
            text, calls = getattr(delta, "content", None), getattr(delta, "tool_calls", None)
            thought = _thought(delta)
            if text or calls or thought:
                self._last = time.monotonic()
                if not self.pieces:
                    self._first = self._last
                if calls or not self.pieces:
                    yield Prefilled(self._estimate, self._estimate)
                self.pieces += 1
            answer = self._thinking.feed(str(text)) if text else ""
            if answer:
                yield Token(answer)
            elif thought or (text and self._thinking.thought):
                yield Thought()
            for piece in calls or ():
                self._add(piece)
            self.reason = getattr(choice, "finish_reason", None) or self.reason

    def rest(self) -> list[Token]:
        """What was held back of the text and may be said now that nothing follows."""
        rest = self._thinking.rest()
        return [Token(rest)] if rest else []

    def _add(self, piece: Any) -> None:
        """One piece of a call: index, identifier and name first, arguments bit by bit."""
        function = getattr(piece, "function", None)
        index, known = getattr(piece, "index", None), getattr(piece, "id", None) or ""
        name, arguments = getattr(function, "name", None) or "", getattr(function, "arguments", None) or ""
        if index is None:  # some servers send whole calls without one
            index = len(self._calls) if name or not self._calls else self._calls[-1].index
        # the latest first: some servers number every call 0, and then only a new name and identifier tell them apart
        call = next((call for call in reversed(self._calls) if call.index == index), None)
        if call is None or (name and call.name and known and known != call.id):
            call = _Call(index)
            self._calls.append(call)
        call.id, call.name = call.id or known, call.name or name
        call.arguments += arguments

    def calls(self) -> list[ToolCall]:
        """The complete calls in the server's order. Raises EngineError for one that cannot be carried out."""
        return [self._checked(call) for call in sorted(self._calls, key=lambda call: call.index)]

    def _checked(self, call: _Call) -> ToolCall:
        if not call.name:
            raise EngineError("the model called a tool without naming it")
        arguments = call.arguments if call.arguments.strip() else "{}"  # some servers leave out an empty object
        try:
            msgspec.json.decode(arguments, type=dict[str, Any])
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            cut = "; the reply was cut, raise max_tokens or context" if self.reason == "length" else ""
            told = f"the model's arguments for the tool {call.name!r} are no JSON object ({error}){cut}"
            raise EngineError(told) from error
        # a result must name its call, so a server that gives no identifier gets one
        return ToolCall(call.id or f"call_{uuid.uuid4().hex}", call.name, arguments)

    def ended(self) -> Ended:
        """The figures: the server's, and where it gives none, the estimate and the number of pieces."""
        if not self.pieces:
            self._first = self._last = time.monotonic()
        prompt = getattr(self._usage, "prompt_tokens", None) or self._estimate
        cached = getattr(getattr(self._usage, "prompt_tokens_details", None), "cached_tokens", None) or 0
        completion = getattr(self._usage, "completion_tokens", None) or self.pieces
        reason: Literal["stop", "length", "context"] = "stop"
        if self.reason == "length":
            # the API has one word for both; fewer tokens than were allowed means that the context was full
            reason = "context" if self._usage is not None and completion < self._max_tokens else "length"
        return Ended(
            reason=reason,
            prompt_tokens=max(1, prompt - self._begun),
            cached_tokens=min(cached, max(1, prompt - self._begun)),
            completion_tokens=completion + self._begun,
            prefill_ms=(self._first - self._began) * 1e3,
            decode_ms=(self._last - self._first) * 1e3,
        )


def _telling(chunk: Any) -> bool:
    """Whether a chunk holds more than formalities: many servers begin with an empty one, and then may still fail."""
    choices = getattr(chunk, "choices", None) or ()
    deltas = [getattr(choice, "delta", None) for choice in choices]
    said = any(
        getattr(delta, "content", None) or getattr(delta, "tool_calls", None) or _thought(delta) for delta in deltas
    )
    ended = any(getattr(choice, "finish_reason", None) for choice in choices)
    return bool(said or ended or getattr(chunk, "usage", None))


def _thought(delta: Any) -> bool:
    """Whether a piece is of a thought that the server keeps apart from the answer. The API has no name for it: some
    servers say reasoning_content (DeepSeek, llama.cpp, SGLang), others reasoning (Ollama, newer vLLM)."""
    return bool(getattr(delta, "reasoning_content", None) or getattr(delta, "reasoning", None))


def _tool(tool: Tool) -> dict[str, Any]:
    function = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    return {"type": "function", "function": function}


def _extension(sampling: Sampling) -> dict[str, Any]:
    """Sampling that is not part of the API, under the names of vLLM and SGLang, and of llama.cpp."""
    body: dict[str, Any] = {}
    if sampling.top_k:
        body["top_k"] = sampling.top_k
    if sampling.repetition_penalty != 1.0:
        body["repetition_penalty"] = body["repeat_penalty"] = sampling.repetition_penalty
    return body


def _too_long(error: EngineError) -> PromptTooLong | None:
    said = str(error).lower()
    return PromptTooLong(str(error)) if "state 400" in said and any(words in said for words in TOO_LONG) else None


def _data_url(pixels: NDArray[np.uint8], options: Options) -> str:
    """RGB [height, width, 3] as a JPEG in a data URL, its longer side at most ``picture_side``."""
    import cv2

    scale = options.picture_side / max(pixels.shape[:2])
    if scale < 1:
        size = max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale))
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    good, data = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, options.jpeg_quality])
    if not good:
        raise EngineError(f"a picture of {pixels.shape[1]}x{pixels.shape[0]} could not be written as JPEG")
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode()
