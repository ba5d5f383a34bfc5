"""How well a model foresees a text: pure arithmetic over the logits that rkllm-toolkit gives."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

LENGTH = 512  # tokens that are looked at together, as in rknn-llm's example (rkllm-toolkit/examples/test.py, 1.1.4)


def perplexity(ids: Any, logits: Callable[[Any], Any], told: Callable[[int, int], None], most: int = 0) -> float:
    """Of ``ids`` [1, tokens], in whole pieces of LENGTH, ``most`` tokens of it; ``logits`` gives [1, LENGTH, words].

    ``ids`` and what comes back are arrays or torch's tensors. Raises ValueError where the text is too short, or the
    model gives nothing.
    """
    total = int(ids.shape[1])
    pieces = min(total, most or total) // LENGTH
    if pieces < 1:
        raise ValueError(f"the text has {total} tokens; {LENGTH} are the least")
    losses = []
    for number in range(pieces):
        piece = ids[:, number * LENGTH : (number + 1) * LENGTH]
        given = logits(piece)
        if given is None:
            raise ValueError(f"the toolkit gave no logits for tokens {number * LENGTH} and on")
        losses.append(loss(_array(given)[0, :-1], np.asarray(_array(piece)[0, 1:], np.int64)))
        told(number + 1, pieces)
    return float(np.exp(np.mean(losses)))


def loss(logits: NDArray[Any], following: NDArray[np.int64]) -> float:
    """The mean cross-entropy in nats of the tokens that followed; logits [tokens, words]."""
    wide = np.asarray(logits, np.float64)
    wide = wide - wide.max(axis=-1, keepdims=True)
    chosen = wide[np.arange(len(following)), following]
    return float(np.mean(np.log(np.exp(wide).sum(axis=-1)) - chosen))


def _array(value: Any) -> NDArray[Any]:
    if hasattr(value, "detach"):  # torch's; numpy knows no bfloat16
        value = value.detach().cpu()
        value = value.float() if value.is_floating_point() else value
        return np.asarray(value.numpy())
    return np.asarray(value)
