"""The C interface of every RKLLM runtime release as one table of fields and functions, each with the releases it is in.

Read from ``rkllm.h`` at the tags of airockchip/rknn-llm; offsets and sizes are held against measured ones by a test.
A wrong layout is not refused by the library: init succeeds and the first run reads wild pointers (rknn-llm #509).
"""

import ctypes
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

# Oldest first: a row's ``since`` and ``until`` count in this order.
VERSIONS = ("1.1.4", "1.2.0", "1.2.1b1", "1.2.1", "1.2.2", "1.2.3", "1.3.0")

# Releases whose header is byte for byte that of another one.
SAME_HEADER = {"1.1.0": "1.1.4", "1.1.1": "1.1.4", "1.1.2": "1.1.4", "1.1.3": "1.1.4"}

RUN_NORMAL, RUN_WAITING, RUN_FINISH, RUN_ERROR, RUN_GET_LAST_HIDDEN_LAYER = range(5)  # the last: 1.1 only
INPUT_PROMPT, INPUT_TOKEN, INPUT_EMBED, INPUT_MULTIMODAL = range(4)
INFER_GENERATE, INFER_GET_LAST_HIDDEN_LAYER, INFER_GET_LOGITS = range(3)  # the last: from 1.2.0
CONTINUE, PAUSE, FREE_OUTPUT = range(3)  # what a result callback returns; from 1.2.1, the last from 1.3.0


class Row(NamedTuple):
    name: str
    type: str
    since: str = VERSIONS[0]
    until: str = VERSIONS[-1]

    def within(self, version: str) -> bool:
        return _within(self.since, version, self.until)


class Signature(NamedTuple):
    name: str
    returns: str
    takes: str
    since: str = VERSIONS[0]
    until: str = VERSIONS[-1]

    def within(self, version: str) -> bool:
        return _within(self.since, version, self.until)


def _within(since: str, version: str, until: str) -> bool:
    return VERSIONS.index(since) <= VERSIONS.index(version) <= VERSIONS.index(until)


def _sampling(since: str) -> tuple[Row, ...]:
    floats = ("top_p", "temperature", "repeat_penalty", "frequency_penalty", "presence_penalty")
    return (
        *(Row(name, "float", since) for name in floats),
        Row("mirostat", "int32_t", since),
        Row("mirostat_tau", "float", since),
        Row("mirostat_eta", "float", since),
    )


def _media(kind: str, unit: str, counts: tuple[str, ...]) -> tuple[Row, ...]:
    """The pictures or the videos of a 1.3.0 request: rows, counts, the three tags, the size in pixels."""
    tags = (f"{kind}_start", f"{kind}_end", f"{kind}_content")
    sizes = (f"{unit}_width", f"{unit}_height")
    return (
        Row(f"{kind}_embed", "float*", "1.3.0"),
        *(Row(name, "size_t", "1.3.0") for name in counts),
        *(Row(name, "char*", "1.3.0") for name in tags),
        *(Row(name, "size_t", "1.3.0") for name in sizes),
    )


MULTIMODAL = "RKLLMMultiModalInput"
MULTIMODAL_BEFORE = "RKLLMMultiModelInput"  # its name until 1.2.2; both names are given for every release

