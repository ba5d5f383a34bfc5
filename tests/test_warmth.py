"""What a service does about the heat: when it looks, and what it then lets nobody do."""

from collections.abc import Callable
from pathlib import Path

from assistant.bus import Bus
from assistant.notify import Notifier
from assistant.service import Service
from assistant.warmth import EVERY_NS, Warmth
from pipelines.npu.heat import Thermometer


class Counting(Thermometer):
    """A thermometer that is set by hand, and knows how often it was read."""

    def __init__(self, celsius: float | None) -> None:
        self.celsius, self.reads = celsius, 0

    def read(self) -> float | None:
        self.reads += 1
        return self.celsius


def test_it_looks_seldom_and_spares_a_hot_board(join: Callable[..., Bus], tmp_path: Path) -> None:
    now, sensor = [0], Counting(70.0)
    service = Service(join("dialogue"), Notifier(), tmp_path, lambda: now[0])
    warmth = Warmth(service, 80.0, sensor)
    for now[0] in range(0, EVERY_NS, EVERY_NS // 50):
        warmth.look()
    assert (sensor.reads, warmth.may_work_ahead, service.figures["npu_celsius"]) == (1, True, 70.0)
    told = []
    for celsius in (81.0, 76.0, 75.0, 85.0, None):
        now[0], sensor.celsius = now[0] + EVERY_NS, celsius
        warmth.look()
        told.append(warmth.may_work_ahead)
    assert told == [False, False, True, False, True]
    assert "npu_celsius" not in service.figures
