"""Looking into ONNX files without loading them, whatever they hold."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines import engine, onnxfile

FIXTURES = Path(__file__).parents[1] / "fixtures"
ENCODER = FIXTURES / "sherpa" / "zipformer" / "encoder.int8.onnx"
SETTINGS = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def read(data: bytes, folder: Path) -> dict[str, str] | None:
    """The metadata, None for an error in words; anything else fails the test."""
    path = folder / "a.onnx"
    path.write_bytes(data)
    try:
        return onnxfile.metadata(path)
    except engine.EngineError:
        return None


def test_metadata_of_real_files() -> None:
    assert onnxfile.metadata(ENCODER)["model_type"] == "zipformer2"
    assert onnxfile.metadata(FIXTURES / "piper" / "tiny.onnx") == {}


@SETTINGS
@given(st.binary(max_size=200))
def test_any_bytes_are_survived(tmp_path: Path, data: bytes) -> None:
    read(data, tmp_path)


@SETTINGS
@given(st.integers(0, ENCODER.stat().st_size - 1), st.integers(0, 255))
def test_any_damage_is_survived(tmp_path: Path, at: int, byte: int) -> None:
    data = bytearray(ENCODER.read_bytes())
    data[at] = byte
    read(bytes(data), tmp_path)


@SETTINGS
@given(st.integers(0, ENCODER.stat().st_size - 1))
def test_a_file_that_is_cut_short_never_looks_whole(tmp_path: Path, size: int) -> None:
    """It is an error, or entries at its end are missing."""
    found = read(ENCODER.read_bytes()[:size], tmp_path)
    assert found is None or len(found) < len(onnxfile.metadata(ENCODER))


def test_sessions_name_the_file(tmp_path: Path) -> None:
    with pytest.raises(engine.EngineError, match="there is no file"):
        onnxfile.session(tmp_path / "a.onnx", 1)
    (tmp_path / "a.onnx").write_bytes(b"")
    with pytest.raises(engine.EngineError, match=r"a\.onnx cannot be opened"):
        onnxfile.session(tmp_path / "a.onnx", 1)
