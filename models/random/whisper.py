"""Whisper in CTranslate2's format with int8 weights, in the true sizes, that writes as many tokens as it is told to.

Like the published conversions: every matrix has its size and type, so encoder and decoder cost what theirs cost. Not
like them: the decoder looks only at the token before (a chain of words), because random weights would go on to the
limit, where a question of three seconds has about nine tokens.
"""

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tokenizers
from ctranslate2.specs import whisper_spec
from faster_whisper.tokenizer import _LANGUAGE_CODES as LANGUAGES
from tokenizers import AddedToken, decoders, models, pre_tokenizers

from . import Numbers

MELS, HEARD, WRITTEN, VOCABULARY = 80, 1500, 448, 51865
START, END, SILENT, UNTIMED = "<|startoftranscript|>", "<|endoftext|>", "<|nospeech|>", "<|notimestamps|>"
WORDS = [
    "what",
    "do",
    "you",
    "see",
    "on",
    "the",
    "left",
    "side",
    "of",
    "this",
    "wooden",
    "table",
    "near",
    "my",
    "old",
    "lamp",
    "and",
    "two",
    "red",
    "cups",
]
DEAF = 1e-3  # scale of what must not change the chain; not zero, for equal matrices would be kept only once


class Size(NamedTuple):
    width: int
    layers: int  # of the encoder, and of the decoder
    heads: int


SIZES = {
    "tiny": Size(384, 4, 6),
    "base": Size(512, 6, 8),
    "small": Size(768, 12, 12),
    "quick": Size(64, 1, 1),  # none of Whisper's: for tests
}


def make(folder: Path, size: Size, counts: Sequence[int]) -> None:
    """Write folder/COUNT for every count: a model that answers any sound with so many tokens (1 to 20) and an end."""
    tokens = _vocabulary()
    identity = {token: index for index, token in enumerate(tokens)}
    spec = _spec(size, identity)
    spec.register_vocabulary(tokens)
    spec.config.suppress_ids = spec.config.suppress_ids_begin = []
    spec.config.lang_ids = [identity[f"<|{code}|>"] for code in LANGUAGES]
    spec.config.alignment_heads = [(0, 0)]
    spec.validate()
    spec.optimize(quantization="int8")
    shape = {"feature_size": MELS, "sampling_rate": 16000, "hop_length": 160, "chunk_length": 30, "n_fft": 400}
    last = spec.decoder.projection.weight.numpy()[identity[END]]
    for count in counts:
        last[:] = 0
        last[count - 1] = 127  # twice as strong as the next word's
        (folder / str(count)).mkdir(parents=True, exist_ok=True)
        spec.save(str(folder / str(count)))
        _tokenizer(tokens).save(str(folder / str(count) / "tokenizer.json"))
        (folder / str(count) / "preprocessor_config.json").write_text(json.dumps(shape))


def _vocabulary() -> list[str]:
    """As many tokens as Whisper has, the special ones last; "" is how CTranslate2 knows a multilingual model."""
    special = [END, START, *(f"<|{code}|>" for code in LANGUAGES)]
    special += ["<|translate|>", "<|transcribe|>", "<|startoflm|>", "<|startofprev|>", SILENT, UNTIMED]
    special += [f"<|{index * 0.02:.2f}|>" for index in range(1501)]
    plain = [*sorted(pre_tokenizers.ByteLevel.alphabet()), *(f"Ġ{word}" for word in WORDS), ""]
    plain += [f"Ġ#{index}" for index in range(VOCABULARY - len(plain) - len(special))]
    return plain + special


def _tokenizer(tokens: list[str]) -> Any:
    plain = tokens[: tokens.index(END)]
    made: Any = tokenizers.Tokenizer(models.BPE({token: index for index, token in enumerate(plain)}, []))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in tokens[len(plain) :]])
    return made


def _spec(size: Size, identity: dict[str, int]) -> Any:
    spec = whisper_spec.WhisperSpec(size.layers, size.heads, size.layers, size.heads)
    fill = _Fill(size.width)
    for convolution, columns in ((spec.encoder.conv1, MELS), (spec.encoder.conv2, size.width)):
        convolution.weight = fill.numbers.draw("convolution", size.width, columns, 3, scale=0.05)
        convolution.bias = np.zeros(size.width, np.float32)
    spec.encoder.position_encodings.encodings = fill.numbers.draw("positions", HEARD, size.width, scale=0.1)
    spec.decoder.position_encodings.encodings = np.zeros((WRITTEN, size.width), np.float32)
    fill.norm(spec.encoder.layer_norm)
    fill.norm(spec.decoder.layer_norm)
    for layer in spec.encoder.layer:
        fill.block(layer, 1.0)
    for layer in spec.decoder.layer:
        fill.block(layer, DEAF)
        fill.norm(layer.attention.layer_norm)
        fill.dense(layer.attention.linear[0], size.width, size.width)
        fill.dense(layer.attention.linear[1], 2 * size.width, size.width)
        fill.dense(layer.attention.linear[2], size.width, size.width, DEAF)
    embedding, projection = (np.zeros((VOCABULARY, size.width), np.float16) for _ in range(2))
    words = [f"Ġ{word}" for word in WORDS]
    for axis, (token, following) in enumerate([*pairwise(words), (words[-1], END), (UNTIMED, words[0])]):
        embedding[identity[token], axis] = 10.0
        projection[identity[following], axis] = 10.0 if following == END else 5.0
    spec.decoder.embeddings.weight, spec.decoder.projection.weight = embedding, projection
    return spec


class _Fill:
    """Random layers, ``width`` wide; no two are alike. Half precision until they are quantised: half the memory."""

    def __init__(self, width: int) -> None:
        self.numbers, self._width, self._made = Numbers(), width, 0

    def dense(self, layer: Any, rows: int, columns: int, scale: float = 1.0) -> None:
        self._made += 1
        drawn = self.numbers.draw(f"dense{self._made}", rows, columns, scale=scale * columns**-0.5)
        layer.weight, layer.bias = drawn.astype(np.float16), np.zeros(rows, np.float32)

    def norm(self, layer: Any) -> None:
        layer.gamma, layer.beta = np.ones(self._width, np.float32), np.zeros(self._width, np.float32)

    def block(self, layer: Any, scale: float) -> None:
        """Self-attention and feed-forward; ``scale`` is that of what they add to their input."""
        width = self._width
        self.norm(layer.self_attention.layer_norm)
        self.dense(layer.self_attention.linear[0], 3 * width, width)
        self.dense(layer.self_attention.linear[1], width, width, scale)
        self.norm(layer.ffn.layer_norm)
        self.dense(layer.ffn.linear_0, 4 * width, width)
        self.dense(layer.ffn.linear_1, width, 4 * width, scale)
