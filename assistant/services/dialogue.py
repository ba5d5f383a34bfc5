"""Dialogue: answer what the user said, sentence by sentence, about the picture of that moment, until interrupted.

One turn is answered at a time (assistant.turns); the loop takes one event of the language model (a chunk of prefill, a
token), then looks at the bus again, so that an interruption, a newer question or a shutdown is obeyed between any two
of them.

Work begins before the question is known (assistant.foresight). What is guessed in a pause to be the question is
answered, but nobody is told and nothing is kept of it before it is confirmed.

Whenever no person speaks or waits, programs have the model (assistant.completions).
"""

import logging
import os
import threading
from collections import deque

from assistant import sight, turnlog
from assistant.completions import Completions
from assistant.core import personas
from assistant.core.commands import match
from assistant.core.turnfacts import KINDS
from assistant.early import Early
from assistant.history import History
from assistant.journal import about
from assistant.lane import Lane
from assistant.loading import Loading
from assistant.manner import Manner
from assistant.manner import Settings as Settings
from assistant.memory import Memory
from assistant.messages import (
    LIVE,
    TOPICS,
    Ask,
    AudioOut,
    CameraState,
    Clear,
    Complete,
    Embedding,
    Guess,
    Heard,
    Heartbeat,
    Interrupt,
    Prefer,
    Say,
    SpeakerIdle,
    SpeakerState,
    SpeechDropped,
    SpeechStarted,
    Spoken,
    Turn,
    Unseen,
)
from assistant.service import Service, Unfit
from assistant.thinking import Thinker
from assistant.turnlog import TurnLog
from assistant.turns import Turns
from assistant.warmth import Warmth
from assistant.wire import Received
from pipelines import llm
from pipelines.engine import EngineError, told
from pipelines.npu.heat import Thermometer

log = logging.getLogger(__name__)

SPEECH_NS = 30_000_000_000  # a person who speaks for longer, or of whom nothing more is heard, keeps no program waiting
LAST_S = 3.0  # after which a process that is stuck ends, come what may
GET_A_MODEL = "Get one that fits: assistant models pull cpu-en"


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
    dialogue = Dialogue(service, Manner(settings, model, warmth), model, memory)
    service.ready(told(model))
    dialogue.say_state()
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
        dialogue.close()
    except llm.Stuck:
        last = threading.Timer(LAST_S, os._exit, (1,))  # leaving, a library may wait for what never returns
        last.daemon = True
        last.start()
        raise
    finally:
        memory.close()