STRUCTS: Mapping[str, tuple[Row, ...]] = {
    "RKLLMExtendParam": (
        Row("base_domain_id", "int32_t"),
        Row("embed_flash", "int8_t", "1.2.0"),
        Row("enabled_cpus_num", "int8_t", "1.2.0"),
        Row("enabled_cpus_mask", "uint32_t", "1.2.0"),
        Row("n_batch", "uint8_t", "1.2.1"),
        Row("use_cross_attn", "int8_t", "1.2.1"),
        Row("reserved", "uint8_t[112]", until="1.1.4"),
        Row("reserved", "uint8_t[106]", "1.2.0", "1.2.1b1"),
        Row("reserved", "uint8_t[104]", "1.2.1"),
    ),
    "RKLLMParam": (
        Row("model_path", "char*"),
        Row("max_context_len", "int32_t"),
        Row("max_new_tokens", "int32_t"),
        Row("top_k", "int32_t"),
        Row("n_keep", "int32_t", "1.2.0"),
        *_sampling(VERSIONS[0]),
        Row("skip_special_token", "bool"),
        Row("ignore_eos_token", "bool", "1.3.0"),
        Row("is_async", "bool"),
        Row("img_start", "char*", until="1.2.3"),
        Row("img_end", "char*", until="1.2.3"),
        Row("img_content", "char*", until="1.2.3"),
        Row("extend_param", "RKLLMExtendParam"),
    ),
    "RKLLMLoraAdapter": (
        Row("lora_adapter_path", "char*"),
        Row("lora_adapter_name", "char*"),
        Row("scale", "float"),
    ),
    "RKLLMEmbedInput": (Row("embed", "float*"), Row("n_tokens", "size_t")),
    "RKLLMTokenInput": (Row("input_ids", "int32_t*"), Row("n_tokens", "size_t")),
    "Images": _media("image", "image", ("n_image_tokens", "n_image")),
    "Videos": _media("video", "frame", ("n_frame_tokens", "n_frame_per_video", "n_video")),
    MULTIMODAL: (
        Row("prompt", "char*"),
        Row("image_embed", "float*", until="1.2.3"),
        Row("n_image_tokens", "size_t", until="1.2.3"),
        Row("n_image", "size_t", "1.2.1b1", "1.2.3"),
        Row("image_width", "size_t", "1.2.1b1", "1.2.3"),
        Row("image_height", "size_t", "1.2.1b1", "1.2.3"),
        Row("image", "Images", "1.3.0"),
        Row("video", "Videos", "1.3.0"),
    ),
    "InputUnion": (
        Row("prompt_input", "char*"),
        Row("embed_input", "RKLLMEmbedInput"),
        Row("token_input", "RKLLMTokenInput"),
        Row("multimodal_input", MULTIMODAL),
    ),
    "RKLLMInput": (
        Row("role", "char*", "1.2.1"),
        Row("enable_thinking", "bool", "1.2.1"),
        Row("input_type", "enum"),
        Row("_union", "InputUnion"),
    ),
    "RKLLMLoraParam": (Row("lora_adapter_name", "char*"),),
    "RKLLMPromptCacheParam": (Row("save_prompt_cache", "int"), Row("prompt_cache_path", "char*")),
    "RKLLMCrossAttnParam": (
        Row("encoder_k_cache", "float*", "1.2.1"),
        Row("encoder_v_cache", "float*", "1.2.1"),
        Row("encoder_mask", "float*", "1.2.1"),
        Row("encoder_pos", "int32_t*", "1.2.1"),
        Row("num_tokens", "int", "1.2.1"),
    ),
    "RKLLMSamplingParam": (Row("top_k", "int32_t", "1.3.0"), *_sampling("1.3.0")),
    "RKLLMInferParam": (
        Row("mode", "enum"),
        Row("lora_params", "RKLLMLoraParam*"),
        Row("prompt_cache_params", "RKLLMPromptCacheParam*"),
        Row("sampling_params", "RKLLMSamplingParam*", "1.3.0"),
        Row("keep_history", "int", "1.2.0"),
        Row("max_new_tokens", "int32_t", "1.3.0"),
    ),
    "RKLLMResultLastHiddenLayer": (
        Row("hidden_states", "float*"),
        Row("embd_size", "int"),
        Row("num_tokens", "int"),
    ),
    "RKLLMResultLogits": (
        Row("logits", "float*", "1.2.0"),
        Row("vocab_size", "int", "1.2.0"),
        Row("num_tokens", "int", "1.2.0"),
    ),
    "RKLLMPerfStat": (
        Row("prefill_time_ms", "float", "1.2.1"),
        Row("prefill_tokens", "int", "1.2.1"),
        Row("generate_time_ms", "float", "1.2.1"),
        Row("generate_tokens", "int", "1.2.1"),
        Row("memory_usage_mb", "float", "1.2.1"),
    ),
    "RKLLMResult": (
        Row("text", "char*"),
        Row("token_id", "int32_t"),
        Row("last_hidden_layer", "RKLLMResultLastHiddenLayer"),
        Row("logits", "RKLLMResultLogits", "1.2.0"),
        Row("perf", "RKLLMPerfStat", "1.2.1"),  # by value, whatever the header's comment says
    ),
    "RKLLMCallback": (
        Row("result_callback", "LLMResultCallback", "1.3.0"),
        Row("result_userdata", "void*", "1.3.0"),
        Row("tokenizer_callback", "LLMTokenizerCallback", "1.3.0"),
        Row("tokenizer_userdata", "void*", "1.3.0"),
        Row("embed_callback", "LLMGetEmbedCallback", "1.3.0"),
        Row("embed_userdata", "void*", "1.3.0"),
    ),
}

CALLBACKS = (
    Signature("LLMResultCallback", "void", "RKLLMResult* void* enum", until="1.2.1b1"),
    Signature("LLMResultCallback", "int", "RKLLMResult* void* enum", "1.2.1"),
    Signature("LLMTokenizerCallback", "int", "void* char* int32_t int32_t* int32_t", "1.3.0"),
    Signature("LLMGetEmbedCallback", "int", "void* int32_t* uint64_t void* uint64_t", "1.3.0"),
)

