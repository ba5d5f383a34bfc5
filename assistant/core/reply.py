"""One reply in the making: text as it comes, cut into sentences to speak, and how much of it was heard."""

import msgspec

from assistant.core.sentences import Sentence, Splitter, language, speakable


class Piece(msgspec.Struct, frozen=True):
    """A sentence to hand to the speaker. ``end`` is where it stops in the reply's text."""

    index: int
    text: str
    end: int
    language: str


class Reply:
    """Grows by ``add`` until ``finish``; then ``heard`` tells what of it stays in the history after an interruption."""

    def __init__(self, first_clause: bool = True) -> None:
        self.text = ""
        self._splitter = Splitter(first_clause, at_once=first_clause)
        self._pieces: list[Piece] = []
        self._spoken: dict[int, tuple[str, bool]] = {}  # sentence -> what was heard of it, and whether all

    @property
    def sentences(self) -> int:
        return len(self._pieces)

    def add(self, text: str) -> list[Piece]:
        """More of the reply; returns the sentences that became complete."""
        self.text += text
        return self._cut(self._splitter.feed(text))

    def finish(self) -> list[Piece]:
        """Nothing more comes; returns what was still open."""
        return self._cut(self._splitter.finish())

    def spoken(self, index: int, text: str, complete: bool) -> None:
        """The speaker reports what was heard of a sentence."""
        self._spoken[index] = (text, complete)

    @property
    def wholly_spoken(self) -> bool:
        return all(self._spoken.get(piece.index, ("", False))[1] for piece in self._pieces)

    def heard(self) -> str:
        """The reply up to the last word that was heard: whole sentences as they were written, the cut one as spoken."""
        end = 0
        for piece in self._pieces:
            text, complete = self._spoken.get(piece.index, ("", False))
            if not complete:
                before = self.text[:end].rstrip()
                return f"{before} {text}".strip() if text else before
            end = piece.end
        return self.text[:end].rstrip()

    def _cut(self, sentences: list[Sentence]) -> list[Piece]:
        said = [(speakable(sentence.text), sentence.end) for sentence in sentences]
        known = len(self._pieces)
        self._pieces += [
            Piece(known + number, text, end, language(text))
            for number, (text, end) in enumerate((text, end) for text, end in said if text)
        ]
        return self._pieces[known:]
