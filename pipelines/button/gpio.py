"""A contact on a pin of the board, read through libgpiod 2 (LGPL-2.1-or-later; the package ``gpiod``).

Needs the right to open /dev/gpiochip*: the group ``gpio`` where the system has one. Pins are named as the device tree
names them (``gpioinfo`` lists them) or numbered within their chip.
"""

from pathlib import Path
from typing import Any, Literal, TypeAlias

from pipelines import engine
from pipelines.button import Edge, Unplugged


class Options(engine.Options, frozen=True, kw_only=True):
    chip: str = "/dev/gpiochip0"
    line: str | int  # name, or number within the chip
    active_low: bool = True  # the contact pulls the pin to ground, as is usual
    bias: Literal["pull_up", "pull_down", "disabled", "as_is"] = "pull_up"


class Engine:
    """See ``pipelines.button.Contacts``. Bounces are left in: they are judged in one place, for all buttons."""

    Options: TypeAlias = Options
    extra = "gpio"

    def __init__(self, options: Options) -> None:
        """Raises EngineError where the chip is not there or the pin is not to be had."""
        import gpiod
        from gpiod.line import Bias, Clock, Direction
        from gpiod.line import Edge as Edges

        self.name = f"line {options.line} of {options.chip}"
        if not Path(options.chip).exists():
            found = ", ".join(str(path) for path in sorted(Path("/dev").glob("gpiochip*"))) or "none"
            raise engine.EngineError(f"button: there is no {options.chip}; there are: {found}")
        settings = gpiod.LineSettings(
            direction=Direction.INPUT,
            edge_detection=Edges.BOTH,
            bias=Bias[options.bias.upper()],
            active_low=options.active_low,
            event_clock=Clock.MONOTONIC,
        )
        try:
            self._request: Any = gpiod.request_lines(
                options.chip, consumer="edge-assistant", config={options.line: settings}
            )
        except (OSError, ValueError, TypeError) as error:
            raise engine.EngineError(
                f"button: {self.name} is not to be had ({error}); is it free, does it exist, and may it be opened?"
            ) from error
        self._rising = gpiod.EdgeEvent.Type.RISING_EDGE

    def edges(self, timeout_s: float) -> list[Edge]:
        """See the protocol."""
        try:
            if not self._request.wait_edge_events(timeout_s):
                return []
            events = self._request.read_edge_events()
        except (OSError, ValueError) as error:
            raise Unplugged(f"{self.name} is gone: {error}") from error
        return [Edge(event.event_type == self._rising, event.timestamp_ns) for event in events]

    def close(self) -> None:
        self._request.release()
