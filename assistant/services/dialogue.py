"""Dialogue: answer what the user said, sentence by sentence, about the picture of that moment, until interrupted.

One turn is answered at a time; the loop takes one event of the language model (a chunk of prefill, a token), then looks
at the bus again, so that an interruption, a newer question or a shutdown is obeyed between any two of them.

Work begins before the question is known (assistant.foresight). What is guessed in a pause to be the question is
answered, but nobody is told and nothing is kept of it before it is confirmed.
"""

import logging
import os
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Literal

from assistant import config, sight, turnlog
from assistant.answering import Answering, Reason
from assistant.config import Engine
from assistant.core import personas
from assistant.core.commands import Command, match
from assistant.core.conversation import PictureRef
from assistant.core.looking import sight_for
from assistant.core.reply import Reply
from assistant.core.sentences import language
from assistant.core.turnfacts import KINDS
from assistant.early import Early
from assistant.foresight import Foresight, Progress
from assistant.history import History
from assistant.journal import of
from assistant.lane import Lane
from assistant.loading import Loading
from assistant.memory import Memory
from assistant.messages import (
    LIVE,
    TOPICS,
    Ask,
    AudioOut,
    CameraState,
    Clear,
    Cleared,
    Embedding,
    Guess,
    Heard,
    Heartbeat,
    Interrupt,
    SpeakerIdle,
    SpeakerState,
    SpeechDropped,
    SpeechStarted,
    Spoken,
    Turn,
    TurnStarted,
    Unseen,
)
from assistant.service import Service, Unfit
from assistant.sounding import Sounding
from assistant.thinking import Thinker
from assistant.turnlog import TurnLog
from assistant.warmth import Warmth
from assistant.wire import Received
from pipelines import llm
from pipelines.engine import EngineError, name_of, told
from pipelines.npu.heat import Thermometer

log = logging.getLogger(__name__)

HELD_NS = (
    15_000_000_000  # a guess that is neither confirmed nor taken back for so long is none: whoever made it is gone
)
TOKEN_NS = 20_000_000  # a prompt's token may take so much longer, on a board whose runtime does not tell how far it is
LAST_S = 3.0  # after which a process that is stuck ends, come what may
GET_A_MODEL = "Get one that fits: assistant models pull cpu-en"


class Settings(config.Settings, frozen=True, kw_only=True):
    """Section [dialogue]."""

    roles: ClassVar[Mapping[str, str]] = {"llm": "llm"}

    llm: Engine = Engine("auto")
    language: personas.Language = (
        "en"  # of the persona and of the daemon's own sentences, where the question does not tell
    )
    persona: Literal["plain", "home", "inspector"] = "plain"
    system: str = ""  # replaces the persona's system prompt
    examples: bool = True  # the persona's few-shot examples
    picture: Literal["fresh", "always", "never"] = "fresh"
    max_age_ms: int = 1000  # an older frame is never shown to the model
    look_s: float = 30.0  # how long the picture may take before the user is told
    history: Literal["keep", "none"] = "keep"
    retention: Literal["off"] | float = 30.0  # days that turns stay on disk
    gap_s: float = 600.0  # a pause that ends the live conversation
    sampling: Literal["greedy", "factual", "creative", "code"] = "factual"
    seed: int | None = None
    max_tokens: int = 200  # of a reply
    first_clause: bool = True  # speech may begin with the first clause of a sentence
    load_s: float = 180.0  # a model may take this long to load
    answer_s: float = 60.0  # a model that does not come on for so long is given up, with the process that it is in
    ahead: bool = True  # work while the user speaks, and on what was said so far
    ahead_duty: float = 0.1  # the share of the time that may go into speech that comes to nothing
    hot_c: float = 80.0  # °C: from there on the NPU is spared: nothing is done ahead, and replies are no longer than …
    hot_max_tokens: int = 60  # … this


