"""Keeps apart what a model thinks, `<think>…</think>`, from what it answers: thoughts are not spoken, shown or kept.

Tags may come in pieces and stand in each other. A thought that is never closed lasts to the end of the reply. Some
templates open the thought themselves, at the end of the prompt: whoever knows that says so, and the reply begins
inside it. An end tag that nothing opened is dropped; what came before it has been said already.
"""

import re

OPEN, CLOSE = "<think>", "</think>"
_TAG = re.compile(f"{OPEN}|{CLOSE}")


class Thinking:
    """Takes a reply in pieces, gives its answer in pieces: without thoughts, and without space at its beginning."""

    def __init__(self, opened: bool = False) -> None:
        """``opened``: the prompt ends with a start tag."""
        self.thought = False  # was something of the latest piece a thought?
        self._depth = int(opened)
        self._kept = ""  # could become a tag
        self._gap = self._strip = True  # nothing was answered yet, or a space last; and so no more of it now

    def feed(self, piece: str) -> str:
        """What of the answer is certain now."""
        text, said, at = self._kept + piece, "", 0
        self.thought = self._depth > 0
        for tag in _TAG.finditer(text):
            said += self._answer(text[at : tag.start()])
            self._depth = self._depth + 1 if tag[0] == OPEN else max(0, self._depth - 1)
            self._strip, self.thought = self._gap, True
            at = tag.end()
        held = max(overlap(text[at:], OPEN), overlap(text[at:], CLOSE))
        self._kept = text[len(text) - held :]
        return said + self._answer(text[at : len(text) - held])

    def rest(self) -> str:
        """What was held back and turned out to be no tag."""
        kept, self._kept = self._kept, ""
        return self._answer(kept)

    def _answer(self, text: str) -> str:
        if self._depth:
            return ""
        if self._strip:
            text = text.lstrip()
        if text:
            self._strip, self._gap = False, text[-1].isspace()
        return text


def opens(prompt: str) -> bool:
    """Whether a rendered prompt ends with a start tag, so that the reply begins inside a thought."""
    return prompt.rstrip().endswith(OPEN)


def overlap(text: str, word: str) -> int:
    """How many characters at the end of ``text`` are a beginning of ``word``, short of all of it."""
    return next((n for n in range(min(len(word) - 1, len(text)), 0, -1) if text.endswith(word[:n])), 0)
