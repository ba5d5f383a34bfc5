"""Fills the C structures of a release, and refuses before the call whatever would make the library crash in it.

The library trusts what it is given: a row too short, a string cut by a NUL or a context above the model's limit is a
segfault there (rknn-llm #99, #336, #358, #378, #475), and takes the process and the NPU's memory with it.
"""

import ctypes
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.llm._librkllm_abi import (
    INFER_GENERATE,
    INPUT_EMBED,
    INPUT_MULTIMODAL,
    INPUT_PROMPT,
    INPUT_TOKEN,
    MULTIMODAL,
    STRUCTS,
    VERSIONS,
    Abi,
)
from pipelines.llm._librkllm_types import (
    IMAGE,
    Init,
    Input,
    RkllmError,
    Rows,
    Run,
    Sampler,
    Seen,
    Tags,
    Text,
    Tokens,
    Unsupported,
)

# What Init sets, and the structure that holds it. What is not set keeps the library's default.
SETTINGS = {
    "max_context_len": "RKLLMParam",
    "max_new_tokens": "RKLLMParam",
    "skip_special_token": "RKLLMParam",
    "ignore_eos_token": "RKLLMParam",
    "n_keep": "RKLLMParam",
    "base_domain_id": "RKLLMExtendParam",
    "embed_flash": "RKLLMExtendParam",
    "n_batch": "RKLLMExtendParam",
}
# What a sampler's values may be: (least, most, whether the least itself is allowed).
RANGES: dict[str, tuple[float, float, bool]] = {
    "top_k": (1, 2**31 - 1, True),
    "top_p": (0, 1, False),
    "temperature": (0, 100, True),
    "repeat_penalty": (0, 100, False),
    "frequency_penalty": (-100, 100, True),
    "presence_penalty": (-100, 100, True),
    "mirostat": (0, 2, True),
    "mirostat_tau": (0, 100, True),
    "mirostat_eta": (0, 100, True),
}
CPUS = 32  # bits of enabled_cpus_mask


def param(abi: Abi, filled: Any, init: Init) -> None:
    """Writes ``init`` into ``filled``, an RKLLMParam with the library's defaults. Raises RkllmError, Unsupported."""
    _check_model(init)
    filled.model_path = os.fsencode(init.model)
    for name, struct in SETTINGS.items():
        value = getattr(init, name)
        if value is not None:
            require(abi, struct, name)
            setattr(filled if struct == "RKLLMParam" else filled.extend_param, name, value)
    sampler(filled, init.sampler)
    if init.cpus is not None:
        require(abi, "RKLLMExtendParam", "enabled_cpus_num")
        filled.extend_param.enabled_cpus_num = len(init.cpus)
        filled.extend_param.enabled_cpus_mask = sum(1 << cpu for cpu in init.cpus)
    for name in init.tags.__struct_fields__ if init.tags else ():
        text(f"the picture's {name} tag", getattr(init.tags, name), empty=True)
    if init.tags and abi.has("RKLLMParam", "img_start"):  # later the tags come with each request
        _tags(filled, "img", init.tags)
    filled.is_async = False  # broken in 1.1.4 and 1.2.1 (rknn-llm #208, #320), and a thread does it as well


def _check_model(init: Init) -> None:
    try:
        size = Path(init.model).stat().st_size
    except OSError as error:
        raise RkllmError(
            f"the model {init.model} cannot be read ({error.strerror}); set `model` to a .rkllm"
        ) from error
    if not size or not os.access(init.model, os.R_OK):
        what = "may not be read by this user" if size else "is empty"
        raise RkllmError(f"the model {init.model} {what}; fetch it again or mend its permissions")
    context = init.max_context_len
    within("max_context_len", context, 1, 2**31 - 1)
    if init.context_limit is not None and context > init.context_limit:
        raise RkllmError(
            f"max_context_len is {context}, but {init.model} was converted for {init.context_limit} tokens at most"
        )
    within("max_new_tokens", init.max_new_tokens, 1, context - 1)
    within("n_keep", init.n_keep, -1, context - 1)
    within("base_domain_id", init.base_domain_id, 0, 255)
    within("n_batch", init.n_batch, 1, 255)
    cpus = init.cpus
    if cpus is not None and (not cpus or len(set(cpus)) < len(cpus) or not all(0 <= cpu < CPUS for cpu in cpus)):
        raise RkllmError(f"cpus is {list(cpus)}; name each core once, by a number from 0 to {CPUS - 1}")


