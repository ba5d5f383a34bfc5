"""Buttons to talk with: a key, a foot switch, a headset's button, a contact on a pin."""

from collections.abc import Mapping
from typing import Any, Protocol, cast

import msgspec

from pipelines import engine


class Unplugged(Exception):
    """The device is gone; a new engine may find it again."""


class Edge(msgspec.Struct, frozen=True):
    """The contacts closed or opened, with all their bouncing. ``at``: CLOCK_MONOTONIC, ns."""

    pressed: bool
    at: int


class Contacts(Protocol):
    """One device, open. For one thread."""

    name: str  # as people know it

    def edges(self, timeout_s: float) -> list[Edge]:
        """What happened, oldest first; [] when nothing does for so long. Raises Unplugged."""

    def close(self) -> None: ...


def load(name: str, options: Mapping[str, Any]) -> Contacts:
    """The contacts that the engine called ``name`` watches. Raises EngineError, also while nothing is plugged in."""
    return cast(Contacts, engine.load("button", name, options))