def run(service: Service, settings: Settings) -> None:
    service.listen(SpeechStarted, Guess, Heard, SpeechDropped, CameraState, Embedding, Unseen, Spoken, SpeakerIdle)
    service.listen(SpeakerState, Interrupt, Heartbeat)
    turns: TurnLog | None = None
    if settings.retention != "off":
        turns = TurnLog(service.state_dir / turnlog.FILE, float(settings.retention))
        service.listen(*(kind for kind in KINDS if kind is not AudioOut and "dialogue" not in TOPICS[kind].publishers))
        service.watch(turns.note)
    service.busy("loading the language model", settings.load_s)
    loading = Loading(lambda: llm.load(settings.llm.engine, settings.llm.options), service.wake, settings.load_s)
    early = Early(service)
    while service.running and not loading.done:
        early.take(service.receive(0.1))
    if not service.running:
        return
    missing = ""
    try:
        model = loading.result()
    except EngineError as error:
        if settings.llm.engine != "auto":
            raise Unfit(str(error)) from error
        missing = f"{error} Until then only commands like 'clear the conversation' are obeyed. {GET_A_MODEL}"
        model = llm.load("none", {"why": str(error)})
    kept = settings.retention != "off"
    path = service.state_dir / "history.db" if kept else None
    history = History(path, float(settings.retention) if kept else 0.0)
    memory = Memory(model, history, service.clock, settings.history == "keep", settings.gap_s)
    warmth = Warmth(service, settings.hot_c, Thermometer())
    dialogue = Dialogue(service, settings, model, memory, warmth)
    service.ready(told(model))
    service.trouble("model", missing)
    service.trouble("history", memory.trouble)
    for received in early.kept:
        dialogue.take(received)
    try:
        while service.running:
            warmth.look()
            service.trouble("turns", turns.trouble if turns is not None else "")
            news = service.receive(0.0 if dialogue.pending else 0.1)
            if news is not None:
                dialogue.take(news)
            else:
                dialogue.step()
        dialogue.stop("lost")
        dialogue.close()
    except llm.Stuck:
        last = threading.Timer(LAST_S, os._exit, (1,))  # leaving, a library may wait for what never returns
        last.daemon = True
        last.start()
        raise
    finally:
        memory.close()


