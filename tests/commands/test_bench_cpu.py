"""``assistant bench cpu``: on very small models, without libraries, without room, and with processes that die."""

import argparse
import importlib.util
import json
import math
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import pytest

from assistant.commands import _cpu, _cpu_parts, _cpu_process, _cpu_table, bench, main
from pipelines import asr
from pipelines.engine import EngineError

ROOT = Path(__file__).resolve().parent.parent.parent
BENCH = ("cpu", "--json", "--quick", "--threads", "1")


def _flat(figures: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in figures.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return flat


def test_every_part_is_measured_or_says_why_not(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "assistant", "bench", *BENCH],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    keys = {"asr": "asr_ms", "tts": "tts_ms", "vlm": "vlm_ms", "decode_ratio": "decode_ratio"}
    for part, key in keys.items():
        installed = all(importlib.util.find_spec(name) for name in _cpu.PARTS[part].needs)
        assert (figures[key] is not None) == installed, done.stderr
        assert installed or "pip install" in figures[f"{part}_why"]
    times = {name: value for name, value in _flat(figures).items() if name.split(".")[0].endswith("_ms")}
    # In these small sizes a difference of two times may come out as nothing: only that there are figures is asserted.
    assert all(value is None or math.isfinite(value) for value in times.values())
    if figures["asr_ms"]:
        assert set(figures["asr_ms"]["quick"]) == {"1.5", "3", "6"}
    if figures["tts_ms"]:
        assert 2 < figures["tts_ms"]["clause_sound_s"] < 4  # eight words, calmly spoken
    if figures["vlm_ms"]:
        assert {"picture_1_tile", "picture_5_tiles", "prefill_per_token", "decode_per_token"} <= set(figures["vlm_ms"])
    assert list(tmp_path.iterdir()) == []  # the models are gone
    assert "making" in done.stderr
    assert len(_cpu_table.lines(figures)) > len(keys)


def test_missing_libraries_are_named_with_what_installs_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert main(["bench", *BENCH]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert [figures[key] for key in ("asr_ms", "tts_ms", "vlm_ms", "decode_ratio")] == [None] * 4
    assert "pip install 'edge-assistant[faster-whisper]'" in figures["asr_why"]
    assert "pip install 'edge-assistant[piper]' onnx" in figures["tts_why"]
    assert "torch" in figures["decode_ratio_why"]


def test_the_table_says_what_is_missing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert main(["bench", "cpu"]) == 0
    shown = capsys.readouterr().out
    assert "no Whisper: ctranslate2, faster_whisper, tokenizers is not installed: pip install" in shown
    assert "no comparison with the reference: onnx, torch, transformers is not installed" in shown


def test_no_room_is_said_before_anything_is_made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Usage(NamedTuple):
        free: int

    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(50_000_000))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    figures = _cpu.measure(1, quick=False, keep=str(tmp_path / "kept"), say=lambda text: None)
    assert "50 MB free, 70 MB are needed" in figures["tts_why"]
    assert figures["tts_ms"] is None
    assert list((tmp_path / "kept").iterdir()) == []


def test_a_negative_number_of_threads_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "cpu", "--threads", "-1"]) == 2
    assert "--threads" in capsys.readouterr().err


def test_the_other_bench_is_still_there() -> None:
    parser = argparse.ArgumentParser()
    bench.arguments(parser)
    assert parser.parse_args(["overhead"]).what == "overhead"


# --- processes ---


def _dies() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _raises(kind: type[Exception]) -> None:
    raise kind("the reason")


def _fills(megabytes: int) -> int:
    return len(bytearray(b"\1") * (megabytes * 1_000_000))


def test_a_process_that_dies_is_told_and_harms_no_other() -> None:
    with pytest.raises(_cpu_process.Failed, match=r"SIGKILL.*memory"):
        _cpu_process.isolated(_dies, ())
    for kind in (EngineError, ZeroDivisionError):
        with pytest.raises(_cpu_process.Failed, match="the reason"):
            _cpu_process.isolated(_raises, (kind,))


def test_what_fails_in_a_part_leaves_the_rest(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    good = _cpu_parts.Step("one", "the first", None, _counted, (7,))
    bad = _cpu_parts.Step("two", "the second", _made_in_vain, _counted, (8,))
    monkeypatch.setattr(
        _cpu, "PARTS", {"asr": _cpu.Part((), "", 0), "decode_ratio": _cpu.Part(("no_such_module",), "", 0)}
    )
    monkeypatch.setattr(_cpu_parts, "STEPS", {"asr": lambda quick: [good, bad]})
    figures = _cpu.measure(1, quick=True, keep=str(tmp_path), say=lambda text: None)
    assert figures["asr_ms"] == {"7": 1}
    assert figures["asr_why"] == "the second: the reason"
    assert figures["decode_ratio"] is None
    assert set(figures["peak_mb"]) == {"making", "one"}


def _counted(folder: Path, number: int, threads: int) -> dict[str, int]:
    return {str(number): threads}


def _made_in_vain(folder: Path, number: int) -> None:
    raise EngineError("the reason")


def test_the_peak_of_memory_is_the_process_s_own() -> None:
    ballast = bytearray(300_000_000)
    _, small = _cpu_process.isolated(_fills, (1,))
    _, large = _cpu_process.isolated(_fills, (100,))
    assert len(ballast) > 0
    assert small < 250  # what this process holds does not count
    assert large > small + 80


def test_the_load_works_and_ends() -> None:
    with _cpu_process.busy(2):
        load = [child for child in psutil.Process().children() if _cpu_process.BUSY in child.cmdline()]
        assert len(load) == 2
    assert not any(process.is_running() for process in load)


# --- models ---


def test_the_voice_has_as_many_parameters_as_a_medium_one(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    pytest.importorskip("piper")
    _cpu_parts.make_voice(tmp_path, quick=False)
    parameters = (tmp_path / "voice.onnx_data").stat().st_size / 4
    assert 15e6 < parameters < 20e6


def test_whisper_writes_as_many_words_as_it_is_told_to(tmp_path: Path) -> None:
    pytest.importorskip("faster_whisper")
    whisper = _cpu_parts.models("whisper")
    whisper.make(tmp_path, whisper.SIZES["quick"], [3, 20])
    for count in (3, 20):
        options = {"model": str(tmp_path / str(count)), "language": "en", "threads": 1}
        utterance = asr.load("faster_whisper", options).utterance()
        utterance.feed(_cpu_parts.speech(3.0))
        assert len(utterance.finish().text.split()) == count
