"""A loaded librkllmrt.so with the prototypes of its release, which is known before anything of it is called."""

import ctypes
import logging
from pathlib import Path
from typing import Any

from pipelines.llm import _librkllm_fill as fill
from pipelines.llm._librkllm_abi import ABI, FUNCTIONS
from pipelines.llm._librkllm_types import RkllmError
from pipelines.llm._librkllm_version import detect

log = logging.getLogger(__name__)

PLACES = ("/usr/lib/librkllmrt.so", "/usr/local/lib/librkllmrt.so", "/usr/lib/aarch64-linux-gnu/librkllmrt.so")
SPARE = 512  # bytes: more than any release's RKLLMParam is longer than another's


class Library:
    """A loaded runtime. ``release`` is what it calls itself, ``abi`` the layouts that hold for it."""

    def __init__(self, path: str = "", version: str = "") -> None:
        """``path``: the file, or empty to look in the usual places; ``version`` overrides what the file says.

        Raises RkllmError where there is none, or none whose layouts are known for certain.
        """
        self.path = _find(path)
        try:
            data = self.path.read_bytes()
        except OSError as error:
            raise RkllmError(f"{self.path} cannot be read ({error.strerror}); mend its permissions") from error
        found = detect(data, str(self.path), version)
        self.release, self.abi = found.release, ABI[found.layout]
        log.info("%s is RKLLM %s, as known from %s", self.path, found.release, found.how)
        try:
            self._c: Any = ctypes.CDLL(str(self.path))
        except OSError as error:
            raise RkllmError(f"{self.path} cannot be loaded: {error}; install what it needs (libgomp1)") from error
        for name, prototype in self.abi.functions.items():
            function = getattr(self._c, name)
            function.restype, function.argtypes = prototype.restype, prototype.argtypes
        self._kept: set[object] = set()  # what C may still call

    def __getattr__(self, name: str) -> Any:
        """A function of the library by its C name, with its prototype. Raises Unsupported for what it lacks."""
        since = [function.since for function in FUNCTIONS if function.name == name]
        if not since:
            raise AttributeError(name)
        if name not in self.abi.functions:
            raise fill.unsupported(self.abi, name, since)
        return getattr(self._c, name)

    def defaults(self) -> Any:
        """An RKLLMParam as the library fills it. Known defaults not in their places are a last proof of a wrong layout;
        room is left behind the structure, so that even a longer one would overwrite nothing."""
        struct = self.abi.RKLLMParam
        fields = [("param", struct), ("spare", ctypes.c_uint8 * SPARE)]
        padded = type("Padded", (ctypes.Structure,), {"_fields_": fields})
        create = ctypes.CFUNCTYPE(padded)(("rkllm_createDefaultParam", self._c))
        param = struct.from_buffer_copy(bytes(create().param))
        batch = getattr(param.extend_param, "n_batch", 1)
        if not (0 < param.top_p <= 1 and 0 < param.repeat_penalty < 10 and 0 < param.top_k < 10**6 and batch):
            raise RkllmError(
                f"the defaults of {self.path} do not have the layout of RKLLM {self.abi.version} (top_k {param.top_k}, "
                f"top_p {param.top_p:g}, repeat_penalty {param.repeat_penalty:g}, n_batch {batch}); set runtime_version"
            )
        return param

    def keep(self, life: object) -> None:
        """Holds what owns a callback, for as long as C holds the callback's address."""
        self._kept.add(life)

    def let_go(self, life: object) -> None:
        self._kept.discard(life)

    @property
    def loaded(self) -> int:
        """How many models are loaded, those that could not be destroyed included."""
        return len(self._kept)


def _find(path: str) -> Path:
    places = [Path(path)] if path else [Path(place) for place in PLACES]
    for place in places:
        if place.is_file():
            return place.resolve()
    looked = ", ".join(map(str, places))
    raise RkllmError(f"there is no RKLLM runtime at {looked}; install librkllmrt.so of rknn-llm, or set `library`")
