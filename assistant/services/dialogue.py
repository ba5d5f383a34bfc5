"""Dialogue: answer what the user said, sentence by sentence, about the picture of that moment, until interrupted.

One turn is answered at a time; the loop takes one event of the language model (a chunk of prefill, a token), then looks
at the bus again, so that an interruption, a newer question or a shutdown is obeyed between any two of them.
"""

import logging
from collections import deque
from collections.abc import Mapping
from typing import ClassVar, Literal

from assistant import config, sight
from assistant.answering import Answering, Reason
from assistant.config import Engine
from assistant.core import personas
from assistant.core.commands import Command, answer, match
from assistant.core.conversation import PictureRef
from assistant.core.looking import sight_for
from assistant.core.reply import Reply
from assistant.core.sentences import language
from assistant.history import History
from assistant.memory import Memory
from assistant.messages import (
    LIVE,
    Ask,
    CameraState,
    Clear,
    Cleared,
    Embedding,
    Heard,
    Heartbeat,
    Interrupt,
    SpeakerIdle,
    Spoken,
    Turn,
    TurnStarted,
    Unseen,
)
from assistant.service import Service, Unfit
from assistant.warmth import Warmth
from assistant.wire import Received
from pipelines import llm
from pipelines.engine import EngineError, told
from pipelines.npu.heat import Thermometer

log = logging.getLogger(__name__)

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
    hot_c: float = 80.0  # °C: from there on the NPU is spared: nothing is done ahead, and replies are no longer than …
    hot_max_tokens: int = 60  # … this


def run(service: Service, settings: Settings) -> None:
    service.listen(Heard, CameraState, Embedding, Unseen, Spoken, SpeakerIdle, Interrupt, Heartbeat)
    service.busy("loading the language model", settings.load_s)
    missing = ""
    try:
        model = llm.load(settings.llm.engine, settings.llm.options)
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
    while service.running:
        warmth.look()
        received = service.receive(0.0 if dialogue.working else 0.1)
        if received is not None:
            dialogue.take(received)
        else:
            dialogue.step()
    dialogue.stop("lost")
    memory.close()


