"""What the speaker plays: sentences in order, block by block, and what was really heard of each.

Pure: it is given PCM as it is synthesised and asked for the next block; it knows no clock and no sound card.
"""

from collections import deque
from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from assistant.messages import Turn

PCM = NDArray[np.int16]


class Block(msgspec.Struct, frozen=True):
    """The next samples to play, of one sentence."""

    turn: Turn
    index: int
    pcm: PCM  # int16 mono, at most as many samples as were asked for
    first: bool  # the sentence begins with this block


class Said(msgspec.Struct, frozen=True):
    """A sentence that is over: ``text`` is what was heard of it."""

    turn: Turn
    index: int
    text: str
    complete: bool


class _Sentence:
    def __init__(self, turn: Turn, index: int, text: str) -> None:
        self.turn, self.index, self.text = turn, index, text
        self.waiting: deque[PCM] = deque()
        self.words: list[tuple[int, int]] = []  # (character, sample) where each word begins
        self.played = 0  # samples
        self.synthesised = 0  # samples
        self.finished = False  # no more samples will come

    def heard(self) -> str:
        """The words whose last sample was played: a word is over where the next begins."""
        if self.finished and self.played >= self.synthesised:
            return self.text
        if self.words:
            starts = [char for char, sample in self.words if sample <= self.played]
            return self.text[: starts[-1]].rstrip() if starts else ""
        if not self.finished or not self.synthesised:
            return ""  # how long it would have become is not known: better to claim too little
        return whole_words(self.text, self.played / self.synthesised)


class Playout:
    """Sentences of one reply after another. A turn's reply ends when ``ended`` was told and all was played."""

    def __init__(self) -> None:
        self._queue: deque[_Sentence] = deque()
        self._closing: dict[Turn, int] = {}  # turn -> how many sentences its reply has
        self._over: dict[Turn, int] = {}  # turn -> how many were played to their end

    @property
    def empty(self) -> bool:
        return not self._queue

    def waits(self) -> bool:
        """True if a sentence is due but none of its samples are there yet."""
        return bool(self._queue) and not self._queue[0].waiting and not self._queue[0].finished

    def add(self, turn: Turn, index: int, text: str) -> None:
        self._queue.append(_Sentence(turn, index, text))

    def feed(self, turn: Turn, index: int, pcm: PCM, words: Sequence[tuple[int, int]] = ()) -> bool:
        """More samples of a sentence; False if it is no longer wanted (its synthesis should stop)."""
        sentence = self._find(turn, index)
        if sentence is None:
            return False
        if len(pcm):
            sentence.waiting.append(pcm)
            sentence.synthesised += len(pcm)
        sentence.words.extend(words)
        return True

    def complete(self, turn: Turn, index: int) -> None:
        """No more samples of this sentence will come."""
        sentence = self._find(turn, index)
        if sentence is not None:
            sentence.finished = True

    def ended(self, turn: Turn, sentences: int) -> None:
        """The reply of this turn has that many sentences; no further ones will come."""
        self._closing[turn] = sentences

    def take(self, samples: int) -> Block | None:
        """The next block to play, or None if nothing is there (yet)."""
        if not self._queue or not self._queue[0].waiting:
            return None
        sentence, parts, missing = self._queue[0], [], samples
        first = sentence.played == 0
        while missing and sentence.waiting:
            part = sentence.waiting.popleft()
            if len(part) > missing:
                sentence.waiting.appendleft(part[missing:])
                part = part[:missing]
            parts.append(part)
            missing -= len(part)
        pcm = np.concatenate(parts)
        sentence.played += len(pcm)
        return Block(sentence.turn, sentence.index, pcm, first)

    def over(self) -> list[Said]:
        """Sentences that were played to their end since the last call."""
        said = []
        while self._queue and self._queue[0].finished and not self._queue[0].waiting:
            sentence = self._queue.popleft()
            self._over[sentence.turn] = self._over.get(sentence.turn, 0) + 1
            said.append(Said(sentence.turn, sentence.index, sentence.text, True))
        return said

    def silent(self) -> list[Turn]:
        """Turns whose reply is over: all of it was played. Each is told once."""
        done = [turn for turn, count in self._closing.items() if self._over.get(turn, 0) >= count]
        for turn in done:
            del self._closing[turn]
            self._over.pop(turn, None)
        return done

    def drop(self, conversation: str, before: int) -> tuple[list[Said], list[Turn]]:
        """Forget everything of older turns of a conversation: what was heard of each sentence, and the turns cut."""
        kept: deque[_Sentence] = deque()
        said: list[Said] = []
        turns: dict[Turn, None] = {}
        for sentence in self._queue:
            if sentence.turn.conversation != conversation or sentence.turn.start >= before:
                kept.append(sentence)
                continue
            turns[sentence.turn] = None
            if sentence.played:
                said.append(Said(sentence.turn, sentence.index, sentence.heard(), False))
        for turn in [t for t in self._closing if t.conversation == conversation and t.start < before]:
            turns[turn] = None
            del self._closing[turn]
        for turn in turns:
            self._over.pop(turn, None)
        self._queue = kept
        return said, list(turns)

    def _find(self, turn: Turn, index: int) -> _Sentence | None:
        return next((s for s in self._queue if s.turn == turn and s.index == index), None)


def whole_words(text: str, share: float) -> str:
    """The beginning of a text, that share of its characters long, cut back to whole words (Chinese: characters)."""
    end = int(len(text) * min(1.0, max(0.0, share)))
    if end >= len(text):
        return text
    while end > 0 and _within_word(text, end):
        end -= 1
    return text[:end].rstrip()


def _within_word(text: str, at: int) -> bool:
    before, after = text[at - 1], text[at]
    return before.isalnum() and after.isalnum() and before.isascii() and after.isascii()
