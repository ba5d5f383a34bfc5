"""How a conversation reaches RKLLM: a decision for each turn, and the texts it needs. Nothing here calls anything.

The conversation is the truth; what the runtime holds is only a cache of it. See the table in ``rkllm``.
"""

import itertools
import re
from collections.abc import Sequence
from typing import Literal, NamedTuple

import msgspec

from pipelines.llm import Message, Picture
from pipelines.llm._librkllm_types import IMAGE, Tags

Reuse = Literal["history", "prefix", "none"]
Case = Literal["grown", "tokens", "whole", "prefix", "fresh"]
SPEAKERS = {"system": "", "user": "User: ", "assistant": "Assistant: ", "tool": "Tool: "}


class Template(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A model's chat template in four pieces; the defaults are ChatML, as Qwen's models have it."""

    system: str = "<|im_start|>system\n{system}<|im_end|>\n"
    prefix: str = "<|im_start|>user\n"
    postfix: str = "<|im_end|>\n<|im_start|>assistant\n"
    end: str = "<|im_end|>\n"  # of a reply, before the next prefix


class Traits(NamedTuple):
    """What the release, the model and the options allow."""

    history: bool  # the release has keep_history and clear_kv_cache (1.2.0)
    reuse: Reuse  # how the model's cache can be used again
    tokenizer: bool  # conversations can be rendered and tokenised here


class Step(NamedTuple):
    case: Case
    clear: bool  # empty the cache first
    keep_history: bool
    form: Literal["turn", "tokens", "whole"]  # the new turn only, or the conversation as tokens or as text
    keep_system: bool = False  # not of it the system prompt, as the vendor's own "clear" does


Key = tuple[str, tuple[str, ...]]


def key(message: Message) -> Key:
    """What makes two messages the same to the cache."""
    parts = (part.strip() if isinstance(part, str) else f"\0{part.identity}" for part in message.content)
    return message.role, tuple(parts)


def pictures(messages: Sequence[Message]) -> list[Picture]:
    return [part for message in messages for part in message.content if isinstance(part, Picture)]


def plan(held: Sequence[Message] | None, conversation: Sequence[Message], traits: Traits) -> Step:
    """What to do for the reply to ``conversation``, when the cache holds ``held`` (None: nothing to rely on)."""
    now = pictures(conversation)
    form: Literal["tokens", "whole"] = "tokens" if traits.tokenizer and not now else "whole"
    if not traits.history:
        return Step("fresh", clear=False, keep_history=False, form=form)
    if traits.reuse == "none":
        return Step("fresh", clear=True, keep_history=True, form=form)
    before = pictures(held or ())
    if traits.reuse == "prefix":
        same = [picture.identity for picture in before] == [picture.identity for picture in now]
        # Before either picture stands the same opening, if the template has it; else the runtime's own system prompt.
        keep = held is not None and not same
        return Step("prefix", clear=held is None or not same, keep_history=False, form=form, keep_system=keep)
    grown = held is not None and list(map(key, held)) == list(map(key, conversation[:-1]))
    second = bool(before and pictures(conversation[-1:]))  # it would be answered as the first one (rknn-llm #257)
    if grown and not second:
        return Step("grown", clear=False, keep_history=True, form="turn")
    return Step("tokens" if form == "tokens" else "whole", clear=True, keep_history=True, form=form)


class Opening(NamedTuple):
    """What every conversation begins with, as the template has it: there it outlasts a new picture."""

    system: str = ""
    examples: tuple[Message, ...] = ()


def system_of(conversation: Sequence[Message]) -> tuple[str, Sequence[Message]]:
    """The system prompt, if there is one, and the messages after it."""
    if conversation and conversation[0].role == "system":
        return "".join(part for part in conversation[0].content if isinstance(part, str)), conversation[1:]
    return "", conversation


def opening_of(conversation: Sequence[Message]) -> tuple[Opening, Sequence[Message]]:
    """The system prompt and the examples after it, and the messages after those. Examples come in whole pairs."""
    system, messages = system_of(conversation)
    examples = tuple(itertools.takewhile(lambda message: message.fixed and not pictures([message]), messages))
    count = len(examples) if examples and examples[-1].role == "assistant" else 0
    return Opening(system, examples[:count]), messages[count:]


class Writer:
    """Makes texts of messages. Words that steer the model are made harmless in what people said."""

    def __init__(self, template: Template | None, tags: Tags, lines: bool, prefix: bool = False) -> None:
        """``template`` None: the runtime's own, unknown here; ``lines``: earlier turns as plain lines; ``prefix``: what
        was computed for one turn is to be found again in the next, so the last turn is written as an earlier one."""
        self._template, self._lines, self._prefix = template, lines or template is None, prefix
        words = [IMAGE, *(tag for tag in (tags.start, tags.end, tags.content) if tag)]
        self._steering = re.compile("|".join([*map(re.escape, dict.fromkeys(words)), r"<\|[^|<>\s]{1,40}\|>"]))

    def turn(self, message: Message) -> str:
        """A user's message: its pictures' marks before its text."""
        return "".join(self._defused(part) if isinstance(part, str) else IMAGE for part in message.content)

    def opening(self, opening: Opening) -> str:
        """The system prompt and the examples as the template has them, for set_chat_template: turns of their own even
        where the runtime strips special tokens from what is said."""
        template = self._template
        assert template is not None
        text = template.system.replace("{system}", self._defused(opening.system)) if opening.system else ""
        for message in opening.examples:
            before, after = ("", template.end) if _replies(message) else (template.prefix, template.postfix)
            text += before + self.turn(message) + after
        return text

    def whole(self, system: str, messages: Sequence[Message]) -> str:
        """The messages as one user's text, the earlier turns before the last; the runtime wraps it in its template."""
        first = [self._defused(system)] if system else []
        if self._lines:
            earlier = [SPEAKERS[message.role] + self.turn(message) for message in messages[:-1]]
            last = SPEAKERS[messages[-1].role] if self._prefix else ""
            return "\n".join([*first, *earlier, last + self.turn(messages[-1])])
        return "\n".join([*first, self._inside(messages)])

    def rendered(self, opening: Opening, messages: Sequence[Message]) -> str:
        """The whole prompt, template included, for a run of tokens."""
        assert self._template is not None
        return self.opening(opening) + self._template.prefix + self._inside(messages) + self._template.postfix

    def _inside(self, messages: Sequence[Message]) -> str:
        """From behind the first prefix to before the last postfix."""
        template, text = self._template, ""
        assert template is not None
        for message in messages[:-1]:
            text += self.turn(message) + (template.end + template.prefix if _replies(message) else template.postfix)
        return text + self.turn(messages[-1])

    def _defused(self, text: str) -> str:
        return self._steering.sub(lambda word: word[0][0] + " " + word[0][1:], text)


def _replies(message: Message) -> bool:
    return message.role == "assistant"
