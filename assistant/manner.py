"""How dialogue is to answer: its settings, what its user asked for since, and what the heat of the board allows."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Literal

import msgspec

from assistant import config
from assistant.config import Engine
from assistant.core import personas
from assistant.messages import Complete, DialogueState, Language, Persona, Policy, Prefer
from assistant.warmth import Warmth
from pipelines import llm
from pipelines.engine import name_of


class Settings(config.Settings, frozen=True, kw_only=True):
    """Section [dialogue]."""

    roles: ClassVar[Mapping[str, str]] = {"llm": "llm"}

    llm: Engine = Engine("auto")
    language: Language = "en"  # of the persona and of the daemon's own sentences, where the question does not tell
    persona: Persona = "plain"
    system: str = ""  # replaces the persona's system prompt
    examples: bool = True  # the persona's few-shot examples
    picture: Policy = "fresh"
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


class Manner:
    def __init__(self, settings: Settings, model: llm.LanguageModel, warmth: Warmth) -> None:
        self.settings, self._model, self._warmth = settings, model, warmth
        self.model_name = _name(model, settings.llm)

    def prefer(self, asked: Prefer) -> None:
        """From the next question on, until the process ends: the settings' file is its owner's."""
        wanted = {field: value for field, value in msgspec.structs.asdict(asked).items() if value is not None}
        self.settings = msgspec.structs.replace(self.settings, **wanted)

    def state(self, used: int) -> DialogueState:
        """``used``: tokens that stand in the live conversation's KV cache."""
        able, now = self._model.capabilities, self.settings
        return DialogueState(
            persona=now.persona,
            language=now.language,
            picture=now.picture,
            model=self.model_name,
            wants=able.wants,
            context=able.context,
            used=used,
            slots=able.slots,
            tools=able.tools,
        )

    @property
    def picture(self) -> Policy:
        """When a question is about the scene; never, for a model that cannot see."""
        return "never" if self._model.capabilities.wants == "text" else self.settings.picture

    @property
    def ahead(self) -> bool:
        """May work be done that may come to nothing?"""
        return self.settings.ahead and self._warmth.may_work_ahead

    def opening(self) -> tuple[str, Sequence[tuple[str, str]]]:
        """The system prompt, and the examples after it."""
        persona, language = personas.PERSONAS[self.settings.persona], self.settings.language
        system = self.settings.system or persona.system[language]
        return system, persona.examples[language] if self.settings.examples else ()

    def sampling(self) -> llm.Sampling:
        preset, most = personas.SAMPLING[self.settings.sampling], self.settings.max_tokens
        if self._warmth.hot:
            most = min(most, self.settings.hot_max_tokens)
        return llm.Sampling(
            temperature=preset.temperature,
            top_p=preset.top_p,
            seed=self.settings.seed,
            max_tokens=most,
        )

    def wished(self, asked: Complete) -> llm.Sampling:
        """As a program wants it, where it says so. There is always a seed: what is interrupted can be said again."""
        own, most = self.sampling(), asked.max_tokens or self._model.capabilities.context
        return llm.Sampling(
            temperature=own.temperature if asked.temperature is None else asked.temperature,
            top_k=asked.top_k or 0,
            top_p=own.top_p if asked.top_p is None else asked.top_p,
            repetition_penalty=1.0 if asked.repetition_penalty is None else asked.repetition_penalty,
            seed=next(seed for seed in (asked.seed, self.settings.seed, asked.turn.start % 2**31) if seed is not None),
            max_tokens=min(most, self.settings.hot_max_tokens) if self._warmth.hot else most,
            stop=asked.stop,
        )


def _name(model: llm.LanguageModel, engine: Engine) -> str:
    """The language model's name for people: of its file or folder, or as a server calls it; "" without one."""
    name = name_of(model)
    if name == "none":
        return ""
    parts = Path(str(engine.all_options.get(name, {}).get("model", name))).parts
    known = [part for part in parts if part != "model"]
    return known[-1].removesuffix(".rkllm") if known else name
