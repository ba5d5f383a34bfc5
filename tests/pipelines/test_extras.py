"""Engines whose library is not installed: their options can be checked, and loading them says what to install."""

import importlib
import subprocess
import sys
from typing import Any

import pytest

from pipelines import engine

SERVER = {"base_url": "http://127.0.0.1:9/v1", "model": "m"}
ENGINES: list[tuple[str, str, str, dict[str, Any]]] = [
    ("asr", "faster_whisper", "faster_whisper", {"model": "folder"}),
    ("asr", "sherpa_onnx", "sherpa_onnx", {"model": "folder"}),
    ("asr", "openai", "openai", SERVER),
    ("tts", "piper", "piper", {"voice": "voice.onnx"}),
    ("tts", "sherpa_onnx", "sherpa_onnx", {"model": "folder"}),
    ("tts", "openai", "openai", SERVER | {"voice": "v"}),
    ("llm", "openai", "openai", SERVER),
    ("wakeword", "sherpa_onnx", "sherpa_onnx", {"model": "folder", "phrases": ["hey"]}),
    ("wakeword", "microwakeword", "pymicro_wakeword", {"phrases": ["alexa"]}),
    ("button", "gpio", "gpiod", {"line": "PTT"}),
]


@pytest.mark.parametrize(("role", "name", "library", "options"), ENGINES)
def test_a_missing_library_names_its_extra(
    role: str, name: str, library: str, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    assert engine.options(role, name, options)
    extra = getattr(engine.find(role, name), "extra", name)
    with pytest.raises(engine.EngineError, match=rf"needs {library}; .*edge-assistant\[{extra}\]"):
        engine.load(role, name, options)


def test_importing_an_engine_does_not_import_its_library() -> None:
    modules = [f"pipelines.{role}.{name}" for role, name, _, _ in ENGINES] + [
        "pipelines.vad.silero",
        "pipelines.vad.cascade",
        "pipelines.endofturn.smart_turn",
    ]
    for module in modules:
        importlib.import_module(module)
    libraries = sorted({library for _, _, library, _ in ENGINES} | {"onnxruntime", "webrtcvad"})
    code = f"import sys, {', '.join(modules)}; print([name for name in {libraries} if name in sys.modules])"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"
