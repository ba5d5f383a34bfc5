"""Turns: one question at a time is bound to its picture and answered, until its end or an interruption."""

import logging
from typing import Literal

from assistant import sight
from assistant.answering import Answering
from assistant.core import personas
from assistant.core.commands import Command, match
from assistant.core.conversation import PictureRef
from assistant.core.looking import sight_for
from assistant.core.reply import Reply
from assistant.core.sentences import language
from assistant.foresight import TOKEN_NS, Foresight, Progress
from assistant.journal import of
from assistant.lane import Lane
from assistant.manner import Manner
from assistant.memory import Memory
from assistant.messages import LIVE, Cleared, Embedding, Guess, Heard, Reason, Say, Turn, TurnStarted
from assistant.service import Service
from assistant.sounding import Sounding
from assistant.thinking import Thinker
from pipelines import llm
from pipelines.engine import EngineError

log = logging.getLogger(__name__)

HELD_NS = (
    15_000_000_000  # a guess that is neither confirmed nor taken back for so long is none: whoever made it is gone
)


class Turns:
    """``current`` is the one that is being answered: a question that was asked, or (``held``) one that is guessed."""

    def __init__(
        self,
        service: Service,
        manner: Manner,
        model: llm.LanguageModel,
        memory: Memory,
        thinker: Thinker,
        lane: Lane,
    ) -> None:
        self._service, self._manner, self._model, self._memory = service, manner, model, memory
        self._thinker, self._lane = thinker, lane
        self._progress = Progress(service)
        self._used = 0  # tokens of the live conversation in the KV cache
        self.foresight = Foresight(service, model, memory, thinker, self._as_if, manner.settings.ahead_duty)
        self.sounding = Sounding()
        self.cameras: dict[str, tuple[str, ...]] = {}  # those that a question may name, and what it may call them
        self.void: tuple[Turn, str, str] | None = None  # a question that its speaker took up again, its language
        self.current: Answering | None = None

    @property
    def asked(self) -> Answering | None:
        """What is being answered to a question that is certain."""
        return self.current if self.current is not None and not self.current.held else None

    # --- a question ---

    def begin(
        self,
        turn: Turn,
        text: str,
        last_sample_at: int,
        spoken_language: str = "",
        *,
        camera: str = "",
        spoken: bool = False,
    ) -> None:
        self.stop("interrupted")  # a newer question replaces the one that is being answered
        self._started(turn, text, last_sample_at, spoken)
        self._answer(turn, text, spoken_language, camera=camera)

    def say(self, words: Say) -> None:
        """Nobody has asked: a program wants this said."""
        self.stop("interrupted")
        self._started(words.turn, "", words.turn.start, spoken=False)
        said = Answering(self._service.publish, words.turn, "", words.language, self._manner.settings.first_clause)
        said.voice = words.language
        self.current = said
        self._say_instead(said, words.text, "command")

    def guess(self, guess: Guess) -> None:
        """Answer what may be the question, and tell nobody."""
        self._answer(guess.turn, guess.text, guess.language, held=True)

    def confirm(self, heard: Heard) -> bool:
        """Was the question guessed right? Then its answer is told, as far as it is."""
        current = self.current
        if current is None or not current.held or not current.turn.same(heard.turn) or current.question != heard.text:
            return False
        self._started(heard.turn, heard.text, heard.last_sample_at, spoken=True)
        if current.prompt:
            self._memory.ask(heard.turn, current.question, current.language, current.picture)
        current.confirm(heard.turn)
        if current.asked_for:
            self._count_waste(current)
        if current.kept_end is not None:
            self._end(*current.kept_end)
        return True

    def spoil(self) -> None:
        """If there is a guess, it was wrong: its answer is nobody's."""
        current = self.current
        if current is not None and current.held:
            current.stop()
            self.foresight.spoilt(*current.spent)
            self.current = None

    def take_back(self, turn: Turn) -> None:
        """The question of this turn goes on, and nothing of its answer was heard: there is none."""
        record = self._memory.record(turn)
        if self.current is not None and self.current.turn.same(turn):
            self.current.stop()
            self.void, self.current = (turn, self.current.question, self.current.language), None
        elif record is not None:
            self.void = turn, record.question, record.language
        self.sounding.replaced(turn)

    def stop(self, why: Reason, detail: str = "") -> None:
        """End the current reply where it is."""
        self.spoil()
        if self.current is not None:
            self.current.stop()
            if why in ("interrupted", "error", "lost"):
                self._end(why, detail)

    def step(self) -> None:
        """Take what happened in the language model, or notice that nothing does, or that a picture does not come."""
        current = self.current
        if current is None:
            return
        if current.working:
            self._advance(current)
        elif current.held and self._service.clock() - current.made_at > HELD_NS:
            self.spoil()
        elif not current.asked_for and self._service.clock() > current.look_until:
            self._unseen("none", "vision does not answer")

    def _started(self, turn: Turn, text: str, last_sample_at: int, spoken: bool) -> None:
        self.sounding.replaced(turn)
        self.void = None
        if self._memory.over(turn.conversation):
            self.clear(turn.conversation, "gap")
        self._service.publish(TurnStarted(turn=turn, text=text, spoken=spoken, last_sample_at=last_sample_at))

    def _answer(
        self, turn: Turn, text: str, spoken_language: str = "", *, camera: str = "", held: bool = False
    ) -> None:
        speech, settings = language(text) if spoken_language == "" else spoken_language, self._manner.settings
        self.current = Answering(self._service.publish, turn, text, speech, settings.first_clause, held)
        self.current.made_at = self._service.clock()
        self._progress = Progress(self._service)
        command = match(text)
        if command is not None:
            self._obey(self.current, command)
            return
        known, ahead = self._memory.in_context(turn.conversation), None
        about = self._memory.camera(turn.conversation)
        if self.foresight.of(turn) and self.foresight.picture is not None:
            ahead = self.foresight.picture
            about = ahead.camera
        wanted = sight_for(text, self._manner.picture, known, about, self.cameras, camera, ahead, turn.start)
        if wanted is None:
            self._generate(self.current, None)
            return
        self.current.look_until = self._service.clock() + int(settings.look_s * 1e9)
        self._service.publish(sight.look(turn, wanted, settings.max_age_ms, self.current.look_until))

    # --- its picture ---

    def seen(self, seen: Embedding, payload: bytes | memoryview) -> None:
        """The picture has come, if it is this turn's: bind it, and answer."""
        current = self._awaiting(seen.turn)
        if current is None:
            return
        known = self._memory.in_context(seen.turn.conversation)
        ahead = self.foresight.known(seen.identity)
        if ahead is not None:
            picture = ahead
        elif seen.form == "unchanged" and known is not None:
            picture = known
        else:
            picture = sight.reference(seen)
            self._memory.show(sight.picture(seen, payload))
        fresh = known is None or picture.identity != known.identity
        cost = self.foresight.npu if ahead is not None and fresh else seen.npu
        current.tell(sight.bound(seen, picture, fresh, cost))
        self._generate(current, picture)

    def unseen(self, turn: Turn, why: str, detail: str) -> None:
        """There is no picture for that turn."""
        if self._awaiting(turn) is not None:
            self._unseen(why, detail)

    def _awaiting(self, turn: Turn) -> Answering | None:
        current = self.current
        return current if current is not None and current.looked == turn and not current.asked_for else None

    # --- the model ---

    def _generate(self, current: Answering, picture: PictureRef | None) -> None:
        turn, sampling = current.turn, self._manner.sampling()
        self.foresight.bound(turn, picture)
        current.picture = picture
        try:
            if current.held:
                current.prompt = self._as_if(turn, current.question, picture)
            else:
                self._memory.ask(turn, current.question, current.language, picture)
                current.prompt = self._memory.prompt(turn.conversation, sampling.max_tokens, *self._manner.opening())
                self._count_waste(current)
            reply = self._model.reply(current.prompt, sampling, owner=turn.conversation)
            current.generate(self._thinker.begin(reply, turn))
        except EngineError as error:
            self._fail(current, error)

    def _as_if(self, turn: Turn, question: str, picture: PictureRef | None) -> list[llm.Message]:
        """The prompt as it would be, were that asked."""
        reserve = self._manner.sampling().max_tokens
        return self._memory.prospect(turn, question, picture, reserve, *self._manner.opening())

    def _count_waste(self, current: Answering) -> None:
        """What was done ahead for this question is used from now on, or was in vain."""
        waste = self.foresight.answered(current.turn)
        current.wasted = current.wasted[0] + waste.ms, current.wasted[1] + waste.npu_ms

    def _advance(self, current: Answering) -> None:
        try:
            reason = current.advance(lambda done, total: self._progress.tell(current.turn, done, total))
        except EngineError as error:
            self._fail(current, error)
            if isinstance(error, llm.Stuck):
                raise  # the supervisor starts a new process, which takes the conversation up from the record
            return
        if reason is not None:
            self._end(reason)

    def watch(self) -> None:
        """A model that never returns is of no use any more, nor is the process that it is in. Raises llm.Stuck."""
        current = self.current
        since = current.stuck_since if current is not None else self.foresight.stuck_since
        limit = int(self._manner.settings.answer_s * 1e9)
        if current is not None and not current.begun:
            limit += current.prompt_tokens * TOKEN_NS
        if not since or self._service.clock() - since < limit:
            return
        stuck = llm.Stuck(f"the language model has not come on for {limit / 1e9:.0f} s; it is started anew")
        if self.asked is not None:
            self._fail(self.asked, stuck)
        raise stuck

    # --- its end ---

    def _end(self, reason: Reason, detail: str = "") -> None:
        current = self.current
        assert current is not None
        if current.held:
            current.kept_end = reason, detail
            return
        self.current = None
        self._count_waste(current)
        sentences = current.end(reason, detail)
        log.info("the reply ended: %s%s", reason, f" ({detail})" if detail else "", extra=of(current.turn))
        if current.memory_mb:
            self._service.figures["llm_memory_mb"] = current.memory_mb
        own = reason in ("command", "unseen")
        self._lane.said(current.turn.conversation, current.reply.text, own)
        if own:
            return  # the daemon's own words are no part of the conversation
        turn, reply = current.turn, current.reply
        cut = reason == "interrupted"
        self._memory.answered(turn, reply.heard() if cut and current.live else reply.text, cut)
        if sentences:
            self.sounding.add(turn, reply, cut)
        if current.live and current.tokens:
            self._fill(current.tokens)
        self._service.trouble("history", self._memory.trouble)

    def _fail(self, current: Answering, error: EngineError) -> None:
        """The language model could not: say so, keep the conversation as it was heard."""
        current.apologise(error)
        self._end("error", str(error))

    def _unseen(self, why: str, detail: str) -> None:
        assert self.current is not None
        self._say_instead(self.current, personas.unseen(why, self.current.language), "unseen", detail)

    def _say_instead(self, current: Answering, words: str, reason: Reason, detail: str = "") -> None:
        """Answer with the daemon's own words."""
        current.say(words)
        self._end(reason, detail)

    def _obey(self, current: Answering, command: Command) -> None:
        words, detail = self._lane.obey(command, current.question, current.language, self._service.health)
        name = current.turn.conversation
        if command is Command.CLEAR:
            self.clear(name, "asked")
        elif command is Command.REPEAT:
            words = self._lane.last(name) or self._memory.last_reply(name) or words
        self._say_instead(current, words, "command", detail)

    # --- what was heard of it ---

    def spoken(self, turn: Turn, index: int, text: str, complete: bool) -> None:
        reply = self._reply_of(turn)
        if reply is not None:
            reply.spoken(index, text, complete)

    def silent(self, turn: Turn) -> None:
        """The speaker is done with a reply: after an interruption, the history holds the words that were heard."""
        heard = self.sounding.over(turn)
        if heard is not None:
            self._memory.answered(turn, heard, cut=True)

    def _reply_of(self, turn: Turn) -> Reply | None:
        if self.current is not None and self.current.turn == turn:
            return self.current.reply
        return self.sounding.of(turn)

    # --- the conversation ---

    def clear(self, name: str, why: Literal["asked", "gap"]) -> None:
        self._lane.said(name, "", own=False)
        self._memory.clear(name, stored=why == "asked")  # a conversation that merely ended stays in the record
        self._service.publish(Cleared(conversation=name, why=why))
        if name == LIVE:
            self._fill(0)

    def say_state(self) -> None:
        """How it is answered, and how full the context is."""
        self._service.figures["kv_tokens"] = self._used
        self._service.publish(self._manner.state(self._used))

    def _fill(self, tokens: int) -> None:
        if tokens != self._used:
            self._used = tokens
            self.say_state()
