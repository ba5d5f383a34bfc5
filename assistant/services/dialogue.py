"""Dialogue: answer what the user said, sentence by sentence, about the picture of that moment, until interrupted.

One turn is answered at a time; the loop takes one event of the language model (a chunk of prefill, a token), then looks
at the bus again, so that an interruption, a newer question or a shutdown is obeyed between any two of them.
"""

import logging
import time
from collections import deque
from collections.abc import Generator, Mapping, Sequence
from typing import ClassVar, Literal

import msgspec
import numpy as np

from assistant import config
from assistant.config import Engine
from assistant.core import personas
from assistant.core.commands import Command, answer, match
from assistant.core.conversation import PictureRef
from assistant.core.looking import sight_for
from assistant.core.reply import Piece, Reply
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
    Look,
    PictureBound,
    ReplyEnded,
    ReplySentence,
    ReplyToken,
    SpeakerIdle,
    Spoken,
    Turn,
    TurnStarted,
    Unseen,
    Usage,
)
from assistant.service import Service, Unfit
from assistant.wire import Received
from pipelines import image, llm
from pipelines.engine import EngineError, name_of

log = logging.getLogger(__name__)

GET_A_MODEL = "Get one that fits: assistant models pull cpu-en"
APOLOGIES: dict[type[EngineError], str] = {llm.PromptTooLong: "too_long", llm.NoModel: "no_model"}

Reason = Literal["stop", "length", "context", "interrupted", "lost", "error", "command", "unseen"]


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
    dialogue = Dialogue(service, settings, model, memory)
    service.ready(name_of(model))
    if missing:
        service.be("degraded", missing)
    while service.running:
        received = service.receive(0.0 if dialogue.working else 0.1)
        if received is not None:
            dialogue.take(received)
        else:
            dialogue.step()
    dialogue.stop("lost")
    memory.close()


class Current(msgspec.Struct):
    """The turn that is being answered."""

    turn: Turn
    question: str
    language: str
    reply: Reply
    look_until: int = 0  # deadline for the picture, ns; 0 when none is awaited
    events: Generator[llm.Event, None, None] | None = None
    engine_ms: float = 0.0  # in the language model so far
    first_token_ms: float = 0.0
    usage: Usage = Usage()
    tokens: int = 0
    prompt_tokens: int = 0