class Dialogue:
    """What arrives, and whose turn it is: the live conversation's, others', or nobody's."""

    def __init__(self, service: Service, manner: Manner, model: llm.LanguageModel, memory: Memory) -> None:
        self._service, self._manner, self._model, self._memory = service, manner, model, memory
        self._thinker = Thinker(service.wake)
        self._lane = Lane(service.publish, service.clock, manner.model_name)
        self._turns = Turns(service, manner, model, memory, self._thinker, self._lane)
        self._foresight = self._turns.foresight
        self._completions = Completions(service, manner, model, self._thinker)
        self._waiting: deque[Ask] = deque()  # questions of other conversations, while one is answered
        self._spoken_since = 0  # ns: somebody speaks; 0: nobody does

    @property
    def pending(self) -> bool:
        """Has something happened in the language model, or may it begin with something?"""
        if self._turns.current is not None:
            return self._turns.current.waiting
        if self._waiting or self._foreseeing:
            return True
        return not self._wanted and self._completions.pending

    @property
    def _foreseeing(self) -> bool:
        """May something be done ahead? What is heard of a reply stands in the prompt, so not while one sounds."""
        return self._foresight.pending and not self._turns.sounding.going_on

    @property
    def _wanted(self) -> bool:
        """Does a person want the model, or will soon?"""
        speaks = self._spoken_since and self._service.clock() - self._spoken_since < SPEECH_NS
        return bool(self._turns.current is not None or self._waiting or speaks)

    def take(self, received: Received) -> None:
        self._take(received)
        if self._wanted:
            self._completions.leave()

    def _take(self, received: Received) -> None:
        turns = self._turns
        self._lane.note(received)
        match received.message:
            case Complete() as asked:
                self._completions.take(asked, received.payload)
            case SpeechStarted(turn=turn) if turn.conversation == LIVE:
                self._speech(turn)
            case Guess() as guess:
                self._guess(guess)
            case Heard() as heard:
                self._heard(heard)
            case SpeechDropped() as dropped:
                self._dropped(dropped)
            case Ask() as ask if ask.turn.conversation == LIVE or turns.current is None:
                turns.begin(ask.turn, ask.text, ask.asked_at or ask.turn.start, camera=ask.camera)
            case Ask() as ask:
                self._waiting.append(ask)
            case Embedding(ahead=True) as seen:
                self._foresight.seen(seen, received.payload)
            case Embedding(turn=turn) as seen if self._completions.awaits(turn):
                self._completions.seen(seen, received.payload)
            case Embedding() as seen:
                turns.seen(seen, received.payload)
            case Unseen(turn=turn) as unseen if self._completions.awaits(turn):
                self._completions.unseen(unseen)
            case Unseen(turn=turn, why=why, detail=detail):
                turns.unseen(turn, why, detail)
            case CameraState(camera=camera, called=called) if called:
                turns.cameras[camera] = called
            case Spoken(turn=turn, index=index, text=text, complete=complete):
                turns.spoken(turn, index, text, complete)
            case SpeakerIdle(turn=turn):
                turns.silent(turn)
            case Interrupt(conversation=name, before=before):
                self._completions.interrupt(name, before)
                left = (ask for ask in self._waiting if ask.turn.conversation != name or ask.turn.start >= before)
                self._waiting = deque(left)
                current = turns.current
                if current and current.turn.conversation == name and current.turn.start < before:
                    turns.stop("interrupted")
            case Clear(conversation=name):
                turns.clear(name, "asked")
            case Say() as words:
                turns.say(words)
            case Prefer() as wishes:
                self._manner.prefer(wishes)
                self.say_state()
            case Heartbeat(figures=figures) if received.stamp.sender == "speaker":
                turns.sounding.speaker(figures.get("pid", 0.0))
            case Heartbeat() as beat if received.stamp.sender == "vision" and beat.state != "starting":
                self._check_width(beat)

    def step(self) -> None:
        """Nothing has arrived: go on with what there is to do. Raises llm.Stuck."""
        turns = self._turns
        turns.watch()
        self._completions.watch()
        if turns.current is not None:
            turns.step()
        elif self._waiting:
            ask = self._waiting.popleft()
            turns.begin(ask.turn, ask.text, ask.asked_at or ask.turn.start, camera=ask.camera)
        elif self._foreseeing:
            self._foresee()
        elif not self._wanted:
            self._completions.step()

    def say_state(self) -> None:
        self._turns.say_state()

    def close(self) -> None:
        self._turns.stop("lost")
        self._completions.close()
        self._foresight.forget()
        self._thinker.close(LAST_S)

    def _check_width(self, beat: Heartbeat) -> None:
        """Raises Unfit where vision's rows do not fit this model: better at the start than at the first question."""
        why = sight.misfit(self._model.capabilities, int(beat.figures.get("embedding_width", -1)))
        if why:
            raise Unfit(why)

    # --- while the user speaks ---

    def _speech(self, turn: Turn) -> None:
        """Somebody speaks, or goes on: what was guessed is void, and a question that was not answered yet as well."""
        self._spoken_since = self._service.clock()
        if self._turns.current is not None and self._turns.current.held:
            self._turns.spoil()
        elif turn.revision:
            self._turns.take_back(turn)
        if not self._manner.ahead or not self._foresight.affordable:
            return
        about, settings = self._memory.camera(turn.conversation), self._manner.settings
        camera = about if about in self._turns.cameras else ""
        looks = self._manner.picture != "never"
        self._foresight.begin(turn, camera if looks else None, self._manner.picture == "always", settings.max_age_ms)

    def _foresee(self) -> None:
        with about(self._foresight.turn):
            try:
                self._foresight.advance()
            except EngineError as error:
                log.warning("the prompt could not be computed ahead: %s", error)

    def _guess(self, guess: Guess) -> None:
        """Answer what may be the question, if nothing else is to be done; commands are for when it is certain."""
        self._turns.spoil()
        busy = self._turns.current is not None or self._turns.sounding.going_on
        if not busy and self._manner.ahead and self._foresight.affordable and match(guess.text) is None:
            self._turns.guess(guess)

    def _heard(self, heard: Heard) -> None:
        self._spoken_since = 0
        self._foresight.heard(heard.turn, heard.last_sample_at)
        if not self._turns.confirm(heard):
            self._turns.begin(heard.turn, heard.text, heard.last_sample_at, heard.language, spoken=True)
        current = self._turns.current
        if heard.cut and current is not None:
            current.epilogue = personas.say("heard_cut", current.language)

    def _dropped(self, dropped: SpeechDropped) -> None:
        """It was nothing; or no more than what had been asked before."""
        self._spoken_since = 0
        turn, current, void = dropped.turn, self._turns.current, self._turns.void
        if current is not None and current.turn.same(turn):
            self._turns.spoil()
        if self._foresight.of(turn):
            self._foresight.forget()
        if void is not None and void[0].same(turn):
            self._turns.void = None
            self._turns.begin(turn, void[1], dropped.last_sample_at or turn.start, void[2], spoken=True)
