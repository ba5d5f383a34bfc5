"""Smart Turn: the picture of sound that it is shown, against another library's; what is told of files that are none of
its; and, where `make models-for-tests` has fetched them, the real weights."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from models.fetch_wheels import FETCHED
from pipelines import endofturn
from pipelines.audio import wav
from pipelines.endofturn import smart_turn
from pipelines.engine import EngineError
from tests.conftest import need

ROOT = Path(__file__).parents[3]
SPEECH = ROOT / "tests" / "speech"
WEIGHTS = FETCHED / "smart-turn-v3.2-cpu.onnx"


def spoken(name: str, part: float = 1.0) -> NDArray[np.int16]:
    """So much of a recording; after all of it, the pause in which one listens for its end."""
    pcm = wav.to_int16(wav.read(SPEECH / f"{name}.wav").pcm[:, 0])
    return pcm[: int(len(pcm) * part)] if part < 1 else np.concatenate([pcm, np.zeros(3200, np.int16)])


# --- what it is shown ---


@pytest.mark.parametrize("name", ["kal16/stop", "awb/is-there-a-ball", "foreign/set-a-timer-for-five-minutes"])
def test_the_picture_of_the_sound_is_whispers(name: str) -> None:
    whisper = pytest.importorskip("faster_whisper.feature_extractor")
    pcm = spoken(name)
    sound = np.concatenate([np.zeros(8 * 16_000 - len(pcm)), pcm / 32768]).astype(np.float32)
    sound = (sound - sound.mean()) / np.sqrt(sound.var() + 1e-7)
    wanted = whisper.FeatureExtractor(chunk_length=8)(sound, padding=0)
    found = smart_turn.features(pcm)
    assert found.shape == (80, 800)
    assert np.abs(found - wanted).max() < 1e-3
    assert np.ptp(found) > 1  # and it is no empty one


def test_a_tone_lies_in_the_band_of_its_frequency_and_at_its_time() -> None:
    """Slaney's scale: 15 mel up to 1 kHz, then 27 mel for each factor of 6.4; 80 bands between 0 and 8 kHz."""
    top = 15 + 27 * np.log(8) / np.log(6.4)
    for hertz, mel in ((500.0, 7.5), (1000.0, 15.0), (6400.0, 42.0)):
        tone = 8000 * np.sin(2 * np.pi * hertz * np.arange(16_000) / 16_000)
        found = smart_turn.features(tone.astype(np.int16))
        assert abs(int(found[:, 750].argmax()) + 1 - mel / top * 81) < 1
        loud = np.flatnonzero(found.max(axis=0) > found.max() - 0.5)
        assert (loud[0], loud[-1]) == pytest.approx((700, 799), abs=2)  # a second, at the end of eight


