"""Watches the NPU's temperature for a service: a figure, a word in health, and whether work ahead may be done."""

import logging

from assistant.core import heat
from assistant.service import Service
from pipelines.npu.heat import Thermometer

log = logging.getLogger(__name__)

EVERY_NS = 2_000_000_000  # between two readings: chips warm up in seconds


class Warmth:
    def __init__(self, service: Service, limit_c: float, thermometer: Thermometer) -> None:
        self._service, self._limit_c, self._thermometer = service, limit_c, thermometer
        self._read_at: int | None = None
        self.hot = False

    @property
    def may_work_ahead(self) -> bool:
        """May idle and speculative work be done? When it is hot, only what the user waits for is."""
        return not self.hot

    def look(self) -> None:
        """Read the temperature, if it is time to; to be called from the service's loop."""
        now = self._service.clock()
        if self._read_at is not None and now - self._read_at < EVERY_NS:
            return
        self._read_at = now
        celsius = self._thermometer.read()
        if celsius is not None:
            self._service.figures["npu_celsius"] = celsius
        else:
            self._service.figures.pop("npu_celsius", None)
        was, self.hot = self.hot, heat.hot(self.hot, celsius, self._limit_c)
        self._service.figures["spare_npu"] = float(self.hot)  # other services go by it
        if self.hot and not was:
            told = (
                f"the NPU has {celsius:.0f} °C (hot_c is {self._limit_c:g}): answers are shorter, nothing is done ahead"
            )
            log.warning("%s", told)
            self._service.trouble("heat", told)
        elif was and not self.hot:
            now_it_has = "its temperature is not known any more" if celsius is None else f"it has {celsius:.0f} °C"
            log.info("the NPU is cool again: %s", now_it_has)
            self._service.trouble("heat", "")
