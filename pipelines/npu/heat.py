"""How hot the NPU is, as the kernel's thermal zones tell it.

A zone's number differs from board to board and from kernel to kernel, so it is found by its type. Boards without a
zone of the NPU's own have one of the whole chip; where neither is, as on a PC, the temperature is not known.
"""

import os
from pathlib import Path

THERMAL = "ASSISTANT_THERMAL"  # environment: where the thermal zones lie instead of in /sys/class/thermal
TYPES = ("npu-thermal", "npu_thermal", "soc-thermal", "soc_thermal", "package-thermal")  # the first that there is
SENSIBLE = (-45.0, 150.0)  # °C: beyond it a sensor is broken or off


class Thermometer:
    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or Path(os.environ.get(THERMAL) or "/sys/class/thermal")
        self._zone = self._find()

    def read(self) -> float | None:
        """°C; None where it is not known. Never raises; costs a look into one small file."""
        try:
            celsius = int((self._zone / "temp").read_text()) / 1000 if self._zone else None
        except (OSError, ValueError, OverflowError):  # zones answer EAGAIN or EINVAL while their sensor is off
            return None
        return celsius if celsius is not None and SENSIBLE[0] <= celsius <= SENSIBLE[1] else None

    def _find(self) -> Path | None:
        found: dict[str, Path] = {}
        for zone in sorted(self._folder.glob("thermal_zone*")):
            try:
                found.setdefault((zone / "type").read_text().strip(), zone)
            except (OSError, ValueError):
                continue
        return next((found[kind] for kind in TYPES if kind in found), None)
