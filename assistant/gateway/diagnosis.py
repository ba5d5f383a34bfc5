"""What `assistant doctor` finds, for who looks through the gateway."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any

from assistant import checkup
from assistant.core.doctor.finding import Finding

FRESH_S = 10.0  # what was found is told again for so long: looking at a machine takes its time


class Doctor:
    """Looks at the machine beside the loop, at most every FRESH_S seconds however many ask."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._config = config
        self._found: Sequence[Finding] = ()
        self._until = 0.0
        self._looking = asyncio.Lock()

    async def findings(self) -> Sequence[Finding]:
        async with self._looking:
            if time.monotonic() >= self._until:
                self._found = await asyncio.to_thread(checkup.findings, self._config)
                self._until = time.monotonic() + FRESH_S
        return self._found