class Dialogue:
    def __init__(
        self, service: Service, settings: Settings, model: llm.LanguageModel, memory: Memory, warmth: Warmth
    ) -> None:
        self._service, self._settings, self._model, self._memory = service, settings, model, memory
        self._warmth = warmth
        self._current: Answering | None = None
        self._waiting: deque[Ask] = deque()  # questions of other conversations, while one is answered
        self._cameras: dict[str, tuple[str, ...]] = {}  # those that a question may name, and what it may call them
        self._sounding: dict[Turn, tuple[Reply, bool]] = {}  # replies not yet spoken to their end; the flag: cut

    # --- what arrives ---

    @property
    def working(self) -> bool:
        """Is there a next event of the language model to take?"""
        return self._current is not None and self._current.working

    def take(self, received: Received) -> None:
        match received.message:
            case Heard() as heard:
                self._begin(heard.turn, heard.text, heard.last_sample_at, heard.language, spoken=True)
                if heard.cut and self._current is not None:
                    self._current.epilogue = personas.say("heard_cut", self._current.language)
            case Ask() as ask if ask.turn.conversation == LIVE or self._current is None:
                self._begin(ask.turn, ask.text, ask.turn.start, camera=ask.camera)
            case Ask() as ask:
                self._waiting.append(ask)
            case Embedding() as seen if self._awaits(seen.turn):
                self._seen(seen, received.payload)
            case Unseen() as unseen if self._awaits(unseen.turn):
                self._say_instead(personas.unseen(unseen.why, self._speech()), "unseen", unseen.detail)
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
            case Heartbeat() as beat if received.stamp.sender == "vision" and beat.state != "starting":
                self._check_width(beat)

    def step(self) -> None:
        """Take the next event of the language model, or notice that a picture does not come."""
        current = self._current
        if current is None:
            if self._waiting:
                ask = self._waiting.popleft()
                self._begin(ask.turn, ask.text, ask.turn.start, camera=ask.camera)
        elif current.working:
            self._advance(current)
        elif self._service.clock() > current.look_until:
            self._say_instead(personas.unseen("none", self._speech()), "unseen", "vision does not answer")

    def stop(self, why: Reason, detail: str = "") -> None:
        """End the current reply where it is."""
        current = self._current
        if current is None:
            return
        current.stop()
        if why in ("interrupted", "error", "lost"):
            self._end(why, detail)

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
        if self._memory.over(turn.conversation):
            self._clear(turn.conversation, "gap")
        speech = language(text) if spoken_language == "" else spoken_language
        self._service.publish(TurnStarted(turn=turn, text=text, spoken=spoken, last_sample_at=last_sample_at))
        self._current = Answering(self._service.publish, turn, text, speech, self._settings.first_clause)
        command = match(text)
        if command is not None:
            self._obey(command)
            return
        known = self._memory.in_context(turn.conversation)
        about = self._memory.camera(turn.conversation)
        policy = "never" if self._model.capabilities.wants == "text" else self._settings.picture
        wanted = sight_for(text, policy, known, about, self._cameras, camera)
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
        return self._current is not None and self._current.turn == turn and not self._current.working

    def _seen(self, seen: Embedding, payload: bytes | memoryview) -> None:
        """The picture of the turn has come: bind it, and answer."""
        assert self._current is not None
        known = self._memory.in_context(seen.turn.conversation)
        if seen.form == "unchanged" and known is not None:
            picture = known
        else:
            picture = sight.reference(seen)
            self._memory.show(sight.picture(seen, payload))
        self._service.publish(sight.bound(seen, picture))
        self._generate(picture)

    def _generate(self, picture: PictureRef | None) -> None:
        current = self._current
        assert current is not None
        self._memory.ask(current.turn, current.question, current.language, picture)
        sampling = self._sampling()
        try:
            messages = self._prompt(current.turn.conversation, sampling.max_tokens)
            current.generate(self._model.reply(messages, sampling, owner=current.turn.conversation))
        except EngineError as error:
            self._fail(error)

    def _advance(self, current: Answering) -> None:
        try:
            reason = current.advance()
        except EngineError as error:
            self._fail(error)
            return
        if reason is not None:
            self._end(reason)

    def _end(self, reason: Reason, detail: str = "") -> None:
        current, self._current = self._current, None
        assert current is not None
        sentences = current.end(reason, detail)
        if current.memory_mb:
            self._service.figures["llm_memory_mb"] = current.memory_mb
        if reason in ("command", "unseen"):
            return  # the daemon's own words are no part of the conversation
        turn, reply = current.turn, current.reply
        cut = reason == "interrupted"
        self._memory.answered(turn, reply.heard() if cut and current.live else reply.text, cut)
        if sentences:
            self._sounding[turn] = (reply, cut)
        self._service.trouble("history", self._memory.trouble)

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
        words = answer(command, current.language)
        if command is Command.CLEAR:
            self._clear(current.turn.conversation, "asked")
        elif command is Command.REPEAT:
            words = self._memory.last_reply(current.turn.conversation) or words
        self._say_instead(words, "command")

    # --- what was heard of it ---

    def _spoken(self, spoken: Spoken) -> None:
        reply = self._reply_of(spoken.turn)
        if reply is not None:
            reply.spoken(spoken.index, spoken.text, spoken.complete)

    def _silent(self, turn: Turn) -> None:
        """The speaker is done with a reply: after an interruption, the history holds the words that were heard."""
        reply, cut = self._sounding.pop(turn, (None, False))
        if reply is None or (reply.wholly_spoken and not cut):
            return
        self._memory.answered(turn, reply.heard(), cut=True)

    def _reply_of(self, turn: Turn) -> Reply | None:
        if self._current is not None and self._current.turn == turn:
            return self._current.reply
        return self._sounding.get(turn, (None, False))[0]

    # --- the conversation ---

    def _clear(self, name: str, why: Literal["asked", "gap"]) -> None:
        self._memory.clear(name, stored=why == "asked")  # a conversation that merely ended stays in the record
        self._service.publish(Cleared(conversation=name, why=why))

    def _prompt(self, name: str, reserve: int) -> list[llm.Message]:
        settings = self._settings
        persona = personas.PERSONAS[settings.persona]
        system = settings.system or persona.system[settings.language]
        return self._memory.prompt(
            name, reserve, system, persona.examples[settings.language] if settings.examples else ()
        )

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

    def _speech(self) -> str:
        return self._current.language if self._current else self._settings.language
