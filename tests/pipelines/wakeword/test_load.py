"""Which engine `auto` takes for which phrases, and that it is told."""

import logging
import sys
from typing import Any

import pytest

from pipelines import wakeword
from pipelines.engine import name_of

TABLES: dict[str, dict[str, Any]] = {
    "microwakeword": {"phrases": ["hey jarvis"]},
    "pocketsphinx": {"phrases": ["hello computer"]},
}


def taken(tables: dict[str, dict[str, Any]], caplog: pytest.LogCaptureFixture) -> tuple[str, tuple[str, ...], str]:
    caplog.set_level(logging.INFO)
    spotter = wakeword.load("auto", tables)
    return name_of(spotter), spotter.phrases, caplog.text


def test_networks_where_they_are_installed_and_asked_for(caplog: pytest.LogCaptureFixture) -> None:
    pytest.importorskip("pymicro_wakeword")
    engine, phrases, told = taken(TABLES, caplog)
    assert (engine, phrases) == ("microwakeword", ("hey jarvis",))
    assert "wakeword: microwakeword listens for 'hey jarvis'" in told


def test_any_phrase_where_they_are_not_installed(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pymicro_wakeword", None)
    engine, phrases, told = taken(TABLES, caplog)
    assert (engine, phrases) == ("pocketsphinx", ("hello computer",))
    assert "not microwakeword: the wakeword engine 'microwakeword' needs pymicro_wakeword" in told
    assert "edge-assistant[wakeword]" in told
    assert "wakeword: pocketsphinx listens for 'hello computer'" in told


def test_a_phrase_that_no_network_knows_is_pocketsphinx_s(caplog: pytest.LogCaptureFixture) -> None:
    pytest.importorskip("pymicro_wakeword")
    tables = {name: {"phrases": ["hello computer"]} for name in TABLES}
    engine, _, told = taken(tables, caplog)
    assert engine == "pocketsphinx"
    assert "no network for 'hello computer'; choose of alexa" in told


def test_without_a_table_the_networks_are_not_tried(caplog: pytest.LogCaptureFixture) -> None:
    assert taken({}, caplog)[:2] == ("pocketsphinx", ("hey assistant",))
