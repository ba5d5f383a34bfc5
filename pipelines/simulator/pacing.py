"""What the ears and the mouth of a simulated board share: their options, and how they name themselves."""

import logging
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from pipelines import engine

log = logging.getLogger(__name__)


class Options(engine.Options, frozen=True, kw_only=True):
    engine: str  # whose work it is, and its options as that engine (or ``auto``) takes them
    options: dict[str, Any] = msgspec.field(default_factory=dict)
    board: str
    slowness: Annotated[float, msgspec.Meta(gt=0)] = 1.0  # 1: the board's own pace, 0.1: ten times as fast

    def of(self, name: str) -> Mapping[str, Any]:
        """The options of the engine that it came to."""
        values = self.options.get(name, {}) if self.engine == "auto" else self.options
        assert isinstance(values, Mapping)
        return values


def named(name: str, kind: str, board: str, told: str) -> str:
    """The engine's name, as a service says what it works with; ``told``, its figures with their source, is logged.
    Empty: there are none for this kind of engine on this board."""
    work = name if kind == name else f"{name} ({kind})"
    if not told:
        log.warning("of %s on %s no figures are known; it keeps this machine's pace", work, board)
        return name
    log.info("%s at %s's pace: %s", work, board, told)
    return f"{name} at {board}'s pace"
