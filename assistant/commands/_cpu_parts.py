"""The parts of ``assistant bench cpu``: which models are made, and what is measured on them, each in a process."""

import functools
import importlib
import itertools
import math
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from assistant import paths
from assistant.commands._cpu_process import both, elapsed
from pipelines import asr, llm, tts, vision
from pipelines.engine import EngineError

Figures = dict[str, Any]
SECONDS = (1.5, 3.0, 6.0)  # of speech in an utterance
TOKENS_A_SECOND = 3  # that Whisper writes for calm speech: two to three words
SIZES = ("tiny", "base", "small")
CLAUSE = "There are two red cups on the table."  # 8 words
QUESTION = "what is on the table"
REPLY = 32  # tokens
PATIENCE_S = 60.0  # a picture in tiles is not measured where one tile says that it would take longer


class Step(NamedTuple):
    """``make`` (folder, *arguments), then ``measure`` (folder, *arguments, threads), which gives the figures."""

    name: str
    title: str
    make: Callable[..., None] | None
    measure: Callable[..., Figures]
    arguments: tuple[Any, ...]


def models(name: str) -> ModuleType:
    """A maker of models with random weights: in a wheel it lies inside the package, in a checkout beside it."""
    inside = paths.shipped("models").parent.name == "shipped"
    return importlib.import_module(f"{'assistant.shipped.' if inside else ''}models.random.{name}")


# --- asr ---


def whisper_steps(quick: bool) -> list[Step]:
    sizes = ("quick",) if quick else SIZES
    return [Step(f"whisper_{size}", f"Whisper {size}", make_whisper, measure_whisper, (size,)) for size in sizes]


def make_whisper(folder: Path, size: str) -> None:
    whisper = models("whisper")
    whisper.make(folder / size, whisper.SIZES[size], [_tokens(seconds) for seconds in SECONDS])


def measure_whisper(folder: Path, size: str, threads: int) -> Figures:
    """Utterances of SECONDS: from the samples to the text."""
    figures = {}
    for seconds in SECONDS:
        options = {"model": str(folder / size / str(_tokens(seconds))), "language": "en", "threads": threads}
        engine, pcm = asr.load("faster_whisper", options), speech(seconds)
        figures[f"{seconds:g}"] = both(lambda: elapsed(lambda: _heard(engine, pcm)))  # noqa: B023 (called at once)
    return {size: figures}


def _tokens(seconds: float) -> int:
    return math.ceil(TOKENS_A_SECOND * seconds)


def speech(seconds: float) -> NDArray[np.int16]:
    """Noise in syllables, int16 at 16 kHz: loud and uneven enough to count as speech."""
    at = np.arange(int(seconds * asr.RATE)) / asr.RATE
    noise = np.random.default_rng(0).standard_normal(len(at))
    return np.asarray(noise * 3000 * (np.sin(2 * np.pi * 4 * at) > -0.3), np.int16)


def _heard(engine: asr.Recognizer, pcm: NDArray[np.int16]) -> None:
    utterance = engine.utterance()
    utterance.feed(pcm)
    found = utterance.finish()
    if not found.text:
        raise EngineError(f"the model was to write words, but: {found.refused}")


# --- tts ---


def voice_steps(quick: bool) -> list[Step]:
    return [Step("voice", "a piper voice of medium quality", make_voice, measure_voice, (quick,))]


def make_voice(folder: Path, quick: bool) -> None:
    vits = models("vits")
    vits.make(folder / "voice.onnx", vits.QUICK if quick else vits.MEDIUM)


def measure_voice(folder: Path, quick: bool, threads: int) -> Figures:
    """One clause, and three at once: until the first sound is there, and until all is."""
    voice = tts.load("piper", {"voice": str(folder / "voice.onnx"), "threads": threads})
    samples = sum(len(chunk.pcm) for chunk in voice.speak(CLAUSE))
    figures: Figures = {"clause_sound_s": round(samples / voice.rate, 2)}
    for name, text in (("clause", CLAUSE), ("three_clauses", " ".join([CLAUSE] * 3))):
        figures[f"{name}_first_chunk"] = both(lambda: elapsed(lambda: next(iter(voice.speak(text)))))  # noqa: B023
        figures[f"{name}_whole"] = both(lambda: elapsed(lambda: list(voice.speak(text))))  # noqa: B023
    return figures