def test_it_is_shown_the_last_eight_seconds_as_loud_as_all_else() -> None:
    pcm = spoken("foreign/set-a-timer-for-five-minutes")
    long = np.concatenate([pcm] * 6)
    assert np.array_equal(smart_turn.features(long), smart_turn.features(long[-8 * 16_000 :]))
    assert np.abs(smart_turn.features(pcm) - smart_turn.features(pcm // 4)).mean() < 0.05


# --- networks that are made here ---


def made(path: Path, shape: tuple[Any, ...] = ("n", 80, 800), name: str = "input_features", out: str = "chance") -> str:
    """A network of Smart Turn's form: the higher the picture's mean, the likelier."""
    onnx = pytest.importorskip("onnx")
    helper, node = onnx.helper, onnx.helper.make_node
    axes = list(range(1, len(shape)))
    nodes = {
        "chance": [node("ReduceMean", [name], ["m"], axes=axes, keepdims=0), node("Sigmoid", ["m"], ["out"])],
        "many": [node("ReduceMean", [name], ["out"], axes=axes[-1:], keepdims=0)],
        "high": [node("ReduceMean", [name], ["m"], axes=axes, keepdims=0), node("Neg", ["m"], ["out"])],
        "nan": [node("ReduceMean", [name], ["m"], axes=axes, keepdims=0), node("Sqrt", ["m"], ["out"])],
    }[out]
    graph = helper.make_graph(
        nodes,
        "made",
        [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("out", onnx.TensorProto.FLOAT, None)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, str(path))
    return str(path)


def test_what_comes_out_of_the_network_is_told(tmp_path: Path) -> None:
    detector = endofturn.load("smart_turn", {"model": made(tmp_path / "m.onnx")})
    assert detector is not None
    pcm = spoken("kal16/stop")
    mean = float(smart_turn.features(pcm).mean())
    assert detector.complete(pcm) == pytest.approx(1 / (1 + np.exp(-mean)), abs=1e-4)
    assert detector.complete(pcm) != pytest.approx(detector.complete(pcm[: len(pcm) // 2]), abs=1e-4)


@pytest.mark.parametrize(
    ("network", "says"),
    [
        ({"shape": ("n", 80, 3000)}, r"m\.onnx is no Smart Turn v3 network: .*\[80, 3000\] and not .*\[80, 800\]"),
        ({"name": "input_values"}, r"its inputs are input_values \[80, 800\] and not input_features.*models pull"),
        ({"shape": ("n", 128_000)}, r"no Smart Turn v3 network"),
        ({"out": "many"}, r"no probability"),
        ({"out": "high"}, r"no probability"),
        ({"out": "nan"}, r"no probability"),
    ],
)
def test_another_network_is_refused(network: dict[str, Any], says: str, tmp_path: Path) -> None:
    path = made(tmp_path / "m.onnx", **network)
    with pytest.raises(EngineError, match=says):
        endofturn.load("smart_turn", {"model": path})


def test_a_file_that_is_missing_cut_short_or_something_else_is_refused(tmp_path: Path) -> None:
    whole = Path(made(tmp_path / "whole.onnx"))
    (tmp_path / "cut.onnx").write_bytes(whole.read_bytes()[:-40])
    (tmp_path / "page.onnx").write_text("<html>not found</html>")
    piper = ROOT / "tests" / "fixtures" / "piper" / "tiny.onnx"
    for path, says in (
        (tmp_path / "none.onnx", "there is no file"),
        (tmp_path / "cut.onnx", "cut short, download it again"),
        (tmp_path / "page.onnx", "cut short, download it again"),
        (piper, "no Smart Turn v3 network"),
    ):
        with pytest.raises(EngineError, match=says) as refused:
            endofturn.load("smart_turn", {"model": str(path)})
        assert str(path) in str(refused.value)
    with pytest.raises(EngineError, match="model"):
        endofturn.load("smart_turn", {})


# --- with none, and by itself ---


def test_auto_takes_it_where_the_file_is_there(tmp_path: Path) -> None:
    assert endofturn.load("none", {}) is None
    assert endofturn.load("auto", {}) is None
    assert endofturn.load("auto", {"smart_turn": {"model": str(tmp_path / "none.onnx")}}) is None
    model = made(tmp_path / "m.onnx")
    assert isinstance(endofturn.load("auto", {"smart_turn": {"model": model}}), smart_turn.Engine)


# --- the real weights ---

# (recording, how much of it) -> what pipecat-ai 1.14.0's own code makes of it on x86-64. Of a synthetic voice: that
# "is there a ball" is unfinished to it and two thirds of a sentence finished says nothing about people.
REAL = {
    ("kal16/what-color-is-the-lamp", 1.0): 0.9885,
    ("kal16/what-color-is-the-lamp", 0.55): 0.3298,
    ("rms/how-many-mugs-are-there", 1.0): 0.9880,
    ("rms/how-many-mugs-are-there", 0.5): 0.0292,
    ("awb/is-there-a-ball", 1.0): 0.0241,
    ("foreign/set-a-timer-for-five-minutes", 1.0): 0.9860,
    ("foreign/set-a-timer-for-five-minutes", 0.6): 0.7581,
}


def test_the_real_weights_say_what_they_say_elsewhere() -> None:
    if not WEIGHTS.is_file():
        need(WEIGHTS.name)
    detector = endofturn.load("smart_turn", {"model": str(WEIGHTS)})
    assert detector is not None
    found = {key: detector.complete(spoken(*key)) for key in REAL}
    assert found == pytest.approx(REAL, abs=0.15)  # its weights are int8: how they are multiplied is the processor's
