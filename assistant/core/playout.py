"""What the speaker plays: sentences in order, block by block, and what was really heard of each.

Pure: it is given PCM as it is synthesised, asked for the next block, and told how many of the samples taken have left
for the ear; it knows no clock and no sound card.
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
        self.taken: deque[PCM] = deque()  # on their way to the ear
        self.ahead = 0  # samples in ``taken``
        self.played = 0  # samples that have left for the ear
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

    @property
    def all_taken(self) -> bool:
        return self.finished and not self.waiting

    def sounded(self, samples: int) -> int:
        """That many more have left, or as many as were taken; returns how many those were."""
        count = left = min(samples, self.ahead)
        while left:
            part = self.taken.popleft()
            if len(part) > left:
                self.taken.appendleft(part[left:])
                part = part[:left]
            left -= len(part)
        self.ahead -= count
        self.played += count
        return count

    def rewind(self) -> None:
        self.waiting.extendleft(reversed(self.taken))
        self.taken.clear()
        self.ahead = 0


class Playout:
    """Sentences of one reply after another. A turn's reply ends when ``ended`` was told and all was played."""

    def __init__(self) -> None:
        self._queue: deque[_Sentence] = deque()
        self._closing: dict[Turn, int] = {}  # turn -> how many sentences its reply has
        self._over: dict[Turn, int] = {}  # turn -> how many were played to their end

    @property
    def empty(self) -> bool:
        return not self._queue

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
        sentence = next((sentence for sentence in self._queue if not sentence.all_taken), None)
        if sentence is None or not sentence.waiting:
            return None
        parts, missing = [], samples
        first = not sentence.played and not sentence.ahead
        while missing and sentence.waiting:
            part = sentence.waiting.popleft()
            if len(part) > missing:
                sentence.waiting.appendleft(part[missing:])
                part = part[:missing]
            parts.append(part)
            missing -= len(part)
        pcm = np.concatenate(parts)
        sentence.taken.append(pcm)
        sentence.ahead += len(pcm)
        return Block(sentence.turn, sentence.index, pcm, first)

    def sounded(self, samples: int) -> None:
        """The next samples of those taken have left for the ear."""
        for sentence in self._queue:
            samples -= sentence.sounded(samples)

    def rewind(self) -> None:
        """What was taken and has not left never will (the device is gone): it is there to be taken again."""
        for sentence in self._queue:
            sentence.rewind()

    def over(self) -> list[Said]:
        """Sentences that were played to their end since the last call."""
        said = []
        while self._queue and self._queue[0].all_taken and not self._queue[0].ahead:
            said.append(self._end(self._queue.popleft()))
        return said

    def give_up(self) -> list[Said]:
        """Nothing can be played: all sentences are over, with what was heard of them. Their turns go on."""
        said = [self._end(sentence) for sentence in self._queue]
        self._queue.clear()
        return said

    def silent(self) -> list[Turn]:
        """Turns whose reply is over: all of it was played. Each is told once."""
        done = [turn for turn, count in self._closing.items() if self._over.get(turn, 0) >= count]
        for turn in done:
            del self._closing[turn]
            self._over.pop(turn, None)
        return done

    def drop(self, conversation: str, before: int, revision: int = 0) -> tuple[list[Said], list[Turn]]:
        """Forget everything of older turns of a conversation, and of lower revisions of the one that started then: what
        was heard of each sentence, and the turns cut."""
        newest = before, revision
        kept: deque[_Sentence] = deque()
        said: list[Said] = []
        turns: dict[Turn, None] = {}
        for sentence in self._queue:
            if sentence.turn.conversation != conversation or age(sentence.turn) >= newest:
                kept.append(sentence)
                continue
            turns[sentence.turn] = None
            if sentence.played or sentence.ahead:
                said.append(Said(sentence.turn, sentence.index, sentence.heard(), False))
        for turn in [t for t in self._closing if t.conversation == conversation and age(t) < newest]:
            turns[turn] = None
            del self._closing[turn]
        for turn in turns:
            self._over.pop(turn, None)
        self._queue = kept
        return said, list(turns)

    def _end(self, sentence: _Sentence) -> Said:
        self._over[sentence.turn] = self._over.get(sentence.turn, 0) + 1
        whole = sentence.all_taken and not sentence.ahead
        return Said(sentence.turn, sentence.index, sentence.text if whole else sentence.heard(), whole)

    def _find(self, turn: Turn, index: int) -> _Sentence | None:
        return next((s for s in self._queue if s.turn == turn and s.index == index), None)


def age(turn: Turn) -> tuple[int, int]:
    """Of two turns of a conversation, the greater is the newer; a revision replaces what was before it."""
    return turn.start, turn.revision


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
