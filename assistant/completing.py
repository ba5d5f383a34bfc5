"""One request of a program: its conversation as the model is given it, and what has been told of the reply so far."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from assistant.core.album import GONE, Place
from assistant.messages import Complete, Message, Reason, ReplyToken, Said, Script, Shown, ToolCall, Usage
from assistant.thinking import Happened, Run, Thinker, usage_of
from pipelines import llm
from pipelines.engine import EngineError

ANOTHER = "the reply was left for somebody who spoke, and the model goes on with it otherwise than it began"


class Told(NamedTuple):
    """What is to be told, and why the reply ended, if it did."""

    messages: Sequence[Message] = ()
    reason: Reason | None = None


class Work:
    """``run`` whenever the model is free and it is not ``running``, ``advance`` while something ``waiting``."""

    def __init__(self, asked: Complete, script: Script, sampling: llm.Sampling) -> None:
        self.turn, self.script = asked.turn, script
        self.shown: list[Place] = []  # the pictures in the prompt
        self.wanted: list[Place] = []  # those that are still looked for
        self.said = ""  # that was told
        self._sampling = sampling
        self._conversation: list[llm.Message] = []
        self._given: str | None = None  # of the reply, by the program
        self._given_tokens = 0
        self._run: Run | None = None
        self._left = False  # once at least
        self._again = ""  # what was told and is still to come once more, from an engine that begins anew
        self._calls: list[llm.ToolCall] = []
        self._pieces = self._prompt_tokens = self._cached_tokens = 0
        self._engine_ms = self._first_ms = 0.0
        self._began_at = self._first_at = 0
        self._ended: llm.Ended | None = None

    # --- the prompt ---

    def write(self, pictures: Mapping[str, llm.Picture]) -> None:
        """All pictures that are ``shown`` are in hand."""
        keys = {(place.message, place.part): place.key for place in self.shown}

        def part(number: int, at: int, one: str | Shown) -> str | llm.Picture:
            if isinstance(one, str):
                return one
            return pictures[keys[number, at]] if (number, at) in keys else GONE

        self._conversation = [
            _message(said, tuple(part(number, at, one) for at, one in enumerate(said.content)))
            for number, said in enumerate(self.script.messages)
        ]
        if self._conversation[-1].role == "assistant":
            given = self._conversation.pop()
            self._given = "".join(one for one in given.content if isinstance(one, str))

    def run(self, model: llm.LanguageModel, thinker: Thinker) -> None:
        """Begin with the reply, or take it up again. Raises EngineError for what the model cannot."""
        begun, conversation, sampling = (self._given or "") + self.said, self._conversation, self._sampling
        if self._given is not None or self._left:
            if _goes_on(model.capabilities, conversation):
                conversation = [*conversation, llm.Message("assistant", (begun,))]
            elif self._given is not None:
                raise EngineError("this model cannot go on with a reply; end the conversation with a user's message")
            else:
                self._again = self.said
        if self._given and not self._given_tokens:
            given = [*self._conversation, llm.Message("assistant", (self._given,))]
            self._given_tokens = model.count(given) - model.count(self._conversation)
        functions = self.script.functions
        tools = tuple(llm.Tool(one.name, one.description, one.parameters) for one in functions)
        most = min(sampling.max_tokens + self._given_tokens, model.capabilities.context)
        sampling = msgspec.structs.replace(sampling, max_tokens=most, tools=tools)
        reply = model.reply(conversation, sampling, owner=self.turn.conversation)
        self._calls.clear()
        self._run = thinker.begin(reply, self.turn)
        self._began_at = self._began_at or self._run.began_at

    # --- the model ---

    @property
    def running(self) -> bool:
        return self._run is not None

    @property
    def waiting(self) -> bool:
        """Is there something to take?"""
        return self._run is not None and self._run.waiting

    @property
    def stuck_since(self) -> int:
        """When the model last came on with it, ns; 0: it is not at work."""
        return self._run.progress_at if self._run is not None and not self._run.left else 0

    @property
    def prompt_tokens(self) -> int:
        """As far as they are known."""
        return self._prompt_tokens

    @property
    def begun(self) -> bool:
        """Has the reply begun?"""
        return self._first_at > 0

    def leave(self) -> None:
        """Another one has to have the model now."""
        if self._run is not None:
            self._run.leave()

    def stop(self) -> None:
        """It need not go on any more."""
        if self._run is not None:
            self._run.close()
            self._run = None

    def advance(self, on_prompt: Callable[[int, int], None]) -> Told:
        """Take what has happened. Raises EngineError."""
        happened = self._run.take() if self._run is not None else None
        if self._run is None or happened is None:
            return Told()
        self._engine_ms += happened.engine_ms
        if happened.error is not None:
            raise happened.error
        match happened.event:
            case llm.Prefilled(done=done, total=total, cached=cached):
                if not self._left:
                    self._prompt_tokens, self._cached_tokens = total, cached
                on_prompt(done, total)
            case llm.Thought():
                self._note_first(happened)
                self._pieces += 1
            case llm.Token(text=text):
                self._note_first(happened)
                return self._add(text)
            case llm.ToolCall() as call:
                self._calls.append(call)
            case llm.Ended() as ended:
                self._run, self._ended = None, ended
                if self._again:
                    raise EngineError(ANOTHER)
                return Told(self._called(), ended.reason)
            case None if self._run.left:
                self._run, self._left = None, True
            case None:
                raise EngineError("the language model stopped without an end")
        return Told()

    def _add(self, text: str) -> Told:
        if self._again:
            known = min(len(text), len(self._again))
            if text[:known] != self._again[:known]:
                raise EngineError(ANOTHER)
            text, self._again = text[known:], self._again[known:]
        if not text:
            return Told()
        self.said += text
        self._pieces += 1
        return Told([ReplyToken(turn=self.turn, text=text, index=self._pieces - 1)])

    def _called(self) -> list[ToolCall]:
        """The calls: with the end, because those of a reply that is left come again."""
        return [
            ToolCall(turn=self.turn, index=index, id=call.id, name=call.name, arguments=call.arguments)
            for index, call in enumerate(self._calls)
        ]

    def _note_first(self, happened: Happened) -> None:
        if not self._first_at:
            self._first_ms, self._first_at = self._engine_ms, happened.at

    @property
    def usage(self) -> Usage:
        """What it cost. Where it was left and taken up again, what came from the cache is what the first run found."""
        told = Usage(
            prompt_tokens=self._prompt_tokens, cached_tokens=self._cached_tokens, completion_tokens=self._pieces
        )
        if (ended := self._ended) is not None:
            told = msgspec.structs.replace(
                usage_of(ended),
                prompt_tokens=ended.prompt_tokens + self._given_tokens,
                cached_tokens=self._cached_tokens if self._left else ended.cached_tokens,
                completion_tokens=ended.completion_tokens - self._given_tokens,
            )
        return msgspec.structs.replace(
            told, first_token_ms=self._first_ms, began_at=self._began_at, first_token_at=self._first_at
        )


def _message(said: Said, content: tuple[str | llm.Picture, ...]) -> llm.Message:
    calls = tuple(llm.ToolCall(call.id, call.name, call.arguments) for call in said.calls)
    return llm.Message(said.role, content, calls, said.call_id)


def _goes_on(able: llm.Capabilities, conversation: Sequence[llm.Message]) -> bool:
    if able.continues == "text":
        return not any(isinstance(part, llm.Picture) for message in conversation for part in message.content)
    return able.continues == "pictures"
