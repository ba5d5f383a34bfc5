"""The work of ``assistant bench model``, in a process of its own: load the engines, then one case after the other."""

import time
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from assistant.commands._cpu_process import peak_mb
from pipelines import llm, vision
from pipelines.engine import EngineError, name_of
from pipelines.llm import Ended, LanguageModel, Message, Picture, Prefilled, Sampling, Token
from pipelines.vision import Encoder

WORDS = ("one", "red", "boat", "lies", "beside", "the", "old", "stone", "wall", "and", "two", "small", "children")
ASKED = "Write a very long story about this, and do not stop."


class Case(NamedTuple):
    prompt: int  # tokens of the prompt, without those of a picture
    new: int  # tokens of the reply
    picture: bool


class Engines(NamedTuple):
    """Names and options, as a profile has them."""

    llm: str
    llm_options: Mapping[str, Any]
    vision: str
    vision_options: Mapping[str, Any]


def run(engines: Engines, cases: list[Case]) -> Iterator[dict[str, Any]]:
    """What was loaded, then the figures of each case; a case that cannot be measured has ``why``."""
    began = time.perf_counter()
    model, exact = _model(engines.llm, engines.llm_options)
    load_s, wants = time.perf_counter() - began, model.capabilities.wants
    began = time.perf_counter()
    encoder, why = _encoder(engines, model) if any(case.picture for case in cases) else (None, "")
    yield {
        "llm": name_of(model),
        "vision": name_of(encoder) if encoder is not None else "",
        "no_picture": why,
        "exact": exact,
        "load_s": round(load_s, 2),
        "vision_load_s": round(time.perf_counter() - began, 2) if encoder is not None else 0.0,
    }
    for number, case in enumerate(cases):
        told: dict[str, Any] = case._asdict()
        if case.picture and why:
            yield {**told, "why": why}
            continue
        try:
            yield told | _measured(model, encoder if wants == "embeddings" else None, case, number)
        except EngineError as error:
            yield {**told, "why": str(error)}
    _close(model)


def _close(model: LanguageModel) -> None:
    """Engines that hold a board's memory have a way to give it back."""
    close = getattr(model, "close", None)
    if close is not None:
        close()


def _model(name: str, options: Mapping[str, Any]) -> tuple[LanguageModel, bool]:
    """The model, and whether it goes on for as long as it is told to, past its own end."""
    if name == "auto":
        model = llm.load(name, options)
        name, options = name_of(model), options.get(name_of(model), {})
        if name != "rkllm":
            return model, name == "onnx"
        _close(model)
    if name == "rkllm":
        try:
            return llm.load(name, {**options, "ignore_eos": True}), True
        except EngineError as error:
            if "ignore_eos" not in str(error):
                raise
    return llm.load(name, options), name == "onnx"


def _encoder(engines: Engines, model: LanguageModel) -> tuple[Encoder | None, str]:
    """None where the model takes pictures as they are; and why no picture can be shown, "" where one can."""
    wants = model.capabilities.wants
    if wants == "text":
        return None, "the model takes no pictures"
    if wants == "pictures":
        return None, ""
    try:
        encoder = vision.load(engines.vision, engines.vision_options)
    except EngineError as error:
        return None, str(error)
    if encoder.width != model.capabilities.width:
        return None, f"the encoder gives rows of {encoder.width} floats, the model takes {model.capabilities.width}"
    return encoder, ""


def _measured(model: LanguageModel, encoder: Encoder | None, case: Case, number: int) -> dict[str, Any]:
    shown, encode_ms, rows = list[str | Picture](), 0.0, 0
    if case.picture:
        pixels = _pixels(number)
        began = time.perf_counter()
        if encoder is None:
            shown = [Picture(f"bench-{number}", pixels=pixels)]
        else:
            encoding = encoder.encode(pixels)
            rows = len(encoding.rows)
            shown = [Picture(f"bench-{number}", encoding.rows, encoding.grid)]
        encode_ms = (time.perf_counter() - began) * 1000
    asked = Message("user", (*shown, text(model, case.prompt, number)))
    began, first, ended = time.perf_counter(), 0.0, None
    for event in model.reply([asked], Sampling(max_tokens=case.new, ignore_end=True), owner="bench"):
        if isinstance(event, Token) and not first:
            first = time.perf_counter()
        elif isinstance(event, Ended):
            ended = event
        elif not isinstance(event, Token | Prefilled):
            raise EngineError("the model asked for a tool where it was to tell a story")
    if ended is None or not first:
        raise EngineError("the model gave no token")
    seconds = time.perf_counter() - first
    return {
        "prompt_tokens": ended.prompt_tokens - ended.cached_tokens,  # those that were computed
        "picture_tokens": rows,
        "new_tokens": ended.completion_tokens,
        "encode_ms": round(encode_ms, 1),
        "first_token_ms": round((first - began) * 1000, 1),
        "prefill_ms": round(ended.prefill_ms, 1),
        "tokens_per_s": round((ended.completion_tokens - 1) / seconds, 1) if seconds > 0 else 0.0,
        "peak_mb": peak_mb(),
    }


def text(model: LanguageModel, tokens: int, number: int) -> str:
    """A question with which the prompt has ``tokens`` tokens, as nearly as words allow, at least ASKED; other numbers
    begin otherwise, so that nothing of it is in a cache."""
    words = [WORDS[(number + at) % len(WORDS)] for at in range(tokens)]

    def made(count: int) -> str:
        return " ".join([*words[:count], ASKED])

    least, most = 0, tokens
    while least < most:  # the most words that fit
        middle = (least + most + 1) // 2
        fits = model.count([Message("user", (made(middle),))]) <= tokens
        least, most = (middle, most) if fits else (least, middle - 1)
    return made(least)


def _pixels(number: int) -> NDArray[np.uint8]:
    """640 x 480; what it shows does not matter, but no two are the same."""
    canvas = np.full((480, 640, 3), 90, np.uint8)
    canvas[100 + 20 * (number % 10) : 220 + 20 * (number % 10), 200:400] = (220, (37 * number) % 256, 40)
    return canvas