class Dialogue:
    def __init__(
        self, service: Service, settings: Settings, model: llm.LanguageModel, memory: Memory, warmth: Warmth
    ) -> None:
        self._service, self._settings, self._model, self._memory = service, settings, model, memory
        self._warmth = warmth
        self._thinker = Thinker(service.wake)
        self._foresight = Foresight(service, model, memory, self._thinker, self._as_if, settings.ahead_duty)
        self._progress = Progress(service)
        self._void: tuple[Turn, str, str] | None = None  # a question that its speaker took up again, its language
        self._current: Answering | None = None
        self._waiting: deque[Ask] = deque()  # questions of other conversations, while one is answered
        self._cameras: dict[str, tuple[str, ...]] = {}  # those that a question may name, and what it may call them
        self._lane = Lane(service.publish, service.clock, _name(model, settings.llm))
        self._sounding = Sounding()

    # --- what arrives ---

    @property
    def pending(self) -> bool:
        """Has something happened in the language model, or may it begin with something?"""
        if self._current is not None:
            return self._current.waiting
        return bool(self._waiting) or (self._foresight.pending and not self._sounding.going_on)

    def take(self, received: Received) -> None:
        self._lane.note(received)
        match received.message:
            case SpeechStarted(turn=turn) if turn.conversation == LIVE:
                self._speech(turn)
            case Guess() as guess:
                self._guess(guess)
            case Heard() as heard:
                self._heard(heard)
                if heard.cut and self._current is not None:
                    self._current.epilogue = personas.say("heard_cut", self._current.language)
            case SpeechDropped() as dropped:
                self._dropped(dropped)
            case Ask() as ask if ask.turn.conversation == LIVE or self._current is None:
                self._begin(ask.turn, ask.text, ask.turn.start, camera=ask.camera)
            case Ask() as ask:
                self._waiting.append(ask)
            case Embedding(ahead=True) as seen:
                self._foresight.seen(seen, received.payload)
            case Embedding() as seen if self._awaits(seen.turn):
                self._seen(seen, received.payload)
            case Unseen() as unseen if self._awaits(unseen.turn):
                self._say_instead(personas.unseen(unseen.why, self._speech_of()), "unseen", unseen.detail)
            case CameraState(camera=camera, called=called) if called:
                self._cameras[camera] = called
            case Spoken() as spoken:
                self._spoken(spoken)
            case SpeakerIdle(turn=turn):
                self._silent(turn)
            case Interrupt(conversation=name, before=before):
                if self._current and self._current.turn.conversation == name and self._current.turn.start < before:
                    self.stop("interrupted")
            case Clear(conversation=name):
                self._clear(name, "asked")
            case Heartbeat(figures=figures) if received.stamp.sender == "speaker":
                self._sounding.speaker(figures.get("pid", 0.0))
            case Heartbeat() as beat if received.stamp.sender == "vision" and beat.state != "starting":
                self._check_width(beat)

    def step(self) -> None:
        """Take what happened in the language model, or notice that nothing does, or that a picture does not come."""
        current = self._current
        self._watch()
        if current is None:
            if self._waiting:
                ask = self._waiting.popleft()
                self._begin(ask.turn, ask.text, ask.turn.start, camera=ask.camera)
            elif not self._sounding.going_on:  # what is heard of a reply stands in the prompt
                self._foresee()
        elif current.working:
            self._advance(current)
        elif current.held and self._service.clock() - current.made_at > HELD_NS:
            self._spoil(current)
        elif not current.asked_for and self._service.clock() > current.look_until:
            self._say_instead(personas.unseen("none", self._speech_of()), "unseen", "vision does not answer")

    def stop(self, why: Reason, detail: str = "") -> None:
        """End the current reply where it is."""
        current = self._current
        if current is None:
            return
        if current.held:
            self._spoil(current)
            return
        current.stop()
        if why in ("interrupted", "error", "lost"):
            self._end(why, detail)

    def close(self) -> None:
        self._foresight.forget()
        self._thinker.close(LAST_S)

    # --- while the user speaks ---

    def _speech(self, turn: Turn) -> None:
        """Somebody speaks, or goes on: what was guessed is void, and a question that was not answered yet as well."""
        current = self._current
        if current is not None and current.held:
            self._spoil(current)
        elif turn.revision:
            self._take_back(turn)
        settings, able = self._settings, self._model.capabilities
        if not settings.ahead or not self._warmth.may_work_ahead or not self._foresight.affordable:
            return
        looks = settings.picture != "never" and able.wants != "text"
        about = self._memory.camera(turn.conversation)
        camera = about if about in self._cameras else ""
        self._foresight.begin(turn, camera if looks else None, settings.picture == "always", settings.max_age_ms)

    def _take_back(self, turn: Turn) -> None:
        """The question of this turn goes on, and nothing of its answer was heard: there is none."""
        record = self._memory.record(turn)
        if self._current is not None and self._current.turn.same(turn):
            self._current.stop()
            self._void, self._current = (turn, self._current.question, self._current.language), None
        elif record is not None:
            self._void = turn, record.question, record.language
        self._sounding.replaced(turn)

    def _foresee(self) -> None:
        try:
            self._foresight.advance()
        except EngineError as error:
            log.warning("the prompt could not be computed ahead: %s", error)

    def _guess(self, guess: Guess) -> None:
        """Answer what may be the question, if nothing else is to be done; commands are for when it is certain."""
        current = self._current
        if current is not None and current.held:
            self._spoil(current)
        if (
            self._current is not None
            or self._sounding.going_on
            or not self._settings.ahead
            or match(guess.text) is not None
        ):
            return
        if not self._warmth.may_work_ahead or not self._foresight.affordable:
            return
        self._answer(guess.turn, guess.text, guess.language, held=True)

    def _heard(self, heard: Heard) -> None:
        current = self._current
        self._foresight.heard(heard.turn, heard.last_sample_at)
        if current is not None and current.held and current.turn.same(heard.turn) and current.question == heard.text:
            self._confirm(current, heard)
        else:
            self._begin(heard.turn, heard.text, heard.last_sample_at, heard.language, spoken=True)

    def _confirm(self, current: Answering, heard: Heard) -> None:
        """The guess was right."""
        self._started(heard.turn, heard.text, heard.last_sample_at, spoken=True)
        if current.prompt:
            self._memory.ask(heard.turn, current.question, current.language, current.picture)
        current.confirm(heard.turn)
        if current.asked_for:
            self._count_waste(current)
        if current.kept_end is not None:
            self._end(*current.kept_end)

    def _dropped(self, dropped: SpeechDropped) -> None:
        """It was nothing; or no more than what had been asked before."""
        turn, current, void = dropped.turn, self._current, self._void
        if current is not None and current.held and current.turn.same(turn):
            self._spoil(current)
        if self._foresight.of(turn):
            self._foresight.forget()
        if void is not None and void[0].same(turn):
            self._void = None
            self._begin(turn, void[1], dropped.last_sample_at or turn.start, void[2], spoken=True)

    def _spoil(self, current: Answering) -> None:
        """A guess was wrong: its answer is nobody's."""
        current.stop()
        self._foresight.spoilt(*current.spent)
        self._current = None

    # --- a turn ---

    def _begin(
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

    def _started(self, turn: Turn, text: str, last_sample_at: int, spoken: bool) -> None:
        self._sounding.replaced(turn)
        self._void = None
        if self._memory.over(turn.conversation):
            self._clear(turn.conversation, "gap")
        self._service.publish(TurnStarted(turn=turn, text=text, spoken=spoken, last_sample_at=last_sample_at))

    def _answer(
        self, turn: Turn, text: str, spoken_language: str = "", *, camera: str = "", held: bool = False
    ) -> None:
        speech = language(text) if spoken_language == "" else spoken_language
        self._current = Answering(self._service.publish, turn, text, speech, self._settings.first_clause, held)
        self._current.made_at = self._service.clock()
        self._progress = Progress(self._service)
        command = match(text)
        if command is not None:
            self._obey(command)
            return
        known, ahead = self._memory.in_context(turn.conversation), None
        about = self._memory.camera(turn.conversation)
        if self._foresight.of(turn) and self._foresight.picture is not None:
            ahead = self._foresight.picture
            about = ahead.camera
        policy = "never" if self._model.capabilities.wants == "text" else self._settings.picture
        wanted = sight_for(text, policy, known, about, self._cameras, camera, ahead, turn.start)
        if wanted is None:
            self._generate(None)
            return
        self._current.look_until = self._service.clock() + int(self._settings.look_s * 1e9)
        self._service.publish(sight.look(turn, wanted, self._settings.max_age_ms, self._current.look_until))

    def _check_width(self, beat: Heartbeat) -> None:
        """Raises Unfit where vision's rows do not fit this model: better at the start than at the first question."""
        why = sight.misfit(self._model.capabilities, int(beat.figures.get("embedding_width", -1)))
        if why:
            raise Unfit(why)

    def _awaits(self, turn: Turn) -> bool:
        return self._current is not None and self._current.looked == turn and not self._current.asked_for

    def _seen(self, seen: Embedding, payload: bytes | memoryview) -> None:
        """The picture of the turn has come: bind it, and answer."""
        assert self._current is not None
        known = self._memory.in_context(seen.turn.conversation)
        ahead = self._foresight.known(seen.identity)
        if ahead is not None:
            picture = ahead
        elif seen.form == "unchanged" and known is not None:
            picture = known
        else:
            picture = sight.reference(seen)
            self._memory.show(sight.picture(seen, payload))
        fresh = known is None or picture.identity != known.identity
        cost = self._foresight.npu if ahead is not None and fresh else seen.npu
        self._current.tell(sight.bound(seen, picture, fresh, cost))
        self._generate(picture)

    def _generate(self, picture: PictureRef | None) -> None:
        current = self._current
        assert current is not None
        turn, sampling = current.turn, self._sampling()
        self._foresight.bound(turn, picture)
        current.picture = picture
        try:
            if current.held:
                current.prompt = self._as_if(turn, current.question, picture)
            else:
                self._memory.ask(turn, current.question, current.language, picture)
                current.prompt = self._prompt(turn.conversation, sampling.max_tokens)
                self._count_waste(current)
            reply = self._model.reply(current.prompt, sampling, owner=turn.conversation)
            current.generate(self._thinker.begin(reply))
        except EngineError as error:
            self._fail(error)

    def _count_waste(self, current: Answering) -> None:
        """What was done ahead for this question is used from now on, or was in vain."""
        waste = self._foresight.answered(current.turn)
        current.wasted = current.wasted[0] + waste.ms, current.wasted[1] + waste.npu_ms

    def _advance(self, current: Answering) -> None:
        try:
            reason = current.advance(lambda done, total: self._progress.tell(current.turn, done, total))
        except EngineError as error:
            self._fail(error)
            if isinstance(error, llm.Stuck):
                raise  # the supervisor starts a new process, which takes the conversation up from the record
            return
        if reason is not None:
            self._end(reason)

    def _end(self, reason: Reason, detail: str = "") -> None:
        current = self._current
        assert current is not None
        if current.held:
            current.kept_end = reason, detail
            return
        self._current = None
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
            self._sounding.add(turn, reply, cut)
        self._service.trouble("history", self._memory.trouble)

    def _watch(self) -> None:
        """A model that never returns is of no use any more, nor is the process that it is in. Raises llm.Stuck."""
        current = self._current
        since = current.stuck_since if current is not None else self._foresight.stuck_since
        limit = int(self._settings.answer_s * 1e9)
        if current is not None and not current.begun:
            limit += current.prompt_tokens * TOKEN_NS
        if not since or self._service.clock() - since < limit:
            return
        stuck = llm.Stuck(f"the language model has not come on for {limit / 1e9:.0f} s; it is started anew")
        if current is not None and not current.held:
            self._fail(stuck)
        raise stuck

    def _fail(self, error: EngineError) -> None:
        """The language model could not: say so, keep the conversation as it was heard."""
        assert self._current is not None
        self._current.apologise(error)
        self._end("error", str(error))

    def _say_instead(self, words: str, reason: Reason, detail: str = "") -> None:
        """Answer with the daemon's own words."""
        assert self._current is not None
        self._current.say(words)
        self._end(reason, detail)

    def _obey(self, command: Command) -> None:
        current = self._current
        assert current is not None
        words, detail = self._lane.obey(command, current.question, current.language, self._service.health)
        if command is Command.CLEAR:
            self._clear(current.turn.conversation, "asked")
        elif command is Command.REPEAT:
            name = current.turn.conversation
            words = self._lane.last(name) or self._memory.last_reply(name) or words
        self._say_instead(words, "command", detail)

    # --- what was heard of it ---

    def _spoken(self, spoken: Spoken) -> None:
        reply = self._reply_of(spoken.turn)
        if reply is not None:
            reply.spoken(spoken.index, spoken.text, spoken.complete)

    def _silent(self, turn: Turn) -> None:
        """The speaker is done with a reply: after an interruption, the history holds the words that were heard."""
        heard = self._sounding.over(turn)
        if heard is not None:
            self._memory.answered(turn, heard, cut=True)

    def _reply_of(self, turn: Turn) -> Reply | None:
        if self._current is not None and self._current.turn == turn:
            return self._current.reply
        return self._sounding.of(turn)

    # --- the conversation ---

    def _clear(self, name: str, why: Literal["asked", "gap"]) -> None:
        self._lane.said(name, "", own=False)
        self._memory.clear(name, stored=why == "asked")  # a conversation that merely ended stays in the record
        self._service.publish(Cleared(conversation=name, why=why))

    def _prompt(self, name: str, reserve: int) -> list[llm.Message]:
        return self._memory.prompt(name, reserve, *self._opening())

    def _as_if(self, turn: Turn, question: str, picture: PictureRef | None) -> list[llm.Message]:
        """The prompt as it would be, were that asked."""
        return self._memory.prospect(turn, question, picture, self._sampling().max_tokens, *self._opening())

    def _opening(self) -> tuple[str, Sequence[tuple[str, str]]]:
        settings = self._settings
        persona = personas.PERSONAS[settings.persona]
        system = settings.system or persona.system[settings.language]
        return system, persona.examples[settings.language] if settings.examples else ()

    def _sampling(self) -> llm.Sampling:
        preset, most = personas.SAMPLING[self._settings.sampling], self._settings.max_tokens
        if self._warmth.hot:
            most = min(most, self._settings.hot_max_tokens)
        return llm.Sampling(
            temperature=preset.temperature,
            top_p=preset.top_p,
            seed=self._settings.seed,
            max_tokens=most,
        )

    def _speech_of(self) -> str:
        return self._current.language if self._current else self._settings.language


def _name(model: llm.LanguageModel, engine: Engine) -> str:
    """The language model's name for people: of its file or folder, or as a server calls it; "" without one."""
    name = name_of(model)
    if name == "none":
        return ""
    parts = Path(str(engine.all_options.get(name, {}).get("model", name))).parts
    known = [part for part in parts if part != "model"]
    return known[-1].removesuffix(".rkllm") if known else name
