"""Choosing the next token from logits, and ending a reply at a stop string: pure, randomness is an argument."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipelines.llm import Sampling
from pipelines.llm._thinking import overlap

Logits = NDArray[np.float32]  # [vocabulary]


def choose(logits: Logits, seen: NDArray[np.intp], sampling: Sampling, random: np.random.Generator) -> int:
    """The next token. ``seen``: ids of prompt and reply so far, which the repetition penalty weakens.

    The order is the reference's: penalty, temperature, top-k, top-p.
    """
    if sampling.repetition_penalty != 1.0 and len(seen):
        logits = penalised(logits, seen, sampling.repetition_penalty)
    if sampling.temperature <= 0.0:
        return int(logits.argmax())
    scaled = logits.astype(np.float64) / sampling.temperature
    order = np.argsort(-scaled, kind="stable")  # ties fall as greedy lets them fall: the lower id first
    if sampling.top_k > 0:
        order = order[: sampling.top_k]
    shares = softmax(scaled[order])
    if sampling.top_p < 1.0:
        # The token that crosses the limit still belongs to the nucleus, so at least one is always left.
        kept = int(np.searchsorted(np.cumsum(shares), sampling.top_p)) + 1
        order, shares = order[:kept], shares[:kept] / shares[:kept].sum()
    drawn = int(np.searchsorted(np.cumsum(shares), random.random(), side="right"))
    return int(order[min(drawn, len(order) - 1)])


def penalised(logits: Logits, seen: NDArray[np.intp], penalty: float) -> Logits:
    """Logits with those of seen tokens moved towards unlikely, each once however often it was seen."""
    changed: Logits = logits.copy()
    values = changed[seen]
    changed[seen] = np.where(values > 0, values / penalty, values * penalty)
    return changed


def softmax(values: NDArray[np.float64]) -> NDArray[np.float64]:
    exponentials = np.exp(values - values.max())
    shares: NDArray[np.float64] = exponentials / exponentials.sum()
    return shares


class StopText:
    """Lets text through up to the first stop string, across pieces; no part of a stop string is ever let out."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = [stop for stop in stops if stop]
        self._held = ""
        self.stopped = False

    def add(self, text: str) -> str:
        """The part of the text so far that surely belongs to the reply. After ``stopped``: nothing."""
        if self.stopped:
            return ""
        held = self._held + text
        found = [at for at in (held.find(stop) for stop in self._stops) if at >= 0]
        if found:
            self.stopped, self._held = True, ""
            return held[: min(found)]
        keep = max((overlap(held, stop) for stop in self._stops), default=0)
        self._held = held[len(held) - keep :]
        return held[: len(held) - keep]

    def rest(self) -> str:
        """What was held back, when the reply ends otherwise."""
        held, self._held = self._held, ""
        return held
