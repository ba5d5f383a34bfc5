"""The two text graphs of a model folder: token ids to rows, and rows to logits over a KV cache."""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from pipelines.modelfolder import ModelFolder
from pipelines.modelfolder.session import element, open_session

# Inputs beside the cache that exports of this layout have; any other is refused by name.
KNOWN = ("inputs_embeds", "attention_mask", "position_ids", "use_cache_branch", "num_logits_to_keep")
PAST, PRESENT = "past_key_values.", "present."


class KV(msgspec.Struct, frozen=True, eq=False):
    """Keys and values of ``length`` positions: onnxruntime's tensors [1, heads, length, size], one a cache input."""

    length: int
    tensors: tuple[Any, ...]


class Decoder:
    """``width``: floats a row; ``empty``: a KV of nothing. A KV is never changed: each run gives a new, longer one."""

    def __init__(self, folder: ModelFolder, dtype: str, threads: int) -> None:
        """Raises EngineError for graphs that are missing, damaged, not of this layout or not of one model."""
        import onnxruntime

        self._folder = folder
        self._tensor = onnxruntime.OrtValue.ortvalue_from_numpy
        self._embed_path = folder.graph("embed_tokens", dtype)
        self._path = folder.graph("decoder_model_merged", dtype)
        self._embed = open_session(self._embed_path, threads)
        self._session = open_session(self._path, threads)
        inputs = {value.name: value for value in self._session.get_inputs()}
        outputs = [value.name for value in self._session.get_outputs()]
        self._past = [name for name in inputs if name.startswith(PAST)]
        self._present = [PRESENT + name.removeprefix(PAST) for name in self._past]
        self._check(inputs, outputs)
        self._types = {name: element(value) for name, value in inputs.items()}
        self._fed = [name for name in KNOWN if name in inputs]
        self.width = self._agreed_width(inputs["inputs_embeds"].shape[-1])
        self.empty = KV(0, tuple(self._tensor(array) for array in self._nothing(inputs)))

    def rows(self, ids: Sequence[int]) -> NDArray[Any]:
        """Embedding rows [ids, width] of tokens."""
        (fed,) = self._embed.get_inputs()
        found: NDArray[Any] = self._embed.run(None, {fed.name: np.array([ids], element(fed))})[0][0]
        return found

    def run(self, rows: NDArray[Any], kv: KV, logits: bool = True) -> tuple[KV, NDArray[np.float32]]:
        """Compute rows [n, width] behind what ``kv`` holds: the longer KV, and the last row's logits [vocabulary].

        Without ``logits`` they come empty: for a large vocabulary, copying them out costs. Raises EngineError.
        """
        length = kv.length + len(rows)
        feeds = dict(zip(self._past, kv.tensors, strict=True))
        for name in self._fed:
            value = np.ascontiguousarray(_fed(name, rows, kv.length, length), self._types[name])
            feeds[name] = self._tensor(value)
        wanted = [*self._present, "logits"] if logits else self._present
        try:
            tensors = self._session.run_with_ort_values(wanted, feeds)
        except Exception as error:  # onnxruntime's exceptions share no base class of their own
            raise self._folder.error(f"onnx/{self._path.name}", f"failed on {len(rows)} tokens: {error}") from error
        last = tensors.pop().numpy()[0, -1].astype(np.float32) if logits else np.empty(0, np.float32)
        if logits and not np.isfinite(last.max()):
            problem = "gives logits that are no numbers; set another dtype, or download the file again"
            raise self._folder.error(f"onnx/{self._path.name}", problem)
        return KV(length, tuple(tensors)), last

    def cut(self, kv: KV, length: int) -> KV:
        """The first ``length`` positions of a KV."""
        if length == kv.length:
            return kv
        if length == 0:
            return self.empty
        kept = (np.ascontiguousarray(tensor.numpy()[:, :, :length]) for tensor in kv.tensors)
        return KV(length, tuple(self._tensor(array) for array in kept))

    def _check(self, inputs: dict[str, Any], outputs: list[str]) -> None:
        name = f"onnx/{self._path.name}"
        missing = [needed for needed in ("inputs_embeds", *self._past[:1]) if needed not in inputs]
        missing += [needed for needed in ("logits", *self._present) if needed not in outputs]
        if missing or not self._past:
            absent = ", ".join(missing) or f"{PAST}*"
            raise self._folder.error(name, f"has no {absent}; it is not a merged decoder of onnx-community's layout")
        strange = [given for given in inputs if given not in KNOWN and given not in self._past]
        if strange:
            raise self._folder.error(name, f"wants {', '.join(strange)}, which this engine does not give")
        layers, cached = self._folder.text.num_hidden_layers, len(self._past) / 2
        if layers is not None and layers != cached:
            problem = f"caches {cached:g} layers, but config.json: text_config.num_hidden_layers is {layers}"
            raise self._folder.error(name, f"{problem}; download both again")

    def _agreed_width(self, decoder: int | str | None) -> int:
        """The width of a row, on which config.json and both graphs agree (one that a graph leaves open agrees)."""
        text = self._folder.text
        embed = self._embed.get_outputs()[0].shape[-1]
        for path, given in ((self._path, decoder), (self._embed_path, embed)):
            if isinstance(given, int) and given != text.hidden_size:
                problem = f"rows are {given} wide, but config.json: text_config.hidden_size is {text.hidden_size}"
                raise self._folder.error(f"onnx/{path.name}", f"{problem}; download both again")
        return text.hidden_size

    def _nothing(self, inputs: dict[str, Any]) -> Iterator[NDArray[Any]]:
        """Empty keys and values; sizes from the graph, and from config.json where the graph leaves them open."""
        text, name = self._folder.text, f"onnx/{self._path.name}"
        many = text.num_attention_heads
        said = {"num_key_value_heads": text.num_key_value_heads or many, "head_dim": text.head_dim}
        if said["head_dim"] is None and many:
            said["head_dim"] = text.hidden_size // many
        for past in self._past:
            shape = inputs[past].shape
            if len(shape) != 4:
                raise self._folder.error(name, f"{past} has {len(shape)} dimensions, not batch, heads, length and size")
            sizes = []
            for key, given in (("num_key_value_heads", shape[1]), ("head_dim", shape[3])):
                size = given if isinstance(given, int) else said[key]
                if size is None or size != (said[key] or size):
                    problem = f"{past} says {given}, but config.json: text_config.{key} says {said[key]}"
                    raise self._folder.error(name, f"{problem}; download both again")
                sizes.append(size)
            yield np.zeros((1, sizes[0], 0, sizes[1]), self._types[past])


def _fed(name: str, rows: NDArray[Any], past: int, length: int) -> NDArray[Any]:
    match name:
        case "inputs_embeds":
            return rows[None]
        case "attention_mask":
            return np.ones((1, length), np.int64)
        case "position_ids":
            return np.arange(past, length)[None]
        case "use_cache_branch":
            return np.array([past > 0])
        case _:  # num_logits_to_keep
            return np.array(1)