def sampler(filled: Any, wanted: Sampler) -> None:
    """Writes what is set into a structure with a sampler's fields."""
    for name, (least, most, closed) in RANGES.items():
        value = getattr(wanted, name)
        if value is None:
            continue
        if not math.isfinite(value) or not least <= value <= most or (value == least and not closed):
            raise RkllmError(
                f"{name} is {value}; it must be {'at least' if closed else 'above'} {least}, at most {most}"
            )
        setattr(filled, name, value)


def infer(abi: Abi, wanted: Run, defaults: Any, context: int) -> Any:
    """An RKLLMInferParam; ``defaults`` is the RKLLMParam of init, which fills what the run's sampler leaves open."""
    filled = abi.RKLLMInferParam(mode=INFER_GENERATE)
    if wanted.keep_history or abi.has("RKLLMInferParam", "keep_history"):
        require(abi, "RKLLMInferParam", "keep_history")
        filled.keep_history = int(wanted.keep_history)
    if wanted.sampler is not None:
        require(abi, "RKLLMInferParam", "sampling_params")
        own = abi.RKLLMSamplingParam(**{name: getattr(defaults, name) for name in RANGES})
        sampler(own, wanted.sampler)
        filled.sampling_params = ctypes.pointer(own)
    if wanted.max_new_tokens is not None:
        require(abi, "RKLLMInferParam", "max_new_tokens")
        within("max_new_tokens", wanted.max_new_tokens, 1, context - 1)
        filled.max_new_tokens = wanted.max_new_tokens
    if wanted.lora:
        filled.lora_params = ctypes.pointer(abi.RKLLMLoraParam(text("the adapter's name", wanted.lora)))
    if wanted.save_cache:
        folder = Path(wanted.save_cache).absolute().parent
        if not os.access(folder, os.W_OK):
            raise RkllmError(f"the prompt's cache cannot be written to {wanted.save_cache}: {folder} is not writable")
        cache = abi.RKLLMPromptCacheParam(1, os.fsencode(wanted.save_cache))
        filled.prompt_cache_params = ctypes.pointer(cache)
    return filled


def request(abi: Abi, given: Input, wanted: Run, init: Init) -> Any:
    """An RKLLMInput of ``given``. It points into the arrays, which must outlive the run."""
    filled = abi.RKLLMInput()
    if abi.has("RKLLMInput", "role"):
        filled.role = wanted.role.encode()
    elif wanted.role != "user":
        require(abi, "RKLLMInput", "role")
    if wanted.thinking is not None:
        require(abi, "RKLLMInput", "enable_thinking")
        filled.enable_thinking = wanted.thinking
    tokens = max(_fill(abi, filled, given, init), wanted.prompt_tokens or 0)
    if tokens >= init.max_context_len:
        raise RkllmError(f"the prompt has {tokens} tokens, which leaves no room in a context of {init.max_context_len}")
    return filled


def _fill(abi: Abi, filled: Any, given: Input, init: Init) -> int:
    """Gives the number of tokens that the input has at least."""
    if isinstance(given, Text):
        filled.input_type = INPUT_PROMPT
        filled.prompt_input = text("the prompt", given.text)
        return 1
    if isinstance(given, Tokens):
        _check_array("the tokens", given.ids, np.int32, ("tokens",))
        if int(given.ids.min()) < 0:
            raise RkllmError(f"the tokens contain {int(given.ids.min())}; a token's number is never negative")
        filled.input_type = INPUT_TOKEN
        filled.token_input.input_ids = _pointer(given.ids, ctypes.c_int32)
        filled.token_input.n_tokens = len(given.ids)
        return len(given.ids)
    if isinstance(given, Rows):
        _check_array("the embedding", given.rows, np.float32, ("tokens", "width"))
        _check_width(given.rows, init)
        filled.input_type = INPUT_EMBED
        filled.embed_input.embed = _pointer(given.rows, ctypes.c_float)
        filled.embed_input.n_tokens = len(given.rows)
        return len(given.rows)
    filled.input_type = INPUT_MULTIMODAL
    return _fill_seen(abi, filled.multimodal_input, given, init)