class Dialogue:
    def __init__(self, service: Service, settings: Settings, model: llm.LanguageModel, memory: Memory) -> None:
        self._service, self._settings, self._model, self._memory = service, settings, model, memory
        self._current: Current | None = None
        self._waiting: deque[Ask] = deque()  # questions of other conversations, while one is answered
        self._cameras: dict[str, tuple[str, ...]] = {}  # those that a question may name, and what it may call them
        self._sounding: dict[Turn, tuple[Reply, bool]] = {}  # replies not yet spoken to their end; the flag: cut

    # --- what arrives ---

    @property
    def working(self) -> bool:
        """Is there a next event of the language model to take?"""
        return self._current is not None and self._current.events is not None

    def take(self, received: Received) -> None:
        match received.message:
            case Heard() as heard:
                self._begin(heard.turn, heard.text, heard.last_sample_at, heard.language, spoken=True)
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
        elif current.events is not None:
            self._advance(current)
        elif self._service.clock() > current.look_until:
            self._say_instead(personas.unseen("none", self._speech()), "unseen", "vision does not answer")

    def stop(self, why: Reason, detail: str = "") -> None:
        """End the current reply where it is."""
        current = self._current
        if current is None:
            return
        if current.events is not None:
            current.events.close()
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
        self._current = Current(turn, text, speech, Reply(self._settings.first_clause))
        command = match(text)
        if command is not None:
            self._obey(command)
            return
        known = self._memory.in_context(turn.conversation)
        about = self._memory.camera(turn.conversation)
        policy = "never" if self._model.capabilities.wants == "text" else self._settings.picture
        sight = sight_for(text, policy, known, about, self._cameras, camera)
        if sight is None:
            self._generate(None)
            return
        self._current.look_until = self._service.clock() + int(self._settings.look_s * 1e9)
        look = Look(
            turn=turn,
            camera=sight.camera,
            region=sight.region,
            known=sight.known.identity if sight.known else "",
            known_signature=sight.known.signature if sight.known else b"",
            max_age_ms=self._settings.max_age_ms if sight.ages else 0,
            until=self._current.look_until,
        )
        self._service.publish(look)

    def _check_width(self, beat: Heartbeat) -> None:
        """Raises Unfit where vision's rows do not fit this model: better at the start than at the first question."""
        theirs = int(beat.figures.get("embedding_width", -1))
        able = self._model.capabilities
        if able.wants == "text" or theirs in (-1, able.width):
            return
        ours = f"embeddings of width {able.width}" if able.wants == "embeddings" else "pictures, not embeddings"
        raise Unfit(
            f"the language model takes {ours}, but vision gives width {theirs}: use files of one model for both"
        )

    def _awaits(self, turn: Turn) -> bool:
        return self._current is not None and self._current.turn == turn and self._current.events is None

    def _seen(self, seen: Embedding, payload: bytes | memoryview) -> None:
        """The picture of the turn has come: bind it, and answer."""
        assert self._current is not None
        known = self._memory.in_context(seen.turn.conversation)
        if seen.form == "unchanged" and known is not None:
            picture = known
        else:
            taken = time.strftime("%H:%M", time.localtime())
            picture = PictureRef(
                seen.identity, seen.captured_at, taken, seen.frame_seq, seen.signature, seen.camera, seen.region
            )
            self._memory.show(_picture(seen, payload))
        bound = PictureBound(
            turn=seen.turn,
            identity=picture.identity,
            camera=picture.camera,
            frame_seq=picture.frame_seq,
            captured_at=picture.captured_at,
            verified_at=seen.verified_at,
            fresh=seen.form != "unchanged",
            region=picture.region,
        )
        self._service.publish(bound)
        self._generate(picture)

    def _generate(self, picture: PictureRef | None) -> None:
        current = self._current
        assert current is not None
        self._memory.ask(current.turn, current.question, current.language, picture)
        sampling = self._sampling()
        try:
            messages = self._prompt(current.turn.conversation, sampling.max_tokens)
            current.events = self._model.reply(messages, sampling, owner=current.turn.conversation)
        except EngineError as error:
            self._fail(error)

    def _advance(self, current: Current) -> None:
        assert current.events is not None
        began = time.perf_counter()
        try:
            event = next(current.events, None)
        except EngineError as error:
            self._fail(error)
            if isinstance(error, llm.Stuck):
                raise  # the supervisor starts a new process, which takes the conversation up from the record
            return
        current.engine_ms += (time.perf_counter() - began) * 1000
        match event:
            case llm.Prefilled(total=total):
                current.prompt_tokens = total
            case llm.Token(text=text):
                current.first_token_ms = current.first_token_ms or current.engine_ms
                self._service.publish(ReplyToken(turn=current.turn, text=text, index=current.tokens))
                current.tokens += 1
                self._hand_over(current, current.reply.add(text))
            case llm.Ended() as ended:
                current.usage = Usage(
                    prompt_tokens=ended.prompt_tokens,
                    cached_tokens=ended.cached_tokens,
                    completion_tokens=ended.completion_tokens,
                    prefill_ms=ended.prefill_ms,
                    first_token_ms=current.first_token_ms,
                    decode_ms=ended.decode_ms,
                )
                self._hand_over(current, current.reply.finish())
                self._end(ended.reason)
            case None:
                self._fail(EngineError("the language model stopped without an end"))

    def _hand_over(self, current: Current, pieces: Sequence[Piece]) -> None:
        """Sentences to the speaker; other conversations are read, not heard."""
        if current.turn.conversation != LIVE:
            return
        for piece in pieces:
            sentence = ReplySentence(
                turn=current.turn,
                index=piece.index,
                text=piece.text,
                end=piece.end,
                language=piece.language,
                engine_ms=current.engine_ms,
            )
            self._service.publish(sentence)

    def _end(self, reason: Reason, detail: str = "") -> None:
        current, self._current = self._current, None
        assert current is not None
        turn, reply = current.turn, current.reply
        sentences = reply.sentences if turn.conversation == LIVE else 0
        usage = current.usage
        if reason not in ("stop", "length", "context"):
            usage = Usage(
                prompt_tokens=current.prompt_tokens,
                completion_tokens=current.tokens,
                first_token_ms=current.first_token_ms,
            )
        ended = ReplyEnded(turn=turn, reason=reason, text=reply.text, sentences=sentences, usage=usage, detail=detail)
        self._service.publish(ended)
        if reason in ("command", "unseen"):
            return  # the daemon's own words are no part of the conversation
        cut = reason == "interrupted"
        heard = reply.heard() if cut and turn.conversation == LIVE else reply.text
        self._memory.answered(turn, heard, cut)
        if sentences:
            self._sounding[turn] = (reply, cut)
        if self._memory.trouble:
            self._service.be("degraded", self._memory.trouble)
        else:
            self._service.well()

    def _fail(self, error: EngineError) -> None:
        """The language model could not: say so, keep the conversation as it was heard."""
        current = self._current
        assert current is not None
        log.error("no answer: %s", error)
        current.events = None
        self._hand_over(current, current.reply.finish())
        saying = next((key for kind, key in APOLOGIES.items() if isinstance(error, kind)), "model_error")
        words = personas.say(saying, current.language)
        self._hand_over(current, current.reply.add(words) + current.reply.finish())
        self._end("error", str(error))

    def _say_instead(self, words: str, reason: Reason, detail: str = "") -> None:
        """Answer with the daemon's own words."""
        current = self._current
        assert current is not None
        self._hand_over(current, current.reply.add(words) + current.reply.finish())
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
        preset = personas.SAMPLING[self._settings.sampling]
        return llm.Sampling(
            temperature=preset.temperature,
            top_p=preset.top_p,
            seed=self._settings.seed,
            max_tokens=self._settings.max_tokens,
        )

    def _speech(self) -> str:
        return self._current.language if self._current else self._settings.language


def _picture(seen: Embedding, payload: bytes | memoryview) -> llm.Picture:
    """What vision sent, as the model takes it. Raises PictureError for a JPEG that cannot be read."""
    if seen.form == "jpeg":
        return llm.Picture(seen.identity, pixels=image.decode(bytes(payload)))
    rows = np.frombuffer(payload, np.float32).reshape(seen.tokens, seen.width)
    return llm.Picture(seen.identity, rows=rows, grid=seen.grid)
