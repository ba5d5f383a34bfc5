"""The embedded engine on phrases in several voices (eSpeak's): heard where they were said, and nothing else.

Longer series, with noise: ``assistant bench wakeword``.
"""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from assistant.commands import _wake, _wake_scene
from pipelines import wakeword
from pipelines.engine import EngineError
from pipelines.wakeword import Detection


def spotter(**options: Any) -> wakeword.Spotter:
    return wakeword.load("pocketsphinx", options)


@pytest.fixture(scope="module")
def subject() -> wakeword.Spotter:
    return spotter(phrases=["hey assistant", "hello computer"])


@pytest.fixture
def scene() -> _wake_scene.Scene:
    return _wake_scene.Scene(3)


def hear(subject: wakeword.Spotter, pcm: NDArray[np.int16], block: int = 320) -> list[Detection]:
    subject.reset()
    return [found for at in range(0, len(pcm), block) for found in subject.feed(pcm[at : at + block])]


def test_each_phrase_is_told_with_its_end(subject: wakeword.Spotter, scene: _wake_scene.Scene) -> None:
    told = []
    for phrase in ("hey assistant", "hey assistant", "hello computer") * 3:
        call = scene.speech(phrase)
        pcm = scene.noisy([np.zeros(8000), call, scene.speech("what do you see"), np.zeros(8000)], 20, 0)
        for found in hear(subject, pcm):
            assert 0.9 <= found.score <= 1
            assert abs(found.end - 8000 - len(call)) < 3200, "200 ms off"
            told.append(found.phrase == phrase)
    assert len(told) >= 7
    assert all(told)


def test_a_phrase_is_told_each_time(subject: wakeword.Spotter, scene: _wake_scene.Scene) -> None:
    call = scene.speech("hey assistant")
    pcm = scene.noisy([np.zeros(8000), *[call, np.zeros(16_000)] * 3], 20, 0)
    found = hear(subject, pcm)
    assert len(found) == 3
    assert [round((later.end - found[0].end) / (len(call) + 16_000)) for later in found] == [0, 1, 2]


@pytest.mark.parametrize("block", [160, 999, 1280, 100_000])
def test_it_hardly_matters_how_it_is_fed(subject: wakeword.Spotter, block: int) -> None:
    scene = _wake_scene.Scene(3)
    pcm = scene.noisy([np.zeros(8000), scene.speech("hey assistant"), np.zeros(16_000)], 20, 0)
    assert [found.phrase for found in hear(subject, pcm, block)] == ["hey assistant"]


def test_other_sentences_silence_and_noise_are_no_call(subject: wakeword.Spotter, scene: _wake_scene.Scene) -> None:
    assert _wake.mistakes(subject, scene, 0.4) == 0
    assert hear(subject, np.zeros(16_000 * 3, np.int16)) == []
    assert hear(subject, scene.noisy([np.zeros(16_000 * 3)], 5, 0)) == []
    assert hear(subject, np.zeros(0, np.int16)) == []


def test_a_threshold_is_of_its_phrase(scene: _wake_scene.Scene) -> None:
    pcm = scene.noisy([np.zeros(8000), scene.speech("hey assistant"), np.zeros(16_000)], 20, 0)
    assert hear(spotter(phrases=["hey assistant"], thresholds={"hey assistant": 1.0}), pcm) == []
    assert hear(spotter(phrases=["Hey Assistant"], thresholds={"hey assistant": 0.5}), pcm) != []


def test_a_word_that_the_dictionary_lacks_can_be_spelt() -> None:
    assert spotter(phrases=["hey piko"], pronunciations={"piko": "P IY K OW"}).phrases == ("hey piko",)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"phrases": []}, "there are no phrases"),
        ({"phrases": ["  "]}, "a phrase is empty"),
        (
            {"phrases": ["hey asistant"]},
            r"the dictionary has no word 'asistant' \(it has .*assistant.*\); choose another",
        ),
        ({"phrases": ["小云"]}, "holds '小云'; this engine knows English words"),
        ({"thresholds": {"hey robot": 0.5}}, "a threshold for 'hey robot', which is none of the phrases"),
        ({"thresholds": {"hey assistant": 2}}, "thresholds"),
        ({"phrases": ["hey piko"], "pronunciations": {"piko": "pee ko"}}, "is not made of ARPAbet phones"),
        ({"phrase": ["hey"]}, "did you mean 'phrases'"),
    ],
)
def test_what_is_not_in_order_is_named(options: dict[str, Any], words: str) -> None:
    with pytest.raises(EngineError, match=words):
        spotter(**options)
