"""The networks of pymicro-wakeword's wheel, as they are published, on eSpeak's voices.

Those say "alexa" so that it is heard; how well each phrase is, in which voices: ``assistant bench wakeword``.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from assistant.commands import _wake, _wake_scene
from pipelines import wakeword
from pipelines.engine import EngineError
from pipelines.wakeword import Detection

pymicro_wakeword = pytest.importorskip("pymicro_wakeword")
MODELS = Path(pymicro_wakeword.__file__).with_name("models")


def spotter(**options: Any) -> wakeword.Spotter:
    return wakeword.load("microwakeword", {"phrases": ["alexa"]} | options)


@pytest.fixture(scope="module")
def subject() -> wakeword.Spotter:
    return spotter(phrases=["Alexa", "hey  jarvis", "okay nabu", "hey mycroft"])


@pytest.fixture
def scene() -> _wake_scene.Scene:
    return _wake_scene.Scene(3)


def hear(subject: wakeword.Spotter, pcm: NDArray[np.int16], block: int = 320) -> list[Detection]:
    subject.reset()
    return [found for at in range(0, len(pcm), block) for found in subject.feed(pcm[at : at + block])]


def test_a_phrase_is_told_once_with_its_end(subject: wakeword.Spotter, scene: _wake_scene.Scene) -> None:
    assert subject.phrases == ("alexa", "hey jarvis", "okay nabu", "hey mycroft")
    ends = []
    for _ in _wake_scene.ESPEAK:
        call = scene.speech("alexa")
        (found,) = hear(subject, scene.noisy([np.zeros(24_000), call, np.zeros(16_000)], 20, 0))
        assert (found.phrase, found.score > 0.9) == ("alexa", True)
        ends.append((found.end - 24_000 - len(call)) / 16)
    assert all(-350 < end < 150 for end in ends), "ms"
    assert abs(float(np.median(ends))) < 60


@pytest.mark.parametrize(("phrase", "voice"), [("hey jarvis", 7), ("okay nabu", 0), ("hey mycroft", 1)])
def test_each_phrase_has_its_network(
    subject: wakeword.Spotter, scene: _wake_scene.Scene, phrase: str, voice: int
) -> None:
    for _ in range(voice):
        scene.speech("no")
    pcm = scene.noisy([np.zeros(24_000), scene.speech(phrase), np.zeros(16_000)], None, 0)
    assert [found.phrase for found in hear(subject, pcm)] == [phrase]
    strict = spotter(phrases=[phrase], thresholds={phrase: 0.9999})
    assert hear(strict, pcm) == []


@pytest.mark.parametrize("block", [7, 160, 999, 100_000])
def test_it_does_not_matter_how_it_is_fed(subject: wakeword.Spotter, block: int) -> None:
    scene = _wake_scene.Scene(3)
    pcm = scene.noisy([np.zeros(16_000), scene.speech("alexa"), np.zeros(8000), scene.speech("no")], 20, 0)
    assert hear(subject, pcm, block) == hear(subject, pcm)
    assert len(hear(subject, pcm)) == 1


def test_it_is_told_each_time_and_after_a_reset_as_at_first(
    subject: wakeword.Spotter, scene: _wake_scene.Scene
) -> None:
    call = scene.speech("alexa")
    pcm = scene.noisy([np.zeros(16_000), *[call, np.zeros(24_000)] * 3], 20, 0)
    first = hear(subject, pcm)
    assert len(first) == 3
    assert hear(subject, pcm) == first


def test_other_sentences_silence_and_noise_are_no_call(subject: wakeword.Spotter, scene: _wake_scene.Scene) -> None:
    assert _wake.mistakes(subject, scene, 0.5) == 0
    assert hear(subject, np.zeros(16_000 * 3, np.int16)) == []
    assert hear(subject, scene.noisy([np.zeros(16_000 * 3)], 5, 0)) == []
    assert hear(subject, np.zeros(0, np.int16)) == []


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A network of one's own: the wheel's, by another name."""
    about = json.loads((MODELS / "alexa.json").read_text("utf-8")) | {"wake_word": "Hello there", "model": "own.tflite"}
    (tmp_path / "own.json").write_text(json.dumps(about))
    (tmp_path / "own.tflite").write_bytes((MODELS / "alexa.tflite").read_bytes())
    return tmp_path / "own.json"


def test_a_network_of_ones_own_is_heard(own: Path, scene: _wake_scene.Scene) -> None:
    subject = spotter(phrases=["hello there"], files=[str(own)])
    pcm = scene.noisy([np.zeros(24_000), scene.speech("alexa"), np.zeros(16_000)], 20, 0)
    assert [found.phrase for found in hear(subject, pcm)] == ["hello there"]


def test_a_broken_network_is_named_and_not_loaded(own: Path) -> None:
    weights = own.with_name("own.tflite")
    whole = weights.read_bytes()
    for data in (whole[:30_000], b"", b"no network at all, in no way"):
        weights.write_bytes(data)
        with pytest.raises(EngineError, match=r"own.tflite is damaged, or no TensorFlow Lite network"):
            spotter(phrases=["hello there"], files=[str(own)])
    weights.unlink()
    with pytest.raises(EngineError, match=r"own.json wants own.tflite beside it"):
        spotter(phrases=["hello there"], files=[str(own)])
    own.write_text("{}")
    with pytest.raises(EngineError, match=r"own.json is no .json file of microWakeWord"):
        spotter(phrases=["hello there"], files=[str(own)])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"phrases": []}, "phrases"),
        ({"phrases": ["hey assistant"]}, "no network for 'hey assistant'; choose of alexa, .*okay nabu"),
        ({"thresholds": {"okay nabu": 0.5}}, "a threshold for 'okay nabu', which is none of the phrases"),
        ({"thresholds": {"alexa": 2}}, "thresholds"),
        ({"files": ["/no/such.json"]}, "/no/such.json cannot be read"),
        ({"sensitivity": "high"}, "sensitivity"),
        ({"phrase": ["alexa"]}, "did you mean 'phrases'"),
    ],
)
def test_what_is_not_in_order_is_named(options: dict[str, Any], words: str) -> None:
    with pytest.raises(EngineError, match=words):
        spotter(**options)
