"""The simulated library: its layouts are the measured ones, it is built once, and what stands in the way is named."""

import subprocess
from pathlib import Path

import pytest

from pipelines.engine import EngineError
from pipelines.llm.librkllm import ABI, Library
from pipelines.npu import elf
from pipelines.simulator import build, timings

MEASURED = Path("tests/fixtures/rkllm-offsets.txt").read_text()


def facts(text: str) -> set[tuple[str, str]]:
    """(structure, fact) of each line, under the multimodal input's later name."""
    text = text.replace("MultiModelInput", "MultiModalInput")
    return {tuple(line.split(maxsplit=1)) for line in text.splitlines() if line.strip()}  # type: ignore[misc]


@pytest.mark.parametrize("version", build.FAMILIES)
def test_the_structures_written_by_hand_are_the_measured_ones(version: str, tmp_path: Path) -> None:
    printed = subprocess.run([build.offsets(version, tmp_path)], capture_output=True, text=True, check=True).stdout
    sections = {part.split(maxsplit=1)[0]: part for part in MEASURED.split("\n\n") if part.strip()}
    known = facts(sections[version])
    said = {fact for fact in facts(printed) if "RKLLMCallback" not in fact[1] or version == "1.3.0"}
    assert said <= known
    assert {fact for fact in known if "size=" in fact[1]} <= said | {
        fact for fact in known if "RKLLMLoraAdapter" in fact[1]
    }


@pytest.mark.parametrize("version", build.FAMILIES)
def test_it_is_a_library_like_the_real_one(version: str, tmp_path: Path) -> None:
    path = build.library(version, tmp_path)
    found = elf.read(path.read_bytes(), str(path))
    assert found.exports == ABI[version].functions.keys()
    loaded = Library(str(path))
    assert (loaded.release, loaded.abi) == (version, ABI[version])


def test_it_is_built_once(tmp_path: Path) -> None:
    path = build.library("1.3.0", tmp_path)
    before = path.stat().st_mtime_ns
    assert build.library("1.3.0", tmp_path) == path
    assert path.stat().st_mtime_ns == before
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_without_a_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "no-such-compiler")
    with pytest.raises(
        EngineError, match=r"needs a C compiler \(no-such-compiler: not found\); install gcc, or set CC"
    ):
        build.library("1.3.0", tmp_path)


def test_a_compiler_that_fails_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "cc"
    broken.write_text("#!/bin/sh\necho no space left >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("CC", str(broken))
    with pytest.raises(EngineError, match="says:\nno space left"):
        build.library("1.3.0", tmp_path)


def test_a_release_that_is_not_simulated_is_named() -> None:
    with pytest.raises(EngineError, match=r"no RKLLM release '9\.9' is simulated; there are: 1\.1\.4, "):
        build.library("9.9")


def test_every_figure_has_a_source_and_scales() -> None:
    for found in timings.MODELS.values():
        assert found.source
        assert found.load_source
    slow = timings.environment("rk3588", "qwen3-vl-2b", slowness=1)
    assert float(slow["RKLLM_SIM_DECODE_MS"]) == pytest.approx(1000 / 14.9, rel=1e-4)
    assert float(slow["RKLLM_SIM_LOAD_MS"]) == 2600
    assert float(slow["RKLLM_SIM_ENCODER_LOAD_MS"]) == 900
    instant = timings.environment("rk3588", "qwen3-vl-2b")
    assert {float(value) for name, value in instant.items() if name.endswith("_MS")} == {0.0}
    with pytest.raises(EngineError, match=r"no figures of rk1:none are known; choose one of: rk3588:qwen2-vl-2b, "):
        timings.pace("rk1", "none")
