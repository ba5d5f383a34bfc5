"""Draws whole conversations by lot: what is shown when, what is asked, how it is worded, and what is answered."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from models.pico.dialogue import (
    FOLLOW_UPS,
    LANGUAGES,
    OLD_PICTURE,
    QUESTIONS,
    SMALL_TALK,
    Language,
    Question,
    answer,
    ask,
    resolve,
)  # fmt: skip
from models.pico.foreign import sentence
from models.pico.world import COLORS, KINDS, Scene, sample, third, vary

WEIGHTS = {
    "describe": 5.0, "color": 6.0, "exists": 3.5, "exists_color": 10.0, "exists_lamp": 0.7, "exists_gauge": 0.7,
    "count": 2.5, "count_kind": 3.0, "side": 11.0, "where": 5.0, "lamp_on": 1.2, "lamp_color": 1.2, "gauge": 1.6,
    "lamp_changed": 0.3, "gauge_changed": 0.3, "hello": 0.3, "who": 0.3, "can": 0.3, "thanks": 0.3, "ood": 1.5,
}  # fmt: skip
LIVE_PICTURES = 2
# What a question's score is filed under.
FAMILY = {
    "color": "color", "exists": "exists", "exists_color": "exists", "exists_lamp": "exists", "exists_gauge": "exists",
    "count": "count", "count_kind": "count", "lamp_on": "lamp", "lamp_color": "lamp", "gauge": "gauge", "side": "side",
    "lamp_changed": "compare", "gauge_changed": "compare", "where": "where", "describe": "describe", "ood": "foreign",
}  # fmt: skip


@dataclass
class Turn:
    """One question and its answer. `scene` is the picture that comes with it; `old_line` stands where one has gone."""

    text: str
    answer: str
    language: Language
    types: list[str]
    scene: Scene | None = None
    old_line: str = ""
    heard: str | None = None  # what of the answer the history holds, where it was cut short
    learn: bool = True

    @property
    def content(self) -> str:
        """The text of the user's message: after the picture, or after the line that replaced it."""
        return f"{self.old_line}\n{self.text}" if self.old_line else self.text


@dataclass
class Talk:
    """A conversation in the making. `shown`: every picture so far; `before`: the full question of the turn before."""

    turns: list[Turn] = field(default_factory=list)
    shown: list[Scene] = field(default_factory=list)
    before: Question | None = None


def _style(text: str, language: Language, rng: random.Random) -> str:
    """Typed or recognised: case, punctuation, now and then a filler or a lost article."""
    pick = rng.random()
    if language == "zh":
        if pick < 0.06:
            text = rng.choice(("请问", "现在", "那么")) + text
        return text + rng.choices(("", "？", "?", "。"), (45, 40, 10, 5))[0]
    if pick < 0.04:
        text = f"{rng.choice(('um', 'so', 'please tell me', 'hey', 'ok', 'now'))} {text}"
    elif pick < 0.08:
        text = f"{text} {rng.choice(('please', 'now', 'then', 'right now'))}"
    elif pick < 0.11:
        text = text.replace(" the ", " ", 1) if " the " in text else text.replace(" a ", " ", 1)
    case = rng.random()
    if case < 0.4:
        text = text[0].upper() + text[1:]
    return text + ("?" if 0.12 < case < 0.52 else "." if case < 0.03 else "")


def _kind(rng: random.Random, scene: Scene, unique: float = 0.0) -> str:
    """A kind to ask about: mostly one that is there, with chance `unique` one that is there exactly once."""
    kinds = [thing.kind for thing in scene.objects]
    single = [kind for kind in kinds if kinds.count(kind) == 1]
    if single and rng.random() < unique:
        return rng.choice(single)
    return rng.choice(kinds) if kinds and rng.random() < 0.6 else rng.choice(KINDS)


def fill(topic: str, scene: Scene, rng: random.Random) -> Question:
    """A question of `topic` that suits `scene`; "where" is not asked of what stands near a border of the thirds."""
    if topic == "exists_color":
        pair = (_kind(rng, scene), rng.choice(COLORS))
        if scene.objects and rng.random() < 0.65:
            thing = rng.choice(scene.objects)
            pair = rng.choice(
                ((thing.kind, thing.color), (thing.kind, thing.color), (thing.kind, pair[1]), (pair[0], thing.color))
            )
        return Question(topic, kind=pair[0], color=pair[1])
    if topic in ("color", "exists", "count_kind"):
        return Question(topic, kind=_kind(rng, scene, 0.3 if topic == "color" else 0.0))
    if topic == "side":
        return Question(topic, kind=_kind(rng, scene, 0.85), side=rng.choice(("left", "right")))
    if topic == "where":
        kind = _kind(rng, scene, 0.85)
        return Question(topic, kind=kind) if clear(Question(topic, kind=kind), scene) else Question("exists", kind=kind)
    return Question(topic)


def clear(question: Question, scene: Scene) -> bool:
    """Whether people would agree on the answer."""
    found = [thing for thing in scene.objects if thing.kind == question.kind]
    return question.topic != "where" or len(found) != 1 or third(found[0].x) is not None


