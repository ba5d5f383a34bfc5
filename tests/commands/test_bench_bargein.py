"""Speaking over replies in made-up rooms: what the bench makes, and what it makes of it."""

import argparse

import numpy as np
import pytest

from assistant.commands import USAGE, Failure, _bargein, bench
from assistant.commands._bargein_scenes import RATE, Scene, scenes
from assistant.core.overhearing import Settings
from pipelines import vad


@pytest.fixture(scope="module")
def made() -> list[Scene]:
    return scenes(8)


def test_every_kind_is_there_and_the_same_seed_makes_the_same(made: list[Scene]) -> None:
    assert {scene.label for scene in made} == {"question", "stop", "backchannel", "cough", "door", "echo"}
    again = scenes(2)
    for one, other in zip(made, again, strict=False):
        assert np.array_equal(one.user, other.user)
        assert np.array_equal(one.noise, other.noise)
        assert np.array_equal(one.response, other.response)
    for scene in made:
        loss = 10 * np.log10(np.sum(np.square(scene.response)))
        assert abs(loss - scene.leak_db) < 0.1
        assert np.flatnonzero(scene.response)[0] == RATE * scene.delay_ms // 1000


def test_its_figures_are_shares_and_times(made: list[Scene]) -> None:
    detector = vad.load("webrtcvad", {})
    outcomes = [_bargein.play(scene, detector, True, Settings()) for scene in made]
    figures = _bargein.summary(outcomes)
    for name in ("false_interruptions", "missed_interruptions", "first_words_lost"):
        assert 0 <= figures[name] <= 1
    caught = [one for one in outcomes if one.scene.interrupts and one.confirm_ms is not None]
    assert caught  # the decider is not deaf …
    for one in caught:
        assert one.duck_ms is not None
        assert one.confirm_ms is not None
        assert 0 < one.duck_ms < one.confirm_ms
    assert not any(one.confirm_ms for one in outcomes if one.scene.label == "echo")  # … and does not hear itself


def test_no_scenes_are_refused() -> None:
    parser = argparse.ArgumentParser()
    bench.arguments(parser)
    with pytest.raises(Failure) as refused:
        bench.run(parser.parse_args(["bargein", "--scenes", "0"]))
    assert refused.value.code == USAGE
    with pytest.raises(Failure, match="nonsense"):
        bench.run(parser.parse_args(["bargein", "--vad", "nonsense"]))
