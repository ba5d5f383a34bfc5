"""A contact on a pin. The kernel's simulated pins need root and a module, so the library's shape is stood in for."""

import sys
from enum import Enum
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from pipelines import button
from pipelines.button import Edge, Unplugged
from pipelines.engine import EngineError


class Request:
    """What gpiod.request_lines returns, as version 2 documents it."""

    def __init__(self, events: list[Any]) -> None:
        self.events, self.released = events, False

    def wait_edge_events(self, timeout: float) -> bool:
        return bool(self.events)

    def read_edge_events(self) -> list[Any]:
        if self.events[0] is None:
            raise OSError(19, "No such device")
        taken, self.events = self.events, []
        return taken

    def release(self) -> None:
        self.released = True


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Stands in for the package; what was asked of it."""
    seen: dict[str, Any] = {}
    gpiod, line = ModuleType("gpiod"), ModuleType("gpiod.line")
    Type = Enum("Type", ["RISING_EDGE", "FALLING_EDGE"])
    seen["kinds"] = Type

    def request_lines(path: str, consumer: str, config: dict[Any, Any]) -> Request:
        if "taken" in config:
            raise OSError(16, "Device or resource busy")
        request = Request([])
        seen.update(path=path, config=config, request=request)
        return request

    line.__dict__.update(
        Bias=Enum("Bias", ["AS_IS", "UNKNOWN", "DISABLED", "PULL_UP", "PULL_DOWN"]),
        Clock=Enum("Clock", ["MONOTONIC", "REALTIME", "HTE"]),
        Direction=Enum("Direction", ["AS_IS", "INPUT", "OUTPUT"]),
        Edge=Enum("Edge", ["NONE", "RISING", "FALLING", "BOTH"]),
    )
    gpiod.__dict__.update(
        line=line,
        LineSettings=lambda **given: SimpleNamespace(**given),
        request_lines=request_lines,
        EdgeEvent=SimpleNamespace(Type=Type),
    )
    monkeypatch.setitem(sys.modules, "gpiod", gpiod)
    monkeypatch.setitem(sys.modules, "gpiod.line", line)
    return seen


def test_edges_with_the_kernels_times(asked: dict[str, Any], tmp_path: Path) -> None:
    chip = tmp_path / "gpiochip0"
    chip.touch()
    contacts = button.load("gpio", {"chip": str(chip), "line": "PTT"})
    settings = asked["config"]["PTT"]
    assert (settings.direction.name, settings.edge_detection.name) == ("INPUT", "BOTH")
    assert (settings.bias.name, settings.active_low, settings.event_clock.name) == ("PULL_UP", True, "MONOTONIC")
    assert contacts.edges(0.0) == []
    kinds, request = asked["kinds"], asked["request"]
    request.events = [
        SimpleNamespace(event_type=kinds.RISING_EDGE, timestamp_ns=5),
        SimpleNamespace(event_type=kinds.FALLING_EDGE, timestamp_ns=9),
    ]
    assert contacts.edges(0.0) == [Edge(True, 5), Edge(False, 9)]
    request.events = [None]
    with pytest.raises(Unplugged, match=r"line PTT of .* is gone"):
        contacts.edges(0.0)
    contacts.close()
    assert request.released


def test_what_is_not_to_be_had_is_named(asked: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"there is no /no/chip; there are: "):
        button.load("gpio", {"chip": "/no/chip", "line": 3})
    (tmp_path / "chip").touch()
    with pytest.raises(EngineError, match=r"line taken of .* is not to be had \(.*busy.*\); is it free"):
        button.load("gpio", {"chip": str(tmp_path / "chip"), "line": "taken"})


def test_the_real_library_has_what_is_used() -> None:
    gpiod = pytest.importorskip("gpiod")
    from gpiod.line import Bias, Clock, Direction
    from gpiod.line import Edge as Edges

    settings = gpiod.LineSettings(
        direction=Direction.INPUT,
        edge_detection=Edges.BOTH,
        bias=Bias.PULL_UP,
        active_low=True,
        event_clock=Clock.MONOTONIC,
    )
    assert settings.active_low
    assert gpiod.EdgeEvent.Type.RISING_EDGE != gpiod.EdgeEvent.Type.FALLING_EDGE
    assert all(hasattr(gpiod.LineRequest, name) for name in ("wait_edge_events", "read_edge_events", "release"))