def follow_up(before: Question | None, scene: Scene, rng: random.Random) -> Question:
    """A short question that leans on the one before; rarely one that cannot."""
    options: list[Question] = []
    if before is None or rng.random() < 0.06:
        options = [
            Question("it_color"),
            Question("it_side", side=rng.choice(("left", "right"))),
            *[Question("and_kind", kind=rng.choice(KINDS))] * 3,
        ]
        if before is None:
            options += [Question("and_lamp"), Question("and_gauge")]
    else:
        if before.kind:
            kind = rng.choice([kind for kind in KINDS if kind != before.kind])
            here = [thing.kind for thing in scene.objects if thing.kind != before.kind]
            options += [Question("and_kind", kind=rng.choice(here) if here and rng.random() < 0.65 else kind)] * 4
            if before.topic in ("exists", "where"):
                options += [Question("it_color")] * 3
            if before.topic in ("exists", "where", "color", "side"):
                options += [Question("it_side", side=rng.choice(("left", "right")))] * 3
        if before.topic in ("lamp_on", "exists_lamp"):
            options += [Question("it_color")] * 3
        if "lamp" not in before.topic:
            options.append(Question("and_lamp"))
        if "gauge" not in before.topic:
            options.append(Question("and_gauge"))
        if before.topic.endswith("_changed"):
            options = [Question("and_gauge" if before.topic.startswith("lamp") else "and_lamp")]
    choice = rng.choice(options)
    full = resolve(choice, before)
    return choice if full is None or clear(full, scene) else Question("and_lamp")


def take(talk: Talk, question: Question, language: Language, rng: random.Random, plain: bool = False) -> Turn:
    """Ask `question` next in `talk` (its newest picture has been put in `shown`) and answer it."""
    scenes, topic = talk.shown[-LIVE_PICTURES:], question.topic
    if topic == "ood":
        text = sentence(rng, language)
    else:
        forms = len(QUESTIONS[topic][language])
        text = ask(question, language, 0 if plain or rng.random() < 0.5 else rng.randrange(forms))
    said = answer(question, scenes, talk.before, language)
    full = resolve(question, talk.before)
    types = ["chinese"] if language == "zh" else []
    if topic in SMALL_TALK or topic == "ood":
        types.append(FAMILY.get(topic, "small_talk"))
    elif not scenes:
        types.append("no_picture")
    elif full is None:
        types.append("lost_follow_up")
    elif not scenes[-1].valid:
        types.append("cannot_tell")
    elif topic in FOLLOW_UPS:
        types.append("follow_up")
    else:
        types.append(FAMILY[topic])
    talk.before = None if full is None or topic in SMALL_TALK or topic == "ood" else full
    return Turn(text if plain else _style(text, language, rng), said, language, types)


def draw(
    rng: random.Random, scenes: Callable[[random.Random], Scene] = sample, turns: tuple[int, int] = (2, 7)
) -> Talk:
    """One conversation for training."""
    talk, home = Talk(), rng.choice(LANGUAGES)
    blind, most = rng.random() < 0.03, 2 if rng.random() < 0.8 else 4
    spots: list[int] = []
    for number in range(rng.randint(*turns)):
        language = home if rng.random() < 0.94 else rng.choice(LANGUAGES)
        new: Scene | None = None
        if not blind and (number == 0 or (len(spots) < most and rng.random() < 0.4)):
            again = number > 0 and rng.random() < 0.2
            new = (
                talk.shown[-1]
                if again
                else vary(talk.shown[-1], rng)
                if number and rng.random() < 0.75
                else scenes(rng)
            )
            if not again and rng.random() < 0.07:
                new = Scene(valid=False)
            talk.shown.append(new)
            spots.append(number)
        scene = talk.shown[-1] if talk.shown else Scene()
        lean = 0.42 if talk.before else 0.1 if number == 0 else 0.04
        if rng.random() < lean and (scene.valid or talk.before):
            question = follow_up(talk.before, scene, rng)
        else:
            weights = dict(WEIGHTS)
            if len(spots) > 1:
                weights.update(lamp_changed=5.0, gauge_changed=16.0)
            question = fill(rng.choices(list(weights), list(weights.values()))[0], scene, rng)
        turn = take(talk, question, language, rng)
        turn.scene = new
        if new is not None and len(spots) > 1:
            turn.types.append("new_picture")
        if rng.random() < 0.07:
            words = turn.answer.split(" ") if language == "en" else list(turn.answer)
            turn.heard = (" " if language == "en" else "").join(words[: rng.randint(0, len(words) - 1)])
        talk.turns.append(turn)
    _retire(talk, spots, home, rng)
    return talk


def _retire(talk: Talk, spots: list[int], language: Language, rng: random.Random) -> None:
    """Replace all but the newest pictures by a line; what needed one of them is no longer learnt from."""
    for place in spots[:-LIVE_PICTURES]:
        talk.turns[place].scene = None
        talk.turns[place].old_line = OLD_PICTURE[language].format(
            time=f"{rng.randrange(24):02d}:{rng.randrange(60):02d}"
        )
    if len(spots) > LIVE_PICTURES:
        first_live, second_live = spots[-LIVE_PICTURES:]
        for number, turn in enumerate(talk.turns):
            compares = any(
                word in turn.answer for word in ("still", "now", "compare", "变", "比较", "only one", "一张")
            )
            turn.learn = number >= (second_live if compares else first_live)
