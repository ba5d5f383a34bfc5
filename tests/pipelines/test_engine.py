"""Engines are found by name, by ``package.module:Class`` or by entry point; what is wrong is said with the mend."""

import sys
from pathlib import Path

import pytest

from pipelines import engine
from pipelines.engine import EngineError

ROLES = ("asr", "vad", "camera", "vision", "llm", "tts")
OUTSIDE = """
import msgspec
from pipelines.engine import Options as Base

class Options(Base, frozen=True, kw_only=True):
    threshold: float = 0.5
    label: str = ""

class Engine:
    Options = Options
    def __init__(self, options):
        self.options = options

class NeedsLibrary:
    Options = Options
    extra = "outside"
    def __init__(self, options):
        import a_library_that_is_not_installed

class Plain:
    pass
"""
BROKEN = "import a_library_that_is_not_installed"
ENTRY_POINTS = """
[edge_assistant.vad]
elsewhere = outside_engine:Engine
broken = broken_engine:Engine
plain = outside_engine:Plain
"""


@pytest.fixture
def _outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package of somebody else's, installed as pip would."""
    (tmp_path / "outside_engine.py").write_text(OUTSIDE)
    (tmp_path / "broken_engine.py").write_text(BROKEN)
    information = tmp_path / "outside-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: outside\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(ENTRY_POINTS)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "outside_engine", raising=False)


@pytest.mark.parametrize(("role", "name"), [(role, name) for role in ROLES for name in engine.names(role)])
def test_every_shipped_engine_has_options_that_need_no_library(role: str, name: str) -> None:
    found = engine.find(role, name)
    assert issubclass(found.Options, engine.Options)
    assert found.__doc__ or sys.modules[found.__module__].__doc__


def test_names_are_the_files_of_the_folder() -> None:
    assert "webrtcvad" in engine.names("vad")
    assert "opencv" in engine.names("camera")
    assert not [name for name in engine.names("vad") if name.startswith("_")]


def test_an_unknown_name_lists_the_valid_ones_and_the_nearest() -> None:
    with pytest.raises(EngineError, match=r"no vad engine 'webrtcvda' \(did you mean 'webrtcvad'\?\); choose one of: "):
        engine.find("vad", "webrtcvda")
    with pytest.raises(EngineError, match=r"no vad engine 'zzz'; choose one of: .*webrtcvad"):
        engine.find("vad", "zzz")


@pytest.mark.parametrize("name", ["", ".", "..", "__init__", "../llm/onnx", "_cache", "librkllm", "a.b", "webrtcvad "])
def test_only_names_are_names(name: str) -> None:
    with pytest.raises(EngineError, match="there is no llm engine"):
        engine.find("llm", name)


def test_an_unknown_option_is_named_with_the_nearest() -> None:
    with pytest.raises(
        EngineError, match=r"unknown option 'aggresiveness' for the vad engine 'webrtcvad'; did you mean"
    ):
        engine.options("vad", "webrtcvad", {"aggresiveness": 3})


def test_a_wrong_type_is_named() -> None:
    field = engine.find("vad", "webrtcvad").Options.__struct_fields__[0]
    with pytest.raises(EngineError, match=rf"the vad engine 'webrtcvad': Expected .* - at `\$\.{field}`"):
        engine.options("vad", "webrtcvad", {field: ["x"]})


@pytest.mark.usefixtures("_outside")
class TestOutside:
    def test_by_module_and_class(self) -> None:
        loaded = engine.load("vad", "outside_engine:Engine", {"threshold": 1, "label": "x"})
        assert (loaded.options.threshold, loaded.options.label) == (1.0, "x")

    def test_by_entry_point(self) -> None:
        assert "elsewhere" in engine.names("vad")
        assert engine.load("vad", "elsewhere", {}).options.threshold == 0.5

    def test_a_missing_library_says_what_to_install(self) -> None:
        mend = r"needs a_library_that_is_not_installed; install it: pip install 'edge-assistant\[outside\]'"
        with pytest.raises(EngineError, match=mend):
            engine.load("vad", "outside_engine:NeedsLibrary", {})

    @pytest.mark.parametrize("name", ["broken", "broken_engine:Engine", "no_such_module:Engine"])
    def test_what_cannot_be_imported_is_named(self, name: str) -> None:
        with pytest.raises(EngineError, match=f"the vad engine '{name}' cannot be imported: No module named"):
            engine.load("vad", name, {})

    @pytest.mark.parametrize("name", ["plain", "outside_engine:Plain", "outside_engine:Absent", "outside_engine:"])
    def test_what_is_no_engine_is_named(self, name: str) -> None:
        with pytest.raises(EngineError, match=f"'{name}' is no vad engine: outside_engine.* with Options is missing"):
            engine.options("vad", name, {})
