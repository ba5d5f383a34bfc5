"""Cuts a reply into sentences while it is being generated, so that the first is spoken while the next is written.

Sentences tile the reply: each begins where the one before ended, and the cuts do not depend on how the text came in
pieces. A cut is made when what follows has shown that it is one: "3." may become "3.5", "Dr." may not end anything.

The first one need not wait for what follows (``at_once``), if words have come that hardly anything but an end can
follow: at a board's pace the next token takes a tenth of a second, in which nothing is heard.
"""

import re

import msgspec

from assistant.core.speech import language, speakable

__all__ = ["Sentence", "Splitter", "language", "speakable"]

FIRST_WORDS = 8  # words before a comma at which the first piece may end already
LONG = 220  # characters; a longer sentence may end at any comma
CJK_WEIGHT = 0.8  # of a word: what one Chinese character counts for FIRST_WORDS


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


# Never the end of a sentence.
_TITLES = _set(
    "dr mr mrs ms mx prof rev gen sen rep col capt lt sgt st mt vs cf approx ca fig figs eq eqs ref refs viz incl excl "
    "resp e.g i.e eg est dept aka"
)
# An abbreviation where a number follows ("No. 5"), else a word.
_NUMBERED = _set("no nos nr p pp vol ch chap sec art para tab op item ser mod ver v")
# May end a sentence: they do before a word that begins one.
_EITHER = _set(
    "etc inc ltd co corp jr sr min max temp avg hrs hr ft oz lb lbs sq dia jan feb mar apr jun jul aug sep sept oct "
    "nov dec mon tue wed thu fri sat sun a.m p.m u.s u.k u.n ph.d"
)
_STARTERS = _set(
    "the a an it its it's this that these those there they he she we you i i'm in on at if when while and but so or no "
    "yes not what where who how why is are was were do does did can could please then next also however my your his "
    "her our their one two some all both each for from to with by as after before here now maybe perhaps"
)

_CANDIDATE = re.compile(r"<think>|```|[.!?…]+|[。！？；｡]+|\n|[,;:，：—–]")
_ENDS_AT_ONCE = re.compile(r"(?:\w*[aeiouy]\w*|[\u3400-\u9fff])(?:[.!?。！？]|(?P<clause>[,;，；]))\Z")
_OPENERS = re.compile(r"[\"“‘「『（(\[【《<*_`~#/@\\]")  # what is open may yet be closed behind the full stop
_CLOSERS = "\"'”’」』）)】]》〉*_`~"
_WIDE = "。！？；｡"


class Sentence(msgspec.Struct, frozen=True):
    """A piece of the reply as written, ``end`` characters into it. ``speakable(text)`` is what to say of it."""

    text: str
    end: int