def _fill_seen(abi: Abi, filled: Any, given: Seen, init: Init) -> int:
    _check_array("the pictures' rows", given.rows, np.float32, ("pictures", "tokens", "width"))
    _check_width(given.rows, init)
    pictures, tokens, _ = given.rows.shape
    if (marks := given.text.count(IMAGE)) != pictures:
        raise RkllmError(f"the prompt has {marks} {IMAGE} for {pictures} pictures; it must have one for each")
    several = abi.has(MULTIMODAL, "image") or abi.has(MULTIMODAL, "n_image")
    if pictures > 1 and not several:
        raise Unsupported(
            f"RKLLM {abi.version} takes one picture a prompt, not {pictures}; from 1.2.1b1 it takes several"
        )
    if init.tags is None or not init.tags.content:
        raise RkllmError("tags are not set: without the model's own picture tags a picture has no place in the prompt")
    filled.prompt = text("the prompt", given.text)
    target = filled.image if abi.has(MULTIMODAL, "image") else filled
    target.image_embed = _pointer(given.rows, ctypes.c_float)
    target.n_image_tokens = tokens
    if several:  # left at zero it is refused in the run: "n_image/n_image_token of multimodal_input is not set" (#261)
        target.n_image, (target.image_width, target.image_height) = pictures, given.size
    if target is not filled:
        _tags(target, "image", init.tags)
    return int(pictures * tokens)


def _tags(target: Any, prefix: str, tags: Tags) -> None:
    for name in tags.__struct_fields__:
        setattr(target, f"{prefix}_{name}", text(f"the picture's {name} tag", getattr(tags, name), empty=True))


def _check_array(what: str, array: NDArray[Any], dtype: type, axes: tuple[str, ...]) -> None:
    form = f"{np.dtype(dtype).name} [{', '.join(axes)}]"
    if array.dtype != dtype or array.ndim != len(axes) or not array.size:
        raise RkllmError(f"{what} must be {form}, not {array.dtype} {list(array.shape)}")
    if not array.flags.c_contiguous or not array.flags.aligned:
        raise RkllmError(f"{what} must lie in one piece of memory; pass numpy.ascontiguousarray(…)")


def _check_width(rows: NDArray[np.float32], init: Init) -> None:
    """The library reads tokens x width floats, with the width of its model: a shorter buffer is read past its end."""
    if init.row_width is None:
        raise RkllmError("row_width is not set: without the model's embedding width no rows can be checked")
    if rows.shape[-1] != init.row_width:
        raise RkllmError(
            f"the rows are {rows.shape[-1]} floats wide, but {Path(init.model).name} takes {init.row_width} "
            "(an encoder with several outputs gives all of them, side by side); use the model's own encoder"
        )


def require(abi: Abi, struct: str, field: str) -> None:
    """Raises Unsupported where the release's structure lacks the field."""
    if not abi.has(struct, field):
        raise unsupported(abi, field, [row.since for row in STRUCTS[struct] if row.name == field])


def unsupported(abi: Abi, what: str, since: list[str]) -> Unsupported:
    later = [version for version in since if VERSIONS.index(version) > VERSIONS.index(abi.version)]
    mend = f"it comes with {later[0]}" if later else "it is gone since"
    return Unsupported(f"RKLLM {abi.version} has no {what}; {mend}")


def text(what: str, value: str, empty: bool = False) -> bytes:
    """The bytes of a C string. Raises RkllmError for an empty one, a NUL, or what is no Unicode."""
    if not value and not empty:
        raise RkllmError(f"{what} is empty")
    try:
        encoded = value.encode()
    except UnicodeEncodeError as error:
        raise RkllmError(f"{what} is not valid Unicode ({error.reason} at character {error.start})") from error
    if b"\0" in encoded:
        raise RkllmError(f"{what} contains a NUL at character {value.index(chr(0))}, where C would cut it off")
    return encoded


def within(what: str, value: int | None, least: int, most: int) -> None:
    if value is not None and not least <= value <= most:
        raise RkllmError(f"{what} is {value}; it must be from {least} to {most}")


def _pointer(array: NDArray[Any], ctype: Any) -> Any:
    return array.ctypes.data_as(ctypes.POINTER(ctype))
