"""A question that is still being spoken: its picture is looked at, and the prompt up to the question computed."""

from collections.abc import Callable

import msgspec

from assistant import sight
from assistant.core import ahead
from assistant.core.conversation import PictureRef
from assistant.memory import Memory
from assistant.messages import Embedding, Look, NpuCost, Thinking, Turn
from assistant.service import Service
from assistant.thinking import Run, Thinker
from pipelines import llm

SPEECH_NS = 30_000_000_000  # for so long the scene is watched while somebody speaks
SPEND_MS = 10_000.0  # of the model's work on speech that came to nothing, before it must be earned again
TOKEN_MS = 5.0  # of a prompt, until one was computed
TOKEN_NS = 20_000_000  # a prompt's token may take so much longer, on a board whose runtime does not tell how far it is
EVERY_MS = 250.0  # between two words on how far a prompt is

Prompt = Callable[[Turn, str, PictureRef | None], list[llm.Message]]


class Waste(msgspec.Struct):
    """What the model did for a turn, and for nothing."""

    ms: float = 0.0
    npu_ms: float = 0.0

    def add(self, ms: float, waited_ms: float | None) -> None:
        """``waited_ms``: of it, for the NPU; None: without one."""
        self.ms += ms
        if waited_ms is not None:
            self.npu_ms += max(0.0, ms - waited_ms)


