"""The binding of librkllmrt.so (Rockchip's RKLLM runtime; the library has a licence of its own), for every release.

``Library`` finds out which release a file is before anything of it is called, and gives it that release's prototypes;
``Session`` is one loaded model. Runs block: call them on a thread of their own, and ``abort`` from any other. An abort
may be seen only after the prefill (rknn-llm #400), so nobody waits for it.
"""

import ctypes
import os
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipelines.llm import _librkllm_fill as fill
from pipelines.llm._librkllm_abi import ABI, Abi
from pipelines.llm._librkllm_library import PLACES, Library
from pipelines.llm._librkllm_life import Call, Life
from pipelines.llm._librkllm_types import (
    IMAGE,
    Answer,
    Busy,
    Figures,
    Init,
    Input,
    NullHandle,
    Outcome,
    RkllmError,
    Rows,
    Run,
    Sampler,
    Seen,
    Sink,
    Tags,
    Text,
    Tokens,
    Unsupported,
)
from pipelines.llm._librkllm_version import Found, detect

__all__ = [
    "ABI",
    "IMAGE",
    "PLACES",
    "Abi",
    "Answer",
    "Busy",
    "Figures",
    "Found",
    "Init",
    "Input",
    "Library",
    "NullHandle",
    "Outcome",
    "RkllmError",
    "Rows",
    "Run",
    "Sampler",
    "Seen",
    "Session",
    "Sink",
    "Tags",
    "Text",
    "Tokens",
    "Unsupported",
    "detect",
]


