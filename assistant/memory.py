"""What dialogue remembers: the conversations, their stored turns, and the pictures that the model may be shown."""

import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence

import msgspec

from assistant.core.conversation import Conversation, PictureRef, Record, Rendered
from assistant.history import History
from assistant.messages import LIVE, Turn
from pipelines import llm

log = logging.getLogger(__name__)

CONVERSATIONS = 16  # kept beside the live one, newest first
PICTURES = 16  # kept beside those that the model can hold at once: other conversations have theirs


class Memory:
    """Everything by conversation name. The live one is stored, and goes on after a restart of the process."""

    def __init__(self, model: llm.LanguageModel, history: History, clock: Callable[[], int], keep: bool, gap_s: float):
        self._model, self._history, self._clock, self._keep, self._gap_s = model, history, clock, keep, gap_s
        self._pictures: OrderedDict[str, llm.Picture] = OrderedDict()
        self._conversations: OrderedDict[str, Conversation] = OrderedDict()
        records = list(self._stored())
        self._conversations[LIVE] = Conversation.from_records(records, clock(), time.time(), keep, gap_s)

    @property
    def trouble(self) -> str:
        return self._history.trouble

    def over(self, name: str) -> bool:
        """Did the conversation end by itself, because nothing was said for so long?"""
        return self._conversation(name).over(self._clock(), self._gap_s)

    def clear(self, name: str, stored: bool) -> None:
        self._conversation(name).clear()
        if stored:
            self._history.clear(name)

    def last_reply(self, name: str) -> str:
        return self._conversation(name).last_reply

    def record(self, turn: Turn) -> Record | None:
        """What was asked in a turn."""
        return self._conversation(turn.conversation).record(turn.start)

    def in_context(self, name: str) -> PictureRef | None:
        """The picture that the next question may still be about."""
        picture = self._conversation(name).picture
        return picture if picture is not None and picture.identity in self._pictures else None

    def camera(self, name: str) -> str:
        """The camera that the conversation is about; "" if none yet."""
        return self._conversation(name).camera

    def show(self, picture: llm.Picture) -> None:
        """A picture is in hand from now on."""
        self._pictures[picture.identity] = picture
        while len(self._pictures) > self._model.capabilities.live_pictures + PICTURES:
            self._pictures.popitem(last=False)

    def ask(self, turn: Turn, question: str, language: str, picture: PictureRef | None) -> None:
        talk = self._conversation(turn.conversation)
        talk.ask(question, picture, start=turn.start, language=language, wall=time.time(), at=self._clock())
        self._store(turn)

    def answered(self, turn: Turn, text: str, cut: bool) -> None:
        """What was replied; ``cut``: it is what was heard of more."""
        talk = self._conversation(turn.conversation)
        tell = talk.heard if cut else talk.reply
        tell(text, start=turn.start, wall=time.time(), at=self._clock())
        self._store(turn)

    def prompt(self, name: str, reserve: int, system: str, examples: Sequence[tuple[str, str]]) -> list[llm.Message]:
        """The conversation as the model is given it, with ``reserve`` tokens left for the reply."""
        return self._rendered(self._conversation(name), reserve, system, examples)

    def prospect(
        self,
        turn: Turn,
        question: str,
        picture: PictureRef | None,
        reserve: int,
        system: str,
        examples: Sequence[tuple[str, str]],
    ) -> list[llm.Message]:
        """``prompt`` as it would be if the question were asked: it may not be, and nothing is kept of it."""
        talk = self._conversation(turn.conversation).fork()
        if talk.over(self._clock(), self._gap_s):
            talk.clear()
        talk.ask(question, picture, start=turn.start, wall=0.0, at=self._clock())
        return self._rendered(talk, reserve, system, examples)

    def close(self) -> None:
        self._history.close()

    def _rendered(
        self, talk: Conversation, reserve: int, system: str, examples: Sequence[tuple[str, str]]
    ) -> list[llm.Message]:
        able = self._model.capabilities
        talk.retire_pictures(but=self._pictures)
        messages = talk.render(
            budget=able.context,
            count=lambda chat: self._model.count([self._shown(message) for message in chat]),
            reserve=min(reserve, able.context // 2),
            live_pictures=able.live_pictures,
            system=system,
            examples=examples,
        )
        return [self._shown(message) for message in messages]

    def _conversation(self, name: str) -> Conversation:
        if name not in self._conversations:
            others = [other for other in self._conversations if other != LIVE]
            for other in others[: max(0, len(others) - CONVERSATIONS + 1)]:
                del self._conversations[other]
            self._conversations[name] = Conversation(self._keep)
        self._conversations.move_to_end(name)
        return self._conversations[name]

    def _stored(self) -> Sequence[Record]:
        records = []
        for stored in self._history.load(LIVE):
            try:
                records.append(msgspec.json.decode(stored, type=Record))
            except msgspec.DecodeError as error:
                log.warning("a stored turn cannot be read and is left out: %s", error)
        return records

    def _store(self, turn: Turn) -> None:
        record = self._conversation(turn.conversation).record(turn.start)
        if record is not None and turn.conversation == LIVE:
            self._history.put(LIVE, turn.start, msgspec.json.encode(record))

    def _shown(self, message: Rendered) -> llm.Message:
        content = tuple(self._picture(part) if isinstance(part, PictureRef) else part for part in message.content)
        return llm.Message(message.role, content, fixed=message.fixed)

    def _picture(self, reference: PictureRef) -> llm.Picture:
        self._pictures.move_to_end(reference.identity)
        return self._pictures[reference.identity]