class Foresight:
    """Begun with the speech, used by the question (``bound``), or found to have been in vain (``dropped``)."""

    def __init__(
        self, service: Service, model: llm.LanguageModel, memory: Memory, thinker: Thinker, prompt: Prompt, duty: float
    ) -> None:
        """``prompt`` renders what would be asked; ``duty``: the share of the time that may go into speech that comes to
        nothing."""
        self._service, self._model, self._memory, self._thinker = service, model, memory, thinker
        self._prompt = prompt
        self._budget = ahead.Budget(duty, SPEND_MS)
        self._token_ms = ahead.Estimate(TOKEN_MS)
        self._still = ahead.Chance(ahead.STILL)
        self._speech_ms = ahead.Estimate(ahead.SPEECH_MS)
        self._run: Run | None = None
        self._progress = Progress(service, ahead=True)
        self._npu_wait_ms: float | None = None
        self._computed_ms = 0.0  # on the prompt for ``_shown``
        self._shown = ""  # identity of the picture in the prompt that was computed, or is; "" none
        self._wanted = False  # the prompt is to be computed as soon as the model is free
        self.turn: Turn | None = None  # that is being spoken
        self.picture: PictureRef | None = None  # that was looked at for it
        self.npu: NpuCost | None = None  # of encoding it
        self.waste = Waste()

    @property
    def affordable(self) -> bool:
        """Was less wasted than may be?"""
        return self._budget.left(self._service.clock()) > 0

    @property
    def pending(self) -> bool:
        """Is there something to ``advance``?"""
        return self._wanted or (self._run is not None and self._run.waiting)

    @property
    def stuck_since(self) -> int:
        """When a prompt that is being computed last came on, ns; 0: none is."""
        return self._run.progress_at if self._run is not None else 0

    def of(self, turn: Turn) -> bool:
        return self.turn is not None and self.turn.same(turn)

    # --- the speech ---

    def begin(self, turn: Turn, camera: str | None, policy_anew: bool, max_age_ms: int) -> None:
        """Somebody speaks, or goes on. ``camera``: the one that is looked at ("": the default one); None: none is."""
        if not self.of(turn):
            self.forget()
        self.turn = turn
        if camera is None:
            self._wanted = True
            return
        known = self.picture or self._memory.in_context(turn.conversation)
        if known is not None and (known.region or (camera and known.camera != camera)):
            known = None
        if policy_anew and known is not None and known.captured_at < turn.start:
            known = None
        look = Look(
            turn=turn,
            camera=camera,
            known=known.identity if known is not None else "",
            known_signature=known.signature if known is not None else b"",
            max_age_ms=max_age_ms,
            until=self._service.clock() + SPEECH_NS,
            anew=policy_anew,
            ahead=True,
        )
        self._service.publish(look)

    def seen(self, seen: Embedding, payload: bytes | memoryview) -> None:
        """The picture that would be shown, were the question asked now."""
        if not self.of(seen.turn):
            return
        in_context = self._memory.in_context(seen.turn.conversation)
        if seen.form == "unchanged":
            same = [one for one in (self.picture, in_context) if one is not None and one.identity == seen.identity]
            if not same:
                return
            self.picture = same[0]
        else:
            self.picture, self.npu = sight.reference(seen), seen.npu
            self._memory.show(sight.picture(seen, payload))
        self._wanted = True

    def known(self, identity: str) -> PictureRef | None:
        return self.picture if self.picture is not None and self.picture.identity == identity else None

    # --- the prompt ---

    def advance(self) -> None:
        """Begin to compute what is wanted, or take what happened. Raises EngineError."""
        if self._run is None:
            if self._wanted and self.turn is not None:
                self._wanted = False
                self._compute(self.turn)
            return
        happened = self._run.take()
        if happened is None:
            return
        self._computed_ms += happened.engine_ms
        if isinstance(happened.event, llm.Prefilled) and self.turn is not None:
            if happened.event.npu is not None:
                self._npu_wait_ms = happened.event.npu.wait_ms
            self._progress.tell(self.turn, happened.event.done, happened.event.total)
        if self._run.over:
            self._run = None
            self._progress.end()
            if self._progress.total:
                self._token_ms.learn(self._computed_ms / self._progress.total)
            if happened.error is not None:
                raise happened.error

    def _compute(self, turn: Turn) -> None:
        able, shown = self._model.capabilities.ahead, self.picture.identity if self.picture is not None else ""
        if able == "nothing" or not self.affordable:
            return
        if self._computed_ms and shown == self._shown:
            return  # the speech went on after a pause
        prompt = self._prompt(turn, "", self.picture)
        if able == "text" and any(isinstance(part, llm.Picture) for message in prompt for part in message.content):
            return
        spoken_ms = (self._service.clock() - turn.start) / 1e6
        left = ahead.left_ms(spoken_ms, self._speech_ms.value)
        takes = self._model.count(prompt) * self._token_ms.value
        if not ahead.pays(left, takes, self._still.value):
            return
        self._drop_prompt()
        self._shown, self._progress = shown, Progress(self._service, ahead=True)
        self._run = self._thinker.begin(self._model.prefill(prompt, owner=turn.conversation), turn)

    def _drop_prompt(self) -> None:
        """What was computed is not what will be asked."""
        if self._run is not None:
            self._run.close()
            self._run = None
        if self._computed_ms:
            self.waste.add(self._computed_ms, self._npu_wait_ms)
            self._budget.spend(self._computed_ms, self._service.clock())
        self._computed_ms, self._npu_wait_ms, self._shown = 0.0, None, ""

    # --- what became of it ---

    def spoilt(self, ms: float, waited_ms: float | None) -> None:
        """An answer was generated to a question that was not it."""
        self.waste.add(ms, waited_ms)
        self._budget.spend(ms, self._service.clock())

    def bound(self, turn: Turn, picture: PictureRef | None) -> None:
        """The question is about this picture. A prompt for another one is given up; one for this, let come to its end:
        the answer takes it up from there."""
        if not self.of(turn):
            if self.turn is not None and self.turn.conversation == turn.conversation:
                self.forget()
            return
        self._wanted = False
        shown = picture.identity if picture is not None else ""
        if self._computed_ms or self._run is not None:
            self._still.learn(float(shown == self._shown))
            if shown != self._shown:
                self._drop_prompt()

    def heard(self, turn: Turn, last_sample_at: int) -> None:
        """The question is final."""
        if self.of(turn):
            self._speech_ms.learn(max(0.0, (last_sample_at - turn.start) / 1e6))

    def answered(self, turn: Turn) -> Waste:
        """It was answered. What was wasted on it."""
        if not self.of(turn):
            return Waste()
        waste = self.waste
        self._let_go()
        return waste

    def forget(self) -> None:
        """Nothing came of the speech."""
        self._drop_prompt()
        if self.waste.ms:
            figures = self._service.figures
            figures["wasted_ms"] = figures.get("wasted_ms", 0.0) + self.waste.ms
        self._let_go()

    def _let_go(self) -> None:
        self.turn = self.picture = self.npu = None
        self._run = None  # an answer that takes up what it computes comes after it
        self._wanted, self._computed_ms, self._shown = False, 0.0, ""
        self.waste = Waste()


class Progress:
    """Says now and then how far a prompt is, so that whoever waits knows that something is done."""

    def __init__(self, service: Service, ahead: bool = False) -> None:
        self._service, self._ahead = service, ahead
        self._told_at: int | None = None
        self._last: Thinking | None = None
        self.total = 0

    def tell(self, turn: Turn, done: int, total: int) -> None:
        now = self._service.clock()
        self.total = total
        self._last = Thinking(turn=turn, done=done, total=total, ahead=self._ahead)
        if self._told_at is None or now - self._told_at > EVERY_MS * 1e6 or done == total:
            self.end()
            self._told_at = now

    def end(self) -> None:
        """The last word, if it was not told yet."""
        if self._last is not None:
            self._service.publish(self._last)
            self._last = None
