"""How every role finds its engines: by name, by ``package.module:Class``, or by entry point.

An engine is a class in ``pipelines/<role>/<name>.py`` with a typed ``Options`` beside it. Importing the file
must not import the model library: that happens when the engine is constructed, so that options can be checked
without it and a process pays only for what it runs.
"""

import difflib
import importlib
import logging
import pkgutil
from collections.abc import Mapping
from importlib.metadata import entry_points
from types import ModuleType
from typing import Any
from weakref import WeakKeyDictionary

import msgspec

log = logging.getLogger(__name__)
_passed_over: "WeakKeyDictionary[Any, tuple[str, ...]]" = WeakKeyDictionary()  # engine -> why not the better ones

# What ``auto`` tries, best first. An engine that needs a model or a server is found only where its table names one, so
# nothing leaves the device unless a server was configured.
AUTO: dict[str, tuple[str, ...]] = {
    "asr": ("sherpa_onnx", "faster_whisper", "openai", "pocketsphinx"),
    "camera": ("opencv",),
    "endofturn": ("smart_turn", "none"),
    "llm": ("rkllm", "onnx", "openai"),
    "tts": ("piper", "sherpa_onnx", "openai", "espeak"),
    "vad": ("cascade", "webrtcvad"),
    "vision": ("rknn", "onnx", "none"),
    "wakeword": ("sherpa_onnx", "openwakeword", "microwakeword", "pocketsphinx"),
}


class EngineError(Exception):
    """An engine cannot be found, configured or loaded; the text names the thing and the mend."""


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of every engine's options: unknown keys are refused, nothing changes after loading."""


def names(role: str) -> list[str]:
    """The engines that ship for a role: the file names of its folder, and installed entry points. A file ``_name`` is
    an engine's own, and ``libname`` binds the C library of that name."""
    package = importlib.import_module(f"pipelines.{role}")
    shipped = [m.name for m in pkgutil.iter_modules(package.__path__) if not m.name.startswith(("_", "lib"))]
    outside = [e.name for e in entry_points(group=f"edge_assistant.{role}")]
    return sorted({name for name in (*shipped, *outside) if name})


def find(role: str, name: str) -> type[Any]:
    """The engine class called ``name``: its module's ``Engine``, an entry point's target, or ``package.module:Class``.

    Raises EngineError for a name that no engine has (listing the valid ones).
    """
    if ":" in name:
        module_name, _, class_name = name.partition(":")
        return _attribute(_import(role, name, module_name), class_name, role, name)
    for entry in entry_points(group=f"edge_assistant.{role}"):
        if entry.name == name:
            return _attribute(_import(role, name, entry.module), entry.attr, role, name)
    known = names(role)
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1)
        hint = f" (did you mean {close[0]!r}?)" if close else ""
        raise EngineError(f"there is no {role} engine {name!r}{hint}; choose one of: {', '.join(known)}")
    return _attribute(_import(role, name, f"pipelines.{role}.{name}"), "Engine", role, name)


def options(role: str, name: str, values: Mapping[str, Any]) -> Options:
    """The engine's typed options from plain values; the library behind the engine need not be installed.

    Raises EngineError naming the key, what was given, and the nearest valid key.
    """
    wanted: type[Options] = find(role, name).Options
    fields = wanted.__struct_fields__
    for key in values:
        if key not in fields:
            close = difflib.get_close_matches(key, fields, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else f"; valid keys: {', '.join(fields) or 'none'}"
            raise EngineError(f"unknown option {key!r} for the {role} engine {name!r}{hint}")
    try:
        return msgspec.convert(values, wanted)
    except msgspec.ValidationError as error:
        raise EngineError(f"the {role} engine {name!r}: {error}") from error


def load(role: str, name: str, values: Mapping[str, Any]) -> Any:
    """Construct the engine; it is ready to use when this returns. ``auto`` takes the first of AUTO that can be
    constructed; its values are a table of options for each engine.

    Raises EngineError when the engine, its options, its library or its model files are not in order.
    """
    if name == "auto":
        return _first(role, values)
    engine = find(role, name)
    typed = options(role, name, values)
    try:
        return engine(typed)
    except ImportError as error:
        extra = getattr(engine, "extra", name)
        mend = f"pip install 'edge-assistant[{extra}]'"
        raise EngineError(f"the {role} engine {name!r} needs {error.name or error}; install it: {mend}") from error


def name_of(engine: Any) -> str:
    """The name of the engine that an object is: what ``auto`` chose. One that stands for another says its own."""
    return str(getattr(engine, "name", "")) or type(engine).__module__.rpartition(".")[2]


def told(engine: Any) -> str:
    """The engine's name for people; with one that `auto` chose, why none of the better ones that are configured."""
    return "; ".join((name_of(engine), *_passed_over.get(engine, ())))


def _first(role: str, tables: Mapping[str, Mapping[str, Any]]) -> Any:
    reasons = {}
    for name in AUTO[role]:
        try:
            engine = load(role, name, tables.get(name, {}))
        except EngineError as error:
            reasons[name] = f"{name}: {error}" if name in tables else f"{name}: not configured, or not installed"
            log.debug("auto: no %s for %s: %s", name, role, error)
            continue
        log.info("auto: %s is %s%s", role, name, "".join(f"; not {reason}" for reason in reasons.values()))
        _passed_over[engine] = tuple(f"not {reason}" for name, reason in reasons.items() if name in tables)
        return engine
    raise EngineError(f"no {role} engine can run here. " + " ".join(f"{reason}." for reason in reasons.values()))


def _import(role: str, name: str, module_name: str) -> ModuleType:
    try:
        return importlib.import_module(module_name)
    except ImportError as error:
        raise EngineError(f"the {role} engine {name!r} cannot be imported: {error}") from error


def _attribute(module: ModuleType, attribute: str, role: str, name: str) -> type[Any]:
    found: type[Any] | None = getattr(module, attribute, None)
    if found is None or not hasattr(found, "Options"):
        raise EngineError(f"{name!r} is no {role} engine: {module.__name__}.{attribute} with Options is missing")
    return found
