"""How long things take on the boards: published figures, each with its source; what nobody published is marked so
(assumed).

``environment`` turns a board and a model into the simulated runtime's settings, faster or slower by a factor.
"""

from typing import NamedTuple

from pipelines.engine import EngineError

BENCHMARK = "rknn-llm benchmark.md of 1.3.0, multimodal table, clocks fixed at their maximum"
ROCK_5C = "Qengineering's READMEs, Rock 5C (RK3588), files in the page cache"
ASSUMED = "assumed: the RK3588 board's figure, or one like it for the size of the file"


class Pace(NamedTuple):
    load_s: float  # the language model's
    load_source: str
    encoder_load_s: float
    encode_s: float  # one picture
    prefill_ms: float  # of so many tokens:
    prefill_tokens: int
    tokens_per_s: float  # decoded
    source: str

    @property
    def prefill_ms_per_token(self) -> float:
        return self.prefill_ms / self.prefill_tokens


MODELS: dict[tuple[str, str], Pace] = {
    ("rk3588", "qwen2-vl-2b"): Pace(2.6, ASSUMED, 0.9, 3.28, 633, 196, 16.6, BENCHMARK),
    ("rk3588", "qwen2.5-vl-3b"): Pace(4.0, ROCK_5C, 1.8, 2.93, 1120, 196, 8.66, BENCHMARK),
    ("rk3588", "qwen3-vl-2b"): Pace(2.6, ROCK_5C, 0.9, 2.08, 649, 196, 14.9, BENCHMARK),
    ("rk3588", "qwen3.5-0.8b"): Pace(1.1, ASSUMED, 0.75, 0.69, 1560, 216, 27.0, BENCHMARK),
    ("rk3588", "minicpm-v-2.6"): Pace(6.0, ASSUMED, 1.8, 3.27, 826, 64, 4.18, BENCHMARK),
    ("rk3588", "deepseekocr"): Pace(4.0, ASSUMED, 0.9, 2.09, 696, 128, 31.8, BENCHMARK),
    ("rk3588", "smolvlm-256m"): Pace(0.4, ROCK_5C, 0.25, 0.842, 77, 128, 78.0, BENCHMARK),
    ("rk3576", "qwen2-vl-2b"): Pace(2.6, ASSUMED, 0.9, 3.55, 1235, 196, 14.6, BENCHMARK),
    ("rk3576", "qwen2.5-vl-3b"): Pace(4.0, ASSUMED, 1.8, 2.87, 2130, 196, 7.87, BENCHMARK),
    ("rk3576", "qwen3-vl-2b"): Pace(2.6, ASSUMED, 0.9, 1.61, 1587, 196, 10.4, BENCHMARK),
    ("rk3576", "qwen3.5-0.8b"): Pace(1.1, ASSUMED, 0.75, 0.815, 3400, 216, 15.4, BENCHMARK),
    ("rk3576", "minicpm-v-2.6"): Pace(6.0, ASSUMED, 1.8, 2.4, 1230, 64, 3.85, BENCHMARK),
    ("rk3576", "deepseekocr"): Pace(4.0, ASSUMED, 0.9, 2.27, 1010, 128, 22.3, BENCHMARK),
    ("rk3576", "smolvlm-256m"): Pace(0.4, ASSUMED, 0.25, 0.768, 180, 128, 57.7, BENCHMARK),
}


class Ears(NamedTuple):
    """Recognition takes ``fixed_ms`` and ``per_second_ms`` for every second of speech: after its end or, where
    ``streaming``, all but the fixed part while it is spoken."""

    fixed_ms: float
    per_second_ms: float
    source: str
    streaming: bool = False

    @property
    def told(self) -> str:
        fixed = f"{self.fixed_ms:g} ms and " if self.fixed_ms else ""
        return f"{fixed}{self.per_second_ms:g} ms a second of speech ({self.source})"


class Mouth(NamedTuple):
    """The first block of a clause comes after ``first_ms``; a second of speech takes ``per_second_ms``."""

    first_ms: float
    per_second_ms: float
    source: str

    @property
    def told(self) -> str:
        first = f"{self.first_ms:g} ms to the first block and " if self.first_ms else ""
        return f"{first}{self.per_second_ms:g} ms a second of speech ({self.source})"