class Session:
    """One model, loaded. Close it on every path: it holds the NPU's memory until then."""

    def __init__(self, library: Library, init: Init) -> None:
        """Loads the model: seconds to a minute. Raises RkllmError, NullHandle where the board's memory is full."""
        self.library, self.init = library, init
        self._param = library.defaults()
        fill.param(library.abi, self._param, init)
        self._paused = self._templated = self._tooled = False
        self._adapters: set[str] = set()
        self._life = Life(library, self._param)
        self._load()
        weakref.finalize(self, self._life.at_exit)

    def _load(self) -> None:
        life, abi = self._life, self.library.abi
        third = life.callback
        if hasattr(abi, "RKLLMCallback"):
            third = ctypes.byref(life.callbacks)
        code = self.library.rkllm_init(ctypes.byref(life.handle), ctypes.byref(self._param), third)
        life.born(well=code == 0 and bool(life.handle.value))
        if code == 0 and life.handle.value:
            return
        name = Path(self.init.model).name
        if code == 0:
            raise NullHandle(f"RKLLM loaded {name} without an error and gave no handle: the board's memory is full")
        raise RkllmError(
            f"RKLLM {self.library.release} cannot load {name} (rkllm_init: {code}); what it printed says why. Usual "
            "causes: memory is full, a context above the model's limit, a model made for another SoC or by a newer "
            "toolkit, the rknpu driver too old or not accessible"
        )

    def run(self, given: Input, sink: Sink, wanted: Run | None = None) -> Outcome:
        """Blocks until the reply is complete, paused by ``sink``, or aborted. Without ``keep_history`` the prompt is a
        conversation of its own. Raises RkllmError, Unsupported, Busy, and whatever ``sink`` raises."""
        wanted = wanted or Run()
        abi = self.library.abi
        if wanted.pausable and abi.LLMResultCallback._restype_ is None:
            raise fill.unsupported(abi, "pausing from a callback", ["1.2.1"])
        if wanted.lora and wanted.lora not in self._adapters:
            raise RkllmError(f"no adapter {wanted.lora!r} is loaded; loaded: {sorted(self._adapters) or 'none'}")
        request = fill.request(abi, given, wanted, self.init)
        infer = fill.infer(abi, wanted, self._param, self.init.max_context_len)
        call = Call(sink, wanted.pausable)
        with self._life.exclusive(call):
            code = self.library.rkllm_run(self._life.handle, ctypes.byref(request), ctypes.byref(infer), None)
            aborted, self._paused = self._life.aborted, call.paused
        call.end()
        if aborted:
            return Outcome("aborted", call.figures())
        if code != 0 or call.erred:
            raise RkllmError(f"the run failed (rkllm_run: {code}); what RKLLM {self.library.release} printed says why")
        return Outcome("paused" if call.paused else "finished", call.figures())

    def abort(self) -> bool:
        """Stops the run that is under way, from any thread, without waiting for it. False where there is none."""
        return self._life.abort()

    def clear(self, keep_system: bool = True, ranges: Sequence[tuple[int, int]] = ()) -> None:
        """Empties the KV cache, or the ranges [start, end) of it, one a batch, which only a paused run allows."""
        function = self.library.rkllm_clear_kv_cache
        arguments: tuple[Any, ...] = ()
        with self._life.exclusive():
            if ranges and len(function.argtypes) < 4:
                raise fill.unsupported(self.library.abi, "clearing of ranges", ["1.2.1"])
            if ranges and not self._paused:
                raise RkllmError("ranges of the KV cache can be cleared only while a run is paused")
            if len(function.argtypes) == 4:
                arrays = [(ctypes.c_int * len(ranges))(*column) for column in zip(*ranges, strict=True)]
                arguments = tuple(arrays) if ranges else (None, None)
            self._check("clear the KV cache", function(self._life.handle, int(keep_system), *arguments))

    def kv_size(self) -> int:
        """Tokens in the KV cache (of the first batch)."""
        function = self.library.rkllm_get_kv_cache_size
        sizes = (ctypes.c_int * 256)()  # n_batch is a byte
        with self._life.exclusive():
            self._check("tell the size of the KV cache", function(self._life.handle, sizes))
        return int(sizes[0])

    def chat_template(self, system: str, prefix: str, postfix: str) -> None:
        """Replaces the model's own template, for text prompts only; empties the KV cache and switches thinking off."""
        function = self.library.rkllm_set_chat_template
        texts = [fill.text("the template", part, empty=True) for part in (system, prefix, postfix)]
        with self._life.exclusive():
            if self._tooled:
                raise RkllmError("a chat template and function tools exclude each other (rknn-llm #429)")
            self._check("set the chat template", function(self._life.handle, *texts))
            self._templated = True

    def function_tools(self, system: str, tools: str, tag: str = "tool_response") -> None:
        """Gives the model tools (a JSON text); replaces the system prompt. Results are runs with the role "tool"."""
        function = self.library.rkllm_set_function_tools
        texts = [fill.text("the system prompt", system, empty=True), fill.text("the tools", tools)]
        with self._life.exclusive():
            if self._templated:
                raise RkllmError("function tools and a chat template exclude each other (rknn-llm #429)")
            self._check("set the tools", function(self._life.handle, *texts, fill.text("the tools' tag", tag)))
            self._tooled = True

    def load_prompt_cache(self, path: str) -> None:
        """Loads a KV cache that a run saved: the same prompt then costs nothing."""
        if not Path(path).is_file():
            raise RkllmError(f"there is no prompt cache {path}")
        with self._life.exclusive():
            code = self.library.rkllm_load_prompt_cache(self._life.handle, os.fsencode(path))
            self._check(f"load the prompt cache {path}", code)

    def release_prompt_cache(self) -> None:
        with self._life.exclusive():
            self._check("release the prompt cache", self.library.rkllm_release_prompt_cache(self._life.handle))

    def load_lora(self, path: str, name: str, scale: float = 1.0) -> None:
        """Loads an adapter; runs choose it by its name."""
        if not Path(path).is_file():
            raise RkllmError(f"there is no adapter {path}")
        adapter = self.library.abi.RKLLMLoraAdapter(os.fsencode(path), fill.text("the adapter's name", name), scale)
        with self._life.exclusive():
            self._check(f"load {path}", self.library.rkllm_load_lora(self._life.handle, ctypes.byref(adapter)))
            self._adapters.add(name)

    def close(self, patience: float = 10.0) -> None:
        """Aborts what runs, waits ``patience`` seconds for it, and destroys the model. Again: nothing."""
        if not self._life.destroy(patience):
            raise Busy(f"the run did not end within {patience:g} s of its abort; destroying it now would crash")

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _check(self, what: str, code: int) -> None:
        if code != 0:
            raise RkllmError(f"RKLLM {self.library.release} cannot {what} ({code})")
