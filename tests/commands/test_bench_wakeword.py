"""``assistant bench wakeword``: every figure is there, and they are of what was asked for."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from assistant.commands import main
from pipelines.audio import wav

NOISES = ["quiet", *(f"{snr} dB {noise}" for snr in (20, 10, 5) for noise in ("fan", "voices", "television"))]
QUICK = ["bench", "wakeword", "--quick", "--minutes", "0.1"]


def measured(given: list[str], capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert main([*QUICK, "--json", *given]) == 0
    figures: dict[str, Any] = json.loads(capsys.readouterr().out)
    return figures


@pytest.fixture(autouse=True)
def _embedded_voices_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever else is installed here."""
    monkeypatch.setattr("assistant.commands._wake.kinds", lambda: ("espeak",))


def test_a_quick_run_has_every_figure(capsys: pytest.CaptureFixture[str]) -> None:
    figures = measured(["--engine", "pocketsphinx"], capsys)
    assert (figures["engine"], figures["voices"], list(figures["phrases"])) == (
        "pocketsphinx",
        {"espeak": 8},
        ["hey assistant"],
    )
    assert list(figures["wake_hits"]) == NOISES
    assert all(0 <= share <= 1 for share in figures["wake_hits"].values())
    assert figures["wake_hits"]["20 dB fan"] >= 0.5
    of = figures["phrases"]["hey assistant"]
    assert of["wake_hits"] == of["by_voice"]["espeak"] == figures["wake_hits"]
    assert list(of["by_what_follows"]) == ["nothing"]
    assert figures["minutes"] == 0.1
    assert figures["false_wakes_per_hour"] == pytest.approx(figures["false_wakes"] * 600)
    assert (figures["first_words_lost"], figures["questions"]) == (0.0, 2)
    assert 0 < figures["told_late_ms"] < 1000
    assert 0 <= figures["left_ms"]["p50"] <= figures["left_ms"]["p90"]
    assert "recordings" not in figures


def test_each_phrase_is_told_alone_and_the_engine_is_the_best_that_knows_them(
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("pymicro_wakeword")
    figures = measured(["--phrase", "alexa", "--phrase", "okay nabu"], capsys)
    assert figures["engine"] == "microwakeword"
    alexa, nabu = (figures["phrases"][name]["wake_hits"] for name in ("alexa", "okay nabu"))
    assert list(alexa) == list(nabu) == NOISES
    assert figures["wake_hits"] == {name: pytest.approx((alexa[name] + nabu[name]) / 2, abs=2e-3) for name in NOISES}


def test_recordings_are_listened_to(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wav.write(tmp_path / "rain.wav", 8000, np.random.default_rng(1).normal(0, 900, (24_000, 2)).astype(np.int16))
    pytest.importorskip("pymicro_wakeword")
    figures = measured(["--phrase", "alexa", "--minutes", "0", "--recordings", str(tmp_path)], capsys)
    assert figures["recordings"] == {"false_wakes": 0, "minutes": pytest.approx(0.05)}
    assert figures["false_wakes_per_hour"] == 0


def test_the_settings_choose_what_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("pymicro_wakeword")
    assert main([*QUICK, "--set", 'microphone.wakeword.microwakeword.phrases=["okay nabu"]']) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "microwakeword; voices, all synthetic: espeak 8"
    assert told[2].split() == ["'okay", "nabu',", "heard", "all", "espeak"]
    assert [line for line in told if line.startswith("10 dB television") and line.count("%") == 2]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--minutes", "-1"], "--minutes is a number"),
        (["--phrase", "hey xyzzy"], "no word 'xyzzy'"),
        (["--engine", "nothing"], "there is no wakeword engine 'nothing'"),
        (["--engine", "openwakeword"], "melspectrogram"),
        (["--recordings", "/no/such"], "there are no .wav files in /no/such"),
    ],
)
def test_what_cannot_be_measured_is_said(given: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "wakeword", *given]) == 2
    assert words in capsys.readouterr().err