RKVOICE = "rkvoice-stream's README: real-time factor and time to first audio"
ZOO = "rknn_model_zoo's README: one NPU core"
USEFUL = (
    "assumed from useful-transformers' README (tiny.en on the NPU 30 times as fast as speech, twice as fast as "
    "faster-whisper int8), most of it for the window of 30 s; base and small as `assistant bench cpu` has them"
)
PIPER_PI = "assumed from Raspberry Pi 4's 0.80 of a medium voice (rhasspy/piper #33), by clock and core"
SMALL = "assumed: ten times what it takes on a PC's core"
EARS: dict[tuple[str, str], Ears] = {
    ("rk3588", "sense-voice"): Ears(0, 49, "sherpa-onnx documentation: int8, 4 threads on the A76 cores, RTF 0.049"),
    ("rk3576", "sense-voice"): Ears(0, 360, RKVOICE),
    ("rk3588", "zipformer"): Ears(0, 65, ZOO, streaming=True),
    ("rk3576", "zipformer"): Ears(0, 82, ZOO, streaming=True),
    ("rk3588", "paraformer"): Ears(0, 240, RKVOICE),
    ("rk3576", "paraformer"): Ears(0, 500, RKVOICE),
    ("rk3588", "whisper-base-npu"): Ears(0, 215, ZOO),
    ("rk3576", "whisper-base-npu"): Ears(0, 218, ZOO),
    ("rk3588", "whisper-tiny"): Ears(600, 20, USEFUL),
    ("rk3588", "whisper-base"): Ears(1500, 50, USEFUL),
    ("rk3588", "whisper-small"): Ears(5500, 180, USEFUL),
    ("rk3576", "whisper-tiny"): Ears(1200, 40, USEFUL + "; twice the RK3588's"),
    ("rk3576", "whisper-base"): Ears(3000, 100, USEFUL + "; twice the RK3588's"),
    ("rk3576", "whisper-small"): Ears(11000, 360, USEFUL + "; twice the RK3588's"),
    ("rk3588", "pocketsphinx"): Ears(0, 150, "assumed: three times what it takes on a PC's core"),
    ("rk3576", "pocketsphinx"): Ears(0, 250, "assumed: five times what it takes on a PC's core"),
}
MOUTHS: dict[tuple[str, str], Mouth] = {
    ("rk3588", "matcha"): Mouth(145, 50, RKVOICE),
    ("rk3576", "matcha"): Mouth(320, 130, RKVOICE),
    ("rk3588", "kokoro"): Mouth(0, 770, RKVOICE),
    ("rk3588", "piper-npu"): Mouth(142, 130, RKVOICE + " (its decoder on the NPU)"),
    ("rk3576", "piper-npu"): Mouth(234, 170, RKVOICE + " (its decoder on the NPU)"),
    ("rk3588", "piper"): Mouth(0, 300, PIPER_PI),
    ("rk3576", "piper"): Mouth(0, 520, PIPER_PI),
    ("rk3588", "espeak"): Mouth(20, 0, SMALL),
    ("rk3576", "espeak"): Mouth(20, 0, SMALL),
}


def pace(board: str, model: str) -> Pace:
    """Raises EngineError for a board or a model without figures, listing those that have some."""
    if (board, model) not in MODELS:
        known = ", ".join(":".join(pair) for pair in MODELS)
        raise EngineError(f"no figures of {board}:{model} are known; choose one of: {known}")
    return MODELS[board, model]


def environment(board: str, model: str, slowness: float = 0.0) -> dict[str, str]:
    """The simulated runtime's settings. ``slowness``: 0 at once, 1 the board's own pace, 0.1 ten times as fast."""
    found = pace(board, model)
    times = {
        "RKLLM_SIM_LOAD_MS": found.load_s * 1000,
        "RKLLM_SIM_PREFILL_MS": found.prefill_ms_per_token,
        "RKLLM_SIM_DECODE_MS": 1000 / found.tokens_per_s,
        "RKLLM_SIM_ENCODER_LOAD_MS": found.encoder_load_s * 1000,
        "RKLLM_SIM_ENCODE_MS": found.encode_s * 1000,
    }
    return {"RKLLM_SIM_SOC": board, **{name: f"{ms * slowness:.6g}" for name, ms in times.items()}}
