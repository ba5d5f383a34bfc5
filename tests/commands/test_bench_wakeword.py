"""``assistant bench wakeword``: every figure is there, and they are of what was asked for."""

import json

import pytest

from assistant.commands import main


def test_a_quick_run_has_every_figure(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "wakeword", "--quick", "--json", "--minutes", "0.1"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["phrases"] == ["hey assistant"]
    noises = [f"{snr} dB {noise}" for snr in (20, 10, 5) for noise in ("fan", "voices")]
    assert list(figures["wake_hits"]) == ["quiet", *noises]
    assert all(0 <= share <= 1 for share in figures["wake_hits"].values())
    assert figures["wake_hits"]["20 dB fan"] >= 0.5
    assert figures["minutes"] == 0.1
    assert figures["false_wakes_per_hour"] == pytest.approx(figures["false_wakes"] * 600)
    assert figures["first_words_lost"] == 0.0
    assert 0 < figures["told_late_ms"] < 1000


@pytest.mark.parametrize(
    ("given", "words"), [(["--minutes", "-1"], "--minutes is a number"), (["--phrase", "hey xyzzy"], "no word 'xyzzy'")]
)
def test_what_cannot_be_measured_is_said(given: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "wakeword", *given]) == 2
    assert words in capsys.readouterr().err
