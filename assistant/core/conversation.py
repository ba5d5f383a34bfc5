"""The conversation is the truth: who said what about which picture, and how a language model is told of it.

Nothing here knows of a KV cache (it is only a cache of this), but the rendering is made to suit one: what was rendered
stays as it was from turn to turn, and where something must go, much goes at once (``Conversation.render``).
"""

import bisect
from collections.abc import Callable, Collection, Sequence
from typing import Literal

import msgspec

GAP_S = 600.0  # this long after its last word the live conversation is over
KEEP_SHARE = 0.75  # of the budget; so much is left when old turns are dropped
CARRIED = 4  # turns remembered where no history is kept: for "repeat that" and for the picture in context

PICTURE_GONE = {"en": "[picture taken at {taken}, no longer shown]", "zh": "[{taken} 拍的照片，已不在眼前]"}


class PictureRef(msgspec.Struct, frozen=True):
    """Names a picture; its pixels or embedding are in someone else's hands."""

    identity: str
    captured_at: int = 0  # CLOCK_MONOTONIC ns
    taken: str = ""  # wall clock, HH:MM
    frame_seq: int = 0
    signature: bytes = b""  # assistant.core.frames
    camera: str = ""
    region: str = ""  # the part of the frame that it shows, assistant.core.closer; "": all of it


class Rendered(msgspec.Struct, frozen=True):
    """One message of a rendered conversation. A user's picture stands before the text."""

    role: Literal["system", "user", "assistant"]
    content: tuple[str | PictureRef, ...]
    fixed: bool = False  # an example: the same in every prompt


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """A turn of the conversation, as it is rendered and as it is stored.

    ``picture`` is what the question is about, be it new with this turn or known from before; None for small talk.
    """

    start: int  # CLOCK_MONOTONIC ns, the turn's
    wall: float  # seconds since 1970, of the last thing that happened in it
    question: str
    language: str = "en"
    picture: PictureRef | None = None
    reply: str | None = None  # None: not answered yet. After an interruption: the words heard, perhaps none
    cut: bool = False


Count = Callable[[Sequence[Rendered]], int]


