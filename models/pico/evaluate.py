"""Scores the shipped model files on fresh scenes, through the same engines that the assistant uses.

`python -m models.pico.evaluate --seed N --scenes K --json`. Whole conversations are held: the model's own answers
are its history. An answer counts only if it is the right one to the letter.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from models.pico import negatives
from models.pico.dialogue import LANGUAGES, OLD_PICTURE, Language, Question
from models.pico.render import Image, render
from models.pico.talk import LIVE_PICTURES, Talk, Turn, fill, follow_up, take
from models.pico.world import Scene, sample, vary

MODEL = Path(__file__).parent / "model"
SCENE_TOPICS = (
    "describe", "color", "color", "exists", "exists_color", "count", "count_kind", "side", "side", "where", "lamp_on",
    "lamp_color", "gauge",
)  # fmt: skip
# A conversation: (role, parts); a part is text or a picture, RGB bytes [h, w, 3].
Conversation = list[tuple[str, list["str | Image"]]]
Answerer = Callable[[Conversation], str]


def _show(talk: Talk, scene: Scene, rng: np.random.Generator) -> Image:
    """Take a picture of `scene` and put what it shows into the conversation."""
    image, seen = render(scene, rng, 640)
    talk.shown.append(seen)
    return image


def _question(talk: Talk, rng: random.Random, topics: list[str]) -> Question:
    """The next topic of the list, or a follow-up where one is possible."""
    if talk.before and rng.random() < 0.4:
        question = follow_up(talk.before, talk.shown[-1], rng)
        if question.topic != "and_lamp" or rng.random() < 0.5:
            return question
    return fill(topics.pop(), talk.shown[-1], rng)


def _scripts(
    rng: random.Random, draw: np.random.Generator, language: Language, number: int
) -> list[list[tuple[Turn, Image | None]]]:
    """Around one scene: a long conversation, one that starts with a follow-up, and one with a picture of nothing."""
    plain = number % 4 < 2
    talk, first = Talk(), sample(rng)
    topics = rng.sample(SCENE_TOPICS, 7)
    long: list[tuple[Turn, Image | None]] = []
    picture: Image | None = _show(talk, first, draw)
    while topics:
        turn = take(talk, _question(talk, rng, topics), language, rng, plain)
        long.append((turn, picture))
        picture = None
    picture = _show(talk, vary(first, rng) if rng.random() < 0.8 else replace(sample(rng), aspect=first.aspect), draw)
    topics = ["lamp_changed", "gauge_changed", *rng.sample(SCENE_TOPICS, 3)]
    while topics:
        turn = take(talk, _question(talk, rng, topics), language, rng, plain)
        turn.types.append("new_picture")
        long.append((turn, picture))
        picture = None
    talk = Talk()
    picture = _show(talk, sample(rng), draw)
    lost: list[tuple[Turn, Image | None]] = [
        (take(talk, follow_up(None, talk.shown[-1], rng), language, rng, plain), picture)
    ]
    talk = Talk(shown=[Scene(valid=False)])
    group = ("noise", "blank", "photo")[number % 3]
    nothing: list[tuple[Turn, Image | None]] = []
    for topic in rng.sample(SCENE_TOPICS, 3):
        turn = take(talk, fill(topic, sample(rng), rng), language, rng, plain)
        nothing.append((turn, None if nothing else negatives.make(group, draw, (640, 480))))
    return [long, lost, nothing]


def _content(pictures: list[tuple[int, Image]], turn_number: int, text: str, language: Language) -> list[str | Image]:
    """A user's message: the picture if it is still live, the line that stands for it if it is not, and the question."""
    for place, (shown_at, image) in enumerate(pictures):
        if shown_at == turn_number:
            if place >= len(pictures) - LIVE_PICTURES:
                return [image, text]
            return [f"{OLD_PICTURE[language].format(time='10:42')}\n{text}"]
    return [text]


def run(answerer: Answerer, seed: int, scenes: int, verbose: bool = False) -> dict[str, dict[str, float]]:
    """Hold the conversations of `scenes` scenes and score every answer."""
    right: dict[str, int] = {}
    asked: dict[str, int] = {}
    for number in range(scenes):
        rng = random.Random(f"evaluate {seed} {number}")
        draw = np.random.default_rng([seed, number, 2])
        language = LANGUAGES[number % 4 == 3]
        for script in _scripts(rng, draw, language, number):
            pictures: list[tuple[int, Image]] = []
            said: list[str] = []
            for index, (turn, picture) in enumerate(script):
                if picture is not None:
                    pictures.append((index, picture))
                conversation: Conversation = []
                for past in range(index + 1):
                    conversation.append(("user", _content(pictures, past, script[past][0].text, language)))
                    if past < index:
                        conversation.append(("assistant", [said[past]]))
                said.append(answerer(conversation).strip())
                same = said[-1] == turn.answer
                if verbose and not same:
                    print(f"{turn.types} {turn.text!r}: {said[-1]!r} instead of {turn.answer!r}")
                # In English every type has its own score; all of Chinese is one.
                for name in ("chinese",) if language == "zh" else turn.types:
                    asked[name] = asked.get(name, 0) + 1
                    right[name] = right.get(name, 0) + same
    return {
        "accuracy": {name: round(right[name] / asked[name], 4) for name in sorted(asked)},
        "questions": dict(sorted(asked.items())),
    }


def engines(folder: Path) -> Answerer:
    """An answerer that runs the model in `folder` through the assistant's own engines, greedily."""
    from pipelines import llm, vision

    encoder = vision.load("onnx", {"model": str(folder)})
    language_model = llm.load("onnx", {"model": str(folder)})
    encoded: dict[int, tuple[Image, llm.Picture]] = {}

    def picture(image: Image) -> llm.Picture:
        if id(image) not in encoded:
            if len(encoded) > 20:
                encoded.clear()
            encoding = encoder.encode(image)
            made = llm.Picture(identity=f"picture {next(numbers)}", rows=encoding.rows, grid=encoding.grid)
            encoded[id(image)] = (image, made)  # the image is kept so that its id stays its own
        return encoded[id(image)][1]

    def answer(conversation: Conversation) -> str:
        messages = [
            llm.Message(
                role="user" if role == "user" else "assistant",
                content=tuple(part if isinstance(part, str) else picture(part) for part in parts),
            )
            for role, parts in conversation
        ]
        events = language_model.reply(messages, llm.Sampling(max_tokens=64))
        return "".join(event.text for event in events if isinstance(event, llm.Token))

    numbers = itertools.count()
    return answer


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description="Score the shipped pico on fresh scenes, through the assistant's engines."
    )
    parser.add_argument("--seed", type=int, default=0, help="the same seed asks the same questions")
    parser.add_argument("--scenes", type=int, default=100, help="how many scenes; about 16 questions each")
    parser.add_argument("--model", type=Path, default=MODEL, help="the model folder")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    parser.add_argument("--errors", action="store_true", help="print every wrong answer")
    args = parser.parse_args(argv)
    result = run(engines(args.model), args.seed, args.scenes, args.errors)
    if args.json:
        print(json.dumps(result))
        return
    for name, share in result["accuracy"].items():
        print(f"{name:16} {100 * share:6.1f} %  of {result['questions'][name]}")


if __name__ == "__main__":
    main()
