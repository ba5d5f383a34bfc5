"""How far the toolkit's outputs lie from onnxruntime's: pure, over arrays."""

import math
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

Outputs = Sequence[NDArray[Any]]  # of one picture


class Figure(msgspec.Struct, frozen=True):
    """One output, over all pictures; a cosine of 1 is the same direction. The worst picture counts."""

    output: str
    shape: list[int]
    pictures: int
    cosine: float  # the lowest of any picture
    cosine_mean: float
    difference: float  # the largest of any single value
    largest: float  # value that onnxruntime gave, to hold the difference against


def cosine(one: NDArray[Any], other: NDArray[Any]) -> float:
    """Of two arrays as vectors, in double precision; 0 where a value is no number. Two zero vectors are alike."""
    a, b = (np.asarray(array, np.float64).ravel() for array in (one, other))
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        return 0.0
    lengths = float(np.linalg.norm(a)) * float(np.linalg.norm(b))
    if lengths == 0.0:
        return 1.0 if not a.any() and not b.any() else 0.0
    return max(-1.0, min(1.0, float(a @ b) / lengths))


def compare(names: Sequence[str], wanted: Sequence[Outputs], found: Sequence[Outputs]) -> list[Figure]:
    """``wanted`` and ``found`` hold the outputs of each picture. Raises ValueError where they do not correspond.

    The toolkit may drop axes of 1, so arrays of one size are compared in their order.
    """
    if len(wanted) != len(found) or not wanted:
        raise ValueError(f"{len(found)} pictures came back where {len(wanted)} went in")
    figures = []
    for number, name in enumerate(names):
        cosines, difference, largest = [], 0.0, 0.0
        for before, after in zip(wanted, found, strict=True):
            if len(after) != len(names):
                raise ValueError(f"the toolkit's model gives {len(after)} outputs, the graph {len(names)}")
            a, b = np.asarray(before[number], np.float64), np.asarray(after[number], np.float64)
            if a.size != b.size:
                raise ValueError(f"output {name} is {list(b.shape)} from the toolkit, {list(a.shape)} from onnxruntime")
            cosines.append(cosine(a, b))
            gap = float(np.max(np.abs(a.ravel() - b.ravel()), initial=0.0))
            difference = max(difference, gap if math.isfinite(gap) else math.inf)
            largest = max(largest, float(np.max(np.abs(a), initial=0.0)))
        shape = [int(length) for length in wanted[0][number].shape]
        mean = float(np.mean(cosines))
        figures.append(Figure(name, shape, len(wanted), min(cosines), mean, difference, largest))
    return figures


def below(figures: Sequence[Figure], bound: float) -> list[str]:
    """A sentence for each output that is not as close as it should be."""
    return [
        f"{figure.output} has a cosine of {figure.cosine:.5f} on its worst picture, below {bound}"
        for figure in figures
        if figure.cosine < bound
    ]