# --- vlm ---


def vlm_steps(quick: bool) -> list[Step]:
    return [
        Step("vision", "a folder of SmolVLM-256M's shape", make_vlm, measure_pictures, (quick,)),
        Step("llm", "its tokens", None, measure_tokens, (quick,)),
    ]


def make_vlm(folder: Path, quick: bool) -> None:
    models("smolvlm").make(folder, _vlm_size(quick))


def _vlm_size(quick: bool) -> Any:
    smolvlm = models("smolvlm")
    return smolvlm.QUICK if quick else smolvlm.SMOLVLM_256M


def measure_pictures(folder: Path, quick: bool, threads: int) -> Figures:
    """A picture of 640x480 as one tile, and as four tiles with the whole."""
    edge = _vlm_size(quick).vision.edge
    picture = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
    figures: Figures = {}
    for tiles, longest in ((1, edge), (5, 2 * edge)):
        options = {"model": str(folder), "threads": threads, "longest_edge": longest}
        expected = 5 * figures["picture_1_tile"]["beside_load"] / 1000 if tiles == 5 else 0.0
        if expected > PATIENCE_S:
            figures["picture_5_tiles"] = None
            figures["picture_5_tiles_why"] = f"would take about {expected:.0f} s beside the load"
            continue
        encoder = vision.load("onnx", options)
        name = "picture_1_tile" if tiles == 1 else f"picture_{tiles}_tiles"
        figures[name] = both(lambda: elapsed(lambda: encoder.encode(picture)), warm=tiles == 1)  # noqa: B023
    return figures


def measure_tokens(folder: Path, quick: bool, threads: int) -> Figures:
    """Tokens of a prompt with one tile, and of the reply to it, in the q8 graphs that an owner would run."""
    size = _vlm_size(quick)
    engine = llm.load("onnx", {"model": str(folder), "threads": threads})
    rows = np.random.default_rng(0).standard_normal((size.vision.tokens, size.width), np.float32)
    asked = itertools.count()

    def reply(tokens: int) -> llm.Ended:
        picture = llm.Picture(str(next(asked)), rows)  # a new one each time, so that nothing of it is cached
        conversation = [llm.Message("user", (picture, QUESTION))]
        *_, last = engine.reply(conversation, llm.Sampling(max_tokens=tokens))
        assert isinstance(last, llm.Ended)
        return last

    def prefill() -> float:
        ended = reply(1)
        return ended.prefill_ms / (ended.prompt_tokens - ended.cached_tokens)

    def decode() -> float:
        ended = reply(REPLY)
        return ended.decode_ms / ended.completion_tokens

    prompt = reply(1).prompt_tokens
    return {"prefill_per_token": both(prefill), "decode_per_token": both(decode), "prompt_tokens": prompt}


# --- decode_ratio ---


def ratio_steps(quick: bool) -> list[Step]:
    return [Step("decode_ratio", "decoding against the reference", None, measure_ratio, (quick,))]


def measure_ratio(folder: Path, quick: bool, threads: int) -> Figures:
    """With one thread each, whatever ``threads`` says: see models/random/ratio.py."""
    say = functools.partial(print, file=sys.stderr, flush=True)
    found = models("ratio").measure(folder, _vlm_size(quick), 1, say)
    figures = msgspec.structs.asdict(found)
    return {name: float(f"{value:.3g}") if isinstance(value, float) else value for name, value in figures.items()}


STEPS: dict[str, Callable[[bool], list[Step]]] = {
    "asr": whisper_steps,
    "tts": voice_steps,
    "vlm": vlm_steps,
    "decode_ratio": ratio_steps,
}