class Conversation:
    """Turns, oldest first. ``keep`` False renders the current question alone (``history = none``)."""

    def __init__(self, keep: bool = True) -> None:
        self._keep = keep
        self._turns: list[Record] = []
        self._gone: set[str] = set()  # identities of pictures that are not shown any more, come what may
        self._active_at: int | None = None

    @classmethod
    def from_records(
        cls, records: Sequence[Record], now: int, wall: float, keep: bool = True, gap_s: float = GAP_S
    ) -> "Conversation":
        """The live conversation again after a restart, from stored turns, oldest first: what came after the last gap.

        ``now`` (monotonic ns) and ``wall`` (s) are the same moment; the monotonic clock may have begun anew since.
        Pictures of the former process are not in hand any more: they become lines of text.
        """
        conversation = cls(keep)
        later = wall
        for record in reversed(records):
            if later - record.wall > gap_s:
                break
            conversation._turns.insert(0, record)
            later = record.wall
        if conversation._turns:
            conversation._active_at = now - round(max(0.0, wall - conversation._turns[-1].wall) * 1e9)
        conversation.retire_pictures()
        return conversation

    def fork(self) -> "Conversation":
        """A copy to try something on, such as a question that is still being spoken."""
        copy = Conversation(self._keep)
        copy._turns, copy._gone, copy._active_at = list(self._turns), set(self._gone), self._active_at
        return copy

    # --- what happens in it ---

    def ask(
        self,
        question: str,
        picture: PictureRef | None = None,
        *,
        start: int,
        wall: float,
        at: int,
        language: str = "en",
    ) -> None:
        """A question, about ``picture`` if any: a new one, or the one in context. The same ``start`` again is a
        revision of the last turn. ``at``: monotonic ns, now."""
        if self._turns and self._turns[-1].start == start:
            self._turns.pop()
        self._turns.append(Record(start=start, wall=wall, question=question, language=language, picture=picture))
        if picture is not None:
            self._gone.discard(picture.identity)
        if not self._keep:
            del self._turns[:-CARRIED]
        self._active_at = at

    def reply(self, text: str, *, wall: float, at: int, start: int | None = None) -> None:
        """The reply as generated (to the last question, or to that of ``start``)."""
        self._mend(start, wall, at, text, cut=False)

    def heard(self, text: str, *, wall: float, at: int, start: int | None = None) -> None:
        """The reply was cut short: only ``text`` of it was heard, and only that was said."""
        self._mend(start, wall, at, text, cut=True)

    def withdraw(self, start: int) -> None:
        """The turn is taken back as if it had never been: its question was a false alarm."""
        self._turns = [turn for turn in self._turns if turn.start != start]

    def clear(self) -> None:
        self._turns.clear()
        self._gone.clear()
        self._active_at = None

    def retire_pictures(self, but: Collection[str] = ()) -> None:
        """No picture so far can be shown again, ``but`` those identities: the embeddings of the others are lost."""
        self._gone |= {turn.picture.identity for turn in self._turns if turn.picture is not None} - set(but)

    def _mend(self, start: int | None, wall: float, at: int, text: str, cut: bool) -> None:
        for number in range(len(self._turns) - 1, -1, -1):
            if start is None or self._turns[number].start == start:
                mended = msgspec.structs.replace(self._turns[number], reply=text.strip(), cut=cut, wall=wall)
                self._turns[number] = mended
                self._active_at = at
                return  # a turn that was cleared or dropped meanwhile has nothing to be mended

    # --- what is known of it ---

    @property
    def turns(self) -> tuple[Record, ...]:
        return tuple(self._turns)

    @property
    def last_reply(self) -> str:
        """What was said last; "" if nothing was."""
        return next((turn.reply for turn in reversed(self._turns) if turn.reply), "")

    @property
    def picture(self) -> PictureRef | None:
        """The picture in context: the newest that a question was about and that is still shown."""
        newest = next((turn.picture for turn in reversed(self._turns) if turn.picture is not None), None)
        return None if newest is None or newest.identity in self._gone else newest

    @property
    def camera(self) -> str:
        """The camera of the newest picture that a question was about, shown or not; "" if none was."""
        return next((turn.picture.camera for turn in reversed(self._turns) if turn.picture is not None), "")

    def over(self, now: int, gap_s: float = GAP_S) -> bool:
        """Was there nothing for so long that a new conversation begins?"""
        return self._active_at is not None and now - self._active_at > gap_s * 1e9

    def record(self, start: int) -> Record | None:
        """The turn to be stored."""
        return next((turn for turn in self._turns if turn.start == start), None)

    # --- how a language model is told ---

    def render(
        self,
        *,
        budget: int,
        count: Count,
        reserve: int = 0,
        live_pictures: int = 1,
        system: str = "",
        examples: Sequence[tuple[str, str]] = (),
    ) -> list[Rendered]:
        """The messages of a prompt whose ``count`` with ``reserve`` (tokens for the reply) fits in ``budget`` tokens.

        What does not fit is given up for good, first all live pictures but the newest, then the oldest turns. These go
        down to KEEP_SHARE of the budget at once: dropping one a turn would change the beginning of every prompt, and
        with it the whole KV cache would have to be computed again each time. The current question stays, even where
        it alone is too long (the engine then says so).
        """
        opening = [Rendered("system", (system,))] if system else []
        for question, answer in examples:
            opening += [Rendered("user", (question,), fixed=True), Rendered("assistant", (answer,), fixed=True)]

        def messages(skip: int = 0) -> list[Rendered]:
            return opening + self._messages(self._shown()[skip:], live_pictures)

        room = budget - reserve
        if count(messages()) <= room:
            return messages()
        while len(live := self._live(self._shown(), live_pictures)) > 1:
            self._gone.add(live[-1])
            if count(messages()) <= room:
                return messages()
        spare = range(max(0, len(self._shown()) - 1) + 1)  # how many turns may go
        skip = bisect.bisect_left(spare, True, key=lambda skip: count(messages(skip)) <= room * KEEP_SHARE)
        self._drop(min(skip, spare[-1]))
        return messages()

    def _shown(self) -> list[Record]:
        return self._turns if self._keep else self._turns[-1:]

    def _drop(self, turns: int) -> None:
        if self._keep:
            del self._turns[:turns]

    def _live(self, turns: Sequence[Record], limit: int) -> list[str]:
        """Identities of the pictures that are shown, newest first."""
        seen = dict.fromkeys(turn.picture.identity for turn in reversed(turns) if turn.picture is not None)
        newest = list(seen)[: max(0, limit)]
        return [identity for identity in newest if identity not in self._gone]

    def _messages(self, turns: Sequence[Record], live_pictures: int) -> list[Rendered]:
        """A picture stands with the first turn that is about it: so it moves on by itself when that turn is dropped.

        One that is taken up again after another stands where it was taken up: the newest in the prompt is always the
        one that the question is about.
        """
        live, shown = self._live(turns, live_pictures), _taken_up(turns)
        messages = []
        for number, turn in enumerate(turns):
            content: tuple[str | PictureRef, ...] = (turn.question,)
            if turn.picture is not None and number in shown:
                if turn.picture.identity in live and shown[number]:
                    content = (turn.picture, turn.question)
                else:
                    content = (f"{_gone_line(turn)}\n{turn.question}",)
            messages.append(Rendered("user", content))
            if turn.reply is not None or number < len(turns) - 1:
                # A reply of which nothing was heard stays as an empty message: roles go on alternating, as chat
                # templates demand; the question may matter to the next ("I mean the other one"); and no word is
                # put into the assistant's mouth that it might take up.
                messages.append(Rendered("assistant", (turn.reply or "",)))
        return messages


def _taken_up(turns: Sequence[Record]) -> dict[int, bool]:
    """The turns with which a picture is taken up, by number; True where it is for the last time."""
    newest: dict[str, int] = {}
    numbers = []
    current = ""
    for number, turn in enumerate(turns):
        if turn.picture is not None and turn.picture.identity != current:
            current = turn.picture.identity
            newest[current] = number
            numbers.append(number)
    return {number: number in newest.values() for number in numbers}


def _gone_line(turn: Record) -> str:
    assert turn.picture is not None
    return PICTURE_GONE.get(turn.language, PICTURE_GONE["en"]).format(taken=turn.picture.taken)