class Splitter:
    """Feed it pieces of text. ``first_clause``: the first piece may end at a comma, to be heard sooner; ``at_once``: it
    is finished with its last token, which is one as models have them ("," or "." by itself, ".com" and ".5" not)."""

    def __init__(self, first_clause: bool = False, at_once: bool = False) -> None:
        self._first_clause, self._at_once = first_clause, at_once
        self._text = ""  # what is not cut off yet
        self._start = 0  # where that begins in the reply
        self._from = 0  # in _text: everything before is known to hold no cut

    def feed(self, piece: str) -> list[Sentence]:
        """The sentences that are finished now."""
        self._text += piece
        return self._cut(final=False)

    def finish(self) -> list[Sentence]:
        """What is left, when the reply is over. White space alone is not a sentence."""
        sentences = self._cut(final=True)
        if self._text.strip():
            sentences.append(self._take(len(self._text)))
        return sentences

    def _cut(self, final: bool) -> list[Sentence]:
        sentences = []
        while (end := self._border(final)) is not None:
            sentences.append(self._take(end))
        return sentences

    def _take(self, end: int) -> Sentence:
        sentence = Sentence(self._text[:end], self._start + end)
        self._text, self._start, self._from = self._text[end:], self._start + end, 0
        self._first_clause = self._at_once = False
        return sentence

    def _border(self, final: bool) -> int | None:
        """Where the next sentence ends in ``_text``; None while that is open."""
        while (found := _CANDIDATE.search(self._text, self._from)) is not None:
            mark, at, after = found.group(), found.start(), found.end()
            if mark in ("<think>", "```"):  # not cut inside: it is taken out, or left out, as a whole
                close = self._text.find("</think>" if mark == "<think>" else "```", after)
                if close < 0:
                    return None
                self._from = close + (8 if mark == "<think>" else 3)
                continue
            if not final and after == len(self._text):
                return after if self._at_once and self._ends_at_once() else None  # the run of marks may go on
            verdict = self._judge(mark, at, after, final)
            if verdict is None:
                return None
            if verdict:
                return verdict
            self._from = after
        # A tag or fence may have begun in the last characters: it is only known once it is whole.
        self._from = max(self._from, len(self._text) - len("<think"))
        return None

    def _ends_at_once(self) -> bool:
        """Do plain words end the text, and so hardly anything but white space can follow?"""
        text = self._text
        found = _ENDS_AT_ONCE.search(text)
        if found is None or _OPENERS.search(text):
            return False
        if found["clause"]:
            return self._first_clause and _words(text[:-1]) >= FIRST_WORDS
        last = _last_word(text[:-1])
        name = last[0].isupper() and text.strip() != f"{last}{text[-1]}"  # "Ave."; but a sentence of one word is one
        return not name and len(last) > 1 and last.lower() not in _TITLES | _NUMBERED | _EITHER

    def _judge(self, mark: str, at: int, after: int, final: bool) -> int | None:
        """The end of the sentence at this mark; 0 if it ends none; None if more must be seen."""
        text = self._text
        if mark == "\n":
            return at if text[:at].strip() else 0
        end = after
        while end < len(text) and text[end] in _CLOSERS:
            end += 1
        if end == len(text) and not final:
            return None
        if mark[0] in _WIDE:
            return end
        if mark in ",;:，：—–":
            return self._clause(mark, at, after)
        following = text[end:].lstrip(" \t\r")
        if not following:
            return end if final else None
        spaced = text[end] in " \t\r\n"
        if not spaced and (following[0].isascii() or mark[0] == "…" or mark.startswith("..")):
            return 0  # 3.5, v1.2, example.com, a?b, 他……走了
        word = re.match(r"[^\W_]+(?:'[^\W_]*)?", following)
        if word and word.end() == len(following) and not final and self._doubtful(at):
            return None
        return end if self._ends(mark, at, end > after, word.group() if word else following[0]) else 0

    def _clause(self, mark: str, at: int, after: int) -> int:
        """A comma or the like ends the first piece once that is worth saying, and any piece that is too long."""
        text = self._text
        wide = mark in "，："
        if not wide and not (after < len(text) and text[after] in " \t\r\n") and mark not in "—":
            return 0  # 1,000 and 10:30
        if len(text[:at]) < LONG and not (self._first_clause and _words(text[:at]) >= FIRST_WORDS):
            return 0
        return after

    def _doubtful(self, at: int) -> bool:
        """Does it take the whole next word to know?"""
        last = _last_word(self._text[:at]).lower()
        return last in _EITHER or len(last.replace(".", "")) == 1 or "." in last

    def _ends(self, mark: str, at: int, closed: bool, following: str) -> bool:
        """Does a full stop and the like, with ``following`` (a word) after white space, end the sentence?"""
        lower = following[0].isascii() and following[0].islower()
        if mark != ".":
            ellipsis = mark.startswith("..") or mark[0] == "…"
            return not lower or not (ellipsis or closed)
        before = self._text[:at]
        last = _last_word(before)
        if re.fullmatch(r"\s*(?:[*_>#-]+\s*)?\d{1,3}", before[before.rfind("\n") + 1 :]) and self._opens(before):
            return False  # the number of a list item
        if not closed and (last.lower() in _TITLES or (last.lower() in _NUMBERED and following[0].isdigit())):
            return False
        initial = len(last) == 1 and last.isascii() and last.isupper() and not re.search(r"\d\s*\w$", before)
        if initial or last.lower() in _EITHER or re.fullmatch(r"(?:[^\W\d_]\.)+[^\W\d_]", last):
            return (following.lower() in _STARTERS and following[0].isupper()) or not following[0].isascii()
        return not lower

    def _opens(self, before: str) -> bool:
        """Is what stands before the full stop all of the line, and not an answer that is a number alone?"""
        return bool(before.strip()) and ("\n" in self._text or self._text[len(before) + 1 :].strip() != "")


def _last_word(text: str) -> str:
    """The word at the end, with full stops inside it: "e.g" of "e.g."."""
    found = re.search(r"[^\W_]+(?:\.[^\W_]+)*$", text[-40:])
    return found.group() if found else ""


def _words(text: str) -> float:
    wide = sum("\u3400" <= char <= "\u9fff" for char in text)
    return wide * CJK_WEIGHT + len(re.findall(r"[A-Za-z0-9][^\s\u3400-\u9fff]*", text))
