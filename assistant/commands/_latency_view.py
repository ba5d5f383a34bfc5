from typing import Any


def draw(figures: dict[str, Any]) -> bytes:
    return b""


def lines(figures: dict[str, Any]) -> list[str]:
    return []
