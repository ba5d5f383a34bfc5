"""What programs ask of the language model: their own conversations, gone on with in nobody's words but theirs.

A person comes first. Whenever one speaks or waits for an answer, the reply to a program is left between two events of
the model and taken up later where it was: the words that were told stay told, and none of them comes twice.
"""

import logging
from collections import OrderedDict, deque
from typing import Literal

import msgspec

from assistant import sight
from assistant.completing import Work
from assistant.core.album import chosen, places, too_many
from assistant.foresight import TOKEN_NS, Progress
from assistant.journal import of
from assistant.manner import Manner
from assistant.messages import Complete, Embedding, Look, Reason, ReplyEnded, Script, Turn, TurnStarted, Unseen
from assistant.service import Service
from assistant.thinking import Thinker
from pipelines import llm
from pipelines.engine import EngineError
from pipelines.image import PictureError

log = logging.getLogger(__name__)

PICTURES = 8  # kept beside those that the model can hold at once
TOKEN_CHARACTERS = 32  # no tokenizer makes so few of what people write
TOLD = 250_000  # characters of a reply that are told once more at its end: a message has a limit
WAITING = 64  # requests; whoever has more sent them past the queue that is for them

About = Literal["", "messages", "pictures", "tools", "length"]


class Completions:
    """One after the other, in the order in which they came. ``step`` only while no person wants the model."""

    def __init__(self, service: Service, manner: Manner, model: llm.LanguageModel, thinker: Thinker) -> None:
        self._service, self._manner, self._model, self._thinker = service, manner, model, thinker
        self._waiting: deque[Work] = deque()
        self._work: Work | None = None
        self._pictures: OrderedDict[str, llm.Picture] = OrderedDict()  # by the album's keys
        self._progress = Progress(service)
        self._look_until = 0

    @property
    def pending(self) -> bool:
        """Is there something to ``step``?"""
        work = self._work
        if work is None:
            return bool(self._waiting)
        return work.waiting or (not work.wanted and not work.running)

    # --- what arrives ---

    def take(self, asked: Complete, payload: bytes | memoryview) -> None:
        """A program asks."""
        try:
            script = msgspec.msgpack.decode(payload, type=Script)
        except (msgspec.DecodeError, UnicodeError) as error:
            script = Script(messages=())
            log.warning("a program's request cannot be read: %s", error, extra=of(asked.turn))
        work = Work(asked, script, self._manner.wished(asked))
        self._service.publish(TurnStarted(turn=work.turn, text="", spoken=False, last_sample_at=work.turn.start))
        if len(self._waiting) >= WAITING:
            self._end(work, "lost", "too many requests wait already")
        elif why := self._impossible(script):
            self._end(work, "refused", why[1], why[0])
        else:
            self._waiting.append(work)

    def awaits(self, turn: Turn) -> bool:
        """Is a picture awaited for that turn?"""
        return self._work is not None and self._work.turn == turn

    def seen(self, seen: Embedding, payload: bytes | memoryview) -> None:
        work = self._work
        if work is None or not work.wanted or seen.turn != work.turn or work.wanted[0].camera not in ("", seen.camera):
            return
        place = work.wanted.pop(0)
        try:
            picture = sight.picture(seen, payload)
        except PictureError as error:
            self._finish("unseen", str(error))
            return
        if place.sent:  # sent again, it is the same
            picture = msgspec.structs.replace(picture, identity=place.key)
        self._pictures[place.key] = picture
        self._pictures.move_to_end(place.key)
        self._look()

    def unseen(self, unseen: Unseen) -> None:
        work = self._work
        if work is not None and work.wanted and unseen.turn == work.turn:
            self._finish("unseen", unseen.detail or f"the picture cannot be shown: {unseen.why}")

    def interrupt(self, conversation: str, before: int) -> None:
        """Whoever asked that is gone."""
        gone = [work for work in self._waiting if work.turn.conversation == conversation and work.turn.start < before]
        for work in gone:
            self._waiting.remove(work)
            self._end(work, "interrupted")
        if self._work is not None and self._work.turn.conversation == conversation and self._work.turn.start < before:
            self._finish("interrupted")

    # --- the model ---

    def leave(self) -> None:
        """A person wants the model."""
        if self._work is not None:
            self._work.leave()

    def step(self) -> None:
        """Take what has happened, or begin with something, or take it up again. Raises llm.Stuck."""
        if self._work is None:
            if self._waiting:
                self._begin(self._waiting.popleft())
            return
        work = self._work
        try:
            if work.running:
                self._advance(work)
            elif not work.wanted:
                work.run(self._model, self._thinker)
            elif self._service.clock() > self._look_until:
                self._finish("unseen", "vision does not answer")
        except llm.Stuck as error:
            self._finish("error", str(error))
            raise
        except EngineError as error:
            began = work.running
            log.warning("no reply to a program: %s", error, extra=of(work.turn))
            if began or isinstance(error, llm.NoModel):
                self._finish("error", str(error))
            else:  # what is wrong with a conversation is told before anything of it is computed
                self._finish("refused", str(error), "length" if isinstance(error, llm.PromptTooLong) else "messages")

    def watch(self) -> None:
        """Raises llm.Stuck for a model that never comes back."""
        work, limit = self._work, int(self._manner.settings.answer_s * 1e9)
        if work is None or not work.stuck_since:
            return
        if not work.begun:
            limit += work.prompt_tokens * TOKEN_NS
        if self._service.clock() - work.stuck_since > limit:
            stuck = llm.Stuck(f"the language model has not come on for {limit / 1e9:.0f} s; it is started anew")
            self._finish("error", str(stuck))
            raise stuck

    def close(self, why: Reason = "lost", detail: str = "") -> None:
        """Nothing more comes of any of them."""
        for work in self._waiting:
            self._end(work, why, detail)
        self._waiting.clear()
        if self._work is not None:
            self._finish(why, detail)

    def _impossible(self, script: Script) -> tuple[About, str] | None:
        able, found = self._model.capabilities, places(script.messages)
        if not script.messages:
            return "messages", "there are no messages to answer"
        characters = sum(len(part) for said in script.messages for part in said.content if isinstance(part, str))
        if characters > able.context * TOKEN_CHARACTERS:  # to count its tokens would take a while, and others wait
            room = f"a context of {able.context} tokens does not hold that"
            return "length", f"the conversation has {characters} characters: {room}"
        if found and able.wants == "text":
            return "pictures", "this model takes no pictures"
        if too_many(found, able.live_pictures):
            return "pictures", f"this model takes {able.live_pictures} picture(s) in one message"
        if script.functions and not able.tools:
            return "tools", "this model does not support tools"
        return None

    def _begin(self, work: Work) -> None:
        self._work, self._progress = work, Progress(self._service)
        found = places(work.script.messages)
        work.shown = chosen(found, self._pictures, self._model.capabilities.live_pictures)
        looked_at = [place for place in work.shown if place.fresh and not place.sent]  # a camera shows what is now
        work.wanted = [place for place in work.shown if place in looked_at or place.key not in self._pictures]
        for place in work.shown:
            if place not in work.wanted:
                self._pictures.move_to_end(place.key)
        self._look()

    def _look(self) -> None:
        """Ask for the next picture; with the last one the conversation can be written."""
        work, settings = self._work, self._manner.settings
        assert work is not None
        if work.wanted:
            place = work.wanted[0]
            self._look_until = self._service.clock() + int(settings.look_s * 1e9)
            age_ms = 0 if place.sent else settings.max_age_ms
            until = self._look_until
            self._service.publish(Look(turn=work.turn, camera=place.camera, max_age_ms=age_ms, until=until))
            return
        work.write(self._pictures)
        while len(self._pictures) > self._model.capabilities.live_pictures + PICTURES:
            self._pictures.popitem(last=False)

    def _advance(self, work: Work) -> None:
        told = work.advance(lambda done, total: self._progress.tell(work.turn, done, total))
        for message in told.messages:
            self._service.publish(message)
        if told.reason is not None:
            self._finish(told.reason)

    def _finish(self, reason: Reason, detail: str = "", about: About = "") -> None:
        work, self._work = self._work, None
        assert work is not None
        work.stop()
        self._end(work, reason, detail, about)

    def _end(self, work: Work, reason: Reason, detail: str = "", about: About = "") -> None:
        log.info("a program's request ended: %s%s", reason, f" ({detail})" if detail else "", extra=of(work.turn))
        ended = ReplyEnded(
            turn=work.turn,
            reason=reason,
            text=work.said[:TOLD],
            sentences=0,
            usage=work.usage,
            detail=detail,
            about=about,
        )
        self._service.publish(ended)
