"""Several KV caches side by side: which one a prompt continues, rolling it back, and computing the rest."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipelines.engine import EngineError
from pipelines.llm._decoder import KV, Decoder
from pipelines.llm._prompt import Cell, Rows

LIVE = "live"  # the spoken conversation's owner


class Slot:
    """One KV cache. ``kv`` holds exactly ``cells`` at every moment that anyone else can see."""

    def __init__(self, empty: KV) -> None:
        self.owner = ""
        self.cells: list[Cell] = []
        self.kv = empty
        self.used = 0  # number of the last run in it; the highest is the newest


def common(one: Sequence[Cell], other: Sequence[Cell]) -> int:
    """Length of the longest common prefix."""
    low, high = 0, min(len(one), len(other))
    while low < high:  # by halves: comparing slices is far faster than a loop over elements
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def target(slots: Sequence[Slot], owner: str) -> Slot:
    """The slot that ``owner`` runs in: its own, else the one unused longest (empty ones were never used).

    The slot of `live` is not taken from it by others where there is more than one.
    """
    own = [slot for slot in slots if slot.owner == owner]
    if own:
        return own[0]
    free = [slot for slot in slots if len(slots) == 1 or slot.owner != LIVE]
    return min(free, key=lambda slot: slot.used)


def source(slots: Sequence[Slot], own: Slot, cells: Sequence[Cell]) -> tuple[Slot, int]:
    """The slot whose cache shares the longest prefix with ``cells`` (``own`` among equals), and how long that is."""
    length, _, index = max((common(slot.cells, cells), slot is own, index) for index, slot in enumerate(slots))
    return slots[index], length


class Caches:
    """The slots of one decoder. KVs are never changed in place, so slots may share one and a copy costs nothing."""

    def __init__(self, decoder: Decoder, slots: int, image_token: int) -> None:
        self._decoder, self._image_token = decoder, image_token
        self.slots = [Slot(decoder.empty) for _ in range(slots)]
        self._runs = 0

    def lease(self, owner: str, cells: Sequence[Cell], most: int) -> "Lease":
        """A slot for a run of ``owner``, holding the longest known prefix of ``cells``, at most ``most`` of them.

        A cache that goes on beyond ``cells`` is left whole where nothing of them has to be computed.
        """
        own = target(self.slots, owner)
        best, length = source(self.slots, own, cells)
        if best is not own or not length == len(cells) <= most:
            kept = min(length, most)
            own.kv, own.cells = self._decoder.cut(best.kv, kept), best.cells[:kept]
        self._runs += 1
        own.owner, own.used = owner, self._runs
        return Lease(self._decoder, own, self._image_token)


class Lease:
    """A run's hold on its slot: it lasts until another run takes the slot."""

    def __init__(self, decoder: Decoder, slot: Slot, image_token: int) -> None:
        self._decoder, self._slot, self._image_token = decoder, slot, image_token
        self._run = slot.used

    @property
    def held(self) -> int:
        """How many cells the slot's cache holds."""
        return len(self._slot.cells)

    def extend(self, cells: Sequence[Cell], rows: Rows, logits: bool = True) -> NDArray[np.float32]:
        """Compute ``cells`` behind what is held: logits [vocabulary] after the last one, empty where not wanted.

        Raises EngineError for a failed run, or when another run took the slot; the slot is unchanged then.
        """
        if self._slot.used != self._run:
            raise EngineError("another run of the language model took over this one's KV cache; close runs before that")
        embedded = self._decoder.rows([cell if isinstance(cell, int) else self._image_token for cell in cells])
        for at, cell in enumerate(cells):
            if not isinstance(cell, int):
                identity, row = cell
                embedded[at] = rows[identity][row]
        kv, found = self._decoder.run(embedded, self._slot.kv, logits)
        self._slot.kv = kv
        self._slot.cells.extend(cells)
        return found

    def missing(self, cells: Sequence[Cell], chunk: int) -> list[Sequence[Cell]]:
        """What of the prompt ``cells`` is not held yet, in parts of at most ``chunk``."""
        return [cells[start : start + chunk] for start in range(self.held, len(cells), chunk)]