FUNCTIONS = (
    Signature("rkllm_createDefaultParam", "RKLLMParam", ""),
    Signature("rkllm_init", "int", "void** RKLLMParam* LLMResultCallback", until="1.2.3"),
    Signature("rkllm_init", "int", "void** RKLLMParam* RKLLMCallback*", "1.3.0"),
    Signature("rkllm_load_lora", "int", "void* RKLLMLoraAdapter*"),
    Signature("rkllm_load_prompt_cache", "int", "void* char*"),
    Signature("rkllm_release_prompt_cache", "int", "void*"),
    Signature("rkllm_destroy", "int", "void*"),
    Signature("rkllm_run", "int", "void* RKLLMInput* RKLLMInferParam* void*"),
    Signature("rkllm_run_async", "int", "void* RKLLMInput* RKLLMInferParam* void*"),
    Signature("rkllm_abort", "int", "void*"),
    Signature("rkllm_is_running", "int", "void*"),  # the header: 0 while running until 1.2.3, 1 from 1.3.0
    Signature("rkllm_clear_kv_cache", "int", "void* int", "1.2.0", "1.2.1b1"),
    Signature("rkllm_clear_kv_cache", "int", "void* int int* int*", "1.2.1"),
    Signature("rkllm_set_chat_template", "int", "void* char* char* char*", "1.2.0"),
    Signature("rkllm_get_kv_cache_size", "int", "void* int*", "1.2.1"),
    Signature("rkllm_set_function_tools", "int", "void* char* char* char*", "1.2.1"),
    Signature("rkllm_set_cross_attn_params", "int", "void* RKLLMCrossAttnParam*", "1.2.1"),
)

PLAIN: Mapping[str, Any] = {
    "void": None,
    "void*": ctypes.c_void_p,
    "char*": ctypes.c_char_p,
    "bool": ctypes.c_bool,
    "float": ctypes.c_float,
    "int": ctypes.c_int,
    "enum": ctypes.c_int,
    "size_t": ctypes.c_size_t,
    "int8_t": ctypes.c_int8,
    "uint8_t": ctypes.c_uint8,
    "int32_t": ctypes.c_int32,
    "uint32_t": ctypes.c_uint32,
    "uint64_t": ctypes.c_uint64,
}


class Prototype(NamedTuple):
    """A C function's types, as ctypes wants them."""

    restype: Any
    argtypes: tuple[Any, ...]


class Abi:
    """One release's interface: its structures and callback types are attributes under their C names, and so are the
    prototypes of its functions (also in ``functions``). What the release lacks is no attribute."""

    def __init__(self, version: str) -> None:
        self.version = version
        self.functions: Mapping[str, Prototype] = {}
        self._types: dict[str, Any] = {}
        for name, rows in STRUCTS.items():
            if any(row.within(version) for row in rows):
                self._type(name)
        self._types[MULTIMODAL_BEFORE] = self._types[MULTIMODAL]
        for callback in CALLBACKS:
            if callback.within(version):
                self._type(callback.name)
        self.functions = MappingProxyType({f.name: self._prototype(f) for f in FUNCTIONS if f.within(version)})

    def __getattr__(self, name: str) -> Any:
        for known in (self.__dict__.get("_types", {}), self.__dict__.get("functions", {})):
            if name in known:
                return known[name]
        raise AttributeError(f"RKLLM {self.__dict__.get('version')} has no {name}")

    def has(self, struct: str, field: str) -> bool:
        """Whether this release's structure has the field."""
        return any(row.name == field and row.within(self.version) for row in STRUCTS[struct])

    def _type(self, name: str) -> Any:
        if name in PLAIN:
            return PLAIN[name]
        if name not in self._types:
            self._types[name] = self._derived(name) or self._callback(name) or self._structure(name)
        return self._types[name]

    def _derived(self, name: str) -> Any:
        if name.endswith("*"):
            return ctypes.POINTER(self._type(name[:-1]))
        if name.endswith("]"):
            inner, _, count = name[:-1].partition("[")
            return self._type(inner) * int(count)
        return None

    def _callback(self, name: str) -> Any:
        for callback in CALLBACKS:
            if callback.name == name and callback.within(self.version):
                return ctypes.CFUNCTYPE(*self._types_of(callback))
        return None

    def _structure(self, name: str) -> Any:
        fields = [(row.name, self._type(row.type)) for row in STRUCTS[name] if row.within(self.version)]
        base = ctypes.Union if name == "InputUnion" else ctypes.Structure
        anonymous = {"_anonymous_": ("_union",)} if name == "RKLLMInput" else {}
        return type(name, (base,), {"_fields_": fields, **anonymous})

    def _prototype(self, function: Signature) -> Prototype:
        returns, *takes = self._types_of(function)
        return Prototype(returns, tuple(takes))

    def _types_of(self, signature: Signature) -> list[Any]:
        return [self._type(signature.returns), *map(self._type, signature.takes.split())]


ABI: Mapping[str, Abi] = MappingProxyType({version: Abi(version) for version in VERSIONS})
